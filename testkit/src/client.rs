//! Clients that send what a test writes, and nothing of their own.

pub mod answer;
pub mod http;
pub mod stdio;

use serde_json::{Value, json};

/// The parameters of `initialize`.
fn handshake(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {"roots": {}, "sampling": {}, "elicitation": {}},
        "clientInfo": {"name": "testkit", "version": "1.0.0"}})
}

/// The parameters of a request of the modern era: those given, with what it needs in `_meta`.
#[must_use]
pub fn modern(mut params: Value) -> Value {
    let mut meta = json!({"io.modelcontextprotocol/protocolVersion": crate::protocol::MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"roots": {}, "sampling": {}, "elicitation": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1.0.0"}});
    if let (Some(meta), Some(given)) = (meta.as_object_mut(), params["_meta"].as_object()) {
        meta.extend(given.clone());
    }
    params["_meta"] = meta;
    params
}

/// The parameters of a tool call.
#[must_use]
pub fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}
