//! The first look at a body and its headers, before a session is found for it: which era it belongs to, and
//! whether the two tell the same story.

use super::answer::{Body, json, plain};
use crate::answer::{error, error_with_data};
use crate::sink::object;
use callgate_wire::headers::{self, Mismatch};
use callgate_wire::mcp::{Era, META_PROTOCOL_VERSION, Version, method};
use callgate_wire::{Decoded, Kind, Request, quoted};
use http::{HeaderMap, Response, StatusCode};
use std::borrow::Cow;

/// What has to be known of a body before its session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Initialize,
    Legacy,
    Modern,
}

/// A version as it was named, known or not.
#[derive(Debug, Clone, Copy)]
enum Named<'a> {
    Known(Version),
    Unknown(&'a str),
}

impl<'a> Named<'a> {
    fn of(text: &'a str) -> Self {
        text.parse().map_or(Self::Unknown(text), Self::Known)
    }

    fn is_legacy(self) -> bool {
        matches!(self, Self::Known(version) if version.era() == Era::Legacy)
    }

    fn is(self, named: &str) -> bool {
        match self {
            Self::Known(version) => version.as_str() == named,
            Self::Unknown(own) => own == named,
        }
    }
}

/// JSON-RPC's code for a method that there is not.
const METHOD_NOT_FOUND: i32 = -32_601;
/// JSON-RPC's code for parameters that are not right.
const INVALID_PARAMS: i32 = -32_602;
/// The code for a version that is not served.
const UNSUPPORTED_VERSION: i32 = -32_022;
/// The versions that a request of its own can be made in, as the error for all others lists them.
const STATELESS_VERSIONS: [Version; 1] = [Version::V2026_07_28];

/// Looks at a body and its headers: they must not tell two different stories.
pub(super) fn glance(decoded: Option<&Decoded<'_>>, sent: &HeaderMap) -> Result<Seen, Box<Response<Body>>> {
    let header = sent
        .get(headers::PROTOCOL_VERSION)
        .map(|value| Named::of(value.to_str().unwrap_or_default()));
    let request = match decoded {
        Some(Decoded::Single(message)) => match message.kind() {
            Kind::Request(request) => Some(request),
            Kind::Notification(_) | Kind::Response(_) => None,
        },
        // A body that cannot be read is refused, and recorded, by the session.
        Some(Decoded::Batch(_)) | None => None,
    };
    let Some(request) = request else {
        return match header {
            Some(Named::Unknown(_)) => {
                let text = "MCP-Protocol-Version names no version that is known here";
                Err(Box::new(plain(StatusCode::BAD_REQUEST, text)))
            }
            Some(header) if !header.is_legacy() && matches!(decoded, Some(Decoded::Single(_))) => {
                Ok(Seen::Modern)
            }
            Some(Named::Known(_)) | None => Ok(Seen::Legacy),
        };
    };
    let version = meta_version(request);
    let body = version.as_deref().map(Named::of);
    let unknown = match (header, body) {
        (Some(Named::Unknown(named)), body) if body.is_none_or(|body| body.is(named) || body.is_legacy()) => {
            Some(named)
        }
        (None, Some(Named::Unknown(named))) => Some(named),
        // Two that are not the same are a mismatch, whether they are known or not.
        (Some(_) | None, _) => None,
    };
    if let Some(named) = unknown {
        return Err(unsupported(request, named));
    }
    let is_initialize = request.method == method::INITIALIZE;
    let is_stateless = body.is_some_and(|body| !body.is_legacy())
        || (header.is_some_and(|header| !header.is_legacy()) && !is_initialize);
    match (is_stateless, is_initialize) {
        (true, _) => {}
        (false, true) => return Ok(Seen::Initialize),
        (false, false) => return Ok(Seen::Legacy),
    }
    let pairs = sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    match headers::compare(request, &[], pairs) {
        Ok(()) if is_initialize => {
            let text = "there is no `initialize` from 2026-07-28 on";
            let bytes = error(request.id.raw(), METHOD_NOT_FOUND, text);
            Err(Box::new(json(404, bytes)))
        }
        Ok(()) => Ok(Seen::Modern),
        Err(mismatch) => Err(mismatched(request, &mismatch)),
    }
}

/// The version in the body's `_meta`, as requests of their own name it; `initialize` names one elsewhere.
fn meta_version<'a>(request: &Request<'a>) -> Option<Cow<'a, str>> {
    let meta = request.params.as_ref()?.get("_meta")?.as_object()?;
    meta.get(META_PROTOCOL_VERSION)?.as_str()
}

/// Headers and body do not agree, or the body lacks what headers are compared with.
fn mismatched(request: &Request<'_>, mismatch: &Mismatch) -> Box<Response<Body>> {
    let code = match mismatch {
        Mismatch::NoVersionInBody => INVALID_PARAMS,
        Mismatch::Missing { .. }
        | Mismatch::Repeated { .. }
        | Mismatch::Invalid { .. }
        | Mismatch::Differs { .. }
        | Mismatch::Unexpected { .. }
        | Mismatch::NotPrimitive { .. } => headers::HEADER_MISMATCH,
    };
    Box::new(json(400, error(request.id.raw(), code, &mismatch.to_string())))
}

fn unsupported(request: &Request<'_>, named: &str) -> Box<Response<Body>> {
    let supported: Vec<String> = STATELESS_VERSIONS
        .iter()
        .map(|version| quoted(version.as_str()))
        .collect();
    let supported = format!("[{}]", supported.join(","));
    let data = object(&[("supported", &supported), ("requested", &quoted(named))]);
    let text = "this version of the protocol is not served";
    let bytes = error_with_data(request.id.raw(), UNSUPPORTED_VERSION, text, Some(&data));
    Box::new(json(400, bytes))
}
