//! A client: it sends what an attack has it send, byte for byte where that matters.

use anyhow::{Context, bail};
use callgate_gateway::answer::{META_REASON, META_RULE};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

/// How long any step may take before the attack is given up.
pub(super) const STEP_MAX: Duration = Duration::from_secs(30);

/// The version of the protocol that is spoken.
const VERSION: &str = "2025-11-25";

/// The header with the name of a session.
const SESSION: &str = "mcp-session-id";

/// A child's stdin and stdout.
pub(super) type Pipes = (ChildStdin, ChildStdout);

/// A client in a session.
pub(super) struct Caller {
    link: Link,
    last_id: u64,
    seen: Vec<Answer>,
    news: Vec<String>,
}

enum Link {
    Pipe {
        to: ChildStdin,
        from: Lines<BufReader<ChildStdout>>,
    },
    Http {
        client: reqwest::Client,
        url: String,
        token: Option<String>,
        session: Option<String>,
    },
}

/// What a call was answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The tool that was called.
    pub(super) tool: String,
    message: Value,
    status: Option<StatusCode>,
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

    /// Whether Callgate refused it in a way that the ledger keeps: by a reason, or for want of good credentials.
    pub(super) fn is_refused(&self) -> bool {
        self.reason().is_some() || self.status == Some(StatusCode::UNAUTHORIZED)
    }

    /// Whether the server says that the call failed, or nobody carried it out.
    pub(super) fn is_failure(&self) -> bool {
        self.message.pointer("/result/isError") == Some(&Value::Bool(true))
            || self.message.get("result").is_none()
    }
}

/// A message that came, and over HTTP its status.
type Came = (Value, Option<StatusCode>);

impl Caller {
    /// Opens a session over a child's pipes.
    pub(super) async fn over((to, from): Pipes) -> anyhow::Result<Self> {
        let mut caller = Self::new(Link::Pipe {
            to,
            from: BufReader::new(from).lines(),
        });
        caller.begin().await?;
        Ok(caller)
    }

    /// A client of a URL, which opens no session by itself.
    pub(super) fn at(url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        // Installed once a process; if it is there already, that is fine. All here is plain HTTP on this machine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(STEP_MAX)
            .build()
            .context("no HTTP client can be made")?;
        Ok(Self::new(Link::Http {
            client,
            url: url.to_owned(),
            token: token.map(str::to_owned),
            session: None,
        }))
    }

    const fn new(link: Link) -> Self {
        Self {
            link,
            last_id: 0,
            seen: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Opens a session.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        let client = json!({ "name": "callgate-attacks", "version": env!("CARGO_PKG_VERSION") });
        let hello = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": client });
        let (answer, _) = self.request("initialize", &hello).await?;
        if answer.get("result").is_none() {
            bail!("no session could be opened: {answer}");
        }
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.send(&ready.to_string(), None).await?;
        Ok(())
    }

    /// The session's id, where there is one.
    pub(super) fn session(&self) -> Option<&str> {
        match &self.link {
            Link::Pipe { .. } => None,
            Link::Http { session, .. } => session.as_deref(),
        }
    }

    /// Goes on in another session.
    pub(super) fn take_session(&mut self, other: &str) {
        if let Link::Http { session, .. } = &mut self.link {
            *session = Some(other.to_owned());
        }
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Answer> {
        let params = json!({ "name": tool, "arguments": arguments });
        let came = self.request("tools/call", &params).await?;
        Ok(self.saw(tool, came))
    }

    /// Sends a call whose arguments are this text, which need not be what JSON asks for.
    pub(super) async fn call_raw(&mut self, tool: &str, arguments: &str) -> anyhow::Result<Answer> {
        self.last_id += 1;
        let id = self.last_id;
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let came = self.send(&line, Some(id)).await?.context("there is no answer")?;
        Ok(self.saw(tool, came))
    }

    /// Sends any request that is part of an attack, and may be refused as a call may.
    pub(super) async fn try_to(&mut self, method: &str, params: &Value) -> anyhow::Result<Answer> {
        let came = self.request(method, params).await?;
        Ok(self.saw(method, came))
    }

    /// Sends any request.
    pub(super) async fn ask(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        let (message, _) = self.request(method, params).await?;
        Ok(message)
    }

    /// The tools that the agent is shown.
    pub(super) async fn tools(&mut self) -> anyhow::Result<Vec<Value>> {
        let answer = self.ask("tools/list", &json!({})).await?;
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

    fn saw(&mut self, tool: &str, (message, status): Came) -> Answer {
        let answer = Answer {
            tool: tool.to_owned(),
            message,
            status,
        };
        self.seen.push(answer.clone());
        answer
    }

    async fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<Came> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = self.send(&request.to_string(), Some(id)).await?;
        answer.context("there is no answer")
    }

    /// Sends a message, and waits for the answer to it where it has this id.
    async fn send(&mut self, message: &str, id: Option<u64>) -> anyhow::Result<Option<Came>> {
        let sent = async {
            match &mut self.link {
                Link::Pipe { to, from } => {
                    to.write_all(format!("{message}\n").as_bytes()).await?;
                    to.flush().await?;
                    match id {
                        Some(id) => over_pipe(from, id, &mut self.news).await.map(Some),
                        None => Ok(None),
                    }
                }
                Link::Http {
                    client,
                    url,
                    token,
                    session,
                } => {
                    let mut request = client
                        .post(url.as_str())
                        .header(ACCEPT, "application/json, text/event-stream")
                        .header(CONTENT_TYPE, "application/json")
                        .header("mcp-protocol-version", VERSION)
                        .body(message.to_owned());
                    if let Some(token) = token {
                        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
                    }
                    if let Some(session) = session {
                        request = request.header(SESSION, session.as_str());
                    }
                    let response = request.send().await?;
                    let status = response.status();
                    let named = response.headers().get(SESSION);
                    if let Some(named) = named.and_then(|named| named.to_str().ok()) {
                        *session = Some(named.to_owned());
                    }
                    let body = response.text().await?;
                    Ok(id.map(|id| (over_http(&body, status, id, &mut self.news), Some(status))))
                }
            }
        };
        let sent = timeout(STEP_MAX, sent).await;
        sent.context("no answer came in time")?
    }
}

/// Waits for the answer to a request. One without an id is to what could not be read, and nothing else is open.
async fn over_pipe(
    from: &mut Lines<BufReader<ChildStdout>>,
    id: u64,
    news: &mut Vec<String>,
) -> anyhow::Result<Came> {
    loop {
        let line = from.next_line().await?;
        let line = line.context("the session ended without an answer")?;
        let message: Value = serde_json::from_str(&line).context("an answer")?;
        if is_answer(&message, id, news) {
            return Ok((message, None));
        }
    }
}

/// The answer in a body: JSON, or events of which one is the answer. What is neither becomes an error.
fn over_http(body: &str, status: StatusCode, id: u64, news: &mut Vec<String>) -> Value {
    let events = body.lines().filter_map(|line| line.strip_prefix("data:"));
    for text in events.chain([body]) {
        if let Ok(message) = serde_json::from_str::<Value>(text)
            && is_answer(&message, id, news)
        {
            return message;
        }
    }
    json!({ "error": { "code": status.as_u16(), "message": format!("HTTP {status}") } })
}

fn is_answer(message: &Value, id: u64, news: &mut Vec<String>) -> bool {
    if let Some(method) = message.get("method").and_then(Value::as_str) {
        news.push(method.to_owned());
        return false;
    }
    message.get("id").is_some_and(|of| *of == id || of.is_null())
}
