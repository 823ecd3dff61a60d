//! The answer of HTTP, read as it comes.

use super::Reply;
use crate::PATIENCE;
use crate::client::answer::Answer;
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An answer that may still be coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    received: Vec<u8>,
    is_closed: bool,
    events: usize,
}

impl Stream {
    pub(super) const fn of(socket: TcpStream) -> Self {
        Self {
            socket,
            received: Vec::new(),
            is_closed: false,
            events: 0,
        }
    }

    /// Waits for the head, and gives the status.
    ///
    /// # Panics
    /// When none comes.
    pub fn status(&mut self) -> u16 {
        while self.head().is_none() {
            assert!(
                self.read(PATIENCE),
                "no answer: {}",
                String::from_utf8_lossy(&self.received)
            );
        }
        self.head().map_or(0, |head| status_of(&head))
    }

    /// The next message of a stream of events, if it comes in time.
    pub fn event_within(&mut self, timeout: Duration) -> Option<Answer> {
        let end = Instant::now() + timeout;
        loop {
            let found = events(&self.body()).into_iter().nth(self.events);
            if let Some(event) = found {
                self.events += 1;
                return Some(Answer::of(&event));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.read(left) && self.is_closed {
                return None;
            }
        }
    }

    /// The next message of a stream of events.
    ///
    /// # Panics
    /// When none comes.
    pub fn event(&mut self) -> Answer {
        let found = self.event_within(PATIENCE);
        found.unwrap_or_else(|| panic!("no more events in {}", String::from_utf8_lossy(&self.received)))
    }

    /// Waits for the end, and gives all of it.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn rest(mut self) -> Reply {
        let end = Instant::now() + PATIENCE;
        while !self.is_closed && Instant::now() < end {
            self.read(PATIENCE);
        }
        let head = self
            .head()
            .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&self.received)));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = head.lines().skip(1).filter_map(header).collect();
        let length: Option<usize> = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .and_then(|(_, length)| length.parse().ok());
        let (_, body) = self.split().unwrap_or_default();
        let is_whole = match length {
            Some(length) => body.len() == length,
            None => !is_chunked(head.as_bytes()) || unchunked(body).1,
        };
        Reply {
            status: status_of(&head),
            headers,
            body: self.body(),
            is_whole,
        }
    }

    /// Waits until the body is so long, and gives what has come of it.
    ///
    /// # Panics
    /// When it does not get so long.
    pub fn first(&mut self, bytes: usize) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let body = self.body();
            if body.len() >= bytes {
                return body;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && (self.read(left) || !self.is_closed),
                "only {} bytes of a body came",
                body.len()
            );
        }
    }

    /// Whether nothing more comes for so long.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        !self.read(time) && !self.is_closed
    }

    /// Reads what is there; false if nothing came.
    fn read(&mut self, timeout: Duration) -> bool {
        let mut buffer = [0; 1 << 14];
        let _ = self
            .socket
            .set_read_timeout(Some(timeout.max(Duration::from_millis(1))));
        match self.socket.read(&mut buffer) {
            Ok(0) => {
                self.is_closed = true;
                false
            }
            Ok(read) => {
                self.received.extend(buffer.iter().take(read));
                true
            }
            Err(error) => {
                self.is_closed |= !matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock
                        | std::io::ErrorKind::TimedOut
                        | std::io::ErrorKind::Interrupted
                );
                false
            }
        }
    }

    fn split(&self) -> Option<(&[u8], &[u8])> {
        let end = self
            .received
            .windows(4)
            .position(|window| window == b"\r\n\r\n")?;
        let (head, body) = self.received.split_at(end);
        Some((head, body.get(4..).unwrap_or_default()))
    }

    fn head(&self) -> Option<String> {
        self.split()
            .map(|(head, _)| String::from_utf8_lossy(head).into_owned())
    }

    fn body(&self) -> String {
        let Some((head, body)) = self.split() else {
            return String::new();
        };
        let body = if is_chunked(head) {
            unchunked(body).0
        } else {
            body.to_vec()
        };
        String::from_utf8_lossy(&body).into_owned()
    }
}

fn status_of(head: &str) -> u16 {
    head.split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

fn is_chunked(head: &[u8]) -> bool {
    String::from_utf8_lossy(head)
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
}

/// What is in the chunks, and whether the last of them is there.
fn unchunked(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = body.get(..end).and_then(|size| std::str::from_utf8(size).ok());
        let size = size.and_then(|size| usize::from_str_radix(size.split(';').next()?.trim(), 16).ok());
        let rest = body.get(end + 2..).unwrap_or_default();
        let Some(size) = size else { break };
        if size == 0 {
            return (out, rest == b"\r\n");
        }
        out.extend(rest.iter().take(size));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    (out, false)
}

/// The data of each complete event, without those that have none.
pub(super) fn events(body: &str) -> Vec<String> {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let complete = body
        .rfind("\n\n")
        .map_or("", |end| body.get(..end).unwrap_or_default());
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        lines.join("\n")
    };
    complete
        .split("\n\n")
        .map(data)
        .filter(|data| !data.is_empty())
        .collect()
}
