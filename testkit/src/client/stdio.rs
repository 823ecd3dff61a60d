//! A client on the pipes of a process: the gate, or a server directly.

use super::answer::Answer;
use super::{call, handshake};
use crate::PATIENCE;
use crate::process::Process;
use crate::server::StdioServer;
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::time::Duration;

/// The client. Ids that it gives begin at 1 and count up.
#[derive(Debug)]
pub struct Stdio {
    process: Process,
    last_id: u64,
}

impl Stdio {
    /// A client of a running process.
    #[must_use]
    pub const fn on(process: Process) -> Self {
        Self { process, last_id: 0 }
    }

    /// Starts a server and talks to it directly, with no gate between.
    ///
    /// # Panics
    /// When its command is empty or cannot be started.
    #[must_use]
    pub fn direct(server: &StdioServer) -> Self {
        let (program, arguments) = server.words().split_first().expect("a command");
        let mut process = Process::start(Command::new(program).args(arguments));
        process.owns_servers_of(server.log().clone());
        process.lives_in(server.room());
        Self::on(process)
    }

    /// Sends a line as it is.
    pub fn send(&mut self, line: &str) {
        self.send_bytes(line.as_bytes());
        self.send_bytes(b"\n");
    }

    /// Sends bytes as they are, without a line end. A process that does not read any more is no error here: the
    /// test sees it by what does not come back.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.process.write(bytes);
    }

    /// Sends a request, and gives its id at once.
    pub fn start(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Answer {
        let id = self.start(method, params);
        self.answer(id)
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// Answers a request of the server.
    pub fn reply(&mut self, request: &Answer, result: Value) {
        let id = request.json["id"].clone();
        self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
    }

    /// Shakes hands in a version before the modern one.
    pub fn initialize(&mut self, version: &str) -> Answer {
        let answer = self.request("initialize", handshake(version));
        self.notify("notifications/initialized", json!({}));
        answer
    }

    /// Calls a tool and waits for its answer.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        self.request("tools/call", call(tool, &arguments))
    }

    /// Calls a tool, and gives the id at once.
    pub fn start_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.start("tools/call", call(tool, &arguments))
    }

    /// The names of all tools, over all pages.
    pub fn tools(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        let mut params = json!({});
        loop {
            let page = self.request("tools/list", params);
            names.extend(page.tool_names());
            match page.result().get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return names,
            }
        }
    }

    /// Waits for the answer to an id.
    ///
    /// # Panics
    /// When none comes.
    pub fn answer(&mut self, id: impl Into<Value>) -> Answer {
        let id = id.into();
        self.answer_within(id.clone(), PATIENCE)
            .unwrap_or_else(|| panic!("no answer to {id}; {}", self.story()))
    }

    /// The answer to an id, if it comes in time.
    pub fn answer_within(&mut self, id: impl Into<Value>, timeout: Duration) -> Option<Answer> {
        let id = id.into();
        // Most lines are told apart without being parsed.
        let words = id.to_string();
        let is_it = |message: &Value| message.get("method").is_none() && message.get("id") == Some(&id);
        self.find(timeout, &words, is_it)
    }

    /// Waits for the first message of the server with a method.
    ///
    /// # Panics
    /// When none comes.
    pub fn message(&mut self, method: &str) -> Answer {
        let found = self.find(PATIENCE, method, |message| message["method"] == method);
        found.unwrap_or_else(|| panic!("no {method}; {}", self.story()))
    }

    /// All messages so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.process
            .stdout()
            .all()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// All lines so far, verbatim.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.process.stdout().all()
    }

    /// How many answers to an id there are so far.
    #[must_use]
    pub fn count_of(&self, id: impl Into<Value>) -> usize {
        let id = id.into();
        let is_it = |message: &&Value| message.get("method").is_none() && message.get("id") == Some(&id);
        self.messages().iter().filter(is_it).count()
    }

    fn find(&self, timeout: Duration, words: &str, wanted: impl Fn(&Value) -> bool) -> Option<Answer> {
        let is_it = |line: &str| {
            line.contains(words) && serde_json::from_str(line).is_ok_and(|message| wanted(&message))
        };
        let (_, line) = self.process.stdout().find(0, timeout, is_it)?;
        Some(Answer::of(&line))
    }

    fn story(&self) -> String {
        let cut = |line: String| line.chars().take(500).collect::<String>();
        let lines: Vec<String> = self.lines().into_iter().map(cut).collect();
        format!(
            "stdout:\n{}\nstderr:\n{}",
            lines.join("\n"),
            self.process.stderr()
        )
    }
}

impl Deref for Stdio {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Stdio {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
