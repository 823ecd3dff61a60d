//! Bytes to messages: strict JSON, MCP of every version, SSE framing.
//!
//! Everything here is pure: bytes come in, typed messages or a typed cause of refusal go out. There is no
//! I/O, no clock and no async.
//!
//! The crate serves one invariant above all: **judged is forwarded**. [`decode`] accepts only bytes that every
//! JSON parser reads alike, keeps the exact byte range of each part that a policy may judge, and [`splice`]
//! changes a message only by byte ranges and then proves, by decoding it again, that what was judged is still
//! what is sent.
//!
//! How strict a message is read depends on its kind, not on who sent it:
//!
//! | kind | keys | numbers, surrogates |
//! | --- | --- | --- |
//! | request, notification | unique at every depth, also when case is ignored | refused where parsers differ |
//! | response envelope | unique, also when case is ignored | refused where parsers differ |
//! | inside `result` and `error` | framed only; [`RawJson::check_strict`] before anything judges by it | framed only |

pub mod aggregate;
mod bounds;
pub mod bridge;
mod envelope;
pub mod headers;
mod id;
mod json;
pub mod list;
mod malformed;
pub mod mcp;
pub mod passing;
mod scan;
pub mod splice;
pub mod sse;
pub mod trace;
mod written;

pub use bounds::Bounds;
pub use callgate_core::json::Json;
pub use envelope::{Decoded, Kind, Message, Notification, Payload, Request, Response, decode};
pub use id::{Id, IdKey};
pub use json::{JsonKind, Object, RawJson, quoted};
pub use malformed::{Expected, Malformed};
pub use written::JsonStyle;
