//! From one era to the other: a message of one era, and the bytes that say the same in the other.
//!
//! The legacy era is that of the versions up to 2025-11-25, the modern one that of 2026-07-28. What is a request is
//! spliced, and compared afterwards with what was judged ([`crate::splice`]); of results and errors, the members by
//! which the eras differ are changed, and every other keeps its bytes.

mod answer;
mod handshake;
mod input;
mod request;

pub use answer::{Answer, answer_for_legacy, answer_for_modern};
pub use handshake::{
    Hello, Server, Spoken, discover_request, discover_result, initialize_request, initialize_result,
};
pub use input::{Input, Wanted, Wants, answer_to_server, ask_client, input_required, response_of};
pub use request::{Again, Speaker, request_for_legacy, request_for_modern};

use crate::json::{JsonKind, Object, RawJson, quoted};
use crate::malformed::Malformed;
use crate::splice::SpliceError;

/// What has no words in the other era, or no single meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// It is not the kind of message that it should be.
    #[error("the message is not what it has to be: {0}")]
    Shape(&'static str),
    /// A result of a kind that is not known here.
    #[error("the result is of a kind that is not known: `{0}`")]
    ResultType(String),
    /// What came out is no valid message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// What came out is not what was judged.
    #[error(transparent)]
    Splice(#[from] SpliceError),
}

/// What becomes of a member.
enum Change {
    Set(String),
    Drop,
}

/// An object with some members changed; the others keep their bytes and their order, new ones come last. `text` is
/// the message that it stands in.
fn changed(text: &str, object: &Object<'_>, changes: &[(&str, Change)]) -> Option<String> {
    let mut members = Vec::with_capacity(object.len().saturating_add(changes.len()));
    for member in object.members() {
        let value = member.value.span();
        match changes.iter().find(|(key, _)| *key == member.key) {
            None => members.push(text.get(member.key_start..value.end)?.to_owned()),
            Some((_, Change::Set(json))) => {
                members.push(format!("{}{json}", text.get(member.key_start..value.start)?));
            }
            Some((_, Change::Drop)) => {}
        }
    }
    for (key, change) in changes {
        if let Change::Set(json) = change
            && object.get(key).is_none()
        {
            members.push(format!("{}:{json}", quoted(key)));
        }
    }
    Some(format!("{{{}}}", members.join(",")))
}

/// As [`changed`], of a value that stands alone.
fn changed_value(value: RawJson<'_>, changes: &[(&str, Change)]) -> Option<String> {
    let alone = RawJson::new(value.text(), 0);
    changed(value.text(), &alone.as_object()?, changes)
}

/// A value, where it is an object.
fn object_text(value: Option<RawJson<'_>>) -> Option<&str> {
    value
        .filter(|value| value.kind() == JsonKind::Object)
        .map(|value| value.text())
}

/// An object of these members, in their order.
fn written(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, json)| format!("{}:{json}", quoted(key)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The extension that lets a server answer with a task; tasks of the two eras cannot stand for each other.
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Capabilities of either side, without those that do not reach across the bridge.
fn bridged_capabilities(capabilities: RawJson<'_>) -> Option<String> {
    let mut changes = vec![("tasks", Change::Drop)];
    let extensions = RawJson::new(capabilities.text(), 0)
        .as_object()?
        .get("extensions");
    if let Some(extensions) = extensions.filter(|extensions| extensions.kind() == JsonKind::Object) {
        let left = changed_value(extensions, &[(TASKS_EXTENSION, Change::Drop)])?;
        let change = if left == "{}" {
            Change::Drop
        } else {
            Change::Set(left)
        };
        changes.push(("extensions", change));
    }
    changed_value(capabilities, &changes)
}
