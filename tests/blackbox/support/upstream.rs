//! A server over HTTP that answers as a test says, byte for byte, one request a connection.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The JSON of its body.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// The server; it ends with the test's process.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// Answers each request by what `answer` gives: status line, headers and body; then the connection ends.
    pub(crate) fn start(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, record) = (Arc::new(answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                std::thread::spawn(move || {
                    let Some(asked) = read(&mut BufReader::new(&stream)) else {
                        return;
                    };
                    record.lock().unwrap().push(asked.clone());
                    let _ = (&stream).write_all(answer(&asked).as_bytes());
                });
            }
        });
        Self { url, asked }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request whose answer the test gives as it likes. Dropped, its connection is closed.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) asked: Asked,
    stream: TcpStream,
}

impl Upstream {
    /// Hands over the requests that are to be held, and answers the others as [`housekeeping`] does, of either era.
    pub(crate) fn holding(
        is_held: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    ) -> (Self, Receiver<Held>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (sender, held) = channel();
        let is_held = Arc::new(is_held);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (is_held, sender) = (Arc::clone(&is_held), sender.clone());
                std::thread::spawn(move || {
                    let Some(asked) = read(&mut BufReader::new(&stream)) else {
                        return;
                    };
                    if is_held(&asked) {
                        let _ = sender.send(Held { asked, stream });
                        return;
                    }
                    let answer = discovered(&asked).unwrap_or_else(|| housekeeping(&asked));
                    let _ = (&stream).write_all(answer.as_bytes());
                });
            }
        });
        let asked = Arc::default();
        (Self { url, asked }, held)
    }
}

impl Held {
    /// The id of the request, as JSON.
    pub(crate) fn id(&self) -> String {
        self.asked.json()["id"].to_string()
    }

    /// Begins an answer of this type, whose length is not told.
    pub(crate) fn begin(&mut self, kind: &str) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        self.stream.write_all(head.as_bytes()).unwrap();
    }

    /// Begins a result of 100 KiB of text in JSON, whose end is still to come.
    pub(crate) fn begin_long(&mut self) {
        self.begin("application/json");
        let start = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":"{}"#,
            self.id(),
            "x".repeat(100 * 1024)
        );
        assert!(self.piece(start.as_bytes()));
    }

    /// Sends a piece of it; false where nobody reads any more.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> bool {
        let head = format!("{:x}\r\n", bytes.len());
        [head.as_bytes(), bytes, b"\r\n"]
            .iter()
            .try_for_each(|part| self.stream.write_all(part))
            .is_ok()
    }

    /// Ends it.
    pub(crate) fn end(mut self) {
        let _ = self.stream.write_all(b"0\r\n\r\n");
    }

    /// Waits until the other side has closed the connection.
    pub(crate) fn is_closed_within(&self, timeout: Duration) -> bool {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
        match (&self.stream).read(&mut [0]) {
            Ok(read) => read == 0,
            Err(cause) => !matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// The next request.
pub(crate) fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked {
        method,
        path,
        headers,
        body: String::new(),
    };
    let length = asked
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

/// An answer of this type and body, after which the connection ends.
pub(crate) fn reply(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}")
}

/// The answer to `server/discover` of a server that speaks 2026-07-28.
fn discovered(asked: &Asked) -> Option<String> {
    let message = asked.json();
    (message["method"] == "server/discover").then(|| {
        let result = serde_json::json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}}, "serverInfo": {"name": "written", "version": "1"}});
        let answer = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        reply("200 OK", "application/json", &answer.to_string())
    })
}

/// The ordinary answer to whatever is no tool call.
pub(crate) fn housekeeping(asked: &Asked) -> String {
    let message = asked.json();
    let result = match message["method"].as_str() {
        Some("initialize") => {
            serde_json::json!({"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "written", "version": "1"}})
        }
        Some("tools/list") => {
            serde_json::json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
        }
        _ if message.get("id").is_none() => {
            return "HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
        }
        _ => serde_json::json!({}),
    };
    let answer = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    reply("200 OK", "application/json", &answer.to_string())
}
