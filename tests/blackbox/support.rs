//! A gate under test and what stands around it.

pub(crate) mod bench;
pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod record;

pub(crate) use bench::{Bench, Run};
pub(crate) use gate::Gate;
pub(crate) use log::ServerLog;

use serde_json::Value;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine, and short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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

/// The text of a tool result or of an error.
#[track_caller]
pub(crate) fn text(answer: &Value) -> &str {
    let result = answer["result"]["content"][0]["text"].as_str();
    let error = answer["error"]["message"].as_str();
    result.or(error).unwrap_or_else(|| panic!("no text: {answer}"))
}

/// The reason code of a refusal, in a tool result or an error; empty where there is none.
pub(crate) fn reason(answer: &Value) -> &str {
    let result = answer["result"]["_meta"]["callgate/reason"].as_str();
    let error = answer["error"]["data"]["callgate/reason"].as_str();
    result.or(error).unwrap_or_default()
}

/// Whether a process is there, and no corpse.
pub(crate) fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
