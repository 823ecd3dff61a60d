//! Ways in which a call or a list would have passed unjudged.

use crate::support::{OPEN, before, before_echo, begun, call, cancel, recorded, request};
use callgate_testkit::{Answer, Room, Script, Stdio, StdioServer};
use serde_json::{Value, json};
use std::time::Duration;

const SAFE_ALONE: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}}\n";

/// A call in a batch that says by itself what version it is of.
fn versioned(id: u64, tool: &str, arguments: &Value) -> Value {
    let mut call = call(id, tool, arguments);
    call["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    call
}

/// Waits until all that was sent before is dealt with.
fn settle(client: &mut Stdio) {
    client.call("echo", json!({"text": "last"}));
}

#[test]
fn an_element_of_a_batch_is_not_judged_by_another_that_carries_its_id() {
    let safe = json!({"text": "hi"});
    let danger = json!({"a": 1, "b": 2, "text": "hi"});
    let batches = [
        json!([versioned(1, "echo", &safe), call(1, "add", &danger)]),
        json!([call(1, "add", &danger), versioned(1, "echo", &safe)]),
        json!([versioned(1, "add", &danger), call(1, "echo", &safe)]),
        json!([call(1, "echo", &safe), versioned(1, "add", &danger)]),
        json!([call(1, "echo", &safe), call(1, "add", &danger)]),
        json!([call(1, "add", &danger), call(1, "echo", &safe)]),
    ];
    for batch in batches {
        let (room, server, gate) = before_echo(SAFE_ALONE);
        let mut client = begun(&gate, "2025-03-26");
        client.send(&batch.to_string());
        settle(&mut client);
        assert_eq!(server.log().calls_of("add"), Vec::<Value>::new(), "{batch}");
        let lines = client.lines().join("\n");
        assert!(!lines.contains(r#""text":"3""#), "{batch}: {lines}");
        let record = recorded(client, &room);
        assert_eq!(record.intents().len(), server.log().calls().len(), "{batch}");
    }
}

#[test]
fn a_list_under_the_id_of_a_cancelled_call_shows_nothing_hidden() {
    let (room, server, gate) = before_echo("version: \"1\"\ndefault: allow\nhide: [add]\ntools: {}\n");
    for has_left in [true, false] {
        let mut client = begun(&gate, "2025-06-18");
        // The list is at hand, so the call leaves at once.
        settle(&mut client);
        let calls = server.log().calls().len();
        client.send(&call(77, "sleep", &json!({"ms": 700})).to_string());
        if has_left {
            server
                .log()
                .wait_until(Duration::from_secs(5), |log| log.calls().len() > calls);
        }
        client.send(&cancel(77));
        client.send(&request(77, "tools/list", &json!({})).to_string());
        if has_left {
            let refused = client.answer(Value::Null);
            assert_eq!(refused.reason(), Some("id_in_flight"), "{}", refused.raw);
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(client.count_of(77), 0);
        } else {
            std::thread::sleep(Duration::from_secs(1));
        }
        settle(&mut client);
        let lists = client.messages().into_iter().filter(|answer| answer["id"] == 77);
        for list in lists {
            let names = Answer::of(&list.to_string()).tool_names();
            assert!(names.contains(&"echo".to_owned()), "{list}");
            assert!(!names.contains(&"add".to_owned()), "{list}");
        }
        recorded(client, &room);
    }
}

#[test]
fn a_list_that_counts_against_a_limit_is_filtered_as_ever() {
    let policy = "version: \"1\"\ndefault: allow\nhide: [add]\ntools: {}\nmethods:\n  tools/list:\n    limits: [{counter: lists, window: hour, max: 2, scope: server}]\n";
    let (_room, _server, gate) = before_echo(policy);
    let mut client = begun(&gate, "2025-06-18");
    for _ in 0..2 {
        let names = client.request("tools/list", json!({})).tool_names();
        assert!(names.contains(&"echo".to_owned()), "{names:?}");
        assert!(!names.contains(&"add".to_owned()), "{names:?}");
    }
    let refused = client.request("tools/list", json!({}));
    assert_eq!(refused.reason(), Some("rate_limited"), "{}", refused.raw);
}

fn changing(room: &Room) -> StdioServer {
    let script = Script::path("changing.py").into_os_string();
    StdioServer::command(room, ["python3".into(), script])
}

#[test]
fn a_list_that_changed_while_it_was_read_judges_no_later_call() {
    let (_room, _server, gate) = before(OPEN, |room| changing(room).arg("early"));
    let mut client = begun(&gate, "2025-06-18");
    assert_eq!(client.call("stays", json!({})).text(), "it ran");
    let denied = client.call("gone", json!({}));
    assert!(denied.is_denied(), "{}", denied.raw);
    assert_eq!(client.call("stays", json!({})).text(), "it ran");
}

#[test]
fn an_outdated_list_judges_no_call_while_the_next_one_is_read() {
    let (_room, _server, gate) = before(OPEN, changing);
    let mut client = begun(&gate, "2025-06-18");
    assert_eq!(client.call("gone", json!({})).text(), "it ran");
    assert_eq!(client.call("retire", json!({})).text(), "it ran");
    let stays = client.start_call("stays", json!({}));
    // The list takes a second.
    std::thread::sleep(Duration::from_millis(300));
    let gone = client.start_call("gone", json!({}));
    let denied = client.answer(gone);
    assert!(denied.is_denied(), "{}", denied.raw);
    assert_eq!(client.answer(stays).text(), "it ran");
}

#[test]
fn a_list_that_changed_while_it_was_read_denies_no_call_that_waited_for_it() {
    let (_room, _server, gate) = before(OPEN, |room| changing(room).arg("early"));
    let mut client = begun(&gate, "2025-06-18");
    let ids: Vec<u64> = (0..5).map(|_| client.start_call("stays", json!({}))).collect();
    for id in ids {
        assert_eq!(client.answer(id).text(), "it ran");
    }
}

#[test]
fn one_element_of_a_batch_that_is_cancelled_takes_no_other_answer_with_it() {
    let (room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate, "2025-03-26");
    let batch = json!([
        call(11, "sleep", &json!({"ms": 60_000})),
        call(12, "echo", &json!({"text": "hi"}))
    ]);
    client.send(&batch.to_string());
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 2);
    client.send(&cancel(11));
    let answers = crate::support::until("the rest of the batch is answered", || {
        client
            .messages()
            .into_iter()
            .find_map(|message| message.as_array().cloned())
    });
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(12)], "{answers:#?}");
    let mut statuses = recorded(client, &room).statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, ["cancelled", "ok"]);
}
