//! Requests of 2026-07-28 to all servers.

use super::{begun, everything, received, scripted, scripted_stage, words};
use crate::reload_config::change;
use crate::support::deps::reference;
use crate::support::until;
use crate::team::{Stage, Team};
use callgate_testkit::client::answer::Answer;
use callgate_testkit::client::http::Stream;
use callgate_testkit::{Http, PATIENCE, Process, Room, StdioServer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn requests_of_2026_07_28_go_to_the_server_that_they_name_and_their_headers_are_made_anew() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=echo-only"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana).modern();
    let discovered = client.request("server/discover", json!({}));
    let discovered = discovered.result();
    assert_eq!(discovered["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(discovered["cacheScope"], "private");
    assert!(discovered["ttlMs"].is_u64(), "{discovered}");
    assert!(discovered["capabilities"]["tools"].is_object(), "{discovered}");
    let own = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(own["name"], "callgate");
    let listed = client.request("tools/list", json!({}));
    let names = listed.tool_names();
    assert!(names.contains(&"notes__add".to_owned()), "{names:?}");
    assert!(names.contains(&"mail__echo".to_owned()) && !names.contains(&"mail__add".to_owned()));
    let result = listed.result();
    assert_eq!(
        (&result["resultType"], &result["cacheScope"], &result["ttlMs"]),
        (&json!("complete"), &json!("private"), &json!(0))
    );
    for server in ["notes", "mail"] {
        let answer = client.call(&format!("{server}__echo"), json!({"text": server}));
        assert_eq!(answer.text(), server);
        assert_eq!(answer.result()["resultType"], "complete");
    }
    let heads = stage.mail.log().notes();
    let head = heads.iter().find(|head| head.contains("mcp-name: echo"));
    assert!(head.is_some(), "{heads:?}");
    let read = client.request("resources/read", json!({"uri": "mcp+notes:test://one"}));
    assert_eq!(read.result()["contents"][0]["uri"], "mcp+notes:test://one");
    // What the servers hide or do not have looks the same here too.
    for name in ["mail__add", "mail__none", "none__add"] {
        let denied = client.call(name, json!({}));
        assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
        assert_eq!(denied.result()["resultType"], "complete");
    }
    // Headers and body have to tell one story, of the names of the whole.
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": callgate_testkit::client::modern(json!({"name": "mail__echo", "arguments": {"text": "x"}}))});
    for lie in ["echo", "notes__echo"] {
        let headers = [
            ("mcp-method", "tools/call"),
            ("mcp-name", lie),
            ("mcp-protocol-version", "2026-07-28"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let refused = everything(&team, &ana)
            .send("POST", &headers, message.to_string().as_bytes())
            .rest();
        assert_eq!(
            (refused.status, refused.answer().error_code()),
            (400, Some(-32_020)),
            "{lie}"
        );
    }
    for method in ["vendor/x", "ping", "tasks/list", "logging/setLevel"] {
        let refused = client.reply(method, json!({}));
        assert_eq!(
            (refused.status, refused.answer().error_code()),
            (404, Some(-32_601)),
            "{method}"
        );
    }
    // A question in place of a result, and the call again with its answer.
    let asked = client.call("notes__ask", json!({"what": "elicitation"}));
    let asked = asked.result();
    assert_eq!(asked["resultType"], "input_required");
    let again = json!({"name": "notes__ask", "arguments": {"what": "elicitation"},
        "requestState": asked["requestState"], "inputResponses": {"first": {"action": "decline"}}});
    let answered = client.request("tools/call", again);
    assert!(answered.text().contains("decline"), "{}", answered.raw);
}

/// A server of 2026-07-28 alone.
const MODERN: &str = r#"
if k == 'server/discover':
    answer({'resultType': 'complete', 'supportedVersions': ['2026-07-28'], 'ttlMs': 5000, 'cacheScope': 'public',
        'capabilities': {'tools': {}, 'resources': {'subscribe': True}, 'extensions': {'io.modelcontextprotocol/tasks': {}}}})
elif k == 'tools/list': answer({'resultType': 'complete', 'ttlMs': 5000, 'cacheScope': 'public', 'tools': [{'name': 'job', 'inputSchema': {'type': 'object'}}]})
elif k == 'tools/call': answer({'resultType': 'task', 'taskId': 'same', 'status': 'working'})
elif k == 'tasks/get': answer({'resultType': 'complete', 'taskId': p['taskId'], 'status': 'completed',
    'result': {'content': [{'type': 'resource_link', 'uri': 'file:///done', 'name': 'd'}]}})
elif k == 'tasks/cancel': answer({'resultType': 'complete'})
elif k == 'subscriptions/listen':
    meta = {'io.modelcontextprotocol/subscriptionId': m['id']}
    tell('notifications/subscriptions/acknowledged', {'_meta': meta, 'notifications': p['notifications']})
    tell('notifications/tools/list_changed', {'_meta': meta})
    for uri in p['notifications'].get('resourceSubscriptions', []):
        tell('notifications/resources/updated', {'_meta': meta, 'uri': uri})
    for task in p['notifications'].get('taskIds', []):
        tell('notifications/tasks', {'_meta': meta, 'taskId': task, 'status': 'working'})
"#;

#[test]
fn tasks_and_subscriptions_of_2026_07_28_lead_to_their_servers_and_back() {
    let (stage, team, _) = scripted_stage(&[("one", MODERN.trim()), ("two", MODERN.trim())]);
    let ana = stage.grants(&["rotate", "ana"]);
    let mut client = everything(&team, &ana).modern();
    until("the new token is let in", || {
        (client.reply("server/discover", json!({})).status == 200).then_some(())
    });
    let discovered = client.request("server/discover", json!({}));
    let extensions = &discovered.result()["capabilities"]["extensions"];
    assert!(
        extensions["io.modelcontextprotocol/tasks"].is_object(),
        "{}",
        discovered.raw
    );
    assert_eq!(discovered.result()["ttlMs"], 5_000);
    assert_eq!(client.request("tools/list", json!({})).result()["ttlMs"], 5_000);
    for server in ["one", "two"] {
        let made = client.call(&format!("{server}__job"), json!({}));
        assert_eq!(made.result()["taskId"], format!("{server}:same"), "{}", made.raw);
    }
    let named = |method: &str, task: &str| {
        let headers = [
            ("mcp-method", method),
            ("mcp-name", task),
            ("mcp-protocol-version", "2026-07-28"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut params = callgate_testkit::client::modern(json!({"taskId": task}));
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"]["extensions"] =
            json!({"io.modelcontextprotocol/tasks": {}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        everything(&team, &ana)
            .send("POST", &headers, message.to_string().as_bytes())
            .rest()
            .answer()
    };
    let got = named("tasks/get", "two:same");
    assert_eq!(got.result()["taskId"], "two:same");
    assert_eq!(
        got.result()["result"]["content"][0]["uri"],
        "mcp+two:file:///done"
    );
    for nobody in ["same", "three:same", ""] {
        let missing = named("tasks/get", nobody);
        assert_eq!(missing.error_code(), Some(-32_602), "{nobody}: {}", missing.raw);
    }
    let asked = received(&stage.room, "two");
    let asked: Vec<&Value> = asked
        .iter()
        .filter(|message| message["method"] == "tasks/get")
        .collect();
    assert_eq!((asked.len(), &asked[0]["params"]["taskId"]), (1, &json!("same")));
    // One stream of both: first what both acknowledge, then what they tell.
    let filter = json!({"toolsListChanged": true, "taskIds": ["one:same"],
        "resourceSubscriptions": ["mcp+two:file:///r", "mcp+three:file:///r", "file:///r"]});
    let mut stream = client.open("subscriptions/listen", json!({"notifications": filter}));
    let first = stream.event();
    assert_eq!(
        first.json["method"], "notifications/subscriptions/acknowledged",
        "{}",
        first.raw
    );
    assert_eq!(
        first.json["params"]["notifications"],
        json!({"toolsListChanged": true, "taskIds": ["one:same"], "resourceSubscriptions": ["mcp+two:file:///r"]})
    );
    let id = first.json["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let mut told = BTreeSet::new();
    for _ in 0..4 {
        let event = stream.event();
        let params = &event.json["params"];
        assert_eq!(
            params["_meta"]["io.modelcontextprotocol/subscriptionId"], id,
            "{}",
            event.raw
        );
        let about = params["uri"].as_str().or_else(|| params["taskId"].as_str());
        told.insert(format!(
            "{} {}",
            event.json["method"].as_str().unwrap(),
            about.unwrap_or_default()
        ));
    }
    let expected = [
        "notifications/resources/updated mcp+two:file:///r",
        "notifications/tasks one:same",
        "notifications/tools/list_changed ",
    ];
    assert_eq!(told, expected.map(str::to_owned).into());
    // The client leaves, and both servers are told that nobody listens.
    drop(stream);
    for server in ["one", "two"] {
        until("the subscription is cancelled", || {
            let all = received(&stage.room, server);
            let listen = all
                .iter()
                .find(|message| message["method"] == "subscriptions/listen")?;
            let is_end = |message: &&Value| {
                message["method"] == "notifications/cancelled"
                    && message["params"]["requestId"] == listen["id"]
            };
            all.iter().any(|message| is_end(&message)).then_some(())
        });
    }
}

/// A stream of what changes in lists of tools, once it is acknowledged; and the id of its subscription.
fn listening(client: &mut Http) -> (Stream, Value) {
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut stream = client.open("subscriptions/listen", filter);
    let first = stream.event();
    assert_eq!(
        first.json["method"], "notifications/subscriptions/acknowledged",
        "{}",
        first.raw
    );
    let id = first.json["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    (stream, id)
}

/// What a stream tells of its own accord.
fn told(stream: &mut Stream, id: &Value) {
    let event = stream.event();
    assert_eq!(
        event.json["method"], "notifications/tools/list_changed",
        "{}",
        event.raw
    );
    let params = &event.json["params"];
    assert_eq!(
        &params["_meta"]["io.modelcontextprotocol/subscriptionId"], id,
        "{}",
        event.raw
    );
}

#[test]
fn a_subscription_ends_politely_when_the_servers_change_and_the_next_one_covers_them() {
    let mut stage = Stage::new();
    for name in ["one", "two"] {
        stage.config["servers"][name] = scripted(&stage.room, name, MODERN.trim());
    }
    let two = stage.config["servers"]
        .as_object_mut()
        .unwrap()
        .remove("two")
        .unwrap();
    let ana = stage.grant("ana", &["one=open", "two=open"]);
    let bob = stage.grant("bob", &["mail=open"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana).modern();
    let mut other = everything(&team, &bob).modern();
    let (mut stays, _) = listening(&mut other);
    let (mut stream, id) = listening(&mut client);
    told(&mut stream, &id);
    // What does not touch the servers leaves the stream.
    stage.config["hosts"] = json!(["gate.example.com"]);
    change(&stage, &team);
    assert!(stream.event_within(Duration::from_millis(300)).is_none());

    // A server comes: the lists have changed, and the stream is over.
    stage.config["servers"]["two"] = two;
    change(&stage, &team);
    told(&mut stream, &id);
    let last = stream.event();
    let result = last.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/subscriptionId"], id,
        "{}",
        last.raw
    );
    let whole = stream.rest();
    assert_eq!(whole.messages().len(), 4, "{whole:?}");
    until("the server is told that nobody listens", || {
        let all = received(&stage.room, "one");
        all.iter()
            .any(|message| message["method"] == "notifications/cancelled")
            .then_some(())
    });
    let (mut stream, id) = listening(&mut client);
    for _ in ["one", "two"] {
        told(&mut stream, &id);
    }

    // A server becomes another, then the grant another: each is a change of its own.
    stage.config["servers"]["two"]["env"]["OTHER"] = json!("1");
    change(&stage, &team);
    told(&mut stream, &id);
    assert_eq!(stream.event().result()["resultType"], "complete");
    let (mut stream, id) = listening(&mut client);
    for _ in ["one", "two"] {
        told(&mut stream, &id);
    }
    stage.grants(&["attach", "ana", "notes", "--policy", "open"]);
    told(&mut stream, &id);
    assert_eq!(stream.event().result()["resultType"], "complete");
    // Of another caller, whose servers are those that they were, nothing has ended.
    assert!(stays.event_within(Duration::from_millis(100)).is_none());
    let reply = other.request("tools/list", json!({}));
    assert!(reply.tool_names().contains(&"mail__echo".to_owned()));
}

#[test]
fn a_server_of_another_era_or_none_is_left_out_for_requests_of_2026_07_28() {
    let mut stage = Stage::new();
    let other = Room::new();
    let legacy = StdioServer::echo(&other).version("2025-06-18");
    stage.config["servers"]["legacy"] = json!({"command": words(&legacy)});
    stage.config["servers"]["dead"] = json!({"command": ["/bin/false"]});
    let ana = stage.grant("ana", &["notes=open", "legacy=open", "dead=open"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana).modern();
    let discovered = client.request("server/discover", json!({}));
    assert_eq!(discovered.result()["ttlMs"], 0);
    assert!(discovered.result()["capabilities"]["tools"].is_object());
    let listed = client.request("tools/list", json!({}));
    assert!(listed.tool_names().contains(&"notes__echo".to_owned()));
    let left_out = &listed.result()["_meta"]["callgate/leftOut"];
    assert!(
        left_out.as_array().unwrap().contains(&json!("dead")),
        "{left_out}"
    );
    assert_eq!(client.call("notes__echo", json!({"text": "hi"})).text(), "hi");
    let failed = client.call("dead__echo", json!({}));
    assert!(failed.is_tool_error(), "{}", failed.raw);
}

/// A client of 2026-07-28 that can do tasks, and repeats in headers what its requests are about.
struct Tasking<'t> {
    team: &'t Team,
    token: &'t str,
}

impl Tasking<'_> {
    fn request(&self, method: &str, about: &str, params: Value) -> Answer {
        let headers = [
            ("mcp-method", method),
            ("mcp-name", about),
            ("mcp-protocol-version", "2026-07-28"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut params = callgate_testkit::client::modern(params);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"]["extensions"] =
            json!({"io.modelcontextprotocol/tasks": {}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        everything(self.team, self.token)
            .send("POST", &headers, message.to_string().as_bytes())
            .rest()
            .answer()
    }

    fn call(&self, name: &str, arguments: &Value) -> Answer {
        self.request("tools/call", name, json!({"name": name, "arguments": arguments}))
    }
}

#[test]
fn two_reference_servers_are_one_in_both_eras() {
    let mut stage = Stage::new();
    let program = reference();
    let servers = ["one", "two"].map(|_| {
        let server = Process::start(&mut Command::new(&program));
        let url = server
            .stdout()
            .find(0, PATIENCE, |line| line.starts_with("http://"));
        (server, url.unwrap().1)
    });
    for (name, (_, url)) in ["one", "two"].iter().zip(&servers) {
        stage.config["servers"][name] = json!({"url": url});
    }
    let ana = stage.grant("ana", &["one=open", "two=open"]);
    let team = stage.serve();
    let modern = Tasking {
        team: &team,
        token: &ana,
    };
    let discovered = modern.request("server/discover", "", json!({}));
    assert_eq!(discovered.result()["supportedVersions"], json!(["2026-07-28"]));
    let listed = modern.request("tools/list", "", json!({}));
    assert_eq!(listed.result()["ttlMs"], 60_000);
    let listed = listed.tool_names();
    for server in ["one", "two"] {
        assert!(
            listed.contains(&format!("{server}__test_simple_text")),
            "{listed:?}"
        );
    }
    let embedded = modern.call("two__test_embedded_resource", &json!({}));
    let uri = embedded.result()["content"][0]["resource"]["uri"]
        .as_str()
        .unwrap();
    assert!(uri.starts_with("mcp+two:"), "{}", embedded.raw);
    let resources = modern.request("resources/list", "", json!({}));
    let uri = resources.result()["resources"][0]["uri"].as_str().unwrap();
    assert!(uri.starts_with("mcp+one:"), "{}", resources.raw);
    let read = modern.request("resources/read", uri, json!({"uri": uri}));
    assert_eq!(read.result()["contents"][0]["uri"], uri, "{}", read.raw);
    // A task of the one is no task of the other.
    let made = modern.call("one__slow_compute", &json!({"seconds": 0.1}));
    assert_eq!(made.result()["resultType"], "task", "{}", made.raw);
    let task = made.result()["taskId"].as_str().unwrap();
    assert!(task.starts_with("one:"), "{task}");
    let done = until("the task is done", || {
        let got = modern.request("tasks/get", task, json!({"taskId": task}));
        (got.result()["status"] == "completed").then_some(got)
    });
    assert_eq!(done.result()["taskId"], task);
    let foreign = task.replacen("one:", "two:", 1);
    let missing = modern.request("tasks/get", &foreign, json!({"taskId": foreign}));
    assert_eq!(missing.error_code(), Some(-32_602), "{}", missing.raw);
    // A question in place of a result, then the call again with its answer and the state that came with it.
    let name = "two__test_input_required_result_elicitation";
    let asked = modern.call(name, &json!({}));
    assert_eq!(asked.result()["resultType"], "input_required", "{}", asked.raw);
    let requests = asked.result()["inputRequests"].as_object().unwrap();
    let responses: serde_json::Map<String, Value> = requests
        .keys()
        .map(|key| {
            (
                key.clone(),
                json!({"action": "accept", "content": {"name": "Ana"}}),
            )
        })
        .collect();
    let mut again = json!({"name": name, "arguments": {}, "inputResponses": responses});
    if let Some(state) = asked.result().get("requestState") {
        again["requestState"] = state.clone();
    }
    let answered = modern.request("tools/call", name, again);
    assert_eq!(answered.result()["resultType"], "complete", "{}", answered.raw);
    // The same servers, with a session.
    let mut legacy = begun(&team, &ana);
    let mut stream = legacy.open_call("one__test_sampling", json!({"prompt": "hi"}));
    let asked = stream.event();
    assert_eq!(asked.json["method"], "sampling/createMessage", "{}", asked.raw);
    assert!(
        asked.json["id"].as_str().unwrap().starts_with("one:"),
        "{}",
        asked.raw
    );
    let sampled = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "words"}});
    assert_eq!(legacy.answer(&asked, sampled), 202);
    assert!(stream.event().text().contains("words"));
    assert_eq!(legacy.delete(), 202);
}

/// A request whose body is yet to come, and which was let in: its client was told to go on.
fn let_in(team: &Team, token: &str, method: &str, length: usize) -> TcpStream {
    let authority = team.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\ncontent-length: {length}\r\n\
         expect: 100-continue\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut told = String::new();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    reader.read_line(&mut told).unwrap();
    assert!(told.contains("100"), "{told}");
    socket
}

#[test]
fn a_subscription_that_was_let_in_before_a_server_became_another_does_not_outlast_that() {
    let mut stage = Stage::new();
    for name in ["one", "two"] {
        stage.config["servers"][name] = scripted(&stage.room, name, MODERN.trim());
    }
    let ana = stage.grant("ana", &["one=open", "two=open"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana).modern();
    drop(listening(&mut client));
    let params = callgate_testkit::client::modern(json!({"notifications": {"toolsListChanged": true}}));
    let method = "subscriptions/listen";
    let body = json!({"jsonrpc": "2.0", "id": "late", "method": method, "params": params}).to_string();
    let mut socket = let_in(&team, &ana, method, body.len());
    stage.config["servers"]["two"]["env"]["OTHER"] = json!("1");
    change(&stage, &team);
    socket.write_all(body.as_bytes()).unwrap();
    // It cannot cover the server that there is now, so its client is to listen anew.
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    let is_over = |all: &[u8]| String::from_utf8_lossy(all).contains(r#""resultType":"complete""#);
    let deadline = Instant::now() + PATIENCE;
    while !is_over(&all) {
        assert!(
            Instant::now() < deadline,
            "it goes on: {}",
            String::from_utf8_lossy(&all)
        );
        let read = socket.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..read]);
    }
    drop(listening(&mut client));
}
