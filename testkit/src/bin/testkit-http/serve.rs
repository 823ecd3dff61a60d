//! The endpoint: sessions, versions, and the ways to answer.

use crate::Mode;
use crate::body::Answer;
use crate::fault::{self, Fault, events, json_of};
use crate::stream::{Stream, Streams};
use callgate_testkit::log::LogWriter;
use callgate_testkit::play;
use callgate_testkit::protocol::{self, Params, Received, error, response};
use callgate_testkit::tools::{Act, Step, Tools, text};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// The server: how it is set, and what it knows of its clients.
pub(crate) struct Server {
    pub(crate) tools: Tools,
    pub(crate) has_log: bool,
    pub(crate) log: LogWriter,
    pub(crate) mode: Mode,
    pub(crate) streams: Streams,
    pub(crate) has_sessions: bool,
    pub(crate) notify: Option<Duration>,
    pub(crate) fault: Option<Fault>,
    pub(crate) fault_everywhere: bool,
    pub(crate) redirect_to: String,
    pub(crate) slow: Duration,
    pub(crate) state: State,
}

/// What changes while it serves.
#[derive(Default)]
pub(crate) struct State {
    sessions: RwLock<HashSet<String>>,
    counter: AtomicU64,
    asked: Mutex<HashMap<String, oneshot::Sender<String>>>,
    cancelled: Mutex<HashSet<String>>,
    grown: Notify,
}

/// An answer without a type.
pub(crate) fn status(code: StatusCode, body: &'static str) -> Response<Answer> {
    let mut answer = Response::new(Answer::from(body));
    *answer.status_mut() = code;
    answer
}

impl Server {
    pub(crate) async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Answer>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        if self.has_log {
            let mut note = format!("{} {}", head.method, head.uri);
            for (name, value) in &head.headers {
                note.push_str(&format!(
                    " | {name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                ));
            }
            self.log.note(&note);
        }
        if head.uri.path() != "/mcp" {
            return Ok(status(StatusCode::NOT_FOUND, "not found"));
        }
        match head.method {
            Method::POST => {
                if self.has_log {
                    self.log.message(&body);
                }
                self.post(&head.headers, &body).await
            }
            Method::GET => Ok(self.get(&head.headers)),
            Method::DELETE if self.has_sessions => Ok(self.delete(&head.headers)),
            _ => Ok(status(StatusCode::METHOD_NOT_ALLOWED, "")),
        }
    }

    async fn post(self: Arc<Self>, headers: &HeaderMap, body: &[u8]) -> Result<Response<Answer>> {
        // The common way is short: the bench's calls are read in one pass.
        let is_plain = self.fault.is_none() && self.mode == Mode::Json;
        if is_plain
            && !is_modern(headers)
            && (!self.has_sessions || self.session(headers) == Some(true))
            && let Some(answer) = self.tools.echoed(body)
        {
            return Ok(json_of(answer));
        }
        let received = serde_json::from_slice::<Received<'_>>(body).ok();
        let method = received
            .as_ref()
            .and_then(|received| received.method.as_deref())
            .unwrap_or_default();
        let id = received
            .as_ref()
            .and_then(|received| received.id)
            .map(|id| id.get());
        let strikes = self.fault_everywhere || method == "tools/call";
        if let Some(fault) = self.fault.filter(|_| strikes)
            && let Some(answer) = fault::strike(fault, &self, id).await?
        {
            return Ok(answer);
        }
        let modern = match modern_fault(headers, received.as_ref(), method) {
            Ok(modern) => modern,
            Err(answer) => {
                let mut answer = json_of(answer);
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                return Ok(answer);
            }
        };
        let opens = method == "initialize";
        if self.has_sessions && !modern && !opens {
            match self.session(headers) {
                Some(true) => {}
                Some(false) => return Ok(status(StatusCode::NOT_FOUND, "unknown session")),
                None => return Ok(status(StatusCode::BAD_REQUEST, "no session")),
            }
        }
        let step = match &received {
            Some(received) => self.tools.step_of(received),
            None => self.tools.step(body),
        };
        let mut answer = match step {
            Step::Answer(answer) if self.mode == Mode::Sse && id.is_some() => {
                let (mut stream, body) = self.streams.open();
                tokio::spawn(async move { stream.event(&answer).await });
                events(body)
            }
            Step::Answer(answer) => {
                let code = match id {
                    None => StatusCode::BAD_REQUEST,
                    Some(_) if modern => protocol::modern_status(&answer),
                    Some(_) => StatusCode::OK,
                };
                let mut answer = json_of(answer);
                *answer.status_mut() = code;
                answer
            }
            Step::Act { id, act } => Arc::clone(&self).act(id, act).await,
            Step::Nothing if self.fault == Some(Fault::AnswersNotifications) => {
                json_of(error("null", -32601, "method not found"))
            }
            Step::Nothing => status(StatusCode::ACCEPTED, ""),
            Step::Answered { id, answer } => {
                if let Some(sender) = lock(&self.state.asked).remove(&id) {
                    let _ = sender.send(answer.get().to_owned());
                }
                status(StatusCode::ACCEPTED, "")
            }
            Step::Cancelled { id } => {
                lock(&self.state.cancelled).insert(id);
                status(StatusCode::ACCEPTED, "")
            }
        };
        if opens && self.has_sessions {
            let number = self.state.counter.fetch_add(1, Ordering::Relaxed);
            let session = format!("testkit-{}-{number}", std::process::id());
            fault::insert(&mut answer, "mcp-session-id", &session);
            self.state
                .sessions
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(session);
        }
        Ok(answer)
    }

    async fn act(self: Arc<Self>, id: String, act: Act) -> Response<Answer> {
        if let Act::After(pause, result) = act {
            if self.mode == Mode::Json {
                tokio::time::sleep(pause).await;
                return json_of(response(&id, &result));
            }
            let (mut stream, body) = self.streams.open();
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                stream.event(&response(&id, &result)).await
            });
            return events(body);
        }
        let act = match act {
            Act::Play(mut messages) if messages.len() == 1 && self.mode == Mode::Json => {
                return json_of(messages.remove(0).into_bytes());
            }
            act => act,
        };
        let (stream, body) = self.streams.open();
        tokio::spawn(async move { self.stream(stream, &id, act).await });
        events(body)
    }

    async fn stream(&self, mut stream: Stream, id: &str, act: Act) {
        let result = match act {
            Act::Result(result) | Act::After(_, result) => result,
            Act::Error { code, message } => {
                stream.event(&error(id, code, &message)).await;
                return;
            }
            Act::Progress {
                steps,
                token,
                pause,
                result,
            } => {
                for step in 1..=steps {
                    tokio::time::sleep(pause).await;
                    if let Some(token) = &token {
                        let token = token.get();
                        let params =
                            format!(r#"{{"progressToken":{token},"progress":{step},"total":{steps}}}"#);
                        stream
                            .event(&notification("notifications/progress", &params))
                            .await;
                    }
                }
                result
            }
            Act::Ask { method, params } => {
                let ask = format!(r#""ask-{}""#, self.state.counter.fetch_add(1, Ordering::Relaxed));
                let (sender, answer) = oneshot::channel();
                lock(&self.state.asked).insert(ask.clone(), sender);
                let asked =
                    format!(r#"{{"jsonrpc":"2.0","id":{ask},"method":"{method}","params":{params}}}"#);
                stream.event(asked.as_bytes()).await;
                match tokio::time::timeout(Duration::from_secs(60), answer).await {
                    Ok(Ok(answer)) => text(false, &format!("the client said {answer}")),
                    _ => return stream.break_off().await,
                }
            }
            Act::Play(messages) => return self.play(stream, messages).await,
            Act::Grow { result } => {
                self.tools.grow();
                self.state.grown.notify_waiters();
                result
            }
            Act::Listen => {
                let meta = format!(r#"{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#);
                stream
                    .event(&notification("notifications/subscriptions/acknowledged", &meta))
                    .await;
                loop {
                    tokio::select! {
                        () = stream.closed() => return,
                        () = self.state.grown.notified() => {
                            stream.event(&notification("notifications/tools/list_changed", &meta)).await;
                        }
                    }
                }
            }
        };
        if !lock(&self.state.cancelled).remove(id) {
            stream.event(&response(id, &result)).await;
        }
    }

    async fn play(&self, mut stream: Stream, messages: Vec<String>) {
        for message in messages {
            let asked = play::asks(&message).map(|id| {
                let (sender, answer) = oneshot::channel();
                lock(&self.state.asked).insert(id, sender);
                answer
            });
            stream.event(message.as_bytes()).await;
            if let Some(answer) = asked
                && !matches!(
                    tokio::time::timeout(Duration::from_secs(60), answer).await,
                    Ok(Ok(_))
                )
            {
                return stream.break_off().await;
            }
        }
    }

    fn get(self: Arc<Self>, headers: &HeaderMap) -> Response<Answer> {
        let Some(pause) = self.notify else {
            return status(StatusCode::METHOD_NOT_ALLOWED, "");
        };
        if self.has_sessions && self.session(headers) != Some(true) {
            return status(StatusCode::NOT_FOUND, "unknown session");
        }
        let (mut stream, body) = self.streams.open();
        tokio::spawn(async move {
            for number in 1_u64.. {
                let message = tokio::select! {
                    () = stream.closed() => return,
                    () = tokio::time::sleep(pause) => {
                        let params = json!({"level": "info", "data": format!("tick {number}")});
                        notification("notifications/message", &params.to_string())
                    }
                    () = self.state.grown.notified() => notification("notifications/tools/list_changed", "{}"),
                };
                stream.event(&message).await;
            }
        });
        events(body)
    }

    fn delete(&self, headers: &HeaderMap) -> Response<Answer> {
        let id = headers
            .get("mcp-session-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default();
        let was_there = self
            .state
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        status(
            if was_there {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::NOT_FOUND
            },
            "",
        )
    }

    /// Whether the session that a request names is known; `None` where it names none.
    fn session(&self, headers: &HeaderMap) -> Option<bool> {
        let id = headers.get("mcp-session-id")?.to_str().ok()?;
        Some(
            self.state
                .sessions
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(id),
        )
    }
}

fn is_modern(headers: &HeaderMap) -> bool {
    headers
        .get("mcp-protocol-version")
        .is_some_and(|version| version == protocol::MODERN)
}

/// Whether a request is modern; an error if its headers are not what its body says.
fn modern_fault(
    headers: &HeaderMap,
    received: Option<&Received<'_>>,
    method: &str,
) -> std::result::Result<bool, Vec<u8>> {
    if !is_modern(headers) {
        return Ok(false);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(received) = received else {
        return Ok(true);
    };
    let params: Params<'_> = received
        .params
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default();
    let id = received.id.map_or("null", |id| id.get());
    let named = match method {
        "tools/call" | "prompts/get" => params.name.as_deref(),
        "resources/read" => params.uri.as_deref(),
        _ => None,
    };
    let agrees = params.modern_version().as_deref() == Some(protocol::MODERN)
        && (received.id.is_none() || header("mcp-method") == Some(method))
        && named.is_none_or(|named| header("mcp-name") == Some(named));
    if agrees || received.method.is_none() {
        return Ok(true);
    }
    Err(error(id, -32020, "headers and body do not agree"))
}

fn notification(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
