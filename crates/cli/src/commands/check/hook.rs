//! Claude Code's PreToolUse hook: each call that an agent is about to make is judged before the client makes it.
//!
//! The client takes a hook's exit code 0 with JSON on stdout as an answer, and 2 as a denial; with any other code the
//! call goes on. So whatever goes wrong here ends in a denial with a reason, or in code 2.

mod bash;
mod call;
mod edit;
mod find;

use crate::commands::scan::comment::is_shown;
use crate::words::say;
use anyhow::{Context, bail};
use callgate_core::json::Json;
use callgate_wire::{Bounds, RawJson};
use serde_json::json;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// 32 MiB: a hook is told the whole content of a file that is about to be written.
const INPUT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An answer takes no longer: a client that has waited for long lets the call go on.
const TIME_MAX: Duration = Duration::from_secs(5);

/// 8 MiB, as the main thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// So many characters of a reason are told.
const REASON_CHARS_MAX: usize = 1_000;

/// The exit code by which a hook denies without words.
const DENIED: u8 = 2;

/// What becomes of a call that nothing speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    /// The client's own rules decide.
    LeaveToClient,
    /// It is made unasked where the server's policy names its tool and lets it through.
    Allow,
}

/// What is said of a call, from the mildest to the strictest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Allow(String),
    /// The client's own rules decide.
    Nothing,
    Ask(String),
    Deny(String),
}

/// A call as the client tells of it.
#[derive(Debug)]
struct Asked {
    tool: String,
    input: Json<'static>,
    cwd: PathBuf,
}

/// Reads one call on stdin, and answers.
pub(super) fn run(policy: Option<&Path>, unasked: Unasked) -> ExitCode {
    let policy = policy.map(Path::to_owned);
    let work = move || answer(&read()?, policy.as_deref(), unasked);
    let answer = in_time(work).unwrap_or_else(|error| {
        Answer::Deny(format!(
            "callgate could not judge this call, so it is denied: {error:#}"
        ))
    });
    let (decision, reason) = match &answer {
        Answer::Nothing => return ExitCode::SUCCESS,
        Answer::Allow(reason) => ("allow", reason),
        Answer::Ask(reason) => ("ask", reason),
        Answer::Deny(reason) => ("deny", reason),
    };
    let text = json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": decision,
        "permissionDecisionReason": readable(reason),
    }});
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("callgate: the answer cannot be written: {error}"));
            ExitCode::from(DENIED)
        }
    }
}

/// What comes of the work, within the time that it may take. A thread that takes longer ends with the program.
fn in_time(work: impl FnOnce() -> anyhow::Result<Answer> + Send + 'static) -> anyhow::Result<Answer> {
    let (tell, told) = mpsc::channel();
    let work = move || {
        // A fault of the program must not let the call pass, as its exit code would.
        let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| bail_out());
        // Nobody listens any more where the time is over.
        let _ = tell.send(answer);
    };
    thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .context("no thread can be started")?;
    match told.recv_timeout(TIME_MAX) {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("it takes more than {} s", TIME_MAX.as_secs()),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail_out(),
    }
}

fn bail_out() -> anyhow::Result<Answer> {
    bail!("a fault of the program")
}

/// One line without anything that hides or moves, cut to a length that people read.
fn readable(reason: &str) -> String {
    let line: String = reason
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| is_shown(*c))
        .collect();
    let mut short: String = line.chars().take(REASON_CHARS_MAX).collect();
    if line.chars().count() > REASON_CHARS_MAX {
        short.push('…');
    }
    short
}

fn read() -> anyhow::Result<Asked> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(INPUT_BYTES_MAX.saturating_add(1)).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .context("stdin cannot be read")?;
    if bytes.len() > INPUT_BYTES_MAX {
        bail!("the hook was told more than {INPUT_BYTES_MAX} bytes");
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Asked> {
    let bounds = Bounds {
        message_bytes_max: INPUT_BYTES_MAX,
        ..Bounds::default()
    };
    let raw = match RawJson::read(bytes, &bounds) {
        Ok(raw) => raw.parse().into_owned(),
        Err(cause) => bail!("what the hook was told is not one JSON object with a single meaning: {cause}"),
    };
    let event = text(&raw, "hook_event_name").context("`hook_event_name` is missing")?;
    if event != "PreToolUse" {
        bail!("this hook is for PreToolUse, and it was called for {event}");
    }
    let input = raw.get("tool_input").cloned().unwrap_or(Json::Null);
    if !matches!(input, Json::Object(_)) {
        bail!("`tool_input` is no object");
    }
    Ok(Asked {
        tool: text(&raw, "tool_name")
            .context("`tool_name` is missing")?
            .to_owned(),
        input,
        cwd: match text(&raw, "cwd") {
            Some(cwd) => PathBuf::from(cwd),
            None => std::env::current_dir().context("there is no working folder")?,
        },
    })
}

fn text<'j>(json: &'j Json<'_>, key: &str) -> Option<&'j str> {
    match json.get(key)? {
        Json::String(text) => Some(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn answer(asked: &Asked, policy: Option<&Path>, unasked: Unasked) -> anyhow::Result<Answer> {
    if let Some(name) = asked.tool.strip_prefix("mcp__") {
        return call::judge(name, asked, policy, unasked);
    }
    match asked.tool.as_str() {
        "Bash" | "PowerShell" | "Monitor" => bash::judge(asked, policy),
        "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => edit::judge(asked, policy),
        _ => Ok(Answer::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_single_meaning_is_no_call() {
        let whole =
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"},"cwd":"/"}"#;
        assert_eq!(parse(whole.as_bytes()).unwrap().tool, "Bash");
        for text in [
            "",
            "null",
            "[]",
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_name":"Read","tool_input":{}}"#,
            r#"{"hook_event_name":"PreToolUse","tool_name":5,"tool_input":{}}"#,
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash"}"#,
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":[]}"#,
            r#"{"hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{}}"#,
            r#"{"tool_name":"Bash","tool_input":{}}"#,
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"a":1,"a":2}}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_line_that_shows_all_it_says() {
        assert_eq!(readable("a\nb\u{1b}[31m\u{202e}c"), "a b[31mc");
        assert_eq!(readable(&"x".repeat(2_000)).chars().count(), 1_001);
    }
}
