//! Whatever a server does, every call is answered once, recorded once, and the session lives on where it can.

use crate::support::{OPEN, Record, before, state, until};
use callgate_testkit::process::{is_alive, is_gone_within};
use callgate_testkit::{Gate, Room, Script, Stdio, StdioServer};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A short deadline for tool calls.
const IMPATIENT: &str = "version: \"1\"\ndefault: allow\ntimeout: 1s\ntools: {}\n";

pub(crate) fn misbehaving(policy: &str, mischief: &str) -> (Room, StdioServer, Gate) {
    before(policy, |room| StdioServer::echo(room).mischief(mischief))
}

/// A server out of `tests/servers`.
fn script(room: &Room, name: &str) -> StdioServer {
    StdioServer::command(room, ["python3".into(), Script::path(name).into_os_string()])
}

/// A client that has shaken hands.
fn begun(gate: &Gate) -> Stdio {
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client
}

/// Ends the client in order and reads what was recorded.
fn recorded(mut client: Stdio, room: &Room) -> Record {
    client.close_stdin();
    client.ended();
    let record = Record::of(room);
    record.assert_one_outcome_each();
    record
}

/// The server's mischief is as good as none: three calls, each answered once and as ever.
#[track_caller]
fn harmless(mischief: &str) -> (Vec<Value>, Record) {
    let (room, server, gate) = misbehaving(OPEN, mischief);
    let mut client = begun(&gate);
    for text in ["one", "two", "three"] {
        assert_eq!(client.call("echo", json!({"text": text})).text(), text);
    }
    assert_eq!(client.tools().len(), 10);
    assert_eq!(server.log().calls().len(), 3);
    let messages = client.messages();
    let record = recorded(client, &room);
    assert_eq!(record.statuses(), ["ok", "ok", "ok"]);
    (messages, record)
}

#[test]
fn noise_on_stdout_is_dropped() {
    let (messages, record) = harmless("noise");
    assert_eq!(messages.len(), 5, "{messages:#?}");
    assert!(record.malformed_or_suppressed() > 0);
}

#[test]
fn malformed_answers_are_dropped() {
    let (messages, record) = harmless("malformed");
    assert_eq!(messages.len(), 5, "{messages:#?}");
    assert!(record.malformed_or_suppressed() > 0);
}

#[test]
fn of_two_answers_to_one_request_the_first_counts() {
    let (messages, _) = harmless("duplicate-answers");
    assert_eq!(messages.len(), 5, "{messages:#?}");
}

#[test]
fn answers_that_nobody_asked_for_are_dropped() {
    let (messages, _) = harmless("unasked-answers");
    assert_eq!(messages.len(), 5, "{messages:#?}");
}

#[test]
fn answers_to_notifications_are_dropped() {
    let (messages, _) = harmless("answers-notifications");
    assert_eq!(messages.len(), 5, "{messages:#?}");
}

#[test]
fn a_server_that_floods_its_stderr_or_trickles_its_answers_is_waited_for() {
    for mischief in ["floods-stderr", "trickle", "crlf", "slow-start"] {
        let (messages, _) = harmless(mischief);
        assert_eq!(messages.len(), 5, "{mischief}: {messages:#?}");
    }
}

#[test]
fn an_answer_that_is_too_large_ends_its_call_and_no_other() {
    let (room, server, gate) = misbehaving(OPEN, "oversized");
    let mut client = begun(&gate);
    for _ in 0..2 {
        let failed = client.call("echo", json!({"text": "hi"}));
        assert!(failed.is_tool_error(), "{}", failed.raw);
        assert_eq!(failed.reason(), Some("too_large"));
    }
    assert_eq!(client.request("ping", json!({})).error_code(), None);
    assert_eq!(server.log().calls().len(), 2);
    assert_eq!(recorded(client, &room).statuses(), ["unknown", "unknown"]);
}

#[test]
fn answers_that_cannot_be_read_end_their_calls_at_the_deadline() {
    for mischief in ["wrong-ids", "duplicate-keys", "bad-utf8", "no-result"] {
        let (room, server, gate) = misbehaving(IMPATIENT, mischief);
        let mut client = begun(&gate);
        let failed = client.call("echo", json!({"text": "hi"}));
        assert_eq!(failed.reason(), Some("deadline"), "{mischief}: {}", failed.raw);
        assert_eq!(client.request("ping", json!({})).error_code(), None, "{mischief}");
        assert_eq!(server.log().calls().len(), 1);
        assert_eq!(recorded(client, &room).statuses(), ["unknown"], "{mischief}");
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline_and_told() {
    let (room, server, gate) = misbehaving(IMPATIENT, "never-answers");
    let mut client = begun(&gate);
    let began = Instant::now();
    let ids: Vec<u64> = (0..5)
        .map(|_| client.start_call("echo", json!({"text": "hi"})))
        .collect();
    for id in &ids {
        let failed = client.answer(*id);
        assert!(failed.is_tool_error());
        assert_eq!(failed.reason(), Some("deadline"), "{}", failed.raw);
        assert!(
            failed.text().contains("may still be running"),
            "{}",
            failed.text()
        );
    }
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(4),
        "{took:?}"
    );
    server.log().wait_until(Duration::from_secs(5), |log| {
        log.of_method("notifications/cancelled").len() == 5
    });
    let cancelled = server.log().of_method("notifications/cancelled");
    assert!(
        cancelled
            .iter()
            .all(|note| ids.iter().any(|id| note["params"]["requestId"] == *id)),
        "{cancelled:#?}"
    );
    let record = recorded(client, &room);
    assert_eq!(record.statuses(), ["unknown"; 5]);
    assert!(
        record
            .outcomes()
            .iter()
            .all(|outcome| outcome.settlement.as_str() == "kept")
    );
}

#[test]
fn a_server_that_does_not_even_list_its_tools_denies_its_calls() {
    // Its handshake is never answered either; the client goes on regardless.
    let (room, server, gate) = misbehaving(OPEN, "mute");
    let mut client = gate.stdio();
    let id = client.start_call("echo", json!({"text": "hi"}));
    server.log().wait_until(Duration::from_secs(5), |log| {
        log.of_method("tools/list").len() == 1
    });
    assert_eq!(client.count_of(id), 0);
    let began = Instant::now();
    client.close_stdin();
    client.ended();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(server.log().calls(), Vec::<Value>::new());
    assert_eq!(Record::of(&room).intents().len(), 0);
}

#[test]
fn a_server_that_dies_mid_call_answers_what_is_pending_and_passes_on_its_code() {
    for mischief in ["dies", "dies-mid-answer"] {
        let (room, _server, gate) = misbehaving(OPEN, mischief);
        let mut client = begun(&gate);
        let pending = client.start_call("sleep", json!({"ms": 60_000}));
        let fatal = client.start_call("echo", json!({"text": "hi"}));
        let [first, second] = [pending, fatal].map(|id| {
            let failed = client.answer(id);
            assert!(failed.is_tool_error(), "{mischief}: {}", failed.raw);
            assert_eq!(failed.reason(), Some("upstream_unreachable"));
            failed.text()
        });
        // The first may be what killed it; then the second has perhaps not left.
        assert!(first.contains("may have run"), "{first}");
        assert!(
            second.contains("may have run") || second.contains("the server has ended"),
            "{second}"
        );
        assert_eq!(client.ended().code(), Some(3), "{mischief}");
        let record = Record::of(&room);
        record.assert_one_outcome_each();
        assert!(
            record
                .statuses()
                .iter()
                .all(|status| matches!(*status, "unknown" | "unreachable" | "cancelled")),
            "{mischief}: {record:?}"
        );
    }
}

#[test]
fn a_server_that_ends_at_once_ends_the_run_with_its_code() {
    let (_room, _server, gate) = misbehaving(OPEN, "exits-at-once");
    let mut process = gate.start(&[]);
    assert_eq!(process.ended().code(), Some(7));
}

#[test]
fn the_run_ends_with_its_server_when_the_client_leaves_and_nothing_is_orphaned() {
    for mischief in [None, Some("stubborn"), Some("grandchild")] {
        let (_room, server, gate) = before(OPEN, |room| match mischief {
            Some(mischief) => StdioServer::echo(room).mischief(mischief),
            None => StdioServer::echo(room),
        });
        let mut client = begun(&gate);
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
        let note = |word: &str| {
            server
                .log()
                .notes_of(word)
                .iter()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        };
        let pids = [note("pid"), note("grandchild")].concat();
        assert!(
            pids.iter().all(|pid| is_alive(*pid)) && !pids.is_empty(),
            "{pids:?}"
        );
        client.close_stdin();
        client.ended();
        for pid in pids {
            assert!(
                is_gone_within(pid, Duration::from_secs(2)),
                "{mischief:?}: {pid} is still there"
            );
        }
    }
}

#[test]
fn a_signal_ends_the_server_too() {
    for (signal, code) in [
        (rustix::process::Signal::TERM, 143),
        (rustix::process::Signal::INT, 130),
    ] {
        let (room, server, gate) = before(OPEN, StdioServer::echo);
        let mut client = begun(&gate);
        client.start_call("sleep", json!({"ms": 60_000}));
        server
            .log()
            .wait_until(Duration::from_secs(5), |log| log.calls().len() == 1);
        let pid: u32 = server.log().notes_of("pid")[0].parse().unwrap();
        client.signal(signal);
        assert_eq!(client.ended().code(), Some(code));
        assert!(is_gone_within(pid, Duration::from_secs(2)));
        let record = Record::of(&room);
        record.assert_one_outcome_each();
        assert_eq!(record.statuses(), ["unknown"]);
    }
}

#[test]
fn a_server_is_killed_with_a_gate_that_is_killed() {
    let (room, server, gate) = before(OPEN, StdioServer::echo);
    let mut client = begun(&gate);
    client.call("echo", json!({"text": "hi"}));
    let pid: u32 = server.log().notes_of("pid")[0].parse().unwrap();
    client.kill9();
    // Its stdin is closed by the kernel, which ends every well-behaved server.
    assert!(is_gone_within(pid, Duration::from_secs(5)));
    assert!(state(&room).join("callgate.db").exists());
}

#[test]
fn a_late_answer_is_recorded_and_not_shown() {
    let (room, _server, gate) = before(IMPATIENT, |room| script(room, "late.py"));
    let mut client = begun(&gate);
    let failed = client.call("echo", json!({}));
    assert_eq!(failed.reason(), Some("deadline"), "{}", failed.raw);
    let record = Record::once(&room, "the late answer is recorded", |record| record.has("late"));
    assert_eq!(record.statuses(), ["unknown"]);
    assert_eq!(client.messages().len(), 2, "{:#?}", client.messages());
}

#[test]
fn progress_keeps_a_call_alive_beyond_its_deadline() {
    let (_room, _server, gate) = before(IMPATIENT, StdioServer::echo);
    let mut client = begun(&gate);
    let params =
        json!({"name": "progress", "arguments": {"steps": 4, "ms": 450}, "_meta": {"progressToken": "p"}});
    let done = client.request("tools/call", params);
    assert_eq!(done.text(), "done");
    let steps = client
        .messages()
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .count();
    assert_eq!(steps, 4);
}

#[test]
fn a_server_that_does_not_read_any_more_leaves_no_call_without_an_answer() {
    let (room, _server, gate) = before(IMPATIENT, |room| script(room, "deaf.py"));
    let mut client = begun(&gate);
    // More than the pipe to the server and the queue before it hold.
    let text = "x".repeat(8_192);
    let ids: Vec<u64> = (0..400)
        .map(|_| client.start_call("echo", json!({"text": text})))
        .collect();
    for id in ids {
        let failed = client.answer(id);
        assert!(failed.is_tool_error(), "{}", failed.raw);
    }
    let record = until("all outcomes are written", || {
        Some(Record::of(&room)).filter(Record::is_settled)
    });
    record.assert_one_outcome_each();
    client.kill9();
}
