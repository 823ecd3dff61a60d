//! What a server received, as it wrote it down before it acted on it: a line a message, `#` before its notes.

use super::until;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A server's log; it need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct ServerLog(PathBuf);

impl ServerLog {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// All received messages, byte for byte.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.all()
            .into_iter()
            .filter(|line| !line.starts_with('#'))
            .collect()
    }

    /// The rests of the notes that begin with a word.
    pub(crate) fn notes(&self, word: &str) -> Vec<String> {
        let rest = |line: String| Some(line.strip_prefix("# ")?.strip_prefix(word)?.trim().to_owned());
        self.all().into_iter().filter_map(rest).collect()
    }

    /// The received messages of one method.
    pub(crate) fn of_method(&self, method: &str) -> Vec<Value> {
        let messages = self
            .lines()
            .into_iter()
            .filter_map(|line| serde_json::from_str(&line).ok());
        messages
            .filter(|message: &Value| message["method"] == method)
            .collect()
    }

    /// The tool calls received.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.of_method("tools/call")
    }

    /// The process id that the server noted at its start.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        until("the server notes its pid", || {
            self.notes("pid").last()?.parse().ok()
        })
    }

    /// Waits for so many tool calls.
    #[track_caller]
    pub(crate) fn await_calls(&self, count: usize) -> Vec<Value> {
        until("the server receives the calls", || {
            let calls = self.calls();
            (calls.len() >= count).then_some(calls)
        })
    }

    fn all(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}
