//! A gate that really ran: the program, its demo server behind it, and a client that speaks lines of JSON.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

pub(crate) const POLICY: &str = "\
version: '1'
default: deny
tools:
  workflow_status: {}
  workflow_execute:
    limits: [{ counter: executions, window: hour, max: 2 }]
  execute_flow:
    deny_if:
      - name: not-in-production
        conditions: [{ path: args.namespace, op: eq, value: production }]
        on_deny: ask the release team
";

/// The program, without the caller's settings.
pub(crate) fn callgate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .args(args)
        .env_remove("CALLGATE_STATE_DIR")
        .stdin(Stdio::null());
    command
}

/// What it printed, and that it ended well.
pub(crate) fn good(args: &[&str]) -> String {
    let output = callgate(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with policy and state.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.yaml"), POLICY).unwrap();
        Self(dir)
    }

    /// With the calls of [`Gate::usual_calls`] in its ledger, and no gate running any more.
    pub(crate) fn used() -> Self {
        let folder = Self::new();
        let mut gate = folder.start();
        gate.usual_calls();
        gate.end();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn state(&self) -> String {
        self.path("state").to_str().unwrap().to_owned()
    }

    pub(crate) fn start(&self) -> Gate {
        let mut child = callgate(&["run", "--server", "flows", "--state-dir", &self.state(), "-c"])
            .arg(self.path("policy.yaml"))
            .arg("--checkpoint-out")
            .arg(self.path("checkpoints"))
            .args(["--", env!("CARGO_BIN_EXE_callgate"), "demo-server"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut gate = Gate {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
            id: 0,
        };
        let client = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
        });
        gate.request("initialize", &client);
        gate.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        gate
    }

    /// Runs `callgate ledger …` on its state.
    pub(crate) fn ledger(&self, args: &[&str]) -> Output {
        callgate(&["ledger", "--state-dir", &self.state()])
            .args(args)
            .output()
            .unwrap()
    }

    /// What that printed, and that it ended well.
    pub(crate) fn told(&self, args: &[&str]) -> String {
        let output = self.ledger(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The same, each line as JSON.
    pub(crate) fn values(&self, args: &[&str]) -> Vec<Value> {
        let text = self.told(args);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Changes the database behind the ledger's back.
    pub(crate) fn tamper(&self, sql: &str) {
        let database = Path::new(&self.state()).join("callgate.db");
        let changed = rusqlite::Connection::open(database)
            .unwrap()
            .execute(sql, [])
            .unwrap();
        assert!(changed > 0, "nothing was tampered with");
    }
}

/// A gate that runs.
pub(crate) struct Gate {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    id: u64,
}

impl Gate {
    fn send(&mut self, message: &Value) {
        writeln!(self.to, "{message}").unwrap();
    }

    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let id = self.id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the gate ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Calls a tool and says whether it was refused.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> bool {
        let answer = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
        answer["result"]["isError"] == true
    }

    /// Four calls that pass, one over a limit, one that a rule denies, one of a tool that is not listed.
    pub(crate) fn usual_calls(&mut self) {
        let execute = json!({ "workflowIdentifier": "w", "input": {} });
        let flow = |namespace| json!({ "namespace": namespace, "flow_id": "f" });
        assert!(!self.call("workflow_status", &json!({ "executionId": "secret-7" })));
        assert!(!self.call("workflow_execute", &execute));
        assert!(!self.call("workflow_execute", &execute));
        assert!(self.call("workflow_execute", &execute));
        assert!(!self.call("execute_flow", &flow("team")));
        assert!(self.call("execute_flow", &flow("production")));
        assert!(self.call("delete_workflow", &json!({ "workflowIdentifier": "w" })));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The client leaves, and the gate ends in order.
    pub(crate) fn end(self) {
        let Self {
            mut child, to, from, ..
        } = self;
        drop((to, from));
        assert!(child.wait().unwrap().success());
    }
}
