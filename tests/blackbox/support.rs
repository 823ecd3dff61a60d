//! What the tests share beside the testkit.

pub(crate) mod authority;
pub(crate) mod collector;
pub(crate) mod deps;
pub(crate) mod record;
pub(crate) mod streamed;
pub(crate) mod upstream;

pub(crate) use record::Record;

use callgate_testkit::{Gate, PATIENCE, Room, StdioServer};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// All tools may be called.
pub(crate) const OPEN: &str = "version: \"1\"\ndefault: allow\ntools: {}\n";

/// A gate in a room, with this policy.
pub(crate) fn gate(room: &Room, policy: &str) -> Gate {
    Gate::of(env!("CARGO_BIN_EXE_callgate"), room).policy(policy)
}

/// A room, the bundled server in it, and a gate with this policy in front of that.
pub(crate) fn before_echo(policy: &str) -> (Room, StdioServer, Gate) {
    before(policy, StdioServer::echo)
}

/// A room, a server in it, and a gate with this policy in front of that.
pub(crate) fn before(policy: &str, server: impl Fn(&Room) -> StdioServer) -> (Room, StdioServer, Gate) {
    let room = Room::new();
    let server = server(&room);
    let gate = gate(&room, policy).before(&server);
    (room, server, gate)
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
