//! A running gate, and a client on its stdio.

use super::{PATIENCE, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A gate's process. It is killed with the test that started it.
#[derive(Debug)]
pub(crate) struct Gate {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    /// What came and was not asked for yet.
    aside: Vec<String>,
    said: Arc<Mutex<String>>,
    address: String,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gate {
    pub(crate) fn start(mut command: Command) -> Self {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, output) = channel();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8(std::mem::take(&mut line)).expect("a gate writes UTF-8");
                if sender.send(text.trim_end_matches('\n').to_owned()).is_err() {
                    return;
                }
            }
        });
        let said = Arc::new(Mutex::new(String::new()));
        let mut errors = child.stderr.take().unwrap();
        let writer = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut chunk) {
                writer
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        let input = child.stdin.take();
        Self {
            child,
            input,
            output,
            aside: Vec::new(),
            said,
            address: String::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written to stderr so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until stderr holds these words.
    #[track_caller]
    pub(crate) fn await_words(&self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.contains(words) {
                return said;
            }
            assert!(Instant::now() < end, "`{words}` was not said, but: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn await_address(&mut self) {
        const BEFORE: &str = "listening on http://";
        let address = until("the gate listens", || {
            let said = self.said();
            let (_, rest) = said.split_once(BEFORE)?;
            let (address, _) = rest.split_once("/mcp")?;
            Some(address.to_owned())
        });
        self.address = address;
    }

    /// Where it listens: host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Writes a line as it is.
    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        self.send_bytes(line.as_bytes());
    }

    /// Writes bytes and the end of the line.
    #[track_caller]
    pub(crate) fn send_bytes(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input
            .write_all(line)
            .and_then(|()| input.write_all(b"\n"))
            .and_then(|()| input.flush())
            .unwrap();
    }

    /// The writing side, for a client that floods.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("the input is open")
    }

    /// Closes its input, as a client that leaves does.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// The next line, whatever it is; `None` at the end of the output.
    #[track_caller]
    pub(crate) fn try_next(&mut self) -> Option<String> {
        if !self.aside.is_empty() {
            return Some(self.aside.remove(0));
        }
        self.receive()
    }

    /// The next line, whatever it is.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self
            .try_next()
            .unwrap_or_else(|| panic!("the output ended; stderr: {}", self.said()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The first line that fits, byte for byte; the others stay for later.
    #[track_caller]
    pub(crate) fn line_where(&mut self, fits: impl Fn(&Value) -> bool) -> String {
        let is_it = |line: &String| {
            fits(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        };
        if let Some(index) = self.aside.iter().position(is_it) {
            return self.aside.remove(index);
        }
        loop {
            let Some(line) = self.receive() else {
                panic!(
                    "the output ended without it; aside: {:#?}; stderr: {}",
                    self.aside,
                    self.said()
                );
            };
            if is_it(&line) {
                return line;
            }
            self.aside.push(line);
        }
    }

    /// The answer to a request, byte for byte.
    #[track_caller]
    pub(crate) fn raw_answer(&mut self, id: impl Into<Value>) -> String {
        let id = id.into();
        self.line_where(|message| message.get("method").is_none() && message["id"] == id)
    }

    /// The answer to a request.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: impl Into<Value>) -> Value {
        serde_json::from_str(&self.raw_answer(id)).unwrap()
    }

    /// The next message with a method.
    #[track_caller]
    pub(crate) fn message(&mut self, method: &str) -> Value {
        serde_json::from_str(&self.line_where(|message| message["method"] == method)).unwrap()
    }

    /// Agrees on a version; the id is `"init"`.
    #[track_caller]
    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        self.send(&initialize(version));
        let answer = self.answer("init");
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        self.send(INITIALIZED);
        answer
    }

    /// Asks for a call.
    #[track_caller]
    pub(crate) fn ask(&mut self, id: u64, tool: &str, arguments: Value) {
        self.send(&call(id, tool, arguments));
    }

    /// Makes a call and waits for its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.ask(id, tool, arguments);
        self.answer(id)
    }

    /// The names of the tools that are shown, on one page.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        self.send(r#"{"jsonrpc":"2.0","id":"tools","method":"tools/list"}"#);
        names(&self.answer("tools"))
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end; stderr: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Closes the input and waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.close();
        let status = self.wait();
        (status, self.said())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    #[track_caller]
    fn receive(&mut self) -> Option<String> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing comes; aside: {:#?}; stderr: {}", self.aside, self.said())
            }
        }
    }
}

/// The notification that ends a handshake.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The request that begins one; its id is `"init"`.
pub(crate) fn initialize(version: &str) -> String {
    let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}});
    let params = json!({"protocolVersion": version, "capabilities": capabilities,
        "clientInfo": {"name": "test", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params}).to_string()
}

/// A call of a tool.
pub(crate) fn call(id: u64, tool: &str, arguments: Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// The names in an answer to `tools/list`.
#[track_caller]
pub(crate) fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("no list: {answer}"));
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}
