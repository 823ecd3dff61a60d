//! Edits of what a server sends: its URIs, task ids and request ids become those that the client knows.

use std::borrow::Cow;
use std::ops::Range;

use super::Prefix;
use crate::bounds::Bounds;
use crate::envelope::{Decoded, Kind, Message, Payload, decode};
use crate::id::IdKey;
use crate::json::{JsonKind, Object, RawJson, quoted};
use crate::malformed::Malformed;
use crate::mcp::method;

/// Why a message of a server cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// What came out is no valid message.
    #[error("the renamed message is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// What came out is another message.
    #[error("the renamed message is not the one that came")]
    Differs,
}

/// What a request asks for, as far as its answer may name something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `tools/call`, `tasks/result`
    Call,
    /// `prompts/get`
    Prompt,
    /// `resources/read`, `resources/directory/read`
    Resource,
    /// `tasks/get`, `tasks/cancel`, `tasks/update`
    Task,
    /// Anything else: it names nothing that is told apart by server.
    Other,
}

impl Shape {
    /// The shape of a method's answer.
    #[must_use]
    pub fn of(asked: &str) -> Self {
        match asked {
            method::TOOLS_CALL | method::TASKS_RESULT => Self::Call,
            method::PROMPTS_GET => Self::Prompt,
            method::RESOURCES_READ | method::RESOURCES_DIRECTORY_READ => Self::Resource,
            method::TASKS_GET | method::TASKS_CANCEL | method::TASKS_UPDATE => Self::Task,
            _ => Self::Other,
        }
    }
}

/// The key of `_meta` that ties a message to a task (2025-11-25, basic/utilities/tasks).
const META_RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// Whether a message may name a URI or a task: a look at its bytes that most answers end with. It may say yes in
/// vain, and never no in vain.
#[must_use]
pub fn may_hold_names(bytes: &[u8]) -> bool {
    // The ends of `"uri"`, `"resourceUri"` and `"taskId"`; a key may be written with escapes.
    [b"ri\"".as_slice(), b"skId\"", b"\\u"]
        .into_iter()
        .any(|sign| memchr::memmem::find(bytes, sign).is_some())
}

/// The answer to a request, with all that it names under the names of the whole. Every other byte is as it came.
///
/// # Errors
/// [`RenameError`], in which case nothing of it may be passed on.
pub fn answer<'a>(
    message: &Message<'a>,
    shape: Shape,
    prefix: &Prefix,
    bounds: &Bounds,
) -> Result<Cow<'a, [u8]>, RenameError> {
    let mut edits = Edits::new(prefix);
    if let Kind::Response(response) = message.kind() {
        match response.payload {
            Payload::Result(result) => {
                if let Some(result) = result.as_object() {
                    edits.result(shape, &result);
                }
            }
            Payload::Error(error) if shape == Shape::Resource => {
                let data = error.as_object().and_then(|error| error.get("data")?.as_object());
                edits.uri(data.and_then(|data| data.get("uri")));
            }
            Payload::Error(_) => {}
        }
    }
    edits.apply(message, bounds)
}

/// A request or notification of a server, likewise.
///
/// # Errors
/// As [`answer`].
pub fn from_server<'a>(
    message: &Message<'a>,
    prefix: &Prefix,
    bounds: &Bounds,
) -> Result<Cow<'a, [u8]>, RenameError> {
    let mut edits = Edits::new(prefix);
    match message.kind() {
        Kind::Request(request) => {
            edits.push(request.id.span(), prefix.id(request.id.key()).to_json());
            if let Some(params) = &request.params {
                edits.asked(&request.method, params);
            }
        }
        Kind::Notification(notification) => {
            if let Some(params) = &notification.params {
                edits.told(&notification.method, params);
            }
        }
        Kind::Response(_) => {}
    }
    edits.apply(message, bounds)
}

/// Edits of one message, or of one value, by byte ranges.
#[derive(Debug)]
pub(super) struct Edits<'p> {
    prefix: &'p Prefix,
    edits: Vec<(Range<usize>, String)>,
}

impl<'p> Edits<'p> {
    pub(super) fn new(prefix: &'p Prefix) -> Self {
        Self {
            prefix,
            edits: Vec::new(),
        }
    }

    fn push(&mut self, range: Range<usize>, json: String) {
        self.edits.push((range, json));
    }

    fn text(&mut self, value: Option<RawJson<'_>>, renamed: impl FnOnce(&Prefix, &str) -> String) {
        if let Some((value, own)) = value.and_then(|value| Some((value, value.as_str()?))) {
            self.push(value.span(), quoted(&renamed(self.prefix, &own)));
        }
    }

    pub(super) fn name(&mut self, value: Option<RawJson<'_>>) {
        self.text(value, Prefix::name);
    }

    pub(super) fn uri(&mut self, value: Option<RawJson<'_>>) {
        self.text(value, Prefix::uri);
    }

    pub(super) fn task(&mut self, value: Option<RawJson<'_>>) {
        self.text(value, Prefix::task);
    }

    fn id(&mut self, value: Option<RawJson<'_>>) {
        if let Some((value, own)) = value.and_then(|value| Some((value, IdKey::of(value)?))) {
            self.push(value.span(), self.prefix.id(&own).to_json());
        }
    }

    fn result(&mut self, shape: Shape, result: &Object<'_>) {
        self.related_task(result);
        self.input_requests(result);
        match shape {
            Shape::Call => {
                self.content(result.get("content"));
                self.made_task(result);
            }
            Shape::Prompt => self.messages(result),
            Shape::Resource => {
                for key in ["contents", "resources"] {
                    for each in elements(result.get(key)) {
                        self.uri(each.get("uri"));
                    }
                }
            }
            Shape::Task => self.task_itself(result),
            Shape::Other => {}
        }
    }

    /// A task that a call has made: in a member of its own (2025-11-25), or as the result (2026-07-28).
    fn made_task(&mut self, result: &Object<'_>) {
        if let Some(task) = object(result.get("task")) {
            self.task(task.get("taskId"));
        }
        let kind = result.get("resultType").and_then(|kind| kind.as_str());
        if kind.as_deref() == Some("task") {
            self.task_itself(result);
        }
    }

    /// A task, with what has come of it where it is over.
    fn task_itself(&mut self, task: &Object<'_>) {
        self.task(task.get("taskId"));
        if let Some(result) = object(task.get("result")) {
            self.content(result.get("content"));
        }
    }

    /// What the client is asked before it gets a result.
    fn input_requests(&mut self, result: &Object<'_>) {
        let requests = object(result.get("inputRequests"));
        for (_, request) in requests.iter().flat_map(Object::iter) {
            if let Some(params) = object(Some(request)).and_then(|request| object(request.get("params"))) {
                self.messages(&params);
            }
        }
    }

    fn messages(&mut self, holder: &Object<'_>) {
        for message in elements(holder.get("messages")) {
            self.content(message.get("content"));
        }
    }

    /// Blocks of content, or the only one.
    fn content(&mut self, content: Option<RawJson<'_>>) {
        let Some(content) = content else { return };
        if let Some(block) = content.as_object() {
            self.block(&block);
        }
        for block in elements(Some(content)) {
            self.block(&block);
        }
    }

    fn block(&mut self, block: &Object<'_>) {
        match block.get("type").and_then(|kind| kind.as_str()).as_deref() {
            Some("resource_link") => self.uri(block.get("uri")),
            Some("resource") => {
                if let Some(resource) = object(block.get("resource")) {
                    self.uri(resource.get("uri"));
                }
            }
            // Of a conversation that is shown to a model: it holds what an earlier call gave, and no third level.
            Some("tool_result") => {
                for inner in elements(block.get("content")) {
                    if inner.get("type").and_then(|kind| kind.as_str()).as_deref() != Some("tool_result") {
                        self.block(&inner);
                    }
                }
            }
            Some(_) | None => {}
        }
    }

    fn related_task(&mut self, holder: &Object<'_>) {
        let meta = object(holder.get("_meta"));
        if let Some(related) = meta.and_then(|meta| object(meta.get(META_RELATED_TASK))) {
            self.task(related.get("taskId"));
        }
    }

    /// What a server asks the client.
    fn asked(&mut self, asked: &str, params: &Object<'_>) {
        self.related_task(params);
        if let Some(meta) = object(params.get("_meta")) {
            self.id(meta.get("progressToken"));
        }
        if asked == method::SAMPLING_CREATE_MESSAGE {
            self.messages(params);
        }
    }

    /// What a server tells the client.
    fn told(&mut self, told: &str, params: &Object<'_>) {
        self.related_task(params);
        match told {
            method::NOTIFICATIONS_RESOURCES_UPDATED => self.uri(params.get("uri")),
            method::NOTIFICATIONS_TASKS_STATUS | method::NOTIFICATIONS_TASKS => {
                self.input_requests(params);
                self.task_itself(params);
            }
            method::NOTIFICATIONS_CANCELLED => self.id(params.get("requestId")),
            method::NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED => {
                let granted = object(params.get("notifications"));
                let listed = |key: &str| granted.as_ref()?.get(key)?.as_array();
                for uri in listed("resourceSubscriptions").unwrap_or_default() {
                    self.uri(Some(uri));
                }
                for task in listed("taskIds").unwrap_or_default() {
                    self.task(Some(task));
                }
            }
            _ => {}
        }
    }

    /// The text with its edits; ranges count from `start`. `None` where two edits overlap.
    pub(super) fn applied(mut self, text: &str, start: usize) -> Option<String> {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let added: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut at = start;
        for (range, new) in &self.edits {
            out.push_str(text.get(at.checked_sub(start)?..range.start.checked_sub(start)?)?);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(text.get(at.checked_sub(start)?..)?);
        Some(out)
    }

    fn apply<'a>(self, message: &Message<'a>, bounds: &Bounds) -> Result<Cow<'a, [u8]>, RenameError> {
        if self.edits.is_empty() {
            return Ok(Cow::Borrowed(message.raw()));
        }
        let renamed = self.applied(message.text(), 0).ok_or(RenameError::Differs)?;
        let Decoded::Single(decoded) = decode(renamed.as_bytes(), bounds)? else {
            return Err(RenameError::Differs);
        };
        let is_same = match (message.kind(), decoded.kind()) {
            (Kind::Request(one), Kind::Request(other)) => one.method == other.method,
            (Kind::Notification(one), Kind::Notification(other)) => one.method == other.method,
            (Kind::Response(one), Kind::Response(other)) => {
                let key = |id: &Option<crate::id::Id<'_>>| id.as_ref().map(|id| id.key().clone());
                key(&one.id) == key(&other.id)
            }
            _ => false,
        };
        if is_same {
            Ok(Cow::Owned(renamed.into_bytes()))
        } else {
            Err(RenameError::Differs)
        }
    }
}

fn object<'a>(value: Option<RawJson<'a>>) -> Option<Object<'a>> {
    value?.as_object()
}

/// The objects of an array.
fn elements<'a>(value: Option<RawJson<'a>>) -> impl Iterator<Item = Object<'a>> {
    value
        .filter(|value| value.kind() == JsonKind::Array)
        .and_then(|value| value.as_array())
        .into_iter()
        .flatten()
        .filter_map(|element| element.as_object())
}
