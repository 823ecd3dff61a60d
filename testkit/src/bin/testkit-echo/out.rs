//! The way out: one message a line, or what mischief makes of it.

use crate::mischief::Mischief;
use std::io::{Stdout, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// More than a message may have.
const OVERSIZED: usize = 17 << 20;

/// Stdout, shared by all threads.
pub(crate) struct Out {
    stdout: Mutex<Stdout>,
    mischief: Option<Mischief>,
}

impl Out {
    pub(crate) fn new(mischief: Option<Mischief>) -> Self {
        Self {
            stdout: Mutex::new(std::io::stdout()),
            mischief,
        }
    }

    pub(crate) const fn mischief(&self) -> Option<Mischief> {
        self.mischief
    }

    /// Sends an answer to a request.
    pub(crate) fn answer(&self, answer: Vec<u8>) {
        if self.mischief.is_none() {
            return self.line(answer);
        }
        let is_tool_result = String::from_utf8_lossy(&answer).contains(r#""content":["#);
        match self.mischief {
            Some(Mischief::DuplicateAnswers) => {
                let again = replaced(&answer, "\"text\":\"", "\"text\":\"again: ");
                self.line(answer);
                self.line(again);
            }
            Some(Mischief::Oversized) if is_tool_result => {
                let id = id_of(&answer);
                let text = "x".repeat(OVERSIZED);
                let result = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
                self.line(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes());
            }
            Some(Mischief::DiesMidAnswer) if is_tool_result => {
                self.raw(answer.get(..answer.len() / 2).unwrap_or_default());
                std::process::exit(3);
            }
            Some(Mischief::WrongIds) if is_tool_result => {
                let id = id_of(&answer);
                let other = if id.starts_with('"') {
                    r#""another""#.to_owned()
                } else {
                    format!(r#""{id}""#)
                };
                self.line(replaced(
                    &answer,
                    &format!(r#""id":{id},"#),
                    &format!(r#""id":{other},"#),
                ));
            }
            Some(Mischief::DuplicateKeys) if is_tool_result => {
                self.line(replaced(
                    &answer,
                    r#""result":"#,
                    r#""result":{"content":[]},"result":"#,
                ));
            }
            Some(Mischief::BadUtf8) if is_tool_result => {
                let text = String::from_utf8_lossy(&answer).into_owned();
                let (head, tail) = text.split_once(r#""text":""#).unwrap_or((&text, ""));
                self.line([head.as_bytes(), br#""text":""#, &[0xff, 0xfe], tail.as_bytes()].concat());
            }
            Some(Mischief::NoResult) if is_tool_result => {
                self.line(format!(r#"{{"jsonrpc":"2.0","id":{}}}"#, id_of(&answer)).into_bytes());
            }
            Some(_) | None => self.line(answer),
        }
    }

    /// Sends a message.
    pub(crate) fn line(&self, mut message: Vec<u8>) {
        match self.mischief {
            Some(Mischief::Crlf) => message.extend_from_slice(b"\r\n"),
            Some(Mischief::Batches) => {
                message.insert(0, b'[');
                message.extend_from_slice(b"]\n");
            }
            _ => message.push(b'\n'),
        }
        if self.mischief == Some(Mischief::Trickle) {
            let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
            for part in message.chunks(message.len().div_ceil(3)) {
                let _ = stdout.write_all(part).and_then(|()| stdout.flush());
                std::thread::sleep(Duration::from_millis(20));
            }
        } else {
            self.raw(&message);
        }
    }

    /// Sends bytes as they are. A reader that has gone is the end of the process, as for any program in a pipe.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        if written.is_err() && self.mischief != Some(Mischief::Stubborn) {
            std::process::exit(0);
        }
    }
}

/// The id of an answer that this server has written itself.
fn id_of(answer: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Id<'a> {
        #[serde(borrow)]
        id: &'a serde_json::value::RawValue,
    }
    serde_json::from_slice::<Id<'_>>(answer)
        .map_or_else(|_| "null".to_owned(), |answer| answer.id.get().to_owned())
}

fn replaced(answer: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8_lossy(answer).replacen(from, to, 1).into_bytes()
}
