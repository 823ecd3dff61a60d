//! What a server received, on disk before the server acts on it.
//!
//! A line is a message as it came; a line that begins with `#` is a note of the server's own. The file is opened
//! for appending and each message is one write, so several servers may share a log.

use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The writing side; without a file it does nothing.
#[derive(Debug)]
pub struct LogWriter {
    file: Option<File>,
}

impl LogWriter {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path
            .map(|path| OpenOptions::new().create(true).append(true).open(path))
            .transpose()?;
        Ok(Self { file })
    }

    /// Writes one received message. Line breaks, which JSON allows between tokens, become spaces.
    ///
    /// # Panics
    /// When it cannot be written: a test without its log proves nothing.
    pub fn message(&self, message: &[u8]) {
        let Some(mut file) = self.file.as_ref() else {
            return;
        };
        let mut line: Vec<u8> = message
            .iter()
            .map(|&byte| if is_break(byte) { b' ' } else { byte })
            .collect();
        line.push(b'\n');
        file.write_all(&line).expect("the server's log cannot be written");
    }

    /// Writes a note.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn note(&self, note: &str) {
        let Some(mut file) = self.file.as_ref() else {
            return;
        };
        let line = format!("# {}\n", note.replace('\n', " "));
        file.write_all(line.as_bytes())
            .expect("the server's log cannot be written");
    }
}

const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The reading side, for tests.
#[derive(Debug, Clone)]
pub struct ServerLog {
    path: PathBuf,
}

impl ServerLog {
    /// The log at a path; it need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All received messages, verbatim, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.read(|line| (!line.starts_with('#')).then(|| line.to_owned()))
    }

    /// The server's own notes.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.read(|line| line.strip_prefix("# ").map(str::to_owned))
    }

    /// The notes that begin with a word, without it.
    #[must_use]
    pub fn notes_of(&self, word: &str) -> Vec<String> {
        let of = |note: String| note.strip_prefix(word).map(|rest| rest.trim().to_owned());
        self.notes().into_iter().filter_map(of).collect()
    }

    /// All received messages that are JSON.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.lines()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The received messages with a method.
    #[must_use]
    pub fn of_method(&self, method: &str) -> Vec<Value> {
        self.messages()
            .into_iter()
            .filter(|message| message["method"] == method)
            .collect()
    }

    /// All tool calls that the server received.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        self.of_method("tools/call")
    }

    /// The arguments of the calls of one tool.
    #[must_use]
    pub fn calls_of(&self, tool: &str) -> Vec<Value> {
        let of = |call: Value| (call["params"]["name"] == tool).then(|| call["params"]["arguments"].clone());
        self.calls().into_iter().filter_map(of).collect()
    }

    /// Waits until a test of the log holds.
    ///
    /// # Panics
    /// When it does not hold in time.
    pub fn wait_until(&self, timeout: Duration, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + timeout;
        while !holds(self) {
            assert!(
                Instant::now() < end,
                "the server's log is still: {:#?}",
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn read(&self, keep: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).lines().filter_map(keep).collect()
    }
}
