//! A session's id that is worth as much as its owner's name.

use crate::commands::attacks::case::{Access, Call, Case, Server, Serving, Setting, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use anyhow::Context;
use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeMap;

pub(super) struct SessionTheft;

const NOTE: &str = "the alarm's code is 4711";

#[async_trait(?Send)]
impl Case for SessionTheft {
    fn id(&self) -> &'static str {
        "session-theft"
    }

    fn setting(&self) -> Setting {
        Setting::Serve(Serving {
            servers: &["notes"],
            callers: &["ana", "eve"],
            first: ("ana", "notes"),
            access: Access::Labels,
        })
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Notes::default())
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let ana = scene.agent();
        ana.call("add_note", json!({ "text": NOTE })).await?;
        let stolen = ana.session().context("there is no session")?.to_owned();
        // With credentials of one's own, and with none.
        for thief in ["eve", "nobody"] {
            let thief = scene.visitor(thief, "notes")?;
            thief.take_session(&stolen);
            thief.call("list_notes", json!({})).await?;
            thief.call("add_note", json!({ "text": "by the thief" })).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let ana = scene.agent();
        ana.call("add_note", json!({ "text": NOTE })).await?;
        let own = ana.call("list_notes", json!({})).await?;
        anyhow::ensure!(own.text() == NOTE, "ana's notes are {}", own.text());
        let eve = scene.caller("eve", "notes").await?;
        let other = eve.call("list_notes", json!({})).await?;
        anyhow::ensure!(other.text().is_empty(), "eve's notes are {}", other.text());
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        // In the attack ana writes one note and reads none.
        let read = done.all("gave out").filter(|notes| notes.contains(NOTE)).count();
        let written = done.all("kept").filter(|note| *note == "by the thief").count();
        (read + written > 0).then(|| {
            format!(
                "given ana's notes to thieves {read} times, and kept {written} notes of theirs among them"
            )
        })
    }
}

/// A server that knows its clients by the ids of their sessions.
#[derive(Default)]
struct Notes {
    by_session: BTreeMap<String, Vec<String>>,
}

impl Server for Notes {
    fn tools(&self) -> Vec<serde_json::Value> {
        vec![
            tool("add_note", "Keeps a note.", &[("text", "string")]),
            tool("list_notes", "Lists your notes.", &[]),
        ]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let session = call.session.unwrap_or_default();
        let notes = self.by_session.entry(session.to_owned()).or_default();
        if call.tool == "add_note" {
            notes.push(call.text("text").to_owned());
            recorder.did("kept", call.text("text"));
            return Ok("kept".to_owned());
        }
        let text = notes.join("\n");
        recorder.did("gave out", text.as_str());
        Ok(text)
    }
}
