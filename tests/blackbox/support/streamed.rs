//! A client of the HTTP transport of 2024-11-05: one stream of events, and posts to the address that it names.

use callgate_testkit::{Answer, Http, PATIENCE};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The client. Dropping it closes the stream.
pub(crate) struct Streamed {
    reader: BufReader<TcpStream>,
    address: String,
    poster: Http,
    last_id: u64,
}

impl Streamed {
    /// Opens the stream of this URL as the holder of a token, and reads the address that it names.
    pub(crate) fn open(url: &str, token: &str) -> Self {
        let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut socket = TcpStream::connect(authority).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET /{path} HTTP/1.1\r\nconnection: close\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut streamed = Self {
            reader: BufReader::new(socket),
            address: String::new(),
            poster: Http::to(url).header("authorization", &format!("Bearer {token}")),
            last_id: 0,
        };
        streamed.address = streamed.next_of("endpoint");
        streamed.poster = streamed.poster.path(&streamed.address);
        streamed
    }

    /// The address to which messages are posted.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The id of its session, as the address has it.
    pub(crate) fn session(&self) -> &str {
        self.address.rsplit_once('=').unwrap().1
    }

    /// Shakes hands.
    pub(crate) fn initialize(&mut self) -> Answer {
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "streamed", "version": "1"}});
        let greeting = self.request("initialize", &params);
        assert_eq!(
            self.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
            202
        );
        greeting
    }

    /// Posts a message, and gives the status.
    pub(crate) fn post(&self, message: &Value) -> u16 {
        self.post_text(&message.to_string())
    }

    pub(crate) fn post_text(&self, text: &str) -> u16 {
        self.poster.post(text).status
    }

    /// Sends a request, and gives its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        assert_eq!(self.post(&message), 202, "{message}");
        id
    }

    /// Sends a request, and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Answer {
        let id = self.send(method, params);
        self.answer_to(id)
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Answer {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The answer to a request; what comes before it is passed over.
    pub(crate) fn answer_to(&mut self, id: u64) -> Answer {
        loop {
            let message = self.next();
            if message.json["id"] == id && message.json.get("method").is_none() {
                return message;
            }
        }
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Answer {
        Answer::of(&self.next_of("message"))
    }

    fn next_of(&mut self, kind: &str) -> String {
        let mut named = String::new();
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line).unwrap();
            assert!(read > 0, "the stream has ended");
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim_end().clone_into(&mut named);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                assert_eq!(named, kind, "{data}");
                return data.trim_end().to_owned();
            }
        }
    }

    /// Reads on to the end, which has to come in time.
    pub(crate) fn ends_within(mut self, time: Duration) -> String {
        self.reader.get_ref().set_read_timeout(Some(time)).unwrap();
        let mut rest = String::new();
        self.reader
            .read_to_string(&mut rest)
            .expect("the stream has ended");
        rest
    }
}
