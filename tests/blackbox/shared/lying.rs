//! A child that lies: it answers under any id it has seen or can guess, twice and too late, swaps tokens, and answers
//! what asks nothing.

use super::{House, done, park, release, said, soon, state_of};
use crate::support::Record;
use callgate_testkit::client::http::Stream;
use callgate_testkit::{Answer, Http};
use serde_json::{Value, json};

fn result(id: &str, name: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"for {name}"}}]}}}}"#)
}

fn progress(token: &str, name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,"message":"for {name}"}}}}"#
    )
}

/// What a name may be spelt as that it is not.
fn misspelt(place: &str) -> Vec<String> {
    vec![
        format!(r#"[{place}]"#),
        format!(r#"{{"a":{place}}}"#),
        "null".to_owned(),
        "1".to_owned(),
        "\"1\"".to_owned(),
        "\"p\"".to_owned(),
        "\"callgate-0000000000000000-1\"".to_owned(),
    ]
}

/// The same numbers each time, without order.
fn shuffled(mut lines: Vec<String>, seed: usize) -> Vec<String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    for at in (1..lines.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        lines.swap(at, (state >> 33) % (at + 1));
    }
    lines
}

#[test]
fn whatever_a_child_says_under_whatever_name_nobody_gets_what_is_for_another() {
    let house = House::new();
    let team = house.serve();
    let mut liar = team.begun("desk", &house.ana);
    let tokens = [&house.ana, &house.bob];
    let mut clients: Vec<Http> = (0..6).map(|at| team.begun("desk", tokens[at % 2])).collect();
    let mut listening: Vec<Stream> = clients.iter().map(Http::listen).collect();
    for stream in &mut listening {
        assert_eq!(stream.status(), 200);
    }
    for round in 0..6 {
        let names: Vec<String> = (0..clients.len()).map(|at| format!("n{round}x{at}")).collect();
        let mut streams: Vec<Stream> = clients
            .iter_mut()
            .zip(&names)
            .map(|(client, name)| park(client, name))
            .collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        house.parked(&borrowed);
        let mut lines = Vec::new();
        for name in &names {
            let (id, token) = (format!("{{id:{name}}}"), format!("{{token:{name}}}"));
            // The token of one, told twice, and its answer three times, amid what is nobody's.
            lines.extend([progress(&token, name), progress(&token, name)]);
            lines.extend([result(&id, name), result(&id, name), result(&id, name)]);
            lines.push(progress(&id, name));
            for wrong in misspelt(&id) {
                lines.extend([result(&wrong, "nobody"), progress(&wrong, "nobody")]);
            }
            lines.push(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"error","data":"for {name}"}}}}"#
            ));
            lines.push(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/vendor","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}},"for":"{name}"}}}}"#
            ));
            lines.push(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{{"taskId":"for {name}"}}}}"#
            ));
            lines.push(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"for {name}"}}}}"#
            ));
        }
        done(&mut liar, "emit", json!({"lines": shuffled(lines, round)}));
        for (stream, name) in streams.drain(..).zip(&names) {
            let messages = stream.rest().messages();
            let answer = messages.last().expect("an answer");
            assert_eq!(answer.text(), format!("for {name}"));
            assert_eq!(answer.json["id"].as_u64(), Some(round as u64 + 1));
            for message in &messages {
                assert!(is_for(message, name), "{name}: {}", message.raw);
            }
        }
        // Its parked requests are answered; the server forgets them only when it is told to.
        for name in &names {
            release(&mut liar, name);
        }
    }
    for stream in &mut listening {
        assert_eq!(said(&soon(stream)), Vec::<String>::new());
    }
    // Everybody still gets what is theirs.
    for (at, client) in clients.iter_mut().enumerate() {
        let text = format!("still {at}");
        assert_eq!(client.call("echo", json!({"text": text})).text(), text);
    }
    let record = Record::once(&house.stage.room, "all is settled", Record::is_settled);
    record.assert_one_outcome_each();
    assert!(record.has("drop"), "what nobody has asked for is recorded");
    assert!(
        record.statuses().iter().all(|status| *status == "ok"),
        "{:?}",
        record.statuses()
    );
    assert_eq!(house.pids().len(), 1);
}

/// Whether a message is of a request's own, under its own names.
fn is_for(message: &Answer, name: &str) -> bool {
    let own = format!("for {name}");
    match message.json["method"].as_str() {
        Some("notifications/progress") => {
            message.json["params"]["message"] == own && message.json["params"]["progressToken"] == "p"
        }
        Some(_) => false,
        None => message.text() == own,
    }
}

#[test]
fn an_answer_that_comes_before_its_question_is_nobodys() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let _parked = park(&mut ana, "a");
    house.parked(&["a"]);
    let known = house.calls("park")[0]["id"].as_str().unwrap().to_owned();
    let (head, count) = known.rsplit_once('-').unwrap();
    let count: u64 = count.parse().unwrap();
    // The child can guess under which ids the next requests will come.
    let early: Vec<String> = (count + 2..count + 40)
        .map(|next| result(&format!("\"{head}-{next}\""), "nobody"))
        .collect();
    done(&mut ana, "emit", json!({"lines": early}));
    for round in 0..5 {
        let text = format!("true {round}");
        assert_eq!(bob.call("echo", json!({"text": text})).text(), text);
    }
    release(&mut bob, "a");
    Record::once(&house.stage.room, "all is settled", Record::is_settled).assert_one_outcome_each();
}

#[test]
fn a_child_that_answers_notifications_and_speaks_no_json_disturbs_nobody() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let mut stream = park(&mut bob, "b");
    house.parked(&["b"]);
    let noise = [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"of a notification"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"of a notification"}}"#,
        "no json",
        "{\"jsonrpc\":\"2.0\",\"id\":",
        r#"{"jsonrpc":"2.0","id":{id:b},"id":{id:b},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":{id:b}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody's"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated"}"#,
        r#"[{"jsonrpc":"2.0","id":"x","result":{}},{"jsonrpc":"2.0","id":"y","result":{}}]"#,
    ];
    done(&mut ana, "emit", json!({"lines": noise}));
    assert!(stream.event_within(super::SILENCE).is_none());
    release(&mut ana, "b");
    assert_eq!(stream.rest().answer().text(), "for b");
    Record::once(&house.stage.room, "noise is recorded", |record| {
        record.has("malformed") && record.has("drop")
    });
}

#[test]
fn a_task_is_found_by_its_own_caller_alone_even_where_the_child_gives_it_to_another() {
    let house = House::new();
    let team = house.serve();
    let mut ana = team.begun("desk", &house.ana);
    let mut sister = team.begun("desk", &house.ana);
    let mut bob = team.begun("desk", &house.bob);
    let [mut of_ana, mut of_sister, mut of_bob] = [&ana, &sister, &bob].map(Http::listen);
    for stream in [&mut of_ana, &mut of_sister, &mut of_bob] {
        assert_eq!(stream.status(), 200);
    }
    let make = |client: &mut Http, id: &str| {
        let params = json!({"name": "task", "arguments": {"id": id}, "task": {}});
        client.request("tools/call", params).json["result"]["task"]["taskId"].clone()
    };
    let get = |client: &mut Http, id: &str| client.request("tasks/get", json!({"taskId": id}));
    assert_eq!(make(&mut ana, "t1"), "t1");
    assert_eq!(get(&mut ana, "t1").json["result"]["secret"], "of t1");
    assert_eq!(get(&mut sister, "t1").json["result"]["secret"], "of t1");
    assert_eq!(get(&mut bob, "t1").error_code(), Some(-32_602));
    // The child gives the same task to another, who does not come by what was there first.
    assert_eq!(make(&mut bob, "t1"), "t1");
    let refused = get(&mut bob, "t1");
    assert_eq!(
        (refused.error_code(), refused.reason()),
        (Some(-32_602), Some("task_not_found"))
    );
    assert_eq!(get(&mut ana, "t1").json["result"]["secret"], "of t1");
    let status = json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": "t1", "status": "working"}});
    done(&mut bob, "emit", json!({"lines": [status.to_string()]}));
    assert_eq!(of_ana.event().json["params"]["taskId"], "t1");
    assert_eq!(said(&soon(&mut of_sister)), Vec::<String>::new());
    assert_eq!(said(&soon(&mut of_bob)), Vec::<String>::new());
    // What the process before has made is not what the next one makes under the same id.
    let before: Value = state_of(&mut ana)["pid"].clone();
    let _ = bob.call("exit", json!({}));
    crate::support::until("the session has ended", || {
        (ana.post("{}").status == 404).then_some(())
    });
    let mut ana = team.begun("desk", &house.ana);
    assert_ne!(state_of(&mut ana)["pid"], before);
    assert_eq!(get(&mut ana, "t1").error_code(), Some(-32_602));
}
