//! OpenTelemetry traces: a call is one story from its client to its server, and tells nothing that it should not.

mod attacks;
mod collectors;
mod context;

use crate::support::collector::{Collector, Told, pair};
use crate::support::upstream::Upstream;
use crate::support::{OPEN, Record, before_echo, gate, until};
use crate::team::Stage;
use callgate_testkit::client::call;
use callgate_testkit::{Gate, Http, HttpServer, PATIENCE, Room, Script, ServerLog, StdioServer};
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The same gate, whose environment names a collector.
fn traced(gate: Gate, collector: &Collector) -> Gate {
    gate.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
}

/// A team whose configuration names a collector.
fn stage(collector: &Collector) -> Stage {
    let mut stage = Stage::new();
    stage.config["traces"] = json!({"endpoint": format!("{}/v1/traces", collector.url)});
    stage
}

/// Parameters of a call, with this in `_meta`.
fn with_meta(tool: &str, arguments: &Value, meta: &Value) -> Value {
    let mut params = call(tool, arguments);
    params["_meta"] = meta.clone();
    params
}

/// What the server's last call says of its trace: in `_meta`.
#[track_caller]
fn seen(calls: &[Value]) -> Value {
    calls.last().expect("a call at the server")["params"]["_meta"].clone()
}

/// The headers of the last request of a server over HTTP that begins with these words, by their names.
#[track_caller]
fn headers(server: &HttpServer, of: impl Fn(&str) -> bool) -> Vec<String> {
    let notes = server.log().notes();
    let note = notes.iter().rfind(|note| of(note)).expect("a request");
    note.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_call_over_stdio_has_a_span_for_each_side() {
    let collector = Collector::start();
    let (room, server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).flags(&["--server", "notes"]).stdio();
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let (own, outward) = collector.call();
    assert_eq!(own.name, "tools/call echo");
    assert_eq!((own.parent.as_str(), own.is_error), ("", false));
    let record = Record::once(&room, "the outcome", |record| record.statuses() == ["ok"]);
    let call = record.intents()[0].call.to_string();
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "echo"),
        ("mcp.protocol.version", "2025-11-25"),
        ("callgate.server", "notes"),
        ("callgate.grant", "local"),
        ("callgate.decision", "allow"),
        ("callgate.outcome", "ok"),
        ("callgate.call", &call),
    ] {
        assert_eq!(own.attribute(key), Some(value), "{own:#?}");
    }
    assert_eq!(own.attributes.len(), 9, "{own:#?}");
    assert_eq!(outward.name, "tools/call echo");
    assert_eq!(outward.attribute("network.transport"), Some("pipe"));
    assert_eq!(outward.attribute("callgate.server"), Some("notes"));
    assert_eq!(own.resource["service.name"], "callgate");
    assert_eq!(own.resource["service.version"], env!("CARGO_PKG_VERSION"));
    let meta = seen(&server.log().of_method("tools/call"));
    assert_eq!(meta, json!({"traceparent": outward.traceparent()}));
}

#[test]
fn a_call_over_http_carries_its_span_in_headers_and_in_the_message() {
    let collector = Collector::start();
    let room = Room::new();
    let server = HttpServer::start(&room, &[]);
    let gate = traced(gate(&room, OPEN).before_http(&server), &collector).http();
    let mut client = gate.client().header("traceparent", PARENT);
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let (own, outward) = collector.call();
    assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN));
    assert_eq!(own.flags & 0x301, 0x301, "the parent is of another process");
    assert_eq!(outward.attribute("network.transport"), Some("tcp"));
    let meta = seen(&server.log().of_method("tools/call"));
    assert_eq!(meta, json!({"traceparent": outward.traceparent()}));
    let with = headers(&server, |note| note.contains("traceparent"));
    assert!(with.join(" ").contains(&outward.traceparent()), "{with:?}");
}

/// The spans of a call of `tool` through these doors of a team, and what the server saw of it.
fn through(path: &str, tool: &str, server: &str) -> (Told, Told, Value) {
    let collector = Collector::start();
    let stage = stage(&collector);
    let token = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let mut client = team.client("", &token).path(path);
    client.initialize("2025-11-25");
    let params = with_meta(
        tool,
        &json!({"text": "hi"}),
        &json!({"traceparent": PARENT, "x/y": 1.50}),
    );
    assert_eq!(client.request("tools/call", params).text(), "hi");
    let (own, outward) = collector.call();
    let log = if server == "notes" {
        &stage.notes
    } else {
        stage.mail.log()
    };
    let raw = log.lines().into_iter().rfind(|line| line.contains("tools/call"));
    assert!(raw.unwrap().contains(r#""x/y":1.5"#));
    (own, outward, seen(&log.of_method("tools/call")))
}

#[test]
fn each_door_of_a_team_tells_the_same_story() {
    for (path, tool, server) in [
        ("/mcp/notes", "echo", "notes"),
        ("/mcp/mail", "echo", "mail"),
        ("/mcp", "notes__echo", "notes"),
        ("/mcp", "mail__echo", "mail"),
    ] {
        let (own, outward, meta) = through(path, tool, server);
        assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN), "{path}");
        assert_eq!(own.name, "tools/call echo", "{path}");
        assert_eq!(own.attribute("callgate.server"), Some(server), "{path}");
        assert!(
            own.attribute("callgate.grant").unwrap().starts_with("g_"),
            "{path}"
        );
        let expected = json!({"traceparent": outward.traceparent(), "x/y": 1.5});
        assert_eq!(meta, expected, "{path}");
    }
}

#[test]
fn a_modern_call_has_its_span_where_clients_share_a_child() {
    let collector = Collector::start();
    let (_room, server, gate) = before_echo(OPEN);
    let gate = traced(gate, &collector).http();
    let mut client = gate.client().modern();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let (own, outward) = collector.call();
    assert_eq!(own.attribute("mcp.protocol.version"), Some("2026-07-28"));
    let meta = seen(&server.log().of_method("tools/call"));
    assert_eq!(meta["traceparent"], outward.traceparent());
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
}

#[test]
fn a_bridged_call_is_one_story_however_many_rounds_it_takes() {
    let collector = Collector::start();
    let room = Room::new();
    let server = StdioServer::echo(&room).version("2026-07-28");
    let mut client = traced(gate(&room, OPEN).before(&server), &collector).stdio();
    client.initialize("2025-11-25");
    let id = client.start_call("ask", json!({"what": "roots"}));
    let question = client.message("roots/list");
    client.reply(&question, json!({"roots": []}));
    assert!(client.answer(id).text().contains("roots"));
    let (own, outward) = collector.call();
    assert_eq!(own.attribute("callgate.outcome"), Some("ok"));
    let calls = server.log().of_method("tools/call");
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call["params"]["_meta"]["traceparent"], outward.traceparent());
    }
}

#[test]
fn a_modern_call_is_traced_before_a_legacy_server() {
    let collector = Collector::start();
    let room = Room::new();
    let server = HttpServer::start(&room, &["--version", "2025-11-25"]);
    let gate = traced(gate(&room, OPEN).before_http(&server), &collector).http();
    let mut client = gate.client().modern().header("traceparent", PARENT);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let (own, outward) = collector.call();
    assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN));
    let meta = seen(&server.log().of_method("tools/call"));
    assert_eq!(meta, json!({"traceparent": outward.traceparent()}));
    let with = headers(&server, |note| note.contains("traceparent"));
    assert!(with.join(" ").contains(&outward.traceparent()), "{with:?}");
}

#[test]
fn a_denied_call_has_a_span_that_says_why_and_reaches_no_server() {
    let collector = Collector::start();
    let policy = "version: \"1\"\ndefault: allow\nhide: [sleep]\ntools:\n  echo:\n    rules: [{action: deny, on_deny: never}]\n";
    let (_room, server, gate) = before_echo(policy);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    assert!(client.call("echo", json!({"text": "hi"})).is_denied());
    assert!(client.call("sleep", json!({})).is_denied());
    assert!(client.call("no-such-tool", json!({})).is_denied());
    let spans = collector.calls(3);
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            assert_eq!((span.kind, span.is_error, span.message.as_str()), (2, true, ""));
            assert_eq!(span.attribute("callgate.decision"), Some("deny"));
            assert_eq!(span.attribute("error.type"), span.attribute("callgate.reason"));
            let rule = span.attribute("callgate.rule").unwrap_or_default();
            (span.name.as_str(), span.attribute("error.type").unwrap(), rule)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("tools/call echo", "denied_by_rule", "/tools/echo/rules/0"),
            ("tools/call sleep", "hidden", ""),
            ("tools/call", "not_listed", ""),
        ]
    );
    assert!(server.log().of_method("tools/call").is_empty());
}

#[test]
fn what_fails_is_told_by_its_kind() {
    let collector = Collector::start();
    let mut stage = stage(&collector);
    let gone = HttpServer::start(&Room::new(), &[]);
    stage.config["servers"]["gone"] = json!({"url": gone.url()});
    let token = stage.grant("ana", &["notes=open", "gone=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &token);
    assert!(client.call("fail", json!({})).is_tool_error());
    let mut lost = team.begun("gone", &token);
    assert_eq!(lost.call("echo", json!({"text": "hi"})).text(), "hi");
    drop(gone);
    let lost = lost.call("echo", json!({"text": "hi"}));
    assert_eq!(lost.reason(), Some("upstream_unreachable"));
    assert!(
        team.client("", &token)
            .path("/mcp")
            .modern()
            .call("nobody__echo", json!({}))
            .is_denied()
    );
    let spans = collector.calls(7);
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let outcome = span.attribute("callgate.outcome").unwrap_or_default();
            let server = span.attribute("callgate.server").unwrap_or_default();
            (
                span.kind,
                server,
                outcome,
                span.attribute("error.type"),
                span.is_error,
            )
        })
        .collect();
    let unreachable = Some("upstream_unreachable");
    assert_eq!(
        told,
        [
            (2, "notes", "tool_error", Some("tool_error"), true),
            (3, "notes", "tool_error", Some("tool_error"), true),
            (2, "gone", "ok", None, false),
            (3, "gone", "ok", None, false),
            (2, "gone", "unreachable", unreachable, true),
            (3, "gone", "unreachable", unreachable, true),
            (2, "", "", Some("not_listed"), true),
        ]
    );
}

#[test]
fn requests_that_are_no_calls_have_spans_and_notifications_have_none() {
    let collector = Collector::start();
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    client.request("ping", json!({"_meta": {"traceparent": PARENT}}));
    client.request("tools/list", json!({}));
    client.request("vendor/s3cret", json!({}));
    client.notify(
        "notifications/roots/list_changed",
        json!({"_meta": {"traceparent": PARENT}}),
    );
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    collector.calls(2);
    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    // Callgate's own look at the tools is nobody's request.
    let expected = [
        "tools/list",
        "tools/list",
        "_OTHER",
        "_OTHER",
        "tools/call echo",
        "tools/call echo",
    ];
    assert_eq!(names, expected);
    for method in ["ping", "notifications/roots/list_changed"] {
        assert_eq!(
            seen(&server.log().of_method(method)),
            json!({"traceparent": PARENT}),
            "{method}"
        );
    }
}

#[test]
fn without_a_collector_nothing_is_told_and_nothing_is_changed() {
    let room = Room::new();
    let server = HttpServer::start(&room, &[]);
    let gate = gate(&room, OPEN).before_http(&server).http();
    let mut client = gate.client().header("traceparent", PARENT);
    client.initialize("2025-11-25");
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"_meta":{{ "tracestate":"A","traceparent" : "{PARENT}" }},"name":"echo","arguments":{{"text":"hi"}}}}}}"#
    );
    assert_eq!(client.post(&body).answer().text(), "hi");
    assert!(
        server.log().lines().contains(&body),
        "{:#?}",
        server.log().lines()
    );
    assert!(
        server
            .log()
            .notes()
            .iter()
            .all(|note| !note.contains("traceparent"))
    );
    assert!(!gate.stderr().contains("traces"));
}

#[test]
fn an_answer_that_is_passed_on_while_it_comes_is_told_once_as_it_ended() {
    for (end, outcome, error) in [
        (Some(r#""}]}}"#), "ok", None),
        (Some(r#""}],"isError":true}}"#), "tool_error", Some("tool_error")),
        (Some(r#""}]}"#), "protocol_error", Some("upstream_protocol")),
        (None, "unknown", Some("upstream_unreachable")),
    ] {
        let collector = Collector::start();
        let room = Room::new();
        let (server, calls) = Upstream::holding(|asked| asked.json()["method"] == "tools/call");
        let gate = traced(gate(&room, OPEN).upstream(&server.url), &collector).http();
        let mut client = gate.client().modern().header("traceparent", PARENT);
        let mut answer = client.open_call("echo", json!({"text": "hi"}));
        let mut held = calls.recv_timeout(PATIENCE).unwrap();
        held.begin_long();
        answer.first(40 * 1024);
        assert!(
            collector
                .spans()
                .iter()
                .all(|span| span.kind == 3 || !span.name.starts_with("tools/call"))
        );
        if let Some(end) = end {
            assert!(held.piece(end.as_bytes()));
            held.end();
        } else {
            drop(held);
        }
        let _ = answer.rest();
        let (own, outward) = collector.call();
        assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN));
        for span in [&own, &outward] {
            assert_eq!(span.name, "tools/call echo");
            assert_eq!(span.attribute("callgate.outcome"), Some(outcome));
            assert_eq!(span.attribute("error.type"), error);
        }
        let record = Record::once(&room, "the outcome", |record| record.statuses() == [outcome]);
        record.assert_one_outcome_each();
        let call = record.intents()[0].call.to_string();
        assert_eq!(own.attribute("callgate.call"), Some(&*call));
    }
}

#[test]
fn a_call_has_a_span_for_each_side_where_sessions_share_a_child() {
    let collector = Collector::start();
    let mut stage = stage(&collector);
    let log = ServerLog::at(stage.room.at("desk.log"));
    for era in ["legacy", "modern"] {
        stage.config["servers"][era] = json!({
            "command": ["python3", Script::path("puppet.py"), log.path(), era],
            "shared": true,
        });
    }
    let token = stage.grant("ana", &["legacy=open", "modern=open"]);
    let mut team = stage.serve();
    team.process.owns_servers_of(log.clone());
    for (server, is_modern) in [
        ("legacy", false),
        ("legacy", true),
        ("modern", false),
        ("modern", true),
    ] {
        let mut client = if is_modern {
            team.client(server, &token).modern()
        } else {
            team.begun(server, &token)
        };
        let before = collector.spans().len();
        assert_eq!(
            client.call("echo", json!({"text": "hi"})).text(),
            "hi",
            "{server}"
        );
        let spans = until("both spans are told", || {
            let spans: Vec<Told> = collector.spans().into_iter().skip(before).collect();
            let calls: Vec<Told> = spans
                .into_iter()
                .filter(|span| span.name.starts_with("tools/call"))
                .collect();
            (calls.len() == 2).then_some(calls)
        });
        let (own, outward) = pair(spans);
        assert_eq!(outward.parent, own.id);
        assert_eq!(outward.attribute("network.transport"), Some("pipe"));
        let meta = seen(&log.of_method("tools/call"));
        assert_eq!(meta["traceparent"], outward.traceparent(), "{server}");
    }
}
