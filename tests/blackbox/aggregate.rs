//! `/mcp` under `callgate serve`: all servers of a grant as one.

mod asking;
mod missing;
mod modern;
mod names;
mod streamed;

use crate::support::{Record, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::{Http, PATIENCE, Room, ServerLog, StdioServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A client of all servers.
fn everything(team: &Team, token: &str) -> Http {
    Http::to(&format!("{}/mcp", team.url)).header("authorization", &format!("Bearer {token}"))
}

/// The same, once it has begun.
fn begun(team: &Team, token: &str) -> Http {
    let mut client = everything(team, token);
    client.initialize("2025-11-25");
    client
}

fn words(server: &StdioServer) -> Vec<String> {
    let words = server.words().iter();
    words.map(|word| word.to_str().unwrap().to_owned()).collect()
}

/// A server in Python that answers by these lines: to a request `m` of method `k` with parameters `p`.
pub(crate) fn scripted(room: &Room, name: &str, lines: &str) -> Value {
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    let script = format!("{PREAMBLE}{body}");
    let path = room.write(&format!("{name}.py"), &script);
    let log = room.at(&format!("{name}.log"));
    json!({"command": ["/usr/bin/env", "python3", "-u", path, log], "env": {"PATH": "${env:PATH}"}})
}

/// What a scripted server has received.
fn received(room: &Room, name: &str) -> Vec<Value> {
    ServerLog::at(room.at(&format!("{name}.log"))).messages()
}

const PREAMBLE: &str = r#"
import json, sys
log = open(sys.argv[1], 'a')
def say(message):
    # At once: another thread may be saying something too.
    sys.stdout.buffer.write((json.dumps(message) + '\n').encode())
    sys.stdout.buffer.flush()
def answer(result):
    say({'jsonrpc': '2.0', 'id': m['id'], 'result': result})
def tell(method, params):
    say({'jsonrpc': '2.0', 'method': method, 'params': params})
def text(words):
    answer({'content': [{'type': 'text', 'text': words}]})
def tools(*names):
    answer({'tools': [{'name': name, 'inputSchema': {'type': 'object'}} for name in names]})
waiting = {}
for line in sys.stdin:
    log.write(line)
    log.flush()
    m = json.loads(line)
    k = m.get('method')
    p = m.get('params', {})
    if k == 'initialize':
        answer({'protocolVersion': p['protocolVersion'], 'serverInfo': {'name': 's', 'version': '1'},
            'capabilities': {'tools': {}, 'prompts': {}, 'resources': {'subscribe': True}, 'completions': {}},
            'instructions': 'Ask twice.'})
        continue
"#;

/// A stage before scripted servers, all of which `ana` may use wholly; and the gateway, and a client that has begun.
fn scripted_stage(servers: &[(&str, &str)]) -> (Stage, Team, Http) {
    let mut stage = Stage::new();
    let mut granted = Vec::new();
    for (name, lines) in servers {
        stage.config["servers"][name] = scripted(&stage.room, name, lines);
        granted.push(format!("{name}=open"));
    }
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    let ana = stage.grant("ana", &granted);
    let team = stage.serve();
    let client = begun(&team, &ana);
    (stage, team, client)
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_servers_of_a_grant_are_one_whose_tools_bear_their_names() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=echo-only"]);
    let bob = stage.grant("bob", &["notes=nothing"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana);
    let greeted = client.initialize("2025-11-25");
    let greeting = greeted.result();
    assert_eq!(greeting["protocolVersion"], "2025-11-25");
    assert_eq!(greeting["serverInfo"]["name"], "callgate");
    for capability in ["tools", "resources", "prompts", "completions", "logging"] {
        assert!(
            greeting["capabilities"][capability].is_object(),
            "{capability}: {greeting}"
        );
    }
    let listed = client.request("tools/list", json!({}));
    let names = listed.tool_names();
    assert!(names.contains(&"notes__echo".to_owned()), "{names:?}");
    assert!(names.contains(&"notes__add".to_owned()), "{names:?}");
    let of_mail: Vec<&String> = names.iter().filter(|name| name.starts_with("mail__")).collect();
    assert_eq!(of_mail, ["mail__echo"], "mail's own policy hides the rest");
    for server in ["notes", "mail"] {
        let text = format!("to {server}");
        let answer = client.call(&format!("{server}__echo"), json!({"text": text}));
        assert_eq!(answer.text(), text);
    }
    assert_eq!(stage.notes.calls().len(), 1);
    assert_eq!(stage.mail.log().calls().len(), 1);
    assert_eq!(stage.notes.calls()[0]["params"]["name"], "echo");
    // The policy of each server holds under the server's own names, and what it hides looks like what there is not.
    let hidden = client.call("mail__add", json!({"a": 1, "b": 2}));
    let unlisted = client.call("mail__none", json!({}));
    let nobody = client.call("none__add", json!({}));
    for (answer, name) in [(&hidden, "add"), (&unlisted, "none"), (&nobody, "add")] {
        assert_eq!(answer.reason(), Some("tool_not_available"), "{}", answer.raw);
        assert_eq!(
            answer.text(),
            format!("[POLICY DENIED] tool `{name}` is not available here")
        );
    }
    assert_eq!(stage.mail.log().calls().len(), 1);
    let mut other = begun(&team, &bob);
    assert_eq!(
        other.request("tools/list", json!({})).json["result"]["tools"],
        json!([])
    );
    for name in ["notes__echo", "mail__echo", "echo", "__echo"] {
        let denied = other.call(name, json!({"text": "x"}));
        assert_eq!(
            denied.reason(),
            Some("tool_not_available"),
            "{name}: {}",
            denied.raw
        );
    }
    let record = Record::once(&stage.room, "both calls are settled", |record| {
        record.statuses() == ["ok", "ok"]
    });
    let recorded: BTreeSet<(String, Option<String>)> = record
        .intents()
        .iter()
        .map(|intent| {
            let tool = intent.tool.as_ref().map(|tool| tool.as_str().to_owned());
            (intent.server.as_str().to_owned(), tool)
        })
        .collect();
    let expected = ["mail", "notes"].map(|server| (server.to_owned(), Some("echo".to_owned())));
    assert_eq!(recorded, BTreeSet::from(expected));
}

#[test]
fn a_session_with_all_servers_belongs_to_the_grant_that_opened_it_and_ends_with_it() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let bob = stage.grant("bob", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let first = begun(&team, &ana);
    let mut thief = everything(&team, &bob);
    thief.set_session(first.session());
    assert_eq!(thief.reply("tools/list", json!({})).status, 404);
    assert_eq!(thief.delete(), 404);
    assert_eq!(thief.listen().status(), 404);
    // Nor is it one of a server alone.
    let mut alone = team.client("notes", &ana);
    alone.set_session(first.session());
    assert_eq!(alone.reply("tools/list", json!({})).status, 404);
    let mut first = first;
    assert_eq!(first.call("notes__echo", json!({"text": "mine"})).text(), "mine");
    // Once it is closed, its children are gone, and so is it.
    let pids = stage.notes.notes_of("pid");
    let pid = pids.last().unwrap().parse().unwrap();
    assert_eq!(first.delete(), 202);
    assert!(callgate_testkit::process::is_gone_within(pid, PATIENCE));
    assert_eq!(first.reply("tools/list", json!({})).status, 404);
    assert_eq!(first.delete(), 404);
    for wrong in [None, Some("0"), Some("")] {
        first.set_session(wrong);
        let status = first.reply("tools/list", json!({})).status;
        assert!(matches!(status, 400 | 404), "{wrong:?}: {status}");
    }
    // A revocation ends its stream, and nothing comes in any more.
    let second = begun(&team, &ana);
    let mut stream = second.listen();
    assert_eq!(stream.status(), 200);
    stage.grants(&["revoke", "ana"]);
    let _ = stream.rest();
    until("the revoked token is refused", || {
        matches!(second.post(&initialize()).status, 401 | 429).then_some(())
    });
}

#[test]
fn a_change_of_the_grant_s_servers_reaches_sessions_that_are_open() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = begun(&team, &ana);
    let denied = client.call("mail__echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    stage.grants(&["attach", "ana", "mail", "--policy", "echo-only"]);
    until("mail is there", || {
        let answer = client.call("mail__echo", json!({"text": "hi"}));
        (!answer.is_tool_error()).then_some(())
    });
    let told = stream.event();
    assert_eq!(
        told.json["method"], "notifications/tools/list_changed",
        "{}",
        told.raw
    );
    stage
        .room
        .write("echo-only.yaml", "version: \"1\"\ndefault: deny\ntools: {}\n");
    let _ = team.process.stderr_line("the policy `echo-only` was reloaded");
    let denied = client.call("mail__echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
}

#[test]
fn what_is_asked_of_all_servers_or_of_none_is_answered_by_the_gateway() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let mut client = begun(&team, &ana);
    assert_eq!(client.request("ping", json!({})).result(), &json!({}));
    let level = client.request("logging/setLevel", json!({"level": "debug"}));
    assert_eq!(level.result(), &json!({}));
    for log in [&stage.notes, stage.mail.log()] {
        assert_eq!(log.of_method("logging/setLevel")[0]["params"]["level"], "debug");
        assert!(log.of_method("ping").is_empty());
        assert_eq!(log.of_method("notifications/initialized").len(), 1);
    }
    for method in ["vendor/x", "server/discover", "initialize", "tools/unknown"] {
        let refused = client.request(method, json!({"protocolVersion": "2025-11-25"}));
        if method != "initialize" {
            assert_eq!(refused.error_code(), Some(-32_601), "{method}: {}", refused.raw);
        }
    }
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({"name": ""})),
        ("prompts/get", json!({})),
        ("resources/read", json!({"uri": 1})),
        ("completion/complete", json!({"ref": {"type": "ref/x"}})),
    ] {
        let refused = client.request(method, params);
        assert_eq!(refused.error_code(), Some(-32_602), "{method}: {}", refused.raw);
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes__echo","name":"mail__echo"}}"#;
    let refused = client.post(twice);
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(stage.notes.calls().is_empty() && stage.mail.log().calls().is_empty());
    let denied = client.request("tools/call", json!({"name": "none__echo", "task": {}}));
    assert!(denied.error_code().is_some(), "{}", denied.raw);
}

#[test]
fn a_batch_is_split_among_the_servers_and_its_answers_are_joined() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let mut client = everything(&team, &ana);
    client.initialize("2025-03-26");
    let call = |id: u32, name: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": name, "arguments": {"text": name}}})
    };
    let batch = json!([call(7, "notes__echo"), call(8, "mail__echo"), call(9, "none__echo"),
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}]);
    let answers: Vec<Value> = serde_json::from_str(&client.post(&batch.to_string()).body).unwrap();
    let ids: BTreeSet<u64> = answers
        .iter()
        .map(|answer| answer["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, BTreeSet::from([7, 8, 9]));
    for (log, name) in [(&stage.notes, "notes__echo"), (stage.mail.log(), "mail__echo")] {
        assert_eq!(log.calls()[0]["params"]["arguments"]["text"], name);
        assert_eq!(log.of_method("notifications/roots/list_changed").len(), 1);
    }
    let mut later = begun(&team, &ana);
    assert_eq!(
        later.post(&batch.to_string()).answer().error_code(),
        Some(-32_600)
    );
    assert_eq!(later.call("notes__echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn a_session_limit_counts_a_session_with_all_servers_as_one_with_each() {
    let stage = Stage::new();
    let limits =
        "version: \"1\"\ndefault: allow\ntools: {echo: {limits: [{window: hour, max: 2, scope: session}]}}\n";
    stage.room.write("open.yaml", limits);
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let allowed = |client: &mut Http, name: &str| {
        (0..4)
            .filter(|_| !client.call(name, json!({"text": "x"})).is_denied())
            .count()
    };
    for _ in 0..2 {
        let mut client = begun(&team, &ana);
        for name in ["notes__echo", "mail__echo"] {
            assert_eq!(allowed(&mut client, name), 2, "{name}");
        }
    }
    let record = Record::of(&stage.room);
    let sessions: BTreeSet<&str> = record
        .intents()
        .iter()
        .filter_map(|intent| Some(intent.session.as_ref()?.as_str()))
        .collect();
    assert_eq!(sessions.len(), 2, "one session of all servers, twice");
}

#[test]
fn a_signal_lets_open_calls_to_all_servers_end_and_leaves_nothing_behind() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let mut team = stage.serve();
    let mut client = begun(&team, &ana);
    let streams = ["notes__sleep", "mail__sleep"].map(|name| client.open_call(name, json!({"ms": 700})));
    until("both calls have reached their servers", || {
        (stage.notes.calls().len() == 1 && stage.mail.log().calls().len() == 1).then_some(())
    });
    team.process.signal(Signal::TERM);
    for stream in streams {
        let rest = stream.rest();
        assert!(format!("{rest:?}").contains("slept"), "{rest:?}");
    }
    assert_eq!(team.process.ended().code(), Some(143));
    Record::of(&stage.room).assert_one_outcome_each();
}
