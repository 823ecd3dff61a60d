//! Beginnings and ends: of a session, a grant, the child, a configuration, the gateway.

use super::{House, done, park, release, said, soon, state_of};
use crate::support::{Record, until};
use crate::team::{Team, initialize};
use callgate_testkit::client::http::Stream;
use callgate_testkit::process::{is_alive, is_gone_within, kill9, signal};
use callgate_testkit::{Http, PATIENCE};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn the_death_of_the_child_ends_each_call_once_and_the_next_session_starts_another() {
    let house = House::new();
    let team = house.serve();
    let mut clients: Vec<Http> = [&house.ana, &house.bob, &house.ana]
        .map(|token| team.begun("desk", token))
        .into();
    let names = ["a", "b", "c"];
    let streams: Vec<Stream> = clients
        .iter_mut()
        .zip(names)
        .map(|(client, name)| park(client, name))
        .collect();
    house.parked(&names);
    kill9(house.pids()[0]);
    for stream in streams {
        let messages = stream.rest().messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(
            messages[0].reason(),
            Some("upstream_unreachable"),
            "{}",
            messages[0].raw
        );
    }
    for client in &mut clients {
        let status = until("the session has ended", || {
            let status = client.reply("ping", json!({})).status;
            (status != 200).then_some(status)
        });
        assert_eq!(status, 404);
    }
    let mut again = team.begun("desk", &house.bob);
    assert_eq!(again.call("echo", json!({"text": "again"})).text(), "again");
    assert_eq!(house.pids().len(), 2);
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    let unknown = record
        .statuses()
        .iter()
        .filter(|status| **status == "unknown")
        .count();
    assert_eq!(unknown, 3, "{:?}", record.statuses());
    record.assert_one_outcome_each();
}

#[test]
fn a_child_that_never_begins_is_left_alone_for_all_callers_together() {
    let mut house = House::new();
    let started = house.stage.room.at("started");
    let line = format!("echo x >> {}; exit 1", started.display());
    house.stage.config["servers"]["desk"]["command"] = json!(["/bin/sh", "-c", line]);
    let team = house.serve();
    let starts = || {
        std::fs::read_to_string(&started)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let begin = Instant::now();
    for _ in 0..6 {
        for token in [&house.ana, &house.bob] {
            let reply = team.client("desk", token).post(&initialize());
            let said = &reply.body;
            assert!(
                said.contains("ended before it answered") || said.contains("left alone"),
                "{reply:?}"
            );
        }
    }
    let spent = begin.elapsed();
    // Three failures, then one attempt after a pause of one second, and so on.
    let expected = 3 + usize::try_from(spent.as_secs()).unwrap() + 1;
    assert!((3..=expected).contains(&starts()), "{} in {spent:?}", starts());
    let mut notes = team.begun("notes", &house.ana);
    assert_eq!(notes.call("echo", json!({"text": "x"})).text(), "x");
}

#[test]
fn a_child_that_refuses_to_begin_says_why_to_each_client() {
    let mut house = House::new();
    let script = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    error = {"code": -32000, "message": "no key for this service"}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
"#;
    house.stage.config["servers"]["desk"]["command"] = json!(["python3", "-c", script]);
    let team = house.serve();
    for token in [&house.ana, &house.bob] {
        let reply = team.client("desk", token).post(&initialize());
        assert!(reply.body.contains("no key for this service"), "{reply:?}");
    }
}

#[test]
fn a_child_that_dies_over_the_question_for_its_era_is_asked_otherwise_the_next_time() {
    let mut house = House::new();
    let script = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "server/discover":
        sys.exit(1)
    if "id" in message:
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;
    house.stage.config["servers"]["desk"]["command"] = json!(["python3", "-c", script]);
    let team = house.serve();
    let first = team.client("desk", &house.ana).post(&initialize());
    assert!(first.body.contains("ended before it answered"), "{first:?}");
    let second = team.client("desk", &house.bob).post(&initialize());
    assert_eq!(second.answer().result()["protocolVersion"], "2025-06-18");
}

#[test]
fn a_child_that_stops_reading_is_ended_and_the_next_session_starts_another() {
    let mut house = House::new();
    let script = r##"
import json, os, sys, time
print(f"# pid {os.getpid()}", file=open(sys.argv[1], "a"), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {"tools": [{"name": "close", "inputSchema": {"type": "object"}}]}
    if message["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
    if message["method"] == "tools/call":
        result = {"content": [{"type": "text", "text": "closed"}]}
        os.close(0)
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    if message["method"] == "tools/call":
        time.sleep(300)
"##;
    house.stage.config["servers"]["desk"]["command"] = json!(["python3", "-c", script, house.log.path()]);
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    assert_eq!(ana.call("close", json!({})).text(), "closed");
    // That it reads no more is seen by what it is sent.
    let mut bob = until("another is started", || {
        let mut bob = team.client("desk", &house.bob);
        let begun = bob.post(&initialize());
        bob.set_session(begun.header("mcp-session-id"));
        (begun.status == 200 && bob.reply("tools/list", json!({})).status == 200 && house.pids().len() == 2)
            .then_some(bob)
    });
    assert_eq!(bob.call("close", json!({})).text(), "closed");
    assert!(is_gone_within(house.pids()[0], PATIENCE));
}

#[test]
fn a_session_that_ends_takes_its_own_calls_with_it_and_no_others() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut sister = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let gone = park(&mut ana, "gone");
    let stays = [park(&mut sister, "sister"), park(&mut bob, "bob")];
    house.parked(&["gone", "sister", "bob"]);
    assert!(matches!(ana.delete(), 200 | 202 | 204));
    let cancelled = house.cancellations();
    let of_ana = house
        .calls("park")
        .into_iter()
        .find(|call| call["params"]["arguments"]["name"] == "gone");
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0]["params"]["requestId"], of_ana.unwrap()["id"]);
    // Its answer comes all the same, for nobody.
    release(&mut bob, "gone");
    for (stream, name) in stays.into_iter().zip(["sister", "bob"]) {
        release(&mut bob, name);
        assert_eq!(stream.rest().answer().text(), format!("for {name}"));
    }
    assert!(!gone.rest().body.contains("for gone"));
    Record::once(&house.stage.room, "the stray answer is recorded", |record| {
        record.has("drop")
    });
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(house.pids().len(), 1);
}

#[test]
fn what_a_revoked_grant_has_asked_is_answered_to_nobody() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let mut listening = [&ana, &bob].map(Http::listen);
    for stream in &mut listening {
        assert_eq!(stream.status(), 200);
    }
    let of_ana = park(&mut ana, "ana");
    let of_bob = park(&mut bob, "bob");
    house.parked(&["ana", "bob"]);
    house.stage.grants(&["revoke", "ana"]);
    until("the child is told that nobody waits", || {
        (house.log.of_method("notifications/cancelled").len() == 1).then_some(())
    });
    release(&mut bob, "ana");
    release(&mut bob, "bob");
    assert_eq!(of_bob.rest().answer().text(), "for bob");
    assert!(!of_ana.rest().body.contains("for ana"));
    let [mut first, mut second] = listening;
    assert_eq!(said(&soon(&mut first)), Vec::<String>::new());
    assert_eq!(said(&soon(&mut second)), Vec::<String>::new());
    assert_eq!(ana.post(&initialize()).status, 401);
    assert_eq!(
        state_of(&mut bob)["pid"].as_u64(),
        Some(u64::from(house.pids()[0]))
    );
    assert_eq!(house.pids().len(), 1);
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    record.assert_one_outcome_each();
}

fn reloads(team: &Team) -> usize {
    let stderr = team.process.stderr();
    let said = |line: &&str| line.contains("the configuration was reloaded");
    stderr.lines().filter(said).count()
}

#[track_caller]
fn change(house: &House, team: &Team) {
    let before = reloads(team);
    let text = house.stage.config.to_string();
    let new = house.stage.room.write("callgate.yaml.new", &text);
    std::fs::rename(new, house.stage.room.at("callgate.yaml")).unwrap();
    until("the configuration is in force", || {
        (reloads(team) > before).then_some(())
    });
}

#[test]
fn a_reload_keeps_the_child_of_a_server_that_stays_and_ends_that_of_one_that_changes() {
    let mut house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let before = house.pids()[0];
    house.stage.config["hosts"] = json!(["gate.example.com"]);
    change(&house, &team);
    done(&mut ana, "change", json!({"list": "tools"}));
    assert_eq!(state_of(&mut bob)["pid"].as_u64(), Some(u64::from(before)));
    // What was begun is still answered, and the process ends with the last session that leads to it.
    let stream = park(&mut ana, "a");
    house.parked(&["a"]);
    let started = house.pids().len();
    house.stage.config["servers"]["desk"]["env"] = json!({"OTHER": "1"});
    change(&house, &team);
    let mut later = team.begun("desk", &house.bob);
    let after = state_of(&mut later)["pid"].clone();
    assert_ne!(after.as_u64(), Some(u64::from(before)));
    assert_eq!(house.pids().len(), started + 1);
    assert!(is_gone_within(before, PATIENCE));
    assert_eq!(stream.rest().status, 502);
    // One that is taken away ends too.
    let last = house.pids()[1];
    house.stage.config["servers"]
        .as_object_mut()
        .unwrap()
        .remove("desk");
    change(&house, &team);
    assert!(is_gone_within(last, PATIENCE));
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    record.assert_one_outcome_each();
}

#[test]
fn the_end_of_the_gateway_answers_what_is_open_and_leaves_no_child() {
    let house = House::new();
    let mut team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let stream = park(&mut ana, "a");
    house.parked(&["a"]);
    let connection = bob.open_call("release", json!({"name": "a", "text": "for a"}));
    assert_eq!(connection.rest().answer().text(), "done");
    team.process.signal(Signal::TERM);
    assert_eq!(stream.rest().answer().text(), "for a");
    team.process.ended();
    assert!(is_gone_within(house.pids()[0], Duration::from_secs(5)));
    assert_eq!(house.pids().len(), 1);
    Record::of(&house.stage.room).assert_one_outcome_each();
}

#[test]
fn a_child_that_keeps_running_is_ended_with_the_gateway() {
    let house = House::new();
    let mut team = house.serve();
    let ana = team.begun("desk", &house.ana);
    assert!(matches!(ana.delete(), 200 | 202 | 204));
    assert!(is_alive(house.pids()[0]), "it stays for the next session");
    let mut bob = team.begun("desk", &house.bob);
    let _parked = park(&mut bob, "b");
    house.parked(&["b"]);
    signal(house.pids()[0], Signal::STOP);
    team.process.signal(Signal::TERM);
    team.process.ended();
    assert!(is_gone_within(house.pids()[0], PATIENCE));
    assert_eq!(house.pids().len(), 1);
    Record::of(&house.stage.room).assert_one_outcome_each();
}

#[test]
fn a_session_that_floods_the_child_delays_the_others_by_its_turn_alone() {
    const FLOOD: usize = 120;
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    assert_eq!(bob.call("echo", json!({"text": "x"})).text(), "x");
    assert_eq!(ana.call("echo", json!({"text": "x"})).text(), "x");
    // While it reads nothing, what it is sent waits at the gateway.
    signal(house.pids()[0], Signal::STOP);
    let text = "flood".repeat(20_000);
    let flood: Vec<Stream> = (0..FLOOD)
        .map(|_| ana.open_call("echo", json!({"text": text})))
        .collect();
    Record::once(&house.stage.room, "the flood was let in", |record| {
        record.intents().len() >= FLOOD + 2
    });
    let call = bob.open_call("echo", json!({"text": "of bob"}));
    Record::once(&house.stage.room, "the call was let in", |record| {
        record.intents().len() >= FLOOD + 3
    });
    signal(house.pids()[0], Signal::CONT);
    assert_eq!(call.rest().answer().text(), "of bob");
    for stream in flood {
        assert_eq!(stream.rest().answer().text(), text);
    }
    let calls = house.calls("echo");
    let place = calls
        .iter()
        .position(|call| call["params"]["arguments"]["text"] == "of bob");
    // Two calls of before, what is in the pipe, and one turn.
    assert!(place.unwrap() <= 8, "{place:?} of {}", calls.len());
}

#[test]
fn a_session_that_reads_nothing_holds_up_nobody() {
    let house = House::new();
    let team = house.serve();
    let ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let mut unread = ana.listen();
    assert_eq!(unread.status(), 200);
    let change = json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed",
        "params": {"_meta": {"pad": "x".repeat(10_000)}}})
    .to_string();
    let lines = vec![change; 200];
    // 10 MB for a client that takes none of it.
    for round in 0..5 {
        done(&mut bob, "emit", json!({"lines": lines}));
        let text = format!("{round}");
        assert_eq!(bob.call("echo", json!({"text": text})).text(), text);
    }
    drop(unread);
}
