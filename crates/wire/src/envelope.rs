//! The JSON-RPC 2.0 envelope: one request, notification or response, or a batch of them.

use std::borrow::Cow;

use crate::bounds::Bounds;
use crate::id::Id;
use crate::json::{JsonKind, Member, Object, RawJson};
use crate::malformed::{Expected, Malformed};
use crate::mcp::method::{self, Resemblance};
use crate::scan::keys::equal_without_case;
use crate::scan::{Rules, Scanned, Scanner, checked_text};

/// One received unit, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// One message.
    Single(Message<'a>),
    /// A JSON-RPC batch; only some versions have it ([`crate::mcp::Version::has_batches`]), which is for the
    /// caller to refuse.
    Batch(Vec<Message<'a>>),
}

/// One message and its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    raw: &'a str,
    kind: Kind<'a>,
}

impl<'a> Message<'a> {
    /// The exact bytes, without white space around them. Spans count from their start.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw.as_bytes()
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &Kind<'a> {
        &self.kind
    }

    /// As [`Message::kind`], taken.
    #[must_use]
    pub fn into_kind(self) -> Kind<'a> {
        self.kind
    }

    pub(crate) fn text(&self) -> &'a str {
        self.raw
    }
}

/// The three kinds of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Asks for an answer.
    Request(Request<'a>),
    /// Asks for none.
    Notification(Notification<'a>),
    /// Answers a request.
    Response(Response<'a>),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// What the answer will carry.
    pub id: Id<'a>,
    /// The method, decoded: one that the protocol knows, or one that does not look like one of those.
    pub method: Cow<'a, str>,
    /// The parameters, held to the strict rules at every depth.
    pub params: Option<Object<'a>>,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The method, as in [`Request::method`].
    pub method: Cow<'a, str>,
    /// The parameters, as in [`Request::params`].
    pub params: Option<Object<'a>>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'a> {
    /// The id of the request; absent (or `null`) only in errors that could not tell it.
    pub id: Option<Id<'a>>,
    /// The answer.
    pub payload: Payload<'a>,
}

/// What a response carries. Framed only: see [`RawJson::check_strict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// `result`
    Result(RawJson<'a>),
    /// `error`: an object with an integer `code` and a string `message`.
    Error(RawJson<'a>),
}

/// Reads one received unit: a stdio line, an HTTP body, the data of an SSE event.
///
/// The rules go by the kind of each message, in both directions alike: requests and notifications are strict
/// at every depth, of responses the envelope is strict and the rest is framed.
///
/// # Errors
/// The first cause for which the bytes are refused. A batch is refused as a whole.
pub fn decode<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<Decoded<'a>, Malformed> {
    let mut scanner = Scanner::with_room(checked_text(bytes, bounds)?, bounds.depth_in_force());
    unit(&mut scanner, bounds).map_err(|cause| *cause)
}

fn unit<'a>(scanner: &mut Scanner<'a>, bounds: &Bounds) -> Scanned<Decoded<'a>> {
    scanner.space();
    let decoded = match scanner.peek() {
        None => return Err(Malformed::Empty.into()),
        Some(b'[') => Decoded::Batch(batch(scanner, bounds)?),
        Some(_) => Decoded::Single(message(scanner)?),
    };
    scanner.end()?;
    Ok(decoded)
}

fn batch<'a>(scanner: &mut Scanner<'a>, bounds: &Bounds) -> Scanned<Vec<Message<'a>>> {
    scanner.enter()?;
    scanner.take(b'[');
    scanner.space();
    if scanner.take(b']') {
        return Err(Malformed::EmptyBatch.into());
    }
    let mut messages = Vec::new();
    loop {
        scanner.space();
        if messages.len() >= bounds.batch_max {
            return Err(Malformed::BatchTooLong {
                batch_max: bounds.batch_max,
            }
            .into());
        }
        if scanner.peek() == Some(b'[') {
            return Err(Malformed::NestedBatch {
                offset: scanner.pos(),
            }
            .into());
        }
        messages.push(message(scanner)?);
        scanner.space();
        if scanner.take(b']') {
            scanner.leave();
            return Ok(messages);
        }
        if !scanner.take(b',') {
            return Err(Malformed::syntax(scanner.pos(), Expected::CommaOrBracket).into());
        }
    }
}

/// The members of the envelope, before they are judged together.
struct Parts<'a> {
    /// Where the message begins in the received unit.
    start: usize,
    version: Option<RawJson<'a>>,
    id: Option<RawJson<'a>>,
    method: Option<RawJson<'a>>,
    params: Option<Params<'a>>,
    result: Option<RawJson<'a>>,
    error: Option<RawJson<'a>>,
}

enum Params<'a> {
    Object(Object<'a>),
    Other,
}

/// The names that JSON-RPC gives a meaning; unknown ones pass, variants of these do not.
pub(crate) const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

fn message<'a>(scanner: &mut Scanner<'a>) -> Scanned<Message<'a>> {
    let start = scanner.pos();
    if scanner.peek() != Some(b'{') {
        scanner.value(Rules::Request)?;
        return Err(Malformed::NotAnObject { offset: start }.into());
    }
    let mut parts = Parts {
        start,
        version: None,
        id: None,
        method: None,
        params: None,
        result: None,
        error: None,
    };
    scanner.object(Rules::Request, |scanner, key, at| parts.read(scanner, key, at))?;
    let kind = parts.judged()?;
    Ok(Message {
        raw: scanner.since(start),
        kind,
    })
}

impl<'a> Parts<'a> {
    fn read(&mut self, scanner: &mut Scanner<'a>, key: &str, at: usize) -> Scanned<()> {
        let message_start = self.start;
        let (slot, rules) = match key {
            "jsonrpc" => (Some(&mut self.version), Rules::Request),
            "id" => (Some(&mut self.id), Rules::Request),
            "method" => (Some(&mut self.method), Rules::Request),
            "result" => (Some(&mut self.result), Rules::Framed),
            "error" => (Some(&mut self.error), Rules::Framed),
            "params" if scanner.peek() == Some(b'{') => {
                self.params = Some(Params::Object(params_object(scanner, message_start)?));
                return Ok(());
            }
            "params" => {
                self.params = Some(Params::Other);
                (None, Rules::Request)
            }
            unknown => {
                if let Some(known) = ENVELOPE
                    .into_iter()
                    .find(|known| equal_without_case(known, unknown))
                {
                    return Err(Malformed::case_variant(unknown, known, at).into());
                }
                (None, Rules::Request)
            }
        };
        let start = scanner.pos();
        scanner.value(rules)?;
        if let Some(slot) = slot {
            *slot = Some(RawJson::new(scanner.since(start), start - message_start));
        }
        Ok(())
    }

    fn judged(self) -> Result<Kind<'a>, Malformed> {
        if self.version.and_then(|version| version.as_str()).as_deref() != Some("2.0") {
            return Err(Malformed::WrongVersion);
        }
        let present = [
            ("method", self.method.is_some()),
            ("params", self.params.is_some()),
            ("result", self.result.is_some()),
            ("error", self.error.is_some()),
        ];
        for (first, second) in [
            ("method", "result"),
            ("method", "error"),
            ("result", "error"),
            ("params", "result"),
            ("params", "error"),
        ] {
            let is_there = |name| present.contains(&(name, true));
            if is_there(first) && is_there(second) {
                return Err(Malformed::AmbiguousEnvelope { first, second });
            }
        }
        match (self.method, self.result, self.error) {
            (Some(method), _, _) => call(method, self.id, self.params, self.start),
            (None, Some(result), _) => {
                let id = self.id.and_then(Id::read).ok_or(Malformed::BadId)?;
                Ok(Kind::Response(Response {
                    id: Some(id),
                    payload: Payload::Result(result),
                }))
            }
            (None, None, Some(error)) => failure(self.id, error),
            (None, None, None) => Err(Malformed::NotAMessage),
        }
    }
}

/// Reads `params`, keeping its members.
fn params_object<'a>(scanner: &mut Scanner<'a>, message_start: usize) -> Scanned<Object<'a>> {
    let start = scanner.pos();
    let mut members = Vec::with_capacity(4);
    scanner.object(Rules::Request, |scanner, key, at| {
        let value_start = scanner.pos();
        scanner.value(Rules::Request)?;
        let value = RawJson::new(scanner.since(value_start), value_start - message_start);
        members.push(Member {
            key: key.clone(),
            key_start: at - message_start,
            value,
        });
        Ok(())
    })?;
    Ok(Object::new(
        RawJson::new(scanner.since(start), start - message_start),
        members,
    ))
}

fn call<'a>(
    method: RawJson<'a>,
    id: Option<RawJson<'a>>,
    params: Option<Params<'a>>,
    message_start: usize,
) -> Result<Kind<'a>, Malformed> {
    let method = method.as_str().ok_or(Malformed::BadMethod)?;
    let params = match params {
        None => None,
        Some(Params::Object(object)) => Some(object),
        Some(Params::Other) => return Err(Malformed::ParamsNotObject),
    };
    match method::resemblance(&method) {
        Resemblance::Known(_) => {
            params
                .as_ref()
                .map_or(Ok(()), |params| known_params_as_written(params, message_start))?;
        }
        Resemblance::Unknown => {}
        Resemblance::LooksLike(known) => return Err(Malformed::MethodLooksLike { known }),
    }
    match id {
        Some(id) => {
            let id = Id::read(id).ok_or(Malformed::BadId)?;
            Ok(Kind::Request(Request { id, method, params }))
        }
        None if method == method::TOOLS_CALL => Err(Malformed::ToolCallWithoutId),
        None => Ok(Kind::Notification(Notification { method, params })),
    }
}

/// The parameters by which calls are judged, routed or answered, over all methods of the protocol.
const PARAMS: [&str; 12] = [
    "name",
    "arguments",
    "uri",
    "_meta",
    "task",
    "taskId",
    "ref",
    "cursor",
    "requestId",
    "progressToken",
    "inputResponses",
    "requestState",
];

/// Refuses `Name` where `name` is meant: a server that ignores case would read what was not judged.
fn known_params_as_written(params: &Object<'_>, message_start: usize) -> Result<(), Malformed> {
    for member in params.members() {
        let key = member.key.as_ref();
        if PARAMS.contains(&key) {
            continue;
        }
        if let Some(known) = PARAMS.into_iter().find(|known| equal_without_case(known, key)) {
            return Err(Malformed::case_variant(
                key,
                known,
                message_start + member.key_start,
            ));
        }
    }
    Ok(())
}

fn failure<'a>(id: Option<RawJson<'a>>, error: RawJson<'a>) -> Result<Kind<'a>, Malformed> {
    let id = match id {
        None => None,
        Some(id) if id.kind() == JsonKind::Null => None,
        Some(id) => Some(Id::read(id).ok_or(Malformed::BadId)?),
    };
    let object = error.as_object().ok_or(Malformed::BadError)?;
    let has_code = object
        .get("code")
        .is_some_and(|code| code.kind() == JsonKind::Number && !code.text().contains(['.', 'e', 'E']));
    let has_message = object
        .get("message")
        .is_some_and(|message| message.kind() == JsonKind::String);
    if !has_code || !has_message {
        return Err(Malformed::BadError);
    }
    Ok(Kind::Response(Response {
        id,
        payload: Payload::Error(error),
    }))
}
