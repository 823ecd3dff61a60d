//! As much of MCP as the bundled servers speak: envelopes and versions, with bytes kept as they came.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Every revision with the `initialize` handshake, oldest first.
pub const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The revision without it.
pub const MODERN: &str = "2026-07-28";
/// The key in `_meta` by which a modern request tells its version.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A message, its parts as they came.
#[derive(Debug, Deserialize)]
pub struct Received<'a> {
    /// The id, if it is a request or a response.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// The method, if it is no response.
    pub method: Option<String>,
    /// The parameters.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    /// What a response answers.
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    /// What a response says went wrong.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// The parameters of any request, as far as the servers look into them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params<'a> {
    /// A tool, or a prompt.
    pub name: Option<String>,
    /// A resource.
    pub uri: Option<String>,
    /// Where a list goes on.
    pub cursor: Option<String>,
    /// The version that `initialize` asks for.
    pub protocol_version: Option<String>,
    /// Of a tool.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    /// The answers to what an earlier result asked for.
    #[serde(borrow)]
    pub input_responses: Option<&'a RawValue>,
    /// What a cancellation is about.
    #[serde(borrow)]
    pub request_id: Option<&'a RawValue>,
    /// The protocol's own parameters.
    #[serde(borrow, rename = "_meta")]
    pub meta: Option<&'a RawValue>,
}

impl Params<'_> {
    /// The version of a modern request.
    #[must_use]
    pub fn modern_version(&self) -> Option<String> {
        let meta = self.meta?;
        if !meta.get().contains(META_VERSION) {
            return None;
        }
        let meta: serde_json::Value = serde_json::from_str(meta.get()).ok()?;
        meta.get(META_VERSION)?.as_str().map(str::to_owned)
    }

    /// The token under which progress is told, as it came.
    #[must_use]
    pub fn progress_token(&self) -> Option<Box<RawValue>> {
        #[derive(Deserialize)]
        struct Meta<'a> {
            #[serde(borrow, rename = "progressToken")]
            token: Option<&'a RawValue>,
        }
        let meta: Meta<'_> = serde_json::from_str(self.meta?.get()).ok()?;
        meta.token.map(ToOwned::to_owned)
    }
}

/// A response with a result, of which `result` is the JSON.
#[must_use]
pub fn response(id: &str, result: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(result.len() + id.len() + 40);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.push(b'}');
    out
}

/// A response with an error.
#[must_use]
pub fn error(id: &str, code: i64, message: &str) -> Vec<u8> {
    let message = serde_json::Value::from(message);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#).into_bytes()
}

/// The HTTP status that the modern era gives an answer.
#[must_use]
pub fn modern_status(answer: &[u8]) -> hyper::StatusCode {
    // An error of these servers begins with its code, right after the id; results never get here at length.
    let head = answer.get(..answer.len().min(200)).unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    match head.split_once(r#""error":{"code":"#) {
        Some((_, rest)) if rest.starts_with("-32601") => hyper::StatusCode::NOT_FOUND,
        Some((_, rest)) if rest.starts_with("-3202") => hyper::StatusCode::BAD_REQUEST,
        _ => hyper::StatusCode::OK,
    }
}
