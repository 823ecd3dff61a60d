//! Clients of one era before servers of the other, and all pairs of versions.

mod all_servers;
mod pairs;
mod parked;
mod pipelined;
mod real;
mod to_legacy;
mod to_modern;

use crate::support::gate;
use callgate_testkit::client::modern;
use callgate_testkit::{HttpGate, HttpServer, Room, Stdio, StdioServer};
use serde_json::{Value, json};

/// What stands between two sides of a test over stdio.
struct OverStdio {
    room: Room,
    server: StdioServer,
    client: Stdio,
}

/// A gate over stdio before the bundled server, which speaks one version.
fn over_stdio(policy: &str, server: &str) -> OverStdio {
    let room = Room::new();
    let server = StdioServer::echo(&room).version(server);
    let client = gate(&room, policy).before(&server).stdio();
    OverStdio { room, server, client }
}

/// What stands between two sides of a test over HTTP.
struct OverHttp {
    room: Room,
    server: HttpServer,
    gate: HttpGate,
}

/// A gate over HTTP before the bundled server over HTTP, which speaks one version.
fn over_http(policy: &str, server: &str) -> OverHttp {
    let room = Room::new();
    let server = HttpServer::start(&room, &["--version", server]);
    let gate = gate(&room, policy).before_http(&server).http();
    OverHttp { room, server, gate }
}

/// The parameters of a call in the modern era.
/// What a server may ask, by which method, and what a client says to it.
fn questions() -> [(&'static str, &'static str, Value); 3] {
    [
        (
            "elicitation",
            "elicitation/create",
            json!({"action": "accept", "content": {"it": 1.50}}),
        ),
        (
            "sampling",
            "sampling/createMessage",
            json!({"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"}),
        ),
        ("roots", "roots/list", json!({"roots": [{"uri": "file:///a"}]})),
    ]
}

fn call(tool: &str, arguments: &Value) -> Value {
    modern(callgate_testkit::client::call(tool, arguments))
}

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// Everything may be called, but so often.
fn at_most(max: u32) -> String {
    format!("version: \"1\"\ndefault: allow\ntools:\n  ask:\n    rules:\n      - rate_limit: {max}/hour\n")
}

/// All tools but `ask`.
const NO_ASK: &str = "version: \"1\"\ndefault: allow\nhide: [ask]\ntools: {}\n";

/// What a policy is edited to, so that `ask` is denied and still listed.
const DENIES_ASK: &str = "version: \"1\"\ndefault: allow\ntools:\n  ask:\n    rules:\n      - action: deny\n        on_deny: not now\n";
