//! Streamable HTTP, towards clients and towards servers.

use crate::support::upstream::{Upstream, housekeeping, reply};
use crate::support::{OPEN, Record, before_echo, gate, until};
use callgate_testkit::process::is_gone_within;
use callgate_testkit::{Gate, Http, HttpGate, HttpServer, Room};
use serde_json::json;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const IMPATIENT: &str = "version: \"1\"\ndefault: allow\ntimeout: 1s\ntools: {}\n";

/// The bundled server over HTTP and a gate over HTTP before it.
fn before_http(policy: &str, flags: &[&str]) -> (Room, HttpServer, HttpGate) {
    let room = Room::new();
    let server = HttpServer::start(&room, flags);
    let gate = gate(&room, policy).before_http(&server).http();
    (room, server, gate)
}

fn begun(gate: &HttpGate) -> Http {
    let mut client = gate.client();
    client.initialize("2025-11-25");
    client
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    let (_room, server, gate) = before_http(OPEN, &[]);
    let authority = gate
        .url()
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .to_owned();
    let port = authority.rsplit(':').next().unwrap().to_owned();
    let origin = |origin: String| gate.client().header("origin", &origin);
    let host = |host: String| gate.client().header("host", &host);
    for (client, status) in [
        (host("evil.example".into()), 403),
        (host(format!("evil.example:{port}")), 403),
        (host(format!("127.0.0.1.evil.example:{port}")), 403),
        (origin("http://evil.example".into()), 403),
        (origin("null".into()), 403),
        (origin(format!("http://localhost:{port}.evil.example")), 403),
        (origin(format!("http://{authority}")), 200),
        (host(format!("localhost:{port}")), 200),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let answered = client.post(&body.to_string());
        assert_eq!(answered.status, status, "{client:?}: {answered:?}");
    }
    assert_eq!(server.log().of_method("initialize").len(), 2);
}

#[test]
fn a_session_that_is_not_open_is_not_found_and_the_servers_own_id_is_not_shown() {
    let (_room, server, gate) = before_http(OPEN, &[]);
    let mut first = begun(&gate);
    let mut second = begun(&gate);
    let ids = [
        first.session().unwrap().to_owned(),
        second.session().unwrap().to_owned(),
    ];
    assert_ne!(ids[0], ids[1]);
    assert!(
        !ids[0].starts_with("testkit-"),
        "the server's own session id came down"
    );
    assert_eq!(first.call("echo", json!({"text": "hi"})).text(), "hi");
    let guess = gate.client();
    for wrong in ["testkit-1-0", "0123456789abcdef0123456789abcdef", "local"] {
        let mut guess = guess.clone();
        guess.set_session(Some(wrong));
        assert_eq!(guess.reply("tools/list", json!({})).status, 404);
        assert_eq!(guess.delete(), 404);
        assert_eq!(guess.listen().status(), 404);
    }
    assert!(first.delete() < 300);
    assert_eq!(
        first.reply("tools/list", json!({})).status,
        404,
        "a closed session is gone"
    );
    assert_eq!(
        second.call("echo", json!({"text": "hi"})).text(),
        "hi",
        "the other one stays"
    );
    // The server was told of the end of its own session.
    until("the server is told", || {
        server.log().notes_of("DELETE /mcp").first().cloned()
    });
}

#[test]
fn run_serves_the_stream_of_2024_11_05_beside_streamable_http() {
    let (_room, server, gate) = before_echo(OPEN);
    let process = gate.start(&["--transport", "sse", "--bind", "127.0.0.1", "--port", "0"]);
    let line = process.stderr_line("listening on");
    let url = line.split_whitespace().last().unwrap().to_owned();
    assert!(url.ends_with("/sse"), "{line}");
    let mut stream = Http::to(&url).listen();
    assert_eq!(stream.status(), 200);
    assert_eq!(Http::to(&url).post("{}").status, 405);
    let mut client = Http::to(&url.replace("/sse", "/mcp"));
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(
        server.log().notes_of("pid").len(),
        2,
        "each has a child of its own"
    );
}

#[test]
fn each_session_has_a_child_of_its_own_which_ends_with_it() {
    let (_room, server, gate) = before_echo(OPEN);
    let gate = gate.http();
    let mut clients = [begun(&gate), begun(&gate)];
    for client in &mut clients {
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    let pids: Vec<u32> = server
        .log()
        .notes_of("pid")
        .iter()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    assert!(clients[0].delete() < 300);
    let gone: Vec<u32> = until("one child ends", || {
        let gone: Vec<u32> = pids
            .iter()
            .copied()
            .filter(|pid| is_gone_within(*pid, Duration::ZERO))
            .collect();
        (!gone.is_empty()).then_some(gone)
    });
    assert_eq!(gone.len(), 1);
    assert_eq!(clients[1].call("echo", json!({"text": "hi"})).text(), "hi");
    gate.signal(rustix::process::Signal::TERM);
    assert!(
        pids.iter()
            .all(|pid| is_gone_within(*pid, Duration::from_secs(10))),
        "a child was left behind"
    );
}

#[test]
fn what_the_server_says_unasked_comes_on_the_get_stream() {
    let (_room, _server, gate) = before_http(OPEN, &["--notify-ms", "30"]);
    let client = begun(&gate);
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    let ticks: Vec<String> = (0..3)
        .map(|_| stream.event().json["params"]["data"].as_str().unwrap().to_owned())
        .collect();
    assert!(ticks.iter().all(|tick| tick.starts_with("tick ")), "{ticks:?}");
    let mut without = gate.client();
    without.set_session(None);
    assert_eq!(without.listen().status(), 405);
}

#[test]
fn streams_of_every_dialect_cut_at_every_byte_are_read() {
    let dialects = ["plain", "crlf", "cr", "multiline", "rich"];
    let all = dialects
        .into_iter()
        .flat_map(|dialect| [(dialect, "1"), (dialect, "7")]);
    std::thread::scope(|scope| {
        for (dialect, cut) in all {
            scope.spawn(move || reads_streams_of(dialect, cut));
        }
    });
}

fn reads_streams_of(dialect: &str, cut: &str) {
    let flags = ["--mode", "sse", "--dialect", dialect, "--cut", cut];
    let (_room, _server, gate) = before_http(OPEN, &flags);
    let mut client = begun(&gate);
    let said = client.call("echo", json!({"text": "é😀 through"}));
    assert_eq!(said.text(), "é😀 through", "{dialect} cut at {cut}");
    let mut params = json!({"name": "progress", "arguments": {"steps": 3}});
    params["_meta"] = json!({"progressToken": 9});
    let messages = client.reply("tools/call", params).messages();
    let steps: Vec<_> = messages
        .iter()
        .map(|message| message.json["params"]["progress"].clone())
        .collect();
    assert_eq!(
        steps[..3],
        [json!(1), json!(2), json!(3)],
        "{dialect} cut at {cut}"
    );
    assert_eq!(messages.last().unwrap().text(), "done");
}

#[test]
fn a_large_answer_comes_whole_over_streams_and_json() {
    for mode in ["json", "sse"] {
        let (_room, _server, gate) = before_http(OPEN, &["--mode", mode]);
        let mut client = begun(&gate);
        let text = client.call("big", json!({"bytes": 15 << 20})).text();
        assert_eq!(text.len(), 15 << 20, "{mode}");
    }
}

/// What a client over HTTP asks while its call is open, it can answer.
#[test]
fn the_server_asks_the_client_on_the_stream_of_its_call() {
    for mode in ["json", "sse"] {
        let (_room, _server, gate) = before_http(OPEN, &["--mode", mode]);
        let mut client = begun(&gate);
        let mut stream = client.open_call("ask", json!({"what": "sampling"}));
        let asked = stream.event();
        assert_eq!(asked.json["method"], "sampling/createMessage");
        assert_eq!(client.answer(&asked, json!({"model": "m"})), 202);
        assert!(stream.event().text().contains(r#"{"model":"m"}"#));
    }
    let (_room, _server, gate) = before_echo(OPEN);
    let gate = gate.http();
    let mut client = begun(&gate);
    let mut stream = client.open_call("ask", json!({"what": "elicitation"}));
    let asked = stream.event();
    assert_eq!(client.answer(&asked, json!({"action": "decline"})), 202);
    assert!(stream.event().text().contains("decline"));
}

#[test]
fn a_session_whose_server_died_is_gone_and_its_client_can_begin_anew() {
    let (_room, _server, gate) = crate::misbehaving_servers::misbehaving(OPEN, "dies");
    let gate = gate.http();
    let mut client = begun(&gate);
    assert!(client.call("echo", json!({"text": "hi"})).is_tool_error());
    until("the session is gone", || {
        (client.reply("tools/list", json!({})).status == 404).then_some(())
    });
    let mut again = begun(&gate);
    assert_eq!(again.reply("tools/list", json!({})).status, 200);
}

#[test]
fn many_calls_are_in_flight_at_once_and_none_waits_for_another() {
    let (_room, _server, gate) = before_http(OPEN, &[]);
    let mut client = begun(&gate);
    client.call("echo", json!({"text": "hi"}));
    let began = Instant::now();
    let slow: Vec<_> = (0..40)
        .map(|_| client.open_call("sleep", json!({"ms": 1_500})))
        .collect();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert!(
        began.elapsed() < Duration::from_millis(1_400),
        "{:?}",
        began.elapsed()
    );
    for stream in slow {
        assert_eq!(stream.rest().answer().text(), "slept");
    }
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_fails_in_any_way_is_told_and_the_session_lives_on() {
    let faults = [
        ("unauthorized", "upstream_auth", "protocol_error"),
        ("forbidden", "upstream_auth", "protocol_error"),
        ("payment", "upstream_protocol", "protocol_error"),
        ("rate-html", "upstream_protocol", "protocol_error"),
        ("redirect", "upstream_protocol", "protocol_error"),
        ("server-error", "upstream_protocol", "protocol_error"),
        ("html", "upstream_protocol", "protocol_error"),
        ("bad-json", "upstream_protocol", "protocol_error"),
        ("wrong-id", "upstream_protocol", "protocol_error"),
        ("reset", "upstream_unreachable", "unknown"),
        ("cut-body", "upstream_unreachable", "unknown"),
        ("sse-without-answer", "upstream_unreachable", "unknown"),
        ("oversized", "too_large", "unknown"),
        ("sse-oversized", "too_large", "unknown"),
        ("hang", "deadline", "unknown"),
    ];
    std::thread::scope(|scope| {
        for (fault, reason, status) in faults {
            scope.spawn(move || survives(fault, reason, status));
        }
    });
}

#[track_caller]
fn survives(fault: &str, reason: &str, status: &str) {
    let (room, server, gate) = before_http(IMPATIENT, &["--fault", fault]);
    let mut client = begun(&gate);
    let reply = client.reply("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    assert_eq!(reply.status, 200, "{fault}: {reply:?}");
    for header in ["set-cookie", "www-authenticate", "location"] {
        assert_eq!(reply.header(header), None, "{fault}");
    }
    let failed = reply.answer();
    assert!(failed.is_tool_error(), "{fault}: {}", failed.raw);
    assert_eq!(failed.reason(), Some(reason), "{fault}: {}", failed.raw);
    assert!(!failed.text().contains('<'), "{fault}: {}", failed.raw);
    assert_eq!(
        client.request("tools/list", json!({})).tool_names().len(),
        10,
        "{fault}"
    );
    assert_eq!(server.log().calls().len(), 1, "{fault}: nothing is repeated");
    assert!(
        server
            .log()
            .notes()
            .iter()
            .all(|note| !note.contains("/elsewhere")),
        "a redirect was followed"
    );
    drop(gate);
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), [status], "{fault}");
}

#[test]
fn a_call_that_never_left_gives_back_what_it_took() {
    let room = Room::new();
    let policy = "version: \"1\"\ndefault: allow\ntools: {echo: {rules: [{rate_limit: 2/hour}]}}\n";
    let mut server = HttpServer::start(&room, &["--stateless"]);
    let port = server
        .url()
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches("/mcp")
        .to_owned();
    let gate = gate(&room, policy).before_http(&server).http();
    let mut client = begun(&gate);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    server.kill9();
    for _ in 0..3 {
        let failed = client.call("echo", json!({"text": "hi"}));
        assert_eq!(failed.reason(), Some("upstream_unreachable"), "{}", failed.raw);
    }
    let _server = HttpServer::start(&room, &["--stateless", "--port", &port]);
    // It is left alone for a moment, and nothing is taken meanwhile either.
    let answered = until("the server is tried again", || {
        let answer = client.call("echo", json!({"text": "hi"}));
        (answer.reason() != Some("upstream_unreachable")).then_some(answer)
    });
    assert_eq!(answered.text(), "hi");
    assert_eq!(
        client.call("echo", json!({"text": "hi"})).reason(),
        Some("rate_limited")
    );
    let record = Record::once(&room, "all is settled", Record::is_settled);
    let statuses = record.statuses();
    assert_eq!(statuses.iter().filter(|status| **status == "ok").count(), 2);
    assert!(
        statuses
            .iter()
            .all(|status| matches!(*status, "ok" | "unreachable")),
        "{statuses:?}"
    );
}

/// A server whose answer to a call comes in three streams: progress, then nothing new, then the result. Each ends as
/// `events` lets it end.
fn in_three_streams(events: impl Fn(&str) -> String + Send + Sync + 'static) -> Upstream {
    let resumed = Mutex::new(0);
    Upstream::start(
        move |asked| match (asked.method.as_str(), asked.header("last-event-id")) {
            ("POST", _) if asked.json()["method"] == "tools/call" => events(
                "id: e-1\nretry: 20\ndata:\n\nid: e-2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"t\",\"progress\":1}}\n\n",
            ),
            ("GET", Some("e-2")) => {
                let mut resumed = resumed.lock().unwrap();
                *resumed += 1;
                if *resumed == 1 {
                    return events("retry: 20\n: nothing new\n\n");
                }
                events(
                    "id: e-3\ndata: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"at last\"}]}}\n\n",
                )
            }
            ("GET", _) => reply("405 Method Not Allowed", "text/plain", ""),
            _ => housekeeping(asked),
        },
    )
}

fn call_with_progress() -> String {
    json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "echo", "arguments": {}, "_meta": {"progressToken": "t"}}})
    .to_string()
}

fn assert_called_once(upstream: &Upstream) {
    let asked = upstream.asked();
    let calls = asked
        .iter()
        .filter(|asked| asked.body.contains("tools/call"))
        .count();
    assert_eq!(calls, 1, "a call is never repeated");
}

#[test]
fn a_stream_that_breaks_off_is_taken_up_where_it_ended() {
    // More is announced than comes.
    let upstream = in_three_streams(|body| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{body}")
    });
    let room = Room::new();
    let gate = gate(&room, OPEN).upstream(&upstream.url).http();
    let client = begun(&gate);
    let messages = client.post(&call_with_progress()).messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(messages[1].text(), "at last");
    assert_called_once(&upstream);
    drop(gate);
    assert_eq!(Record::of(&room).statuses(), ["ok"]);
}

#[test]
fn where_the_server_closes_its_stream_the_client_polls_too() {
    let upstream = in_three_streams(|body| reply("200 OK", "text/event-stream", body));
    let room = Room::new();
    let gate = gate(&room, OPEN).upstream(&upstream.url).http();
    let client = begun(&gate);
    let mut shown = client.post(&call_with_progress());
    assert!(shown.body.starts_with("id: 1-0\nretry: "), "{shown:?}");
    let mut messages = shown.messages();
    let last_id = |body: &str| {
        let mut ids = body.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().unwrap().to_owned()
    };
    let mut last = last_id(&shown.body);
    let end = Instant::now() + Duration::from_secs(10);
    while messages.iter().all(|message| message.json["id"] != 5) {
        assert!(Instant::now() < end, "{messages:#?}");
        shown = client.clone().header("last-event-id", &last).listen().rest();
        messages.extend(shown.messages());
        last = last_id(&shown.body);
    }
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(messages[1].text(), "at last");
    assert_called_once(&upstream);
    // It can be had again, by its own session alone.
    let again = |client: &Http| client.clone().header("last-event-id", "1-1").listen().rest();
    assert_eq!(again(&client).messages()[0].text(), "at last");
    assert_eq!(again(&begun(&gate)).status, 400);
    drop(gate);
    assert_eq!(Record::of(&room).statuses(), ["ok"]);
}

#[test]
fn a_client_that_lost_its_connection_gets_the_answer_by_the_event_it_saw_last() {
    let upstream = Upstream::start(|asked| {
        if asked.json()["method"] != "tools/call" {
            return housekeeping(asked);
        }
        let id = &asked.json()["id"];
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "t", "progress": 1}});
        let answer =
            json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "at last"}]}});
        reply(
            "200 OK",
            "text/event-stream",
            &format!("data: {note}\n\ndata: {answer}\n\n"),
        )
    });
    let room = Room::new();
    let gate = gate(&room, OPEN).upstream(&upstream.url).http();
    let mut client = begun(&gate);
    let mut stream = client.open(
        "tools/call",
        json!({"name": "echo", "arguments": {}, "_meta": {"progressToken": "t"}}),
    );
    assert_eq!(stream.event().json["method"], "notifications/progress");
    drop(stream);
    let resumed = client.clone().header("last-event-id", "1-1").listen().rest();
    assert_eq!(resumed.messages().pop().unwrap().text(), "at last");
    // Before 2025-11-25, clients do not expect events without data.
    let mut earlier = gate.client();
    earlier.initialize("2025-06-18");
    let shown = earlier.post(&call_with_progress());
    assert!(shown.body.starts_with("event: message\ndata: "), "{shown:?}");
}

#[test]
fn a_client_that_hangs_up_mid_call_leaves_a_whole_record() {
    let (room, server, gate) = before_http(OPEN, &[]);
    let mut client = begun(&gate);
    client.call("echo", json!({"text": "hi"}));
    // Some leave before their request is read, the others once their call has reached the server.
    for number in 0..10 {
        drop(client.open_call("sleep", json!({"ms": 30})));
        let stream = client.open_call("sleep", json!({"ms": 100, "number": number}));
        server.log().wait_until(Duration::from_secs(10), |log| {
            log.calls_of("sleep")
                .iter()
                .any(|arguments| arguments["number"] == number)
        });
        drop(stream);
    }
    // A client of this era that hangs up has not cancelled: its calls go on to their end.
    let record = Record::once(&room, "all is settled", |record| {
        record.is_settled() && record.intents().len() == server.log().calls().len()
    });
    record.assert_one_outcome_each();
    assert!(
        record.statuses().iter().all(|status| *status == "ok"),
        "{:?}",
        record.statuses()
    );
    assert!(record.statuses().len() >= 11);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn a_token_file_is_asked_for_on_every_request() {
    let room = Room::new();
    let server = HttpServer::start(&room, &[]);
    let token = room.write("token", "a-token-of-enough-characters\n");
    let gate = gate(&room, OPEN)
        .before_http(&server)
        .flag("--token-file")
        .flag(token)
        .http();
    for header in [
        None,
        Some("Bearer wrong"),
        Some("Bearer a-token-of-enough-character"),
        Some("Basic a-token-of-enough-characters"),
    ] {
        let client = gate.client();
        let client = header.map_or(client.clone(), |header| client.header("authorization", header));
        assert_eq!(client.post("{}").status, 401, "{header:?}");
        assert_eq!(client.listen().status(), 401);
        assert_eq!(client.delete(), 401);
    }
    let mut client = gate
        .client()
        .header("authorization", "Bearer a-token-of-enough-characters");
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn requests_of_the_stateless_era_pass_and_headers_that_disagree_do_not() {
    let (_room, server, gate) = before_http(
        "version: \"1\"\ndefault: allow\ntools: {boom: {rules: [{action: deny, on_deny: never}]}}\n",
        &[],
    );
    let mut client = gate.client().modern();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let denied = client.call("boom", json!({}));
    assert!(denied.is_denied(), "{}", denied.raw);
    assert_eq!(denied.result()["resultType"], "complete");
    let mut liar = gate.client().modern().header("mcp-name", "echo");
    let refused = liar.reply("tools/call", json!({"name": "boom", "arguments": {}}));
    assert_eq!(
        (refused.status, refused.answer().error_code()),
        (400, Some(-32_020)),
        "{refused:?}"
    );
    let mut liar = gate.client().modern().header("mcp-method", "tools/list");
    assert_eq!(
        liar.reply("tools/call", json!({"name": "boom", "arguments": {}}))
            .status,
        400
    );
    assert_eq!(server.log().calls().len(), 1);
}

#[test]
fn a_body_that_is_no_message_is_refused_and_the_session_lives_on() {
    let (_room, server, gate) = before_http(OPEN, &[]);
    let mut client = begun(&gate);
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
    ] {
        let refused = client.post(body);
        assert!(refused.status < 500, "{refused:?}");
        assert!(
            refused.status >= 400 || refused.answer().error_code().is_some(),
            "{body}: {refused:?}"
        );
    }
    let large = client.post(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}"}}}}"#,
        "x".repeat(17 << 20)
    ));
    assert_eq!(large.status, 413);
    let methods: Vec<_> = server
        .log()
        .messages()
        .iter()
        .map(|message| message["method"].clone())
        .collect();
    assert!(
        !methods.contains(&json!("ping")) && !methods.contains(&json!("x")),
        "{methods:?}"
    );
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn more_sessions_a_minute_than_a_grant_may_open_are_refused() {
    let (_room, _server, gate) = before_http(
        "version: \"1\"\ndefault: allow\ntools: {echo: {limits: [{window: hour, max: 1, scope: session}]}}\n",
        &[],
    );
    for number in 0..30 {
        let mut client = begun(&gate);
        assert_eq!(
            client.call("echo", json!({"text": "hi"})).text(),
            "hi",
            "{number}"
        );
        assert_eq!(
            client.call("echo", json!({"text": "hi"})).reason(),
            Some("rate_limited")
        );
    }
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let refused = gate.client().reply("initialize", params);
    assert_eq!(refused.status, 429, "{refused:?}");
}

#[test]
fn what_a_request_of_its_own_lacks_is_told_by_status_and_code() {
    let (_room, server, gate) = before_http(OPEN, &[]);
    let meta = |version: &str| json!({"_meta": {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}});
    let modern = "2026-07-28";
    for (header, method, params, status, code) in [
        (Some(modern), "tools/list", json!({}), 400, -32_602),
        (Some(modern), "tools/list", json!({"_meta": {}}), 400, -32_602),
        (Some(modern), "initialize", meta(modern), 404, -32_601),
        (Some("2099-01-01"), "tools/list", meta("2099-01-01"), 400, -32_022),
        (Some("2099-01-01"), "tools/list", json!({}), 400, -32_022),
        (None, "tools/list", meta("2099-01-01"), 400, -32_022),
        (Some(modern), "tools/list", meta("2099-01-01"), 400, -32_020),
        (Some("2025-11-25"), "tools/list", meta("2099-01-01"), 400, -32_020),
        (Some("2099-01-01"), "tools/list", meta(modern), 400, -32_020),
        (Some("2025-11-25"), "tools/list", meta(modern), 400, -32_020),
        (None, "tools/list", meta(modern), 400, -32_020),
    ] {
        let mut client = gate.client().header("mcp-method", method);
        if let Some(header) = header {
            client = client.header("mcp-protocol-version", header);
        }
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let reply = client.post(&body.to_string());
        let error = &reply.answer().json["error"];
        assert_eq!(
            (reply.status, error["code"].as_i64()),
            (status, Some(code)),
            "{body} {reply:?}"
        );
        if code == -32_022 {
            assert_eq!(
                error["data"],
                json!({"supported": [modern], "requested": "2099-01-01"})
            );
        }
    }
    assert!(server.log().messages().is_empty(), "{:?}", server.log().lines());
}

#[test]
fn a_header_that_repeats_an_argument_has_to_agree_with_it() {
    let upstream = Upstream::start(|asked| {
        let message = asked.json();
        let result = match message["method"].as_str() {
            Some("tools/list") => {
                json!({"tools": [{"name": "query", "inputSchema": {"type": "object", "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"}}}}, {"name": "hidden", "inputSchema":
                {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}}]})
            }
            _ => json!({"resultType": "complete", "content": []}),
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        reply("200 OK", "application/json", &answer.to_string())
    });
    let room = Room::new();
    let policy = "version: \"1\"\ndefault: deny\ntools: {query: {}}\n";
    let gate = gate(&room, policy).upstream(&upstream.url).http();
    let call = |tool: &str, arguments: serde_json::Value, region: Option<&str>| {
        let mut client = gate.client().modern();
        if let Some(region) = region {
            client = client.header("mcp-param-region", region);
        }
        let reply = client.reply("tools/call", json!({"name": tool, "arguments": arguments}));
        (reply.status, reply.answer().json["error"]["code"].as_i64())
    };
    let eu = || json!({"region": "eu"});
    let refused = (400, Some(-32_020));
    for wrong in [
        None,
        Some("us"),
        Some("=?base64?ZXU?="),
        Some("=?base64?Z!!!?="),
        Some("=?base64?dXM=?="),
    ] {
        assert_eq!(call("query", eu(), wrong), refused, "{wrong:?}");
    }
    assert_eq!(call("query", json!({}), Some("eu")), refused);
    let calls = || {
        upstream
            .asked()
            .iter()
            .filter(|asked| asked.json()["method"] == "tools/call")
            .count()
    };
    assert_eq!(calls(), 0);
    for right in ["eu", "=?base64?ZXU=?="] {
        assert_eq!(call("query", eu(), Some(right)), (200, None), "{right}");
    }
    assert_eq!(call("query", json!({}), None), (200, None));
    assert_eq!(calls(), 3);
    // A tool that the caller is not to know of tells nothing by its headers either.
    assert_eq!(call("hidden", eu(), None), (200, None));
    assert_eq!(calls(), 3);
}

#[test]
fn how_many_sessions_a_minute_may_be_opened_can_be_said() {
    let room = Room::new();
    let server = HttpServer::start(&room, &[]);
    let gate = gate(&room, OPEN).flags(&["--sessions-per-minute", "2"]);
    let gate = gate.before_http(&server).http();
    for _ in 0..2 {
        begun(&gate);
    }
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(gate.client().reply("initialize", params).status, 429);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (_room, _server, gate): (_, _, Gate) = before_echo(OPEN);
    let mut process = gate.start(&["--transport", "http", "--port", &port]);
    assert_eq!(process.ended().code(), Some(1));
    let _ = process.stderr_line("--port 0");
}
