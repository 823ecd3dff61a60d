//! What the tests share beside the testkit.

#[path = "../blackbox/support/record.rs"]
#[expect(dead_code, reason = "shared with the other black-box tests")]
pub(crate) mod record;

pub(crate) use record::Record;

use callgate_testkit::{Gate, PATIENCE, Room, Stdio, StdioServer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// All tools may be called.
pub(crate) const OPEN: &str = "version: \"1\"\ndefault: allow\ntools: {}\n";

/// A room, a server in it, and a gate with this policy in front of that.
pub(crate) fn before(policy: &str, server: impl Fn(&Room) -> StdioServer) -> (Room, StdioServer, Gate) {
    let room = Room::new();
    let server = server(&room);
    let gate = Gate::of(env!("CARGO_BIN_EXE_callgate"), &room)
        .policy(policy)
        .before(&server);
    (room, server, gate)
}

/// The same, with the bundled server.
pub(crate) fn before_echo(policy: &str) -> (Room, StdioServer, Gate) {
    before(policy, StdioServer::echo)
}

/// A client on stdio that has shaken hands.
pub(crate) fn begun(gate: &Gate, version: &str) -> Stdio {
    let mut client = gate.stdio();
    client.initialize(version);
    client
}

/// A request.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A tool call.
pub(crate) fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    request(id, "tools/call", &json!({"name": tool, "arguments": arguments}))
}

/// What takes a request back.
pub(crate) fn cancel(id: u64) -> String {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string()
}

/// Ends the client in order and reads what was recorded.
pub(crate) fn recorded(mut client: Stdio, room: &Room) -> Record {
    client.close_stdin();
    client.ended();
    let record = Record::of(room);
    record.assert_one_outcome_each();
    record
}

/// Where the state of the gates in a room is.
pub(crate) fn state(room: &Room) -> PathBuf {
    room.at("state")
}

/// Waits until something gives a value; for what cannot tell by itself that it has happened.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
