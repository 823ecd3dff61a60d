//! Streams of server-sent events, written and cut as asked.

use crate::Dialect;
use crate::body::Answer;
use bytes::Bytes;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::mpsc;

/// How streams are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams {
    pub(crate) dialect: Dialect,
    pub(crate) cut: Option<usize>,
}

/// The writing end of one stream.
pub(crate) struct Stream {
    streams: Streams,
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    events: u64,
}

impl Streams {
    /// A new stream and its body.
    pub(crate) fn open(self) -> (Stream, Answer) {
        let (sender, receiver) = mpsc::channel(4);
        (
            Stream {
                streams: self,
                sender,
                events: 0,
            },
            Answer::Pieces(receiver),
        )
    }
}

impl Stream {
    /// Sends one message as an event; false once nobody reads.
    pub(crate) async fn event(&mut self, message: &[u8]) -> bool {
        self.events += 1;
        let text = self.written(&String::from_utf8_lossy(message));
        self.raw(Bytes::from(text)).await
    }

    /// Breaks the stream off, as a server that crashes does.
    pub(crate) async fn break_off(self) {
        let _ = self
            .sender
            .send(Err(std::io::ErrorKind::ConnectionReset.into()))
            .await;
    }

    /// Sends bytes, in pieces if streams are cut.
    pub(crate) async fn raw(&self, mut bytes: Bytes) -> bool {
        let Some(size) = self.streams.cut else {
            return self.sender.send(Ok(bytes)).await.is_ok();
        };
        while !bytes.is_empty() {
            let piece = bytes.split_to(size.clamp(1, bytes.len()));
            if self.sender.send(Ok(piece)).await.is_err() {
                return false;
            }
            // The pause makes each piece a write, and a segment, of its own.
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        true
    }

    /// Resolves once nobody reads.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    fn written(&self, message: &str) -> String {
        let mut out = String::with_capacity(message.len() + 32);
        match self.streams.dialect {
            Dialect::Plain => {
                out.push_str("event: message\ndata: ");
                out.push_str(message);
                out.push_str("\n\n");
            }
            Dialect::Crlf => out = format!("event: message\r\ndata: {message}\r\n\r\n"),
            Dialect::Cr => out = format!("data:{message}\r\r"),
            Dialect::Multiline => {
                let value: serde_json::Value = serde_json::from_str(message).unwrap_or_default();
                for line in format!("{value:#}").lines() {
                    let _ = writeln!(out, "data: {line}");
                }
                out.push('\n');
            }
            Dialect::Rich => {
                let id = self.events;
                if id == 1 {
                    out.push_str(": welcome\n\nid: first-0\nretry: 1000\ndata:\n\n");
                }
                let _ = write!(
                    out,
                    ":keep-alive\n\nid: first-{id}\nevent: message\nx-unknown: 1\ndata: {message}\n\n"
                );
            }
        }
        out
    }
}
