//! What the bundled servers answer, whatever carries the messages.

mod list;

pub use list::ListKind;

use crate::play::Part;
use crate::protocol::{self, LEGACY, MODERN, Params, Received};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

/// A server's fixed part and what it counts.
#[derive(Debug)]
pub struct Tools {
    versions: Vec<String>,
    extra: usize,
    list: ListKind,
    listed: AtomicU64,
    grown: AtomicBool,
    part: Option<Part>,
}

/// What the carrier has to do with a message.
#[derive(Debug)]
pub enum Step {
    /// Nothing is owed.
    Nothing,
    /// A complete answer.
    Answer(Vec<u8>),
    /// A request whose answer takes more than words.
    Act {
        /// The request's id, as it came.
        id: String,
        /// What to do.
        act: Act,
    },
    /// The client has answered what the server asked under an id.
    Answered {
        /// The id, as it came.
        id: String,
        /// The answer's `result` or `error`.
        answer: Box<RawValue>,
    },
    /// A request is taken back.
    Cancelled {
        /// The request's id, as it came.
        id: String,
    },
}

/// What a tool does.
#[derive(Debug)]
pub enum Act {
    /// It answers with this JSON.
    Result(String),
    /// It answers with an error.
    Error {
        /// The JSON-RPC code.
        code: i64,
        /// The text.
        message: String,
    },
    /// It waits, then answers with this JSON.
    After(Duration, String),
    /// It tells its progress, then answers.
    Progress {
        /// How often.
        steps: u64,
        /// The client's token; without one nothing is told.
        token: Option<Box<RawValue>>,
        /// The pause between two.
        pause: Duration,
        /// The answer.
        result: String,
    },
    /// It asks the client and answers with what the client said.
    Ask {
        /// The method of the request.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// It adds a tool to the list, says so, then answers.
    Grow {
        /// The answer.
        result: String,
    },
    /// It says these messages, and waits for an answer after each that asks.
    Play(Vec<String>),
    /// A subscription: acknowledged, open until it is cancelled.
    Listen,
}

impl Tools {
    /// A server of these versions (none: all), with `extra` more tools `tool_0000`, … that echo.
    #[must_use]
    pub fn new(versions: Vec<String>, extra: usize, list: ListKind) -> Self {
        let all = || {
            LEGACY
                .iter()
                .chain([&MODERN])
                .map(|&version| version.to_owned())
                .collect()
        };
        Self {
            versions: if versions.is_empty() { all() } else { versions },
            extra,
            list,
            listed: AtomicU64::new(0),
            grown: AtomicBool::new(false),
            part: None,
        }
    }

    /// It answers by a part that is written down, as far as that has an answer.
    #[must_use]
    pub fn playing(mut self, part: Option<Part>) -> Self {
        self.part = part;
        self
    }

    /// Whether a version is spoken.
    #[must_use]
    pub fn speaks(&self, version: &str) -> bool {
        self.versions.iter().any(|spoken| spoken == version)
    }

    /// What to do with a message.
    #[must_use]
    pub fn step(&self, message: &[u8]) -> Step {
        if let Some(answer) = self.echoed(message) {
            return Step::Answer(answer);
        }
        match serde_json::from_slice(message) {
            Ok(received) => self.step_of(&received),
            Err(_) => Step::Answer(protocol::error("null", -32700, "parse error")),
        }
    }

    /// The answer to a plain tool call that echoes, read in one pass: what the bench sends. `None` says nothing
    /// of any other message.
    #[must_use]
    pub fn echoed(&self, message: &[u8]) -> Option<Vec<u8>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Call<'a> {
            #[serde(rename = "jsonrpc")]
            _version: IgnoredAny,
            #[serde(borrow)]
            id: &'a RawValue,
            method: &'a str,
            #[serde(borrow)]
            params: CallParams<'a>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct CallParams<'a> {
            name: &'a str,
            #[serde(borrow)]
            arguments: Text<'a>,
        }
        #[derive(Deserialize)]
        struct Text<'a> {
            #[serde(borrow)]
            text: &'a RawValue,
        }
        let call: Call<'_> = serde_json::from_slice(message).ok()?;
        let (name, said) = (call.params.name, call.params.arguments.text.get());
        if call.method != "tools/call" || !said.starts_with('"') || !(name == "echo" || self.has(name)) {
            return None;
        }
        let parts: [&str; 5] = [
            r#"{"jsonrpc":"2.0","id":"#,
            call.id.get(),
            r#","result":{"content":[{"type":"text","text":"#,
            said,
            "}]}}",
        ];
        Some(parts.map(str::as_bytes).concat())
    }

    /// What to do with a message whose parts are known.
    #[must_use]
    pub fn step_of(&self, received: &Received<'_>) -> Step {
        let Some(method) = received.method.as_deref() else {
            return answered(received);
        };
        let params: Params<'_> = received
            .params
            .and_then(|params| serde_json::from_str(params.get()).ok())
            .unwrap_or_default();
        let Some(id) = received.id else {
            return match (method, params.request_id) {
                ("notifications/cancelled", Some(id)) => Step::Cancelled {
                    id: id.get().to_owned(),
                },
                _ => Step::Nothing,
            };
        };
        let id = id.get();
        if let Some(messages) = self.part.as_ref().and_then(|part| part.after(received)) {
            return Step::Act {
                id: id.to_owned(),
                act: Act::Play(messages),
            };
        }
        let modern = params.modern_version();
        if let Some(version) = modern.as_deref()
            && !self.speaks(version)
        {
            return Step::Answer(self.unsupported(id, version));
        }
        match self.request(method, received.params, &params, modern.is_some()) {
            Act::Result(result) => Step::Answer(protocol::response(id, &result)),
            Act::Error { code, message } => Step::Answer(protocol::error(id, code, &message)),
            act => Step::Act {
                id: id.to_owned(),
                act,
            },
        }
    }

    fn unsupported(&self, id: &str, version: &str) -> Vec<u8> {
        let error = json!({"code": -32022, "message": "unsupported protocol version",
            "data": {"supported": self.versions, "requested": version}});
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()
    }

    fn request(&self, method: &str, raw: Option<&RawValue>, params: &Params<'_>, modern: bool) -> Act {
        let result = match method {
            "tools/call" => return self.call(params, modern),
            "tools/list" => self.list(params.cursor.as_deref(), modern),
            "initialize" => match self.initialize(params) {
                Some(result) => result,
                None => return refusal(-32022, "only versions without a handshake are spoken"),
            },
            "server/discover" if self.speaks(MODERN) => self.discover(),
            "subscriptions/listen" if modern => return Act::Listen,
            "ping" if !modern => "{}".to_owned(),
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if !modern => {
                "{}".to_owned()
            }
            "resources/list" => page(modern, r#""resources":[{"uri":"test://one","name":"one"}]"#),
            "resources/templates/list" => page(modern, r#""resourceTemplates":[]"#),
            "prompts/list" => page(modern, r#""prompts":[{"name":"greet"}]"#),
            "resources/read" => {
                let uri = Value::from(params.uri.as_deref().unwrap_or_default());
                page(modern, &format!(r#""contents":[{{"uri":{uri},"text":"one"}}]"#))
            }
            "prompts/get" => complete(
                modern,
                r#""messages":[{"role":"user","content":{"type":"text","text":"hello"}}]"#,
            ),
            "completion/complete" => complete(modern, r#""completion":{"values":["one"],"hasMore":false}"#),
            vendor if vendor.starts_with("vendor/") => {
                complete(modern, &format!(r#""got":{}"#, raw.map_or("null", RawValue::get)))
            }
            other => return refusal(-32601, &format!("method not found: {other}")),
        };
        Act::Result(result)
    }

    fn initialize(&self, params: &Params<'_>) -> Option<String> {
        let wanted = params.protocol_version.as_deref().unwrap_or_default();
        let legacy = |version: &&String| version.as_str() != MODERN;
        let mut spoken = self.versions.iter().filter(legacy);
        let version = spoken
            .clone()
            .find(|version| *version == wanted)
            .or_else(|| spoken.next_back())?;
        let result = json!({"protocolVersion": version, "capabilities": capabilities(),
            "serverInfo": {"name": "testkit", "version": "1.0.0"}});
        Some(result.to_string())
    }

    fn discover(&self) -> String {
        json!({"resultType": "complete", "supportedVersions": self.versions, "capabilities": capabilities(),
            "ttlMs": 0, "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "testkit", "version": "1.0.0"}}})
        .to_string()
    }

    fn call(&self, params: &Params<'_>, modern: bool) -> Act {
        let arguments = params.arguments.map_or("{}", RawValue::get);
        let name = params.name.as_deref().unwrap_or_default();
        match name {
            "echo" => echo(arguments, modern),
            "mirror" => {
                let content = format!(r#""content":[],"structuredContent":{arguments}"#);
                Act::Result(complete(modern, &content))
            }
            "sleep" => {
                let ms = number(arguments, "ms").unwrap_or(0.0).clamp(0.0, 3_600_000.0);
                Act::After(Duration::from_secs_f64(ms / 1e3), text(modern, "slept"))
            }
            "add" => match (number(arguments, "a"), number(arguments, "b")) {
                (Some(a), Some(b)) => Act::Result(text(modern, &(a + b).to_string())),
                _ => refusal(-32602, "add needs the numbers a and b"),
            },
            "fail" => Act::Result(complete(
                modern,
                r#""content":[{"type":"text","text":"it failed"}],"isError":true"#,
            )),
            "boom" => refusal(-32000, "boom"),
            "progress" => Act::Progress {
                steps: number(arguments, "steps").map_or(3, |steps| steps.clamp(0.0, 10_000.0) as u64),
                token: params.progress_token(),
                result: text(modern, "done"),
                pause: Duration::from_secs_f64(
                    number(arguments, "ms").unwrap_or(5.0).clamp(0.0, 60_000.0) / 1e3,
                ),
            },
            "ask" => ask(arguments, params, modern),
            "big" => {
                let bytes = number(arguments, "bytes").map_or(0, |bytes| bytes.clamp(0.0, 64e6) as usize);
                Act::Result(text(modern, &"x".repeat(bytes)))
            }
            "grow" => Act::Grow {
                result: text(modern, "grown"),
            },
            other if self.has(other) => echo(arguments, modern),
            other => refusal(-32602, &format!("unknown tool: {other}")),
        }
    }
}

fn answered(received: &Received<'_>) -> Step {
    match (received.id, received.result.or(received.error)) {
        (Some(id), Some(answer)) => Step::Answered {
            id: id.get().to_owned(),
            answer: answer.to_owned(),
        },
        _ => Step::Nothing,
    }
}

fn refusal(code: i64, message: &str) -> Act {
    Act::Error {
        code,
        message: message.to_owned(),
    }
}

fn capabilities() -> Value {
    json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}, "prompts": {}, "completions": {},
        "logging": {}})
}

/// A result object of these members, as the era writes it.
fn complete(modern: bool, members: &str) -> String {
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    format!("{{{kind}{members}}}")
}

/// A result that may be cached, of these members.
fn page(modern: bool, members: &str) -> String {
    let caching = if modern {
        r#","ttlMs":0,"cacheScope":"private""#
    } else {
        ""
    };
    complete(modern, &format!("{members}{caching}"))
}

/// The result of a tool that says a text.
pub fn text(modern: bool, text: &str) -> String {
    complete(
        modern,
        &format!(r#""content":[{{"type":"text","text":{}}}]"#, Value::from(text)),
    )
}

/// Answers with the bytes of `text` as they came, escapes and all.
fn echo(arguments: &str, modern: bool) -> Act {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
    }
    let said = serde_json::from_str::<Text<'_>>(arguments)
        .ok()
        .and_then(|arguments| arguments.text);
    match said {
        Some(said) if said.get().starts_with('"') => Act::Result(complete(
            modern,
            &format!(r#""content":[{{"type":"text","text":{}}}]"#, said.get()),
        )),
        Some(_) => refusal(-32602, "text has to be a string"),
        None => Act::Result(text(modern, "")),
    }
}

fn number(arguments: &str, key: &str) -> Option<f64> {
    serde_json::from_str::<Value>(arguments).ok()?.get(key)?.as_f64()
}

/// Asks the client as its era has it: by a request, or by a result that wants input.
fn ask(arguments: &str, params: &Params<'_>, modern: bool) -> Act {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let (method, asked) = match arguments["what"].as_str().unwrap_or("roots") {
        "sampling" => (
            "sampling/createMessage",
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": "say hi"}}], "maxTokens": 10}),
        ),
        "elicitation" => (
            "elicitation/create",
            json!({"message": "which?", "requestedSchema": {"type": "object", "properties": {"it": {"type": "string"}}}}),
        ),
        _ => ("roots/list", json!({})),
    };
    if !modern {
        return Act::Ask {
            method: method.to_owned(),
            params: asked,
        };
    }
    match params.input_responses {
        Some(responses) => Act::Result(text(true, &format!("the client said {responses}"))),
        None => Act::Result(
            json!({"resultType": "input_required", "requestState": "state-1",
                "inputRequests": {"first": {"method": method, "params": asked}}})
            .to_string(),
        ),
    }
}
