//! A client over Streamable HTTP: one connection a request, nothing hidden.

mod stream;

pub use stream::Stream;

use super::answer::Answer;
use super::{call, handshake, modern};
use crate::PATIENCE;
use crate::protocol::MODERN;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;

/// What the system may keep for a client that takes little.
const NARROW_BYTES: usize = 64 * 1024;

/// The client. It keeps the session id that it was given, and counts ids up from 1.
#[derive(Debug, Clone)]
pub struct Http {
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    session: Option<String>,
    version: Option<String>,
    last_id: u64,
    receives: Receives,
}

/// How much the system keeps of what a client has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receives {
    /// As much as it likes.
    Freely,
    /// Little.
    Narrowly,
}

/// An answer of HTTP, complete.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Whether HTTP says that this is all of the body.
    pub is_whole: bool,
}

impl Reply {
    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The messages of the body, be it JSON or events.
    #[must_use]
    pub fn messages(&self) -> Vec<Answer> {
        if self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
        {
            return stream::events(&self.body)
                .iter()
                .map(|event| Answer::of(event))
                .collect();
        }
        if self.body.trim().is_empty() {
            Vec::new()
        } else {
            vec![Answer::of(&self.body)]
        }
    }

    /// The last message of the body: where a request was sent, its answer.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn answer(&self) -> Answer {
        self.messages()
            .pop()
            .unwrap_or_else(|| panic!("no message in {self:?}"))
    }
}

impl Http {
    /// A client of a URL on this machine.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            authority: authority.to_owned(),
            path: format!("/{path}"),
            headers: Vec::new(),
            session: None,
            version: None,
            last_id: 0,
            receives: Receives::Freely,
        }
    }

    /// Has the system keep little of what it has not read, whatever the machine is set to.
    #[must_use]
    pub const fn narrow(mut self) -> Self {
        self.receives = Receives::Narrowly;
        self
    }

    /// One more header on each request; one of the same name that the client would send gives way.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Another path on the same host.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The session id, once there is one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Names another session, or none.
    pub fn set_session(&mut self, session: Option<&str>) {
        self.session = session.map(str::to_owned);
    }

    /// Speaks the modern era from now on.
    #[must_use]
    pub fn modern(mut self) -> Self {
        self.version = Some(MODERN.to_owned());
        self
    }

    /// Shakes hands in a version before the modern one.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn initialize(&mut self, version: &str) -> Answer {
        let reply = self.post(&self.written("initialize", handshake(version), Some(0)));
        self.session = reply.header("mcp-session-id").map(str::to_owned);
        let answer = reply.answer();
        self.version = answer.json["result"]["protocolVersion"]
            .as_str()
            .map(str::to_owned);
        self.notify("notifications/initialized", json!({}));
        answer
    }

    /// Sends a request and waits for all of its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Answer {
        self.reply(method, params).answer()
    }

    /// The same, as HTTP has it.
    pub fn reply(&mut self, method: &str, params: Value) -> Reply {
        self.open(method, params).rest()
    }

    /// Sends a request and gives the answer as it comes.
    pub fn open(&mut self, method: &str, params: Value) -> Stream {
        self.last_id += 1;
        let body = self.written(method, params.clone(), Some(self.last_id));
        let mirrored = self.mirrored(method, &params);
        self.send("POST", &mirrored, body.as_bytes())
    }

    /// Sends a notification and gives the status.
    pub fn notify(&mut self, method: &str, params: Value) -> u16 {
        let body = self.written(method, params.clone(), None);
        let mirrored = self.mirrored(method, &params);
        self.send("POST", &mirrored, body.as_bytes()).rest().status
    }

    /// Calls a tool and waits for its answer.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        self.request("tools/call", call(tool, &arguments))
    }

    /// Calls a tool and gives the answer as it comes.
    pub fn open_call(&mut self, tool: &str, arguments: Value) -> Stream {
        self.open("tools/call", call(tool, &arguments))
    }

    /// Answers a request of the server, and gives the status.
    pub fn answer(&self, request: &Answer, result: Value) -> u16 {
        let id = request.json["id"].clone();
        self.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
            .status
    }

    /// Posts a body as it is.
    #[must_use]
    pub fn post(&self, body: &str) -> Reply {
        self.send("POST", &[], body.as_bytes()).rest()
    }

    /// Opens the stream of what the server sends unasked.
    #[must_use]
    pub fn listen(&self) -> Stream {
        self.send("GET", &[], b"")
    }

    /// Ends the session, and gives the status.
    #[must_use]
    pub fn delete(&self) -> u16 {
        self.send("DELETE", &[], b"").rest().status
    }

    /// Sends any request.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn send(&self, http_method: &str, more: &[(String, String)], body: &[u8]) -> Stream {
        let mut headers = vec![
            ("host".to_owned(), self.authority.clone()),
            (
                "accept".to_owned(),
                "application/json, text/event-stream".to_owned(),
            ),
            ("connection".to_owned(), "close".to_owned()),
            ("content-length".to_owned(), body.len().to_string()),
        ];
        if http_method == "POST" {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let own = [
            ("mcp-session-id", &self.session),
            ("mcp-protocol-version", &self.version),
        ];
        headers.extend(
            own.into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))),
        );
        headers.extend_from_slice(more);
        headers.retain(|(name, _)| !self.headers.iter().any(|(own, _)| own == name));
        headers.extend_from_slice(&self.headers);
        let mut head = format!("{http_method} {} HTTP/1.1\r\n", self.path);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut socket = TcpStream::connect(&self.authority).expect("somebody listens");
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .expect("a socket");
        if self.receives == Receives::Narrowly {
            set_socket_recv_buffer_size(&socket, NARROW_BYTES).expect("a socket");
        }
        // One that refuses early may close before it has read everything; its answer tells.
        let _ = socket.write_all(&[head.as_bytes(), body].concat());
        Stream::of(socket)
    }

    fn is_modern(&self) -> bool {
        self.version.as_deref() == Some(MODERN)
    }

    fn written(&self, method: &str, params: Value, id: Option<u64>) -> String {
        let params = if self.is_modern() { modern(params) } else { params };
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if let Some(id) = id {
            message["id"] = id.into();
        }
        message.to_string()
    }

    /// The headers by which a modern request says again what its body says.
    fn mirrored(&self, method: &str, params: &Value) -> Vec<(String, String)> {
        if !self.is_modern() {
            return Vec::new();
        }
        let mut headers = vec![("mcp-method".to_owned(), method.to_owned())];
        let name = params["name"].as_str().or_else(|| params["uri"].as_str());
        headers.extend(name.map(|name| ("mcp-name".to_owned(), name.to_owned())));
        headers
    }
}
