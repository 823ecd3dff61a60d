//! What the attacked server has really done, as it writes it down itself: the proof of an attack's success is here,
//! not in an answer.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the server writes, in its folder.
const RECORD: &str = "record.jsonl";

/// The server's side: it writes.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    file: File,
    news: Vec<&'static str>,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// A call has arrived.
    Received { tool: String },
    /// Something was done.
    Did(Effect),
}

/// Something that the server did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Effect {
    /// What, such as `deleted`.
    pub(super) verb: String,
    /// With what.
    pub(super) object: String,
    /// When, in milliseconds since the Unix epoch.
    pub(super) at: u64,
}

/// The record, read when the server has ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The tools of the calls that arrived.
    pub(super) received: Vec<String>,
    /// What was done.
    pub(super) effects: Vec<Effect>,
}

impl Recorder {
    /// Writes in this folder, which is the server's own.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(RECORD);
        let file = OpenOptions::new().append(true).create(true).open(&path);
        Ok(Self {
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
            folder: folder.to_owned(),
            news: Vec::new(),
        })
    }

    /// A folder for what the server works on.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes down that something was done, such as `deleted`, `customer 7`.
    pub(super) fn did(&mut self, verb: &str, object: impl Into<String>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.write(&Line::Did(Effect {
            verb: verb.to_owned(),
            object: object.into(),
            at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }));
    }

    /// Has the client told of something, by the method of a notification.
    pub(super) fn announce(&mut self, method: &'static str) {
        self.news.push(method);
    }

    /// What is to be told.
    pub(super) fn take_news(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.news)
    }

    /// Writes down that a call has arrived.
    pub(super) fn received(&mut self, tool: &str) {
        let tool = tool.to_owned();
        self.write(&Line::Received { tool });
    }

    /// A line that cannot be written is missed when the record is judged: the attack then has not succeeded alone, or
    /// the ledger has calls that did not arrive.
    fn write(&mut self, line: &Line) {
        if let Ok(mut text) = serde_json::to_string(line) {
            text.push('\n');
            let _ = self.file.write_all(text.as_bytes());
        }
    }
}

impl Done {
    /// Reads what servers have written in their folders.
    pub(super) fn read(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let mut done = Self::default();
        for folder in folders {
            // Each server makes the file as it starts: one that is missing says that none has run.
            let text = std::fs::read_to_string(folder.join(RECORD)).context("the server's record")?;
            for line in text.lines() {
                match serde_json::from_str(line).context("the server's record")? {
                    Line::Received { tool } => done.received.push(tool),
                    Line::Did(effect) => done.effects.push(effect),
                }
            }
        }
        Ok(done)
    }

    /// With what this was done, in order.
    pub(super) fn all<'d>(&'d self, verb: &'d str) -> impl Iterator<Item = &'d str> {
        self.effects
            .iter()
            .filter(move |effect| effect.verb == verb)
            .map(|effect| effect.object.as_str())
    }

    /// How often this was done.
    pub(super) fn count(&self, verb: &str) -> usize {
        self.all(verb).count()
    }

    /// Whether this was done with that.
    pub(super) fn has(&self, verb: &str, object: &str) -> bool {
        self.all(verb).any(|done| done == object)
    }
}
