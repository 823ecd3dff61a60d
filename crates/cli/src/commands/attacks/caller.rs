//! The agent's client: it sends what an attack has it send, byte for byte where that matters.

use anyhow::Context;
use callgate_gateway::answer::{META_REASON, META_RULE};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

/// How long any step may take before the attack is given up.
pub(super) const STEP_MAX: Duration = Duration::from_secs(30);

/// The version of the protocol that is spoken.
const VERSION: &str = "2025-06-18";

/// A client in a session.
pub(super) struct Caller {
    pipe: Pipe,
    last_id: u64,
    seen: Vec<Answer>,
    news: Vec<String>,
}

struct Pipe {
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

/// What a call was answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The tool that was called.
    pub(super) tool: String,
    message: Value,
}

impl Answer {
    /// What the agent reads.
    pub(super) fn text(&self) -> &str {
        let content = self.message.pointer("/result/content/0/text");
        let error = self.message.pointer("/error/message");
        content.or(error).and_then(Value::as_str).unwrap_or_default()
    }

    /// The code by which Callgate says that it refused the call.
    pub(super) fn reason(&self) -> Option<&str> {
        self.meta(META_REASON)
    }

    /// The rule that refused it.
    pub(super) fn rule(&self) -> Option<&str> {
        self.meta(META_RULE)
    }

    fn meta(&self, key: &str) -> Option<&str> {
        let place = self.message.pointer("/result/_meta");
        let place = place.or_else(|| self.message.pointer("/error/data"))?;
        place.get(key).and_then(Value::as_str)
    }

    /// Whether the server says that the call failed, or nobody carried it out.
    pub(super) fn is_failure(&self) -> bool {
        self.message.pointer("/result/isError") == Some(&Value::Bool(true))
            || self.message.get("result").is_none()
    }
}

impl Caller {
    /// Opens a session over a child's pipes.
    pub(super) async fn over(to: ChildStdin, from: ChildStdout) -> anyhow::Result<Self> {
        let mut caller = Self {
            pipe: Pipe {
                to,
                from: BufReader::new(from).lines(),
            },
            last_id: 0,
            seen: Vec::new(),
            news: Vec::new(),
        };
        let client = json!({ "name": "callgate-attacks", "version": env!("CARGO_PKG_VERSION") });
        let hello = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": client });
        caller.request("initialize", &hello).await?;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        caller.send(&ready.to_string()).await?;
        Ok(caller)
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Answer> {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = self.request("tools/call", &params).await?;
        Ok(self.saw(tool, message))
    }

    /// Sends a call whose arguments are this text, which need not be what JSON asks for.
    pub(super) async fn call_raw(&mut self, tool: &str, arguments: &str) -> anyhow::Result<Answer> {
        self.last_id += 1;
        let id = self.last_id;
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        self.send(&line).await?;
        let message = self.answer_to(id).await?;
        Ok(self.saw(tool, message))
    }

    /// The tools that the agent is shown.
    pub(super) async fn tools(&mut self) -> anyhow::Result<Vec<Value>> {
        let answer = self.request("tools/list", &json!({})).await?;
        let tools = answer.pointer("/result/tools").and_then(Value::as_array);
        Ok(tools.context("there is no list of tools")?.clone())
    }

    /// What the server has told meanwhile, by the methods of its notifications.
    pub(super) fn news(&self) -> &[String] {
        &self.news
    }

    /// Ends the session: all calls with their answers.
    pub(super) fn leave(self) -> Vec<Answer> {
        self.seen
    }

    fn saw(&mut self, tool: &str, message: Value) -> Answer {
        let answer = Answer {
            tool: tool.to_owned(),
            message,
        };
        self.seen.push(answer.clone());
        answer
    }

    async fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request.to_string()).await?;
        self.answer_to(id).await
    }

    async fn send(&mut self, line: &str) -> anyhow::Result<()> {
        let sent = async {
            self.pipe.to.write_all(format!("{line}\n").as_bytes()).await?;
            self.pipe.to.flush().await
        };
        let sent = timeout(STEP_MAX, sent).await;
        sent.context("nobody reads what the agent sends")?
            .context("the agent cannot send")
    }

    /// Waits for the answer to a request. One without an id is to what could not be read, and nothing else is open.
    async fn answer_to(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let line = timeout(STEP_MAX, self.pipe.from.next_line()).await;
            let line = line
                .context("no answer came in time")?
                .context("the agent cannot read")?
                .context("the session ended without an answer")?;
            let message: Value = serde_json::from_str(&line).context("an answer")?;
            if let Some(method) = message.get("method").and_then(Value::as_str) {
                self.news.push(method.to_owned());
            } else if message.get("id").is_some_and(|of| of == id || of.is_null()) {
                return Ok(message);
            }
        }
    }
}
