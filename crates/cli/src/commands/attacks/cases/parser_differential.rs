//! A message that a server's check and the server itself read differently.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) struct ParserDifferential;

#[async_trait(?Send)]
impl Case for ParserDifferential {
    fn id(&self) -> &'static str {
        "parser-differential"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Members)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let agent = scene.agent();
        let honest = r#"{"user":"mallory","role":"admin"}"#;
        agent.call_raw("set_role", honest).await?;
        let twice = r#"{"user":"mallory","role":"reader","role":"admin"}"#;
        agent.call_raw("set_role", twice).await?;
        let capital = r#"{"user":"mallory","role":"reader","Role":"admin"}"#;
        agent.call_raw("set_role", capital).await?;
        let escaped = r#"{"user":"mallory","role":"reader","rol\u0065":"admin"}"#;
        agent.call_raw("set_role", escaped).await?;
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let agent = scene.agent();
        agent
            .call("set_role", json!({ "user": "ana", "role": "reader" }))
            .await?;
        agent
            .call("set_role", json!({ "user": "bob", "role": "editor" }))
            .await?;
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let made = done.all("made").filter(|who| *who == "mallory an admin").count();
        (made > 0).then(|| format!("made mallory an admin, {made} times, past its own check"))
    }
}

/// A server whose check takes the first of two equal keys, and whose work the last, for which capitals are small letters.
struct Members;

impl Server for Members {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "set_role",
            "Gives a user the role reader or editor.",
            &[("user", "string"), ("role", "string")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        if !matches!(first(call.message, "role"), Some("reader" | "editor")) {
            return Err("the role has to be reader or editor".to_owned());
        }
        let (user, role) = (call.text("user"), work(call.arguments));
        let article = if role.starts_with('a') || role.starts_with('e') {
            "an"
        } else {
            "a"
        };
        recorder.did("made", format!("{user} {article} {role}"));
        Ok(format!("{user} is {article} {role}"))
    }
}

/// The role that is given: of two equal keys the last is left, and a capital one comes before its small twin.
fn work(arguments: &Value) -> &str {
    let members = arguments.as_object().into_iter().flatten();
    let role = members
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("role"));
    role.and_then(|(_, role)| role.as_str()).unwrap_or_default()
}

/// The first text of this key in a message, as a reader finds it that goes over the bytes from the left.
fn first<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    let (_, rest) = message.split_once(&format!("\"{key}\":\""))?;
    rest.split('"').next()
}
