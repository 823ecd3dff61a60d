//! The call that is sent, and as much of HTTP as reading its answer takes.

use anyhow::bail;
use memchr::memmem;

/// The digits of every id, so that the length of a call never changes.
const ID_DIGITS: usize = 10;
const ID_FIRST: u64 = 1_000_000_000;
/// Where the id of an answer stands at the latest.
const ID_WITHIN: usize = 200;
/// An answer that may be a refusal in place of an echo is no longer than this.
const REFUSAL_WITHIN: usize = 4_096;

/// A request, ready but for its id.
#[derive(Debug, Clone)]
pub(super) struct Call {
    authority: String,
    bytes: Vec<u8>,
    id_at: usize,
    answer_least: usize,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A tool call that echoes its text.
    Tool,
    /// The same of the last of ten servers, all of which are one.
    ToolOfLast,
    /// A method that is no tool call, and carries as much both ways.
    Vendor,
}

impl Asked {
    /// The JSON of a request with a text of so many bytes, and the place of its id in it.
    pub(super) fn message(self, size: usize) -> (Vec<u8>, usize) {
        let head = r#"{"jsonrpc":"2.0","id":"#;
        let text = "x".repeat(size);
        let call = |tool: &str| {
            format!(
                r#","method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"{text}"}}}}}}"#
            )
        };
        let rest = match self {
            Self::Tool => call("tool_0500"),
            Self::ToolOfLast => call("server-9__tool_0500"),
            Self::Vendor => {
                format!(r#","method":"vendor/echo","params":{{"arguments":{{"text":"{text}"}}}}}}"#)
            }
        };
        (format!("{head}{ID_FIRST}{rest}").into_bytes(), head.len())
    }
}

/// Where calls are posted, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Address {
    authority: String,
    path: String,
    /// The header with the caller's token, empty where none is needed.
    authorization: String,
}

impl Address {
    /// The address that a URL names, for whoever needs no token.
    pub(super) fn of(url: &str) -> Self {
        let rest = url.trim_start_matches("http://");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            authority: authority.to_owned(),
            path: format!("/{path}"),
            authorization: String::new(),
        }
    }

    /// The same for the caller with a token.
    pub(super) fn with_token(mut self, token: &str) -> Self {
        self.authorization = format!("Authorization: Bearer {token}\r\n");
        self
    }

    /// Host and port.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Call {
    /// A POST of a message within a session.
    pub(super) fn post(
        address: &Address,
        session: Option<&str>,
        message: &[u8],
        id_at: usize,
        least: usize,
    ) -> Self {
        let session = session.map_or_else(String::new, |session| format!("Mcp-Session-Id: {session}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-06-18\r\n\
             {session}Content-Length: {}\r\n\r\n",
            address.path,
            address.authority,
            address.authorization,
            message.len()
        );
        Self {
            authority: address.authority.clone(),
            id_at: head.len() + id_at,
            bytes: [head.as_bytes(), message].concat(),
            answer_least: least,
        }
    }

    /// Whom it is sent to.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The bytes to send for the call with a number.
    pub(super) fn numbered(&mut self, number: u64) -> &[u8] {
        put_id(&mut self.bytes, self.id_at, number);
        &self.bytes
    }

    /// Whether a body answers the call with a number, and is no refusal.
    pub(super) fn check(&self, number: u64, body: &[u8]) -> anyhow::Result<()> {
        check(number, body, self.answer_least)
    }
}

/// Writes the id of the call with a number into a message.
pub(super) fn put_id(message: &mut [u8], at: usize, number: u64) {
    let mut left = number % ID_FIRST;
    let digits = message.get_mut(at + 1..at + ID_DIGITS).unwrap_or_default();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
}

/// The number of the call whose id stands in the head of a message.
pub(super) fn number_in(message: &[u8]) -> Option<u64> {
    let head = message.get(..message.len().min(ID_WITHIN))?;
    let at = memmem::find(head, br#""id":1"#)? + 6;
    let digits = head.get(at..at + ID_DIGITS - 1)?;
    digits.iter().try_fold(0, |number: u64, digit| {
        Some(number * 10 + u64::from(digit.checked_sub(b'0')?))
    })
}

/// Whether a message answers the call with a number by a result of at least so many bytes, and not by a refusal.
pub(super) fn check(number: u64, message: &[u8], least: usize) -> anyhow::Result<()> {
    let is_refusal = message.len() < REFUSAL_WITHIN
        && (memmem::find(message, br#""isError":true"#).is_some()
            || memmem::find(message, br#""error":"#).is_some());
    if number_in(message) != Some(number % ID_FIRST) || message.len() < least || is_refusal {
        let head: String = String::from_utf8_lossy(message).chars().take(300).collect();
        bail!("call {number} got: {head}");
    }
    Ok(())
}

/// A complete answer at the head of what was received.
#[derive(Debug)]
pub(super) struct Reply {
    /// The status code.
    pub(super) status: u16,
    /// The head, as it came.
    pub(super) head: String,
    /// The body, chunks joined.
    pub(super) body: Body,
}

/// Where a body lies.
#[derive(Debug)]
pub(super) enum Body {
    /// In the received bytes, from here to there.
    Within(usize, usize),
    /// Joined from chunks.
    Joined(Vec<u8>),
}

impl Reply {
    /// Reads the answer; `None` while it is not complete.
    pub(super) fn read(received: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = memmem::find(received, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let start = end + 4;
        let body = match header(&head, "content-length") {
            Some(length) => {
                let whole = start + length.parse::<usize>()?;
                (received.len() >= whole).then_some(Body::Within(start, whole))
            }
            None if header(&head, "transfer-encoding").is_some() => {
                joined(received.get(start..).unwrap_or_default()).map(Body::Joined)
            }
            None => Some(Body::Within(start, start)),
        };
        Ok(body.map(|body| Self { status, head, body }))
    }

    /// The bytes of the body.
    pub(super) fn body<'a>(&'a self, received: &'a [u8]) -> &'a [u8] {
        match &self.body {
            Body::Within(start, end) => received.get(*start..*end).unwrap_or_default(),
            Body::Joined(bytes) => bytes,
        }
    }

    /// A header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let of = |line: &'a str| {
        let (header, value) = line.split_once(':')?;
        header.eq_ignore_ascii_case(name).then(|| value.trim())
    };
    head.lines().skip(1).find_map(of)
}

/// The chunks, once the last has come.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len());
    loop {
        let end = memmem::find(rest, b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return memmem::find(rest, b"\r\n\r\n").map(|_| out);
        }
        out.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_fixed_length_goes_out_and_is_found_again() {
        for asked in [Asked::Tool, Asked::ToolOfLast, Asked::Vendor] {
            let (mut message, at) = asked.message(200);
            let length = message.len();
            for number in [0, 7, 123_456_789, 1_000_000_001] {
                put_id(&mut message, at, number);
                assert_eq!(number_in(&message), Some(number % ID_FIRST));
                assert_eq!(message.len(), length);
                serde_json::from_slice::<serde_json::Value>(&message).expect("it is JSON");
            }
        }
    }

    #[test]
    fn an_answer_is_read_once_it_is_complete_however_it_is_framed() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\n\r\n"
                .as_slice();
        for whole in [plain, chunked] {
            for end in 0..whole.len() {
                assert!(Reply::read(&whole[..end]).expect("no fault").is_none(), "{end}");
            }
            let reply = Reply::read(whole).expect("no fault").expect("complete");
            assert_eq!((reply.status, reply.body(whole)), (200, b"hello".as_slice()));
        }
    }

    #[test]
    fn only_the_right_result_of_the_right_length_counts() {
        let answer = |id: &str, rest: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#).into_bytes();
        let right = answer(
            "1000000007",
            r#""result":{"content":[{"type":"text","text":"xxxx"}]}"#,
        );
        assert!(check(7, &right, 4).is_ok());
        assert!(check(8, &right, 4).is_err());
        assert!(check(7, &right, 400).is_err());
        assert!(
            check(
                7,
                &answer("1000000007", r#""result":{"isError":true,"content":[]}"#),
                4
            )
            .is_err()
        );
        assert!(
            check(
                7,
                &answer("1000000007", r#""error":{"code":1,"message":"no"}"#),
                4
            )
            .is_err()
        );
    }
}
