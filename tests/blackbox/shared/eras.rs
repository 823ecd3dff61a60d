//! A shared child by every address and in both eras, and a real server.

use super::{House, done, park, release, said, soon};
use crate::real_servers::everything;
use crate::support::{OPEN, Record, until};
use crate::team::Team;
use crate::team_changes::stream_of_2024;
use callgate_testkit::client::http::Stream;
use callgate_testkit::{Answer, Http, PATIENCE};
use serde_json::{Value, json};
use std::io::BufRead;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A client of all servers of its grant.
fn all(team: &Team, token: &str) -> Http {
    Http::to(&format!("{}/mcp", team.url)).header("authorization", &format!("Bearer {token}"))
}

/// The process that a client's calls reach.
fn pid(client: &mut Http, tool: &str) -> u64 {
    let state: Value = serde_json::from_str(&client.call(tool, json!({})).text()).unwrap();
    state["pid"].as_u64().unwrap()
}

#[test]
fn one_process_serves_every_address_and_both_eras_of_client() {
    for era in ["legacy", "modern"] {
        let house = House::with(era, OPEN);
        let team = house.serve();
        let mut seen = Vec::new();
        for token in [&house.ana, &house.bob] {
            for version in ["2025-03-26", "2025-11-25"] {
                let mut one = team.client("desk", token);
                one.initialize(version);
                seen.push(pid(&mut one, "state"));
                let mut whole = all(&team, token);
                whole.initialize(version);
                seen.push(pid(&mut whole, "desk__state"));
            }
            seen.push(pid(&mut team.client("desk", token).modern(), "state"));
            seen.push(pid(&mut all(&team, token).modern(), "desk__state"));
        }
        seen.dedup();
        assert_eq!(seen, [u64::from(house.pids()[0])], "{era}");
        assert_eq!(house.pids().len(), 1, "{era}");
        let begun = house.log.of_method("initialize").len();
        assert_eq!(begun, usize::from(era == "legacy"), "{era}");
    }
}

#[test]
fn a_client_of_2024_11_05_has_a_view_too() {
    let house = House::new();
    let team = house.serve();
    let (mut stream, address) = stream_of_2024(&team, "desk", &house.ana);
    stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut event = || loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(data) = line.strip_prefix("data: ") {
            break Answer::of(data.trim());
        }
    };
    let post = team.client("desk", &house.ana).path(&address);
    let handshake = json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {
        "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    assert_eq!(post.post(&handshake.to_string()).status, 202);
    assert_eq!(event().json["id"], "i");
    let mut bob = team.begun("desk", &house.bob);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "park", "arguments": {"name": "old"}, "_meta": {"progressToken": "p"}}});
    assert_eq!(post.post(&call.to_string()).status, 202);
    house.parked(&["old"]);
    done(&mut bob, "tell", json!({"name": "old", "text": "so far"}));
    release(&mut bob, "old");
    assert_eq!(event().json["params"]["progressToken"], "p");
    let answer = event();
    assert_eq!(
        (answer.json["id"].as_u64(), answer.text()),
        (Some(1), "for old".to_owned())
    );
    assert_eq!(house.pids().len(), 1);
}

#[test]
fn progress_and_cancellation_find_their_way_between_the_eras_too() {
    for era in ["legacy", "modern"] {
        let house = House::with(era, OPEN);
        let team = house.serve();
        let mut liar = team.begun("desk", &house.ana);
        let mut old = team.begun("desk", &house.ana);
        let mut new = team.client("desk", &house.bob).modern();
        let mut whole = all(&team, &house.bob);
        whole.initialize("2025-11-25");
        let mut streams = vec![
            ("old", park(&mut old, "old")),
            ("new", park(&mut new, "new")),
            (
                "whole",
                whole.open(
                    "tools/call",
                    json!({"name": "desk__park", "arguments": {"name": "whole"}, "_meta": {"progressToken": "p"}}),
                ),
            ),
        ];
        house.parked(&["old", "new", "whole"]);
        for name in ["whole", "old", "new"] {
            done(
                &mut liar,
                "tell",
                json!({"name": name, "text": format!("to {name}")}),
            );
        }
        for (name, stream) in &mut streams {
            let told = stream.event().json;
            assert_eq!(told["params"]["message"], format!("to {name}"), "{era}");
            assert_eq!(told["params"]["progressToken"], "p", "{era}");
        }
        // A modern client cancels by closing its stream.
        streams.retain(|(name, _)| *name != "new");
        until("the child is told", || {
            let known = house
                .calls("park")
                .into_iter()
                .find(|call| call["params"]["arguments"]["name"] == "new")?;
            let cancelled = house.log.of_method("notifications/cancelled");
            (cancelled.len() == 1 && cancelled[0]["params"]["requestId"] == known["id"]).then_some(())
        });
        for (name, mut stream) in streams {
            release(&mut liar, name);
            assert_eq!(stream.event().text(), format!("for {name}"), "{era}");
        }
        Record::once(&house.stage.room, "all is settled", Record::is_settled).assert_one_outcome_each();
    }
}

#[test]
fn subscriptions_of_a_modern_child_are_told_to_whom_they_belong_under_their_own_ids() {
    let house = House::with("modern", OPEN);
    let team = house.serve();
    let mut liar = team.client("desk", &house.ana).modern();
    let listen = |token: &str, uri: &str| -> (Http, Stream) {
        let mut client = team.client("desk", token).modern();
        let filter = json!({"notifications": {"resourceSubscriptions": [uri]}});
        let stream = client.open("subscriptions/listen", filter);
        (client, stream)
    };
    let mut streams = vec![
        listen(&house.ana, "u1").1,
        listen(&house.bob, "u2").1,
        listen(&house.bob, "u3").1,
    ];
    let id = |event: &Answer| event.json["params"]["_meta"][SUBSCRIPTION].clone();
    for stream in &mut streams {
        let first = stream.event();
        assert_eq!(first.json["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(id(&first), 1, "{}", first.raw);
    }
    let updated = |place: &str, uri: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"_meta":{{"{SUBSCRIPTION}":{place}}},"uri":"{uri}"}}}}"#
        )
    };
    let mut lines: Vec<String> = ["u1", "u2", "u3"]
        .iter()
        .map(|uri| updated(&format!("{{id:{uri}}}"), uri))
        .collect();
    // Under the client's own ids, and under none, they are nobody's.
    lines.extend(["1", "\"1\"", "null"].map(|wrong| updated(wrong, "nobody")));
    let ended = format!(
        r#"{{"jsonrpc":"2.0","id":{{id:u2}},"result":{{"resultType":"complete","_meta":{{"{SUBSCRIPTION}":{{id:u2}}}}}}}}"#
    );
    lines.push(ended.clone());
    lines.push(ended);
    done(&mut liar, "emit", json!({"lines": lines}));
    for (stream, uri) in streams.iter_mut().zip(["u1", "u2", "u3"]) {
        let told = stream.event();
        assert_eq!((&told.json["params"]["uri"], id(&told)), (&json!(uri), json!(1)));
    }
    let end = streams[1].event();
    assert_eq!(end.json["id"], 1);
    assert_eq!(end.json["result"]["_meta"][SUBSCRIPTION], 1, "{}", end.raw);
    assert_eq!(said(&soon(&mut streams[0])), Vec::<String>::new());
    assert_eq!(said(&soon(&mut streams[2])), Vec::<String>::new());
}

#[test]
fn a_change_of_tools_that_one_client_listens_for_outdates_the_lists_of_all() {
    let house = House::with("modern", OPEN);
    let team = house.serve();
    let mut ana = team.client("desk", &house.ana).modern();
    let mut bob = team.client("desk", &house.bob).modern();
    let mut stream = ana.open(
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    stream.event();
    let echo = |client: &mut Http| assert_eq!(client.call("echo", json!({"text": "x"})).text(), "x");
    echo(&mut bob);
    echo(&mut bob);
    let listed = house.log.of_method("tools/list").len();
    let change = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"_meta":{{"{SUBSCRIPTION}":{{id:listen}}}}}}}}"#
    );
    done(&mut bob, "emit", json!({"lines": [change]}));
    assert_eq!(stream.event().json["method"], "notifications/tools/list_changed");
    echo(&mut bob);
    assert_eq!(house.log.of_method("tools/list").len(), listed + 1);
}

#[test]
fn a_modern_child_s_task_is_not_found_by_another_caller() {
    let house = House::with("modern", OPEN);
    let team = house.serve();
    let [ana, bob] = [&house.ana, &house.bob].map(|token| team.client("desk", token).modern());
    let tasks = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let ask = |client: &Http, method: &str, name: &str, params: Value| {
        let mut params = params;
        params["_meta"] = tasks.clone();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let client = client
            .clone()
            .header("mcp-method", method)
            .header("mcp-name", name);
        client.post(&body).answer()
    };
    let made = ask(
        &ana,
        "tools/call",
        "task",
        json!({"name": "task", "arguments": {"id": "t"}}),
    );
    assert_eq!(made.json["result"]["taskId"], "t", "{}", made.raw);
    assert_eq!(
        ask(&ana, "tasks/get", "t", json!({"taskId": "t"})).json["result"]["secret"],
        "of t"
    );
    let refused = ask(&bob, "tasks/get", "t", json!({"taskId": "t"}));
    assert_eq!(refused.error_code(), Some(-32_602), "{}", refused.raw);
    assert_eq!(house.log.of_method("tasks/get").len(), 1);
}

#[test]
fn server_everything_is_shared_by_two_grants_in_both_eras() {
    let mut house = House::new();
    let words: Vec<String> = everything("stdio")
        .iter()
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    let path = std::env::var("PATH").unwrap();
    house.stage.config["servers"]["desk"] = json!({"command": words, "env": {"PATH": path}, "shared": true});
    let team = house.serve();
    let tokens = [&house.ana, &house.bob];
    std::thread::scope(|scope| {
        for at in 0..6 {
            let (team, token) = (&team, tokens[at % 2]);
            scope.spawn(move || {
                let mut client = team.client("desk", token);
                if at < 2 {
                    client = client.modern();
                } else {
                    client.initialize("2025-06-18");
                }
                let text = format!("of {at}");
                for _ in 0..3 {
                    let answer = client.call("echo", json!({"message": text}));
                    assert_eq!(answer.text(), format!("Echo: {text}"));
                }
                let stream = client.open(
                    "tools/call",
                    json!({
                    "name": "trigger-long-running-operation",
                    "arguments": {"duration": 1, "steps": 2 + at},
                    "_meta": {"progressToken": format!("token {at}")}}),
                );
                let messages = stream.rest().messages();
                let answer = messages.last().unwrap();
                assert!(
                    answer.text().contains(&format!("Steps: {}", 2 + at)),
                    "{}",
                    answer.raw
                );
                let progress = messages
                    .iter()
                    .filter(|message| message.json["method"] == "notifications/progress");
                let progress: Vec<_> = progress.collect();
                assert!(!progress.is_empty());
                for told in progress {
                    assert_eq!(told.json["params"]["progressToken"], format!("token {at}"));
                    assert_eq!(told.json["params"]["total"], 2 + at);
                }
            });
        }
    });
    let mut one = team.begun("desk", &house.ana);
    let listed = one.request("tools/list", json!({})).tool_names();
    assert!(listed.contains(&"echo".to_owned()), "{listed:?}");
    // What it would ask of its client it does not offer to a client that offers nothing.
    assert!(!listed.iter().any(|name| name.contains("sampling")), "{listed:?}");
    let children = std::fs::read_dir(format!("/proc/{}/task", team.process.pid())).unwrap();
    let count: usize = children
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .map(|children| children.split_whitespace().count())
        .sum();
    assert_eq!(count, 1);
    Record::once(&house.stage.room, "all is settled", Record::is_settled).assert_one_outcome_each();
}
