//! Results and errors, in the words of the other era.

use super::input::{Input, Wanted, Wants, input_required};
use super::{BridgeError, Change, changed, changed_value};
use crate::bounds::Bounds;
use crate::envelope::{Decoded, Kind, Message, Payload, decode};
use crate::headers::params_of_schema;
use crate::id::IdKey;
use crate::json::{JsonKind, Object, RawJson};
use crate::list::ToolList;
use crate::mcp::{META_SERVER_INFO, method};
use std::borrow::Cow;

/// What a modern server's answer is to a legacy client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The answer, in the client's words.
    Complete(Vec<u8>),
    /// The server wants input first.
    Wants(Wants),
}

/// The methods whose results say how long they hold, from 2026-07-28 on.
const CACHEABLE: [&str; 6] = [
    method::SERVER_DISCOVER,
    method::TOOLS_LIST,
    method::PROMPTS_LIST,
    method::RESOURCES_LIST,
    method::RESOURCES_TEMPLATES_LIST,
    method::RESOURCES_READ,
];

/// A modern server's answer to a request for `asked`, for a legacy client that knows it under `id`.
///
/// # Errors
/// [`BridgeError`] where it has no single meaning, or is of a kind that the era does not know.
pub fn answer_for_legacy(
    message: &Message<'_>,
    id: &IdKey,
    asked: &str,
    bounds: &Bounds,
) -> Result<Answer, BridgeError> {
    let payload = payload(message)?;
    let result = match payload {
        Payload::Error(error) => {
            return readdressed(message, id, payload, &legacy_error(error, asked)?, bounds)
                .map(Answer::Complete);
        }
        Payload::Result(result) => result,
    };
    let object = result.as_object().ok_or(BridgeError::Shape("a result"))?;
    match result_type(&object)?.as_deref() {
        None | Some("complete") => {}
        Some("input_required") => {
            return Wanted::of_result(&object).map(Answer::Wants);
        }
        Some(other) => return Err(BridgeError::ResultType(other.to_owned())),
    }
    if asked == method::TOOLS_LIST {
        let kept = without_bad_headers(message, result, bounds)?;
        if let Cow::Owned(kept) = kept {
            let Decoded::Single(message) = decode(&kept, bounds)? else {
                return Err(BridgeError::Shape("a list"));
            };
            return answer_for_legacy(&message, id, asked, bounds);
        }
    }
    let changed = legacy_result(message, &object)?;
    readdressed(message, id, payload, &changed, bounds).map(Answer::Complete)
}

fn result_type<'a>(object: &Object<'a>) -> Result<Option<Cow<'a, str>>, BridgeError> {
    let Some(kind) = object.get("resultType") else {
        return Ok(None);
    };
    kind.as_str().map(Some).ok_or(BridgeError::Shape("a result"))
}

fn legacy_result(message: &Message<'_>, object: &Object<'_>) -> Result<String, BridgeError> {
    const SHAPE: BridgeError = BridgeError::Shape("a result");
    let mut changes = vec![
        ("resultType", Change::Drop),
        ("ttlMs", Change::Drop),
        ("cacheScope", Change::Drop),
    ];
    if let Some(meta) = object.get("_meta").filter(|meta| meta.kind() == JsonKind::Object) {
        let left = changed_value(meta, &[(META_SERVER_INFO, Change::Drop)]).ok_or(SHAPE)?;
        if left == "{}" {
            changes.push(("_meta", Change::Drop));
        } else if left.len() < meta.text().len() {
            changes.push(("_meta", Change::Set(left)));
        }
    }
    // Before 2026-07-28 it is an object; what it says stands in the content as well.
    let structured = object.get("structuredContent");
    if structured.is_some_and(|structured| structured.kind() != JsonKind::Object) {
        changes.push(("structuredContent", Change::Drop));
    }
    changed(message.text(), object, &changes).ok_or(SHAPE)
}

/// A list without the tools whose headers cannot be written, which no client of HTTP may call.
fn without_bad_headers<'a>(
    message: &Message<'a>,
    result: RawJson<'a>,
    bounds: &Bounds,
) -> Result<Cow<'a, [u8]>, BridgeError> {
    let list = ToolList::read(result).map_err(|_| BridgeError::Shape("a list"))?;
    list.filtered(message, |tool| {
        tool.input_schema
            .is_none_or(|schema| params_of_schema(schema, bounds).is_ok())
    })
    .ok_or(BridgeError::Shape("a list"))
}

fn legacy_error(error: RawJson<'_>, asked: &str) -> Result<String, BridgeError> {
    const SHAPE: BridgeError = BridgeError::Shape("an error");
    let object = error.as_object().ok_or(SHAPE)?;
    let code: Option<i32> = object.get("code").and_then(|code| code.text().parse().ok());
    let data = object.get("data").and_then(|data| data.as_object());
    let names_uri = data.is_some_and(|data| data.get("uri").is_some());
    let code = match code {
        Some(-32_602) if asked == method::RESOURCES_READ && names_uri => "-32002",
        Some(-32_021 | -32_022) => "-32602",
        Some(-32_020) => "-32603",
        Some(_) | None => return Ok(error.text().to_owned()),
    };
    changed_value(error, &[("code", Change::Set(code.to_owned()))]).ok_or(SHAPE)
}

/// A legacy server's answer to a request for `asked`, for a modern client that knows it under `id`, and the status
/// of HTTP that goes with it.
///
/// # Errors
/// [`BridgeError`] where it has no single meaning.
pub fn answer_for_modern(
    message: &Message<'_>,
    id: &IdKey,
    asked: &str,
    bounds: &Bounds,
) -> Result<(Vec<u8>, u16), BridgeError> {
    let payload = payload(message)?;
    match payload {
        Payload::Result(result) => {
            let object = result.as_object().ok_or(BridgeError::Shape("a result"))?;
            let mut changes = vec![("resultType", Change::Set("\"complete\"".to_owned()))];
            if CACHEABLE.contains(&asked) {
                changes.push(("ttlMs", Change::Set("0".to_owned())));
                changes.push(("cacheScope", Change::Set("\"private\"".to_owned())));
            }
            let changed = changed(message.text(), &object, &changes).ok_or(BridgeError::Shape("a result"))?;
            Ok((readdressed(message, id, payload, &changed, bounds)?, 200))
        }
        Payload::Error(error) => modern_error(message, id, error, bounds),
    }
}

fn modern_error(
    message: &Message<'_>,
    id: &IdKey,
    error: RawJson<'_>,
    bounds: &Bounds,
) -> Result<(Vec<u8>, u16), BridgeError> {
    const SHAPE: BridgeError = BridgeError::Shape("an error");
    let object = error.as_object().ok_or(SHAPE)?;
    let code: Option<i32> = object.get("code").and_then(|code| code.text().parse().ok());
    let (code, status) = match code {
        Some(-32_042) => {
            if let Some(wanted) = elicitations(&object) {
                return Ok((input_required(id, &wanted, None)?, 200));
            }
            (Some("-32603"), 200)
        }
        Some(-32_002) => (Some("-32602"), 200),
        Some(-32_601) => (None, 404),
        Some(-32_022..=-32_020) => (None, 400),
        Some(_) | None => (None, 200),
    };
    let text = match code {
        Some(code) => changed_value(error, &[("code", Change::Set(code.to_owned()))]).ok_or(SHAPE)?,
        None => error.text().to_owned(),
    };
    let payload = Payload::Error(error);
    Ok((readdressed(message, id, payload, &text, bounds)?, status))
}

/// What the error -32042 of 2025-11-25 wants the client's user to visit first.
fn elicitations(error: &Object<'_>) -> Option<Vec<(String, Wanted)>> {
    let all = error.get("data")?.as_object()?.get("elicitations")?.as_array()?;
    let wanted: Vec<(String, Wanted)> = all
        .iter()
        .enumerate()
        .filter(|(_, params)| params.kind() == JsonKind::Object)
        .map(|(index, params)| {
            let wanted = Wanted {
                input: Input::Elicitation,
                params: Some(params.text().to_owned()),
            };
            (format!("elicitation-{}", index.saturating_add(1)), wanted)
        })
        .collect();
    (!wanted.is_empty()).then_some(wanted)
}

fn payload<'a>(message: &Message<'a>) -> Result<Payload<'a>, BridgeError> {
    match message.kind() {
        Kind::Response(response) => Ok(response.payload),
        Kind::Request(_) | Kind::Notification(_) => Err(BridgeError::Shape("a response")),
    }
}

/// The response under another id, with another payload; read again, as it is about to be sent.
fn readdressed(
    message: &Message<'_>,
    id: &IdKey,
    payload: Payload<'_>,
    text: &str,
    bounds: &Bounds,
) -> Result<Vec<u8>, BridgeError> {
    const SHAPE: BridgeError = BridgeError::Shape("a response");
    let Kind::Response(response) = message.kind() else {
        return Err(SHAPE);
    };
    let (Payload::Result(old) | Payload::Error(old)) = payload;
    let id = id.to_json();
    let mut edits = vec![(old.span(), text)];
    match &response.id {
        Some(sent) => edits.push((sent.span(), &id)),
        // An error that could not tell it: it is the answer to this request all the same.
        None => {
            let bytes = super::written(&[("jsonrpc", "\"2.0\""), ("id", &id), ("error", text)]);
            return Ok(bytes.into_bytes());
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let whole = message.text();
    let mut out = String::with_capacity(whole.len().saturating_add(text.len()));
    let mut at = 0;
    for (range, new) in edits {
        out.push_str(whole.get(at..range.start).ok_or(SHAPE)?);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(whole.get(at..).ok_or(SHAPE)?);
    let bytes = out.into_bytes();
    let Decoded::Single(again) = decode(&bytes, bounds)? else {
        return Err(SHAPE);
    };
    match again.kind() {
        Kind::Response(response) if response.id.as_ref().is_some_and(|sent| sent.raw() == id) => Ok(bytes),
        Kind::Response(_) | Kind::Request(_) | Kind::Notification(_) => Err(SHAPE),
    }
}
