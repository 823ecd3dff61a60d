//! What a gate reads of requests and notifications.

use std::borrow::Cow;

use super::{META_PROTOCOL_VERSION, method};
use crate::envelope::{Notification, Request};
use crate::id::IdKey;
use crate::json::{JsonKind, Object, RawJson};
use crate::malformed::Malformed;

/// One `tools/call`, as far as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// The tool, as the client calls it; never empty.
    pub name: Cow<'a, str>,
    /// The arguments: an object, or absent. Its span is what has to be forwarded byte for byte.
    pub arguments: Option<RawJson<'a>>,
    /// Whether `params.task` is there: the client asks for a task (2025-11-25) and can not read a tool result
    /// as the answer.
    pub has_task: bool,
    /// What progress is to be reported under.
    pub progress_token: Option<ProgressTokenKey>,
    /// The protocol version in `_meta` (2026-07-28), as sent.
    pub protocol_version: Option<Cow<'a, str>>,
}

impl<'a> ToolCall<'a> {
    /// Reads a `tools/call`; `None` for every other method.
    ///
    /// # Errors
    /// [`Malformed`] where the name is missing, empty or no string, or `arguments`, `_meta`, the progress token
    /// or the protocol version are of another type than the protocol gives them.
    pub fn from_request(request: &Request<'a>) -> Result<Option<Self>, Malformed> {
        if request.method != method::TOOLS_CALL {
            return Ok(None);
        }
        let params = request.params.as_ref().ok_or(Malformed::BadToolName)?;
        let name = params
            .get("name")
            .and_then(|name| name.as_str())
            .unwrap_or_default();
        if name.is_empty() {
            return Err(Malformed::BadToolName);
        }
        let arguments = params.get("arguments");
        if arguments.is_some_and(|arguments| arguments.kind() != JsonKind::Object) {
            return Err(Malformed::ArgumentsNotObject);
        }
        let meta = meta(params)?;
        Ok(Some(Self {
            name,
            arguments,
            has_task: params.get("task").is_some(),
            progress_token: meta
                .as_ref()
                .map_or(Ok(None), |meta| token(meta.get("progressToken")))?,
            protocol_version: meta
                .as_ref()
                .map_or(Ok(None), |meta| version(meta.get(META_PROTOCOL_VERSION)))?,
        }))
    }
}

/// What a progress token means, to look it up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgressTokenKey(pub IdKey);

/// The request that a `notifications/cancelled` names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CancelTarget(pub IdKey);

impl CancelTarget {
    /// Reads a `notifications/cancelled`; `None` for every other notification.
    ///
    /// # Errors
    /// [`Malformed::BadCancelTarget`] where it names no request.
    pub fn from_notification(notification: &Notification<'_>) -> Result<Option<Self>, Malformed> {
        if notification.method != method::NOTIFICATIONS_CANCELLED {
            return Ok(None);
        }
        let target = notification
            .params
            .as_ref()
            .and_then(|params| params.get("requestId"));
        let key = target.and_then(IdKey::of).ok_or(Malformed::BadCancelTarget)?;
        Ok(Some(Self(key)))
    }
}

/// The token of a `notifications/progress`; `None` for every other notification.
///
/// # Errors
/// [`Malformed::BadProgressToken`] where the token is missing or neither a string nor an integer.
pub fn progress_notification(notification: &Notification<'_>) -> Result<Option<ProgressTokenKey>, Malformed> {
    if notification.method != method::NOTIFICATIONS_PROGRESS {
        return Ok(None);
    }
    let sent = notification
        .params
        .as_ref()
        .and_then(|params| params.get("progressToken"));
    token(sent)?.ok_or(Malformed::BadProgressToken).map(Some)
}

/// The progress token in `_meta` of any request's parameters.
///
/// # Errors
/// [`Malformed`] where `_meta` is no object or the token neither a string nor an integer.
pub fn progress_token(params: &Object<'_>) -> Result<Option<ProgressTokenKey>, Malformed> {
    meta(params)?.map_or(Ok(None), |meta| token(meta.get("progressToken")))
}

/// The protocol version that a request names: in `_meta` (2026-07-28), or as a parameter of `initialize`.
/// As sent: it may be none of the known versions.
///
/// # Errors
/// [`Malformed`] where `_meta` is no object or the version no string.
pub fn protocol_version<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Malformed> {
    let Some(params) = &request.params else {
        return Ok(None);
    };
    if request.method == method::INITIALIZE {
        return version(params.get("protocolVersion"));
    }
    meta(params)?.map_or(Ok(None), |meta| version(meta.get(META_PROTOCOL_VERSION)))
}

/// The protocol version that the result of `initialize` names.
///
/// # Errors
/// [`Malformed::BadProtocolVersion`] where the version is no string, or the result no object with one meaning.
pub fn result_protocol_version<'a>(result: &RawJson<'a>) -> Result<Option<Cow<'a, str>>, Malformed> {
    let object = result.as_object().ok_or(Malformed::BadProtocolVersion)?;
    version(object.get("protocolVersion"))
}

fn meta<'a>(params: &Object<'a>) -> Result<Option<Object<'a>>, Malformed> {
    params
        .get("_meta")
        .map(|meta| meta.as_object().ok_or(Malformed::MetaNotObject))
        .transpose()
}

fn token(sent: Option<RawJson<'_>>) -> Result<Option<ProgressTokenKey>, Malformed> {
    sent.map(|sent| {
        IdKey::of(sent)
            .map(ProgressTokenKey)
            .ok_or(Malformed::BadProgressToken)
    })
    .transpose()
}

fn version(sent: Option<RawJson<'_>>) -> Result<Option<Cow<'_, str>>, Malformed> {
    sent.map(|sent| sent.as_str().ok_or(Malformed::BadProtocolVersion))
        .transpose()
}
