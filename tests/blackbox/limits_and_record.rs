//! Invariants: a limit is never exceeded, and no call without a record; over many processes, and through
//! `kill -9` at any moment.

use crate::support::{Record, before_echo, gate, state};
use callgate_store::Reader;
use callgate_testkit::{Gate, Room, ServerLog, Stdio, StdioServer, build};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

fn begun(gate: &Gate) -> Stdio {
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client
}

/// The bundled server with a log of its own, behind a gate that counts it as the same server as the others.
fn one_of_many(room: &Room, policy: &str, number: usize, args: &[&str]) -> (Gate, ServerLog) {
    let log = room.at(&format!("server-{number}.log"));
    let mut server = StdioServer::command(room, [build("testkit-echo")])
        .arg("--log")
        .arg(&log);
    for arg in args {
        server = server.arg(*arg);
    }
    (
        gate(room, policy).before(&server).flags(&["--server", "shared"]),
        ServerLog::at(log),
    )
}

#[test]
fn limits_are_never_exceeded_by_eight_processes_on_one_state_folder() {
    const PROCESSES: usize = 8;
    const CALLS: usize = 200;
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  echo: {rules: [{rate_limit: 100/hour}]}\n";
    let room = Room::new();
    let many: Vec<_> = (0..PROCESSES)
        .map(|number| one_of_many(&room, policy, number, &[]))
        .collect();
    let passed: usize = std::thread::scope(|scope| {
        let run = |gate: &Gate| {
            let mut client = begun(gate);
            let ids: Vec<u64> = (0..CALLS)
                .map(|_| client.start_call("echo", json!({"text": "hi"})))
                .collect();
            let mut passed = 0;
            for id in ids {
                let answer = client.answer(id);
                if answer.is_tool_error() {
                    assert_eq!(answer.reason(), Some("rate_limited"), "{}", answer.raw);
                    assert!(answer.text().contains("try again in"), "{}", answer.text());
                } else {
                    passed += 1;
                }
            }
            client.close_stdin();
            client.ended();
            passed
        };
        let runs: Vec<_> = many
            .iter()
            .map(|(gate, _)| scope.spawn(move || run(gate)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert_eq!(passed, 100);
    let received: usize = many.iter().map(|(_, log)| log.calls().len()).sum();
    assert_eq!(received, 100, "exactly the limit reaches the servers");
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    assert_eq!(record.intents().len(), 100);
    assert_eq!(
        record.denials_counted(),
        (PROCESSES * CALLS - 100) as u64,
        "every denial is recorded or counted"
    );
}

#[test]
fn no_call_without_a_record_and_no_limit_exceeded_through_fifty_kills() {
    const THREADS: usize = 2;
    const KILLS: usize = 25;
    const CALLS: usize = 12;
    const LIMIT: usize = 300;
    let policy = format!(
        "version: \"1\"\ndefault: allow\nall_tools:\n  limits: [{{counter: all, window: hour, max: {LIMIT}, scope: server}}]\n"
    );
    let tools = THREADS * KILLS * CALLS;
    let room = Room::new();
    let tools = ["--tools".to_owned(), tools.to_string()];
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    let many: Vec<_> = (0..THREADS)
        .map(|thread| one_of_many(&room, &policy, thread, &tools))
        .collect();
    std::thread::scope(|scope| {
        for (thread, (gate, _)) in many.iter().enumerate() {
            scope.spawn(move || {
                for kill in 0..KILLS {
                    let mut client = begun(gate);
                    // Each call names a tool of its own, so that its intent can be told.
                    for call in 0..CALLS {
                        let number = (thread * KILLS + kill) * CALLS + call;
                        client.start_call(&format!("tool_{number:04}"), json!({"text": "hi"}));
                    }
                    let random = RandomState::new().hash_one((thread, kill));
                    if random.is_multiple_of(3) {
                        client.answer(2 + random % CALLS as u64);
                    } else {
                        std::thread::sleep(Duration::from_micros(random % 120_000));
                    }
                    client.kill9();
                }
            });
        }
    });
    // Whoever comes next closes what the killed ones left open.
    let mut client = begun(&many[0].0);
    client.tools();
    client.close_stdin();
    client.ended();
    let received: Vec<String> = many
        .iter()
        .flat_map(|(_, log)| log.calls())
        .map(|call| call["params"]["name"].as_str().unwrap().to_owned())
        .collect();
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    let mut intents: HashMap<String, usize> = HashMap::new();
    for intent in record.intents() {
        *intents
            .entry(intent.tool.as_ref().unwrap().to_string())
            .or_default() += 1;
    }
    assert!(
        received.len() > 20,
        "the load was too light to prove anything: {}",
        received.len()
    );
    for tool in &received {
        assert_eq!(intents.get(tool), Some(&1), "the server received {tool}");
    }
    assert_eq!(
        received.iter().collect::<HashSet<_>>().len(),
        received.len(),
        "no call is repeated"
    );
    assert!(intents.len() <= LIMIT, "{} calls were admitted", intents.len());
}

#[test]
fn a_limit_outlives_the_process_and_a_reload_of_the_same_policy() {
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  echo: {rules: [{rate_limit: 3/hour}]}\n";
    let (room, server, first) = before_echo(policy);
    let mut client = begun(&first);
    for _ in 0..2 {
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    client.kill9();
    let reworded = policy.replace("tools:", "description: the same\ntools:");
    let mut client = begun(&gate(&room, &reworded).before(&server));
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(
        client.call("echo", json!({"text": "hi"})).reason(),
        Some("rate_limited")
    );
    assert_eq!(server.log().calls().len(), 3);
}

#[test]
fn amounts_never_refill_a_budget() {
    let policy = r#"
version: "1"
default: allow
tools:
  mirror: {limits: [{counter: spent, window: hour, max: 10, amount: args.amount, scope: server}]}
"#;
    let (_room, server, gate) = before_echo(policy);
    let mut client = begun(&gate);
    assert!(!client.call("mirror", json!({"amount": 9.5})).is_denied());
    for wrong in [
        "-5", "-0.0001", "1e300", "\"-5\"", "null", "[]", "1e999999", "true",
    ] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":"w","method":"tools/call","params":{{"name":"mirror","arguments":{{"amount":{wrong}}}}}}}"#
        );
        let before = client.lines().len();
        client.send(&line);
        let answer = crate::support::until("an answer", || client.messages().into_iter().nth(before));
        let is_refused = answer["result"]["isError"] == true || answer.get("error").is_some();
        assert!(is_refused, "{wrong}: {answer}");
    }
    assert!(client.call("mirror", json!({})).is_denied());
    assert!(
        client.call("mirror", json!({"amount": 0.6})).is_denied(),
        "nothing was refilled"
    );
    assert!(
        !client.call("mirror", json!({"amount": 0.5})).is_denied(),
        "and nothing was taken"
    );
    assert_eq!(server.log().calls().len(), 2);
}

#[test]
fn gates_with_different_windows_on_one_counter_forget_nothing_that_either_needs() {
    let policy = |window: &str, max: u32| {
        format!(
            "version: \"1\"\ndefault: deny\ntools:\n  echo: {{limits: [{{counter: n, scope: server, window: {window}, max: {max}}}]}}\n"
        )
    };
    let room = Room::new();
    let started = |number, text: &str| {
        let (gate, _log) = one_of_many(&room, text, number, &[]);
        begun(&gate.flags(&["--reload", "off"]))
    };
    let mut short = started(0, &policy("1s", 100));
    let mut long = started(1, &policy("1h", 3));
    let passes = |client: &mut Stdio| !client.call("echo", json!({"text": "hi"})).is_denied();
    assert!(passes(&mut short) && passes(&mut short));
    std::thread::sleep(Duration::from_millis(1_100));
    // This look is through the short window, in which nothing is left.
    assert!(passes(&mut short));
    assert!(!passes(&mut long), "three calls were within the hour");
}

#[test]
fn concurrent_calls_are_capped_and_the_place_is_given_back() {
    let policy =
        "version: \"1\"\ndefault: allow\ntools:\n  sleep: {limits: [{concurrent: 2, scope: server}]}\n";
    let (_room, server, gate) = before_echo(policy);
    let mut client = begun(&gate);
    let long: Vec<u64> = (0..2)
        .map(|_| client.start_call("sleep", json!({"ms": 700})))
        .collect();
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 2);
    assert_eq!(
        client.call("sleep", json!({"ms": 1})).reason(),
        Some("concurrency_limited")
    );
    for id in long {
        assert_eq!(client.answer(id).text(), "slept");
    }
    // The place is free once the outcome is written, which the answer does not wait for.
    crate::support::until("a place is free", || {
        (!client.call("sleep", json!({"ms": 1})).is_denied()).then_some(())
    });
}

#[test]
fn a_store_that_cannot_be_written_denies_instead_of_forwarding() {
    let (room, server, gate) = before_echo(crate::support::OPEN);
    let mut client = begun(&gate);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    // Another program holds the database for longer than a call may wait.
    let database = rusqlite::Connection::open(state(&room).join("callgate.db")).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let denied = client.call("echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("store_unavailable"), "{}", denied.raw);
    assert_eq!(server.log().calls().len(), 1);
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);
    crate::support::until("the store is back", || {
        (!client.call("echo", json!({"text": "hi"})).is_denied()).then_some(())
    });
    let calls = server.log().calls().len();
    assert_eq!(calls, 2);
    client.close_stdin();
    client.ended();
    Record::of(&room).assert_one_outcome_each();
    assert!(
        Reader::open(&state(&room))
            .unwrap()
            .last_checkpoint()
            .unwrap()
            .is_some()
    );
}
