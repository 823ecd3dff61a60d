//! The edits that a gate may make to a message, by byte ranges, and the proof that nothing else changed.
//!
//! [`Splice::finish`] decodes what it made and compares it with the original, member by member: whatever was
//! not edited on purpose has to be there byte for byte, `arguments` above all.

mod check;
mod within;

pub use check::Check;

use std::borrow::Cow;
use std::ops::Range;

use crate::bounds::Bounds;
use crate::envelope::{Decoded, Kind, Message, Payload, decode};
use crate::id::IdKey;
use crate::json::{Object, RawJson, quoted};
use crate::malformed::Malformed;
use crate::mcp::{META_TRACEPARENT, META_TRACESTATE};
use crate::trace::Carried;

/// Why a spliced message must not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The message has no place for the edit: no such member, or one of another type.
    #[error("the message has no `{member}` that could be replaced")]
    NoPlace {
        /// The member that the edit is for.
        member: &'static str,
    },
    /// Two edits of the same bytes.
    #[error("two edits change the same bytes")]
    Overlap,
    /// What came out is no valid message.
    #[error("the spliced message is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// What came out is not what was judged.
    #[error("the spliced message differs from the judged one in `{member}`")]
    Differs {
        /// Where they differ.
        member: &'static str,
    },
}

/// A string parameter whose value a gate may replace, to add or take away the prefix of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// `name` of a tool or prompt.
    Name,
    /// `uri` of a resource.
    Uri,
    /// `taskId` of a task.
    TaskId,
}

impl Param {
    fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Uri => "uri",
            Self::TaskId => "taskId",
        }
    }
}

/// Edits of one message, collected.
#[derive(Debug, Clone)]
pub struct Splice<'m, 'a> {
    message: &'m Message<'a>,
    edits: Vec<(Range<usize>, String)>,
    /// What the edits are meant to change, for the comparison afterwards.
    touched: Touched,
}

#[derive(Debug, Clone, Default)]
struct Touched {
    id: bool,
    params: Vec<(&'static str, String)>,
    removed: &'static [&'static str],
    meta: Vec<(&'static str, Option<String>)>,
    result_meta: Option<(&'static str, String)>,
}

impl<'m, 'a> Splice<'m, 'a> {
    /// Begins without an edit.
    #[must_use]
    pub fn new(message: &'m Message<'a>) -> Self {
        Self {
            message,
            edits: Vec::new(),
            touched: Touched::default(),
        }
    }

    /// Replaces the id of a request or response.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has none.
    pub fn id(mut self, id: &IdKey) -> Result<Self, SpliceError> {
        let old = match self.message.kind() {
            Kind::Request(request) => Some(request.id.span()),
            Kind::Response(response) => response.id.as_ref().map(crate::id::Id::span),
            Kind::Notification(_) => None,
        };
        let old = old.ok_or(SpliceError::NoPlace { member: "id" })?;
        self.edits.push((old, id.to_json()));
        self.touched.id = true;
        Ok(self)
    }

    /// Replaces a string parameter.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has no such string.
    pub fn param(self, param: Param, value: &str) -> Result<Self, SpliceError> {
        let member = param.key();
        let old = self.params().and_then(|params| params.get(member));
        if old.and_then(|old| old.as_str()).is_none() {
            return Err(SpliceError::NoPlace { member });
        }
        self.replace_param(member, quoted(value))
    }

    /// Replaces the `requestId` of a `notifications/cancelled`.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has none.
    pub fn cancel_target(self, id: &IdKey) -> Result<Self, SpliceError> {
        self.replace_param("requestId", id.to_json())
    }

    /// Replaces the `progressToken` of a `notifications/progress`.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has none.
    pub fn reported_progress_token(self, token: &IdKey) -> Result<Self, SpliceError> {
        self.replace_param("progressToken", token.to_json())
    }

    /// Sets the `progressToken` in `_meta` of a request (inserted where there is none), or removes it.
    ///
    /// # Errors
    /// [`SpliceError`] where the message is a response, has a `_meta` that is no object, or the key is already
    /// edited.
    pub fn progress_token(self, token: Option<&IdKey>) -> Result<Self, SpliceError> {
        self.meta("progressToken", token.map(IdKey::to_json))
    }

    /// Sets a key of the protocol in `_meta` (one of the `META_…` names of [`crate::mcp`]) to a JSON value,
    /// inserted where there is none, or removes it.
    ///
    /// # Errors
    /// [`SpliceError`] where the message is a response, has a `_meta` that is no object, or the key is already
    /// edited.
    pub fn protocol_meta(self, key: &'static str, value: Option<RawJson<'_>>) -> Result<Self, SpliceError> {
        self.meta(key, value.map(|value| value.text().to_owned()))
    }

    /// Puts the span that a request is made in into `_meta`, in place of any other.
    ///
    /// # Errors
    /// As [`Splice::protocol_meta`].
    pub fn trace(self, carried: &Carried) -> Result<Self, SpliceError> {
        let state = carried.state.as_ref().map(|state| quoted(state.as_str()));
        self.meta(META_TRACEPARENT, Some(quoted(&carried.context.to_string())))?
            .meta(META_TRACESTATE, state)
    }

    /// Adds a parameter behind the others.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has no parameters, or this one already.
    pub(crate) fn add_param(mut self, member: &'static str, json: String) -> Result<Self, SpliceError> {
        let params = self
            .params()
            .filter(|params| !params.is_empty() && params.get(member).is_none())
            .ok_or(SpliceError::NoPlace { member })?;
        let at = params.raw().span().end.saturating_sub(1);
        self.edits.push((at..at, format!(",{}:{json}", quoted(member))));
        self.touched.params.push((member, json));
        Ok(self)
    }

    /// Takes parameters out, where they are there.
    pub(crate) fn remove_params(mut self, members: &'static [&'static str]) -> Self {
        if let Some(params) = self.params() {
            self.edits.extend(removals(params, members));
        }
        self.touched.removed = members;
        self
    }

    /// Replaces an id under a key of the protocol in `_meta` of a result; where there is none, nothing is to be
    /// replaced.
    ///
    /// # Errors
    /// [`SpliceError::Overlap`] where such an id is replaced already.
    pub fn result_meta(mut self, key: &'static str, id: &IdKey) -> Result<Self, SpliceError> {
        let Some(old) = result_meta_of(self.message).and_then(|meta| meta.get(key)) else {
            return Ok(self);
        };
        if self.touched.result_meta.is_some() {
            return Err(SpliceError::Overlap);
        }
        self.edits.push((old.span(), id.to_json()));
        self.touched.result_meta = Some((key, id.to_json()));
        Ok(self)
    }

    /// The spliced message, decoded again and compared with the original.
    ///
    /// # Errors
    /// [`SpliceError`] where the result is not exactly the original with the edits.
    pub fn finish(self, bounds: &Bounds) -> Result<Vec<u8>, SpliceError> {
        let (spliced, check) = self.apply()?;
        check.read(&spliced, bounds)?;
        Ok(spliced)
    }

    /// The spliced bytes, and the proof that is owed of them before they are sent: for whoever reads them next
    /// anyway.
    ///
    /// # Errors
    /// [`SpliceError::Overlap`] where two edits change the same bytes.
    pub fn apply(self) -> Result<(Vec<u8>, Check<'m, 'a>), SpliceError> {
        let mut edits = self.edits;
        if !self.touched.meta.is_empty() {
            edits.extend(meta_edit(self.message, &self.touched.meta));
        }
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let text = self.message.text();
        let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut at = 0;
        for (range, new) in &edits {
            out.push_str(text.get(at..range.start).ok_or(SpliceError::Overlap)?);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(text.get(at..).ok_or(SpliceError::Overlap)?);
        Ok((out.into_bytes(), Check::new(self.message, self.touched)))
    }

    fn params(&self) -> Option<&'m Object<'a>> {
        params_of(self.message)
    }

    fn replace_param(mut self, member: &'static str, json: String) -> Result<Self, SpliceError> {
        let old = self.params().and_then(|params| params.get(member));
        let old = old.ok_or(SpliceError::NoPlace { member })?;
        self.edits.push((old.span(), json.clone()));
        self.touched.params.push((member, json));
        Ok(self)
    }

    pub(crate) fn meta(mut self, key: &'static str, json: Option<String>) -> Result<Self, SpliceError> {
        let has_place = match self.message.kind() {
            Kind::Response(_) => false,
            Kind::Request(_) | Kind::Notification(_) => self
                .params()
                .and_then(|params| params.get("_meta"))
                .is_none_or(|meta| meta.as_object().is_some()),
        };
        if !has_place {
            return Err(SpliceError::NoPlace { member: "_meta" });
        }
        if self.touched.meta.iter().any(|(touched, _)| *touched == key) {
            return Err(SpliceError::Overlap);
        }
        self.touched.meta.push((key, json));
        Ok(self)
    }
}

/// The one edit that makes all changes of `_meta`: its members keep their bytes, their order and their place.
fn meta_edit(
    message: &Message<'_>,
    touched: &[(&'static str, Option<String>)],
) -> Option<(Range<usize>, String)> {
    let params = params_of(message);
    let old = params.and_then(|params| params.get("_meta")?.as_object());
    let mut members = Vec::new();
    for member in old.iter().flat_map(Object::members) {
        let value = member.value.span();
        match touched.iter().find(|(key, _)| *key == member.key) {
            None => members.push(message.text().get(member.key_start..value.end)?.to_owned()),
            Some((_, Some(json))) => {
                members.push(format!(
                    "{}{json}",
                    message.text().get(member.key_start..value.start)?
                ));
            }
            Some((_, None)) => {}
        }
    }
    let is_new = |key: &str| old.as_ref().is_none_or(|old| old.get(key).is_none());
    for (key, json) in touched {
        if let Some(json) = json.as_ref().filter(|_| is_new(key)) {
            members.push(format!("{}:{json}", quoted(key)));
        }
    }
    let meta = format!("{{{}}}", members.join(","));
    match (params, old) {
        (_, Some(old)) => Some((old.raw().span(), meta)),
        (_, None) if members.is_empty() => None,
        (Some(params), None) => {
            let at = params.raw().span().start + 1;
            let comma = if params.is_empty() { "" } else { "," };
            Some((at..at, format!("\"_meta\":{meta}{comma}")))
        }
        (None, None) => {
            let end = message.text().len().saturating_sub(1);
            Some((end..end, format!(",\"params\":{{\"_meta\":{meta}}}")))
        }
    }
}

/// The edits that take members out of an object, each with one of the commas beside it.
fn removals(object: &Object<'_>, members: &[&str]) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    let mut end_of_last_kept = None;
    let mut begun: Option<usize> = None;
    let mut end = 0;
    for member in object.members() {
        if members.contains(&member.key.as_ref()) {
            begun.get_or_insert(end_of_last_kept.unwrap_or(member.key_start));
            end = member.value.span().end;
            continue;
        }
        if let Some(start) = begun.take() {
            // Behind a member that stays, the comma before goes; at the start, the comma after.
            let until = if end_of_last_kept.is_some() {
                end
            } else {
                member.key_start
            };
            edits.push((start..until, String::new()));
        }
        end_of_last_kept = Some(member.value.span().end);
    }
    if let Some(start) = begun {
        edits.push((start..end, String::new()));
    }
    edits
}

fn params_of<'m, 'a>(message: &'m Message<'a>) -> Option<&'m Object<'a>> {
    match message.kind() {
        Kind::Request(request) => request.params.as_ref(),
        Kind::Notification(notification) => notification.params.as_ref(),
        Kind::Response(_) => None,
    }
}

fn result_of<'a>(message: &Message<'a>) -> Option<Object<'a>> {
    match message.kind() {
        Kind::Response(response) => match response.payload {
            Payload::Result(result) => result.as_object(),
            Payload::Error(_) => None,
        },
        Kind::Request(_) | Kind::Notification(_) => None,
    }
}

fn result_meta_of<'a>(message: &Message<'a>) -> Option<Object<'a>> {
    result_of(message)?.get("_meta")?.as_object()
}

impl Touched {
    fn compare(&self, original: &Message<'_>, spliced: &Message<'_>) -> Result<(), SpliceError> {
        match (original.kind(), spliced.kind()) {
            (Kind::Request(one), Kind::Request(other)) => {
                same(self.id || one.id.raw() == other.id.raw(), "id")?;
                same(one.method == other.method, "method")?;
                self.compare_params(one.params.as_ref(), other.params.as_ref())
            }
            (Kind::Notification(one), Kind::Notification(other)) => {
                same(one.method == other.method, "method")?;
                self.compare_params(one.params.as_ref(), other.params.as_ref())
            }
            (Kind::Response(one), Kind::Response(other)) => {
                let raw = |id: &Option<crate::id::Id<'_>>| id.as_ref().map(|id| id.raw().to_owned());
                same(self.id || raw(&one.id) == raw(&other.id), "id")?;
                match &self.result_meta {
                    None => same(payload_text(one) == payload_text(other), "result"),
                    Some((key, id)) => compare_results(original, spliced, key, id),
                }
            }
            _ => Err(SpliceError::Differs { member: "kind" }),
        }
    }

    /// Edits keep the order of members, so those that were not edited are compared in step.
    fn compare_params<'a>(
        &self,
        one: Option<&Object<'a>>,
        other: Option<&Object<'a>>,
    ) -> Result<(), SpliceError> {
        for member in ["arguments", "name"] {
            let replaced = self.params.iter().find(|(touched, _)| *touched == member);
            let expected = replaced.map_or_else(|| text_of(one, member), |(_, json)| Some(json.as_str()));
            same(text_of(other, member) == expected, member)?;
        }
        for (member, json) in &self.params {
            same(text_of(other, member) == Some(json.as_str()), member)?;
        }
        for member in self.removed {
            same(text_of(other, member).is_none(), member)?;
        }
        let touched = |key: &str| {
            key == "_meta"
                || self.removed.contains(&key)
                || self.params.iter().any(|(touched, _)| *touched == key)
        };
        same(untouched(one, touched).eq(untouched(other, touched)), "params")?;
        if self.meta.is_empty() {
            return same(text_of(one, "_meta") == text_of(other, "_meta"), "_meta");
        }
        let meta = |params: Option<&Object<'a>>| params.and_then(|params| params.get("_meta")?.as_object());
        let (one, other) = (meta(one), meta(other));
        for (key, expected) in &self.meta {
            same(text_of(other.as_ref(), key) == expected.as_deref(), "_meta")?;
        }
        let touched = |key: &str| self.meta.iter().any(|(touched, _)| *touched == key);
        same(
            untouched(one.as_ref(), touched).eq(untouched(other.as_ref(), touched)),
            "_meta",
        )
    }
}

/// Two results that differ in one key of `_meta`, which is this id in the other.
fn compare_results(one: &Message<'_>, other: &Message<'_>, key: &str, id: &str) -> Result<(), SpliceError> {
    let results = (result_of(one), result_of(other));
    let is_meta = |key: &str| key == "_meta";
    let equal = untouched(results.0.as_ref(), is_meta).eq(untouched(results.1.as_ref(), is_meta));
    same(equal, "result")?;
    let metas = (result_meta_of(one), result_meta_of(other));
    same(text_of(metas.1.as_ref(), key) == Some(id), "_meta")?;
    let is_id = |other: &str| other == key;
    let equal = untouched(metas.0.as_ref(), is_id).eq(untouched(metas.1.as_ref(), is_id));
    same(equal, "_meta")
}

/// Keys and exact values of the members that no edit was meant for.
fn untouched<'o, 'a>(
    object: Option<&'o Object<'a>>,
    touched: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'o str, &'a str)> {
    let members = object.into_iter().flat_map(Object::iter);
    members
        .filter(move |(key, _)| !touched(key))
        .map(|(key, value)| (key, value.text()))
}

fn same(equal: bool, member: &'static str) -> Result<(), SpliceError> {
    if equal {
        Ok(())
    } else {
        Err(SpliceError::Differs { member })
    }
}

fn text_of<'a>(params: Option<&Object<'a>>, key: &str) -> Option<&'a str> {
    params
        .and_then(|params| params.get(key))
        .map(|value| value.text())
}

fn payload_text<'a>(response: &crate::envelope::Response<'a>) -> (&'static str, &'a str) {
    match response.payload {
        crate::envelope::Payload::Result(result) => ("result", result.text()),
        crate::envelope::Payload::Error(error) => ("error", error.text()),
    }
}

/// What was judged of a message, to compare a message with that was changed elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'j> {
    /// The method.
    pub method: &'j str,
    /// The tool's (or prompt's) name as the server knows it.
    pub name: Option<&'j str>,
    /// The exact bytes of `arguments`.
    pub arguments: Option<&'j [u8]>,
}

/// Decodes a message that is about to be sent, and compares it with what was judged.
///
/// # Errors
/// [`SpliceError`] where it is malformed, is no single request, or differs in method, name or arguments.
pub fn rescan_matches(judged: Judged<'_>, spliced: &[u8], bounds: &Bounds) -> Result<(), SpliceError> {
    let Decoded::Single(message) = decode(spliced, bounds)? else {
        return Err(SpliceError::Differs { member: "batch" });
    };
    let Kind::Request(request) = message.kind() else {
        return Err(SpliceError::Differs { member: "kind" });
    };
    same(request.method == judged.method, "method")?;
    let value = |key| request.params.as_ref().and_then(|params| params.get(key));
    let name = value("name").and_then(|name: RawJson<'_>| name.as_str());
    same(name.as_deref() == judged.name, "name")?;
    same(
        value("arguments").map(|arguments| arguments.bytes()) == judged.arguments,
        "arguments",
    )
}

/// A valid message on one line, for stdio: without its line breaks, which in valid JSON stand outside strings
/// only. Decode the line, not the message it came from, so that what is judged is what is sent.
#[must_use]
pub fn to_line(message: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\n', b'\r', message).is_none() {
        return Cow::Borrowed(message);
    }
    Cow::Owned(
        message
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\n' | b'\r'))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Check, SpliceError, Touched};
    use crate::bounds::Bounds;
    use crate::envelope::{Decoded, decode};

    #[test]
    fn whatever_was_not_edited_on_purpose_has_to_be_there_byte_for_byte() {
        let original = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1},"x":1,"_meta":{"k":1}}}"#;
        let Ok(Decoded::Single(message)) = decode(original.as_bytes(), &Bounds::default()) else {
            panic!("{original}")
        };
        let compare = |touched: &Touched, spliced: &str| {
            let check = Check::new(&message, touched.clone());
            check.read(spliced.as_bytes(), &Bounds::default()).map(|_| ())
        };
        let nothing = Touched::default();
        assert_eq!(compare(&nothing, original), Ok(()));
        for (from, to, member) in [
            ("tools/call", "prompts/get", "method"),
            ("\"id\":1", "\"id\":2", "id"),
            ("\"name\":\"t\"", "\"name\":\"u\"", "name"),
            ("\"name\":\"t\",", "", "name"),
            ("{\"a\":1}", "{\"a\":2}", "arguments"),
            ("{\"a\":1}", "{\"a\": 1}", "arguments"),
            ("\"arguments\":{\"a\":1},", "", "arguments"),
            ("\"x\":1", "\"x\":1.0", "params"),
            ("\"x\":1", "\"x\":1,\"task\":{}", "params"),
            ("{\"k\":1}", "{\"k\":2}", "_meta"),
            ("{\"k\":1}", "{\"k\":1,\"l\":1}", "_meta"),
            ("\"id\":1,", "", "kind"),
        ] {
            let spliced = original.replace(from, to);
            let expected = if from == "\"id\":1," {
                None
            } else {
                Some(SpliceError::Differs { member })
            };
            let found = compare(&nothing, &spliced).err();
            assert!(found.is_some(), "{spliced}");
            assert!(expected.is_none() || found == expected, "{spliced}: {found:?}");
        }
        let meta = Touched {
            meta: vec![("k", Some("2".to_owned()))],
            ..Touched::default()
        };
        assert_eq!(
            compare(&meta, &original.replace("{\"k\":1}", "{\"k\":2}")),
            Ok(())
        );
        for wrong in ["{\"k\":1}", "{\"k\":3}", "{\"k\":2,\"l\":1}", "{}"] {
            let spliced = original.replace("{\"k\":1}", wrong);
            assert_eq!(
                compare(&meta, &spliced),
                Err(SpliceError::Differs { member: "_meta" }),
                "{wrong}"
            );
        }
    }
}
