//! What servers ask of the client, and what comes between a call and its answer.

use super::{begun, received, scripted_stage, words};
use crate::support::Record;
use crate::team::Stage;
use callgate_testkit::{PATIENCE, Room, StdioServer};
use serde_json::{Value, json};

#[test]
fn two_servers_ask_the_client_at_once_under_one_id_and_each_gets_its_own_answer() {
    let lines = r#"
if k == 'tools/list': tools('ask')
elif k == 'tools/call':
    waiting[7] = m['id']
    say({'jsonrpc': '2.0', 'id': 7, 'method': 'sampling/createMessage', 'params': {'maxTokens': 5,
        '_meta': {'progressToken': 'same'},
        'messages': [{'role': 'user', 'content': {'type': 'resource', 'resource': {'uri': 'file:///s', 'text': 't'}}}]}})
elif k is None and 'result' in m:
    m['id'] = waiting.pop(m['id'])
    text(json.dumps(m['result']))
"#
    .trim();
    let (stage, _team, mut client) = scripted_stage(&[("one", lines), ("two", lines)]);
    let mut streams = ["one", "two"].map(|server| client.open_call(&format!("{server}__ask"), json!({})));
    let asked: Vec<_> = streams.iter_mut().map(|stream| stream.event()).collect();
    let ids: Vec<&str> = asked
        .iter()
        .map(|asked| asked.json["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["one:7", "two:7"]);
    for (asked, server) in asked.iter().zip(["one", "two"]) {
        let params = &asked.json["params"];
        assert_eq!(params["_meta"]["progressToken"], format!("{server}:\"same\""));
        assert_eq!(
            params["messages"][0]["content"]["resource"]["uri"],
            format!("mcp+{server}:file:///s")
        );
    }
    let token = &asked[1].json["params"]["_meta"]["progressToken"];
    let status = client.notify(
        "notifications/progress",
        json!({"progressToken": token, "progress": 1}),
    );
    assert_eq!(status, 202);
    // What no server has asked is told to none.
    for stray in ["three:7", "one:8", "7", "one:"] {
        let response = json!({"jsonrpc": "2.0", "id": stray, "result": {}});
        assert_eq!(client.post(&response.to_string()).status, 202);
    }
    for (asked, words) in asked.iter().zip(["first", "second"]).rev() {
        assert_eq!(client.answer(asked, json!({"said": words})), 202);
    }
    let answers = streams.map(|stream| stream.rest().answer());
    assert_eq!(answers[0].text(), r#"{"said": "first"}"#);
    assert_eq!(answers[1].text(), r#"{"said": "second"}"#);
    let of = |server: &str, method: &str| {
        received(&stage.room, server)
            .into_iter()
            .filter(|message| message["method"] == method)
            .collect::<Vec<_>>()
    };
    assert!(of("one", "notifications/progress").is_empty());
    assert_eq!(
        of("two", "notifications/progress")[0]["params"]["progressToken"],
        "same"
    );
    for server in ["one", "two"] {
        let all = received(&stage.room, server);
        assert_eq!(
            all.iter()
                .filter(|message| message.get("result").is_some())
                .count(),
            1
        );
    }
}

#[test]
fn progress_comes_back_and_a_cancellation_reaches_the_server_whose_call_it_is() {
    let mut stage = Stage::new();
    let other = Room::new();
    let sleeper = StdioServer::echo(&other);
    stage.config["servers"]["other"] = json!({"command": words(&sleeper)});
    let ana = stage.grant("ana", &["notes=open", "other=open"]);
    let team = stage.serve();
    let mut client = begun(&team, &ana);
    let params =
        json!({"name": "other__progress", "arguments": {"steps": 2}, "_meta": {"progressToken": "p"}});
    let told = client.reply("tools/call", params).messages();
    let steps: Vec<&Value> = told
        .iter()
        .filter(|message| message.json["method"] == "notifications/progress")
        .map(|message| &message.json["params"]["progressToken"])
        .collect();
    assert_eq!(steps, ["p", "p"]);
    let open = client.open_call("other__sleep", json!({"ms": 60_000}));
    sleeper
        .log()
        .wait_until(PATIENCE, |log| log.calls_of("sleep").len() == 1);
    let calls = sleeper.log().calls();
    let id = &calls
        .iter()
        .find(|call| call["params"]["name"] == "sleep")
        .unwrap()["id"];
    let status = client.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(status, 202);
    sleeper.log().wait_until(PATIENCE, |log| {
        log.of_method("notifications/cancelled").len() == 1
    });
    assert!(stage.notes.of_method("notifications/cancelled").is_empty());
    drop(open);
    let record = Record::once(&stage.room, "the call is cancelled", |record| {
        record.statuses().contains(&"cancelled")
    });
    record.assert_one_outcome_each();
}

#[test]
fn a_call_that_is_cancelled_while_its_server_is_begun_again_does_not_reach_it() {
    let lines = r#"
import os
if k == 'tools/list': tools('die', 'live')
elif k == 'tools/call' and p['name'] == 'die': sys.exit(1)
elif k == 'tools/call': text('alive')
"#
    .trim();
    let (stage, _team, mut client) = scripted_stage(&[("one", lines)]);
    // From now on, who begins waits for the file to be gone.
    let hold = stage.room.write("hold", "");
    let script = stage.room.at("one.py");
    let text = std::fs::read_to_string(&script).unwrap();
    let waiting = format!(
        "import os, time\nwhile os.path.exists({:?}): time.sleep(0.01)\n{text}",
        hold.to_str().unwrap()
    );
    std::fs::write(&script, waiting).unwrap();
    let failed = client.call("one__die", json!({}));
    assert_eq!(failed.reason(), Some("upstream_unreachable"), "{}", failed.raw);
    let id = 4_711;
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "one__live", "arguments": {"cancelled": true}}});
    let asker = client.clone();
    let status = std::thread::scope(|scope| {
        // Of two under one id, one waits, and the other is told so.
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let (tell, asker, call) = (tell.clone(), &asker, call.to_string());
            scope.spawn(move || tell.send(asker.post(&call)).unwrap());
        }
        let refused = told.recv().unwrap();
        assert!(refused.body.contains("id_in_flight"), "{refused:?}");
        let status = client.notify("notifications/cancelled", json!({"requestId": id}));
        std::fs::remove_file(hold).unwrap();
        assert_eq!(client.call("one__live", json!({})).text(), "alive");
        assert_ne!(told.recv().unwrap().status, 200, "a cancelled call has no answer");
        status
    });
    assert_eq!(status, 202);
    let calls = received(&stage.room, "one");
    let is_cancelled = |message: &Value| message["params"]["arguments"]["cancelled"] == true;
    assert!(!calls.iter().any(is_cancelled), "{calls:?}");
}
