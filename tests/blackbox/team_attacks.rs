//! Attacks on `callgate serve` by what is around a message, and by what belongs to another.

use crate::support::upstream::{Asked, Upstream, housekeeping, reply};
use crate::support::{Record, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::Http;
use callgate_testkit::client::modern;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What comes back for bytes that are sent as they are, until the connection ends.
pub(crate) fn raw(team: &Team, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(authority(team)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Who refuses early may close before it has read everything.
    let _ = socket.write_all(bytes);
    let mut back = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read) = socket.read(&mut part) {
        if read == 0 {
            break;
        }
        back.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&back).into_owned()
}

pub(crate) fn authority(team: &Team) -> &str {
    team.url.strip_prefix("http://").unwrap()
}

/// The statuses of all responses in what came back.
pub(crate) fn statuses(back: &str) -> Vec<&str> {
    back.split("HTTP/1.1 ")
        .skip(1)
        .map(|response| response.get(..3).unwrap_or_default())
        .collect()
}

fn call(id: u64, tool: &str, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": modern(json!({"name": tool, "arguments": {"text": text}}))})
    .to_string()
}

/// A request of 2026-07-28 as bytes, with these headers beside those of its transport.
fn request(team: &Team, headers: &str, body: &str) -> String {
    let authority = authority(team);
    let length = body.len();
    format!(
        "POST /mcp/mail HTTP/1.1\r\nhost: {authority}\r\naccept: application/json, text/event-stream\r\n\
         content-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
}

#[test]
fn each_request_of_a_connection_is_let_in_by_itself() {
    let stage = Stage::new();
    let [ana, bob] = ["ana", "bob"].map(|label| stage.grant(label, &["mail=open"]));
    let team = stage.serve();
    let session = team.begun("mail", &ana).session().unwrap().to_owned();
    let body = call(1, "echo", "first");
    let named = "mcp-name: echo\r\n";
    let first = request(&team, &format!("{named}authorization: Bearer {ana}\r\n"), &body);
    let second = call(2, "echo", "second");
    let legacy = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}).to_string();
    for (follower, status) in [
        (
            request(&team, &format!("{named}connection: close\r\n"), &second),
            "401",
        ),
        (
            format!(
                "POST /mcp/mail HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 authorization: Bearer {bob}\r\nmcp-session-id: {session}\r\ncontent-length: {}\r\n\r\n{legacy}",
                authority(&team),
                legacy.len()
            ),
            "404",
        ),
        (
            format!(
                "DELETE /mcp/mail HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nmcp-session-id: {session}\r\n\r\n",
                authority(&team)
            ),
            "401",
        ),
    ] {
        let back = raw(&team, (first.clone() + &follower).as_bytes());
        assert_eq!(statuses(&back), ["200", status], "{back}");
    }
    assert_eq!(stage.mail.log().calls().len(), 3);
}

#[test]
fn a_request_whose_end_two_parsers_see_at_two_places_smuggles_nothing() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let inner = request(
        &team,
        "mcp-name: echo\r\nconnection: close\r\n",
        &call(9, "echo", "smuggled"),
    );
    let body = call(1, "echo", "outer");
    let (length, all) = (body.len(), body.len() + inner.len());
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n{inner}");
    let plain = format!("{body}{inner}");
    let head = format!(
        "POST /mcp/mail HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {ana}\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n",
        authority(&team)
    );
    for (framing, rest) in [
        (
            format!("content-length: {all}\r\ntransfer-encoding: chunked\r\n"),
            &chunked,
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {all}\r\n"),
            &chunked,
        ),
        (
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
            &plain,
        ),
        (
            format!("content-length: {length}\r\ntransfer-encoding: xchunked\r\n"),
            &plain,
        ),
        (
            format!("content-length: {length}\r\ntransfer-encoding : chunked\r\n"),
            &plain,
        ),
        (
            format!("content-length: {length}\r\ntransfer-encoding:\r\n chunked\r\n"),
            &plain,
        ),
        (
            format!("content-length: {length}\r\ncontent-length: {all}\r\n"),
            &plain,
        ),
        (format!("content-length: {length}, {all}\r\n"), &plain),
        (format!("content-length: +{length}\r\n"), &plain),
        (format!("content-length: 0x{length:x}\r\n"), &plain),
        (format!("content-length: {length}\r\nx: y\0\r\n"), &plain),
        (
            format!("content-length: {length}\n\ncontent-length: {all}\r\n"),
            &plain,
        ),
        ("transfer-encoding: chunked, chunked\r\n".to_owned(), &chunked),
        ("transfer-encoding: chunked, identity\r\n".to_owned(), &chunked),
        ("transfer-encoding: gzip, chunked\r\n".to_owned(), &chunked),
        ("content-length: 99999999999999999999999\r\n".to_owned(), &plain),
        ("content-length: -1\r\n".to_owned(), &plain),
    ] {
        let back = raw(&team, format!("{head}{framing}\r\n{rest}").as_bytes());
        let statuses = statuses(&back);
        let is_harmless = statuses.len() <= 2 && statuses.iter().skip(1).all(|status| *status != "200");
        assert!(is_harmless, "{framing:?}: {back}");
    }
    let texts = stage.mail.log().calls_of("echo");
    assert!(
        texts.iter().all(|arguments| arguments["text"] == "outer"),
        "{texts:?}"
    );
    // The gateway goes on.
    assert_eq!(
        team.begun("mail", &ana)
            .call("echo", json!({"text": "hi"}))
            .text(),
        "hi"
    );
}

#[test]
fn headers_that_say_otherwise_than_the_body_reach_nothing() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=echo-only"]);
    let team = stage.serve();
    let send = |headers: &[(&str, &str)], body: &str| -> (u16, Option<i64>) {
        let mut client = team.client("mail", &ana);
        for (name, value) in headers {
            client = client.header(name, value);
        }
        let reply = client.post(body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let code = answer["error"]["code"].as_i64();
        (reply.status, code)
    };
    let (version, method) = (
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
    );
    let boom = call(1, "boom", "x");
    let mismatch = (400, Some(-32_020));
    for headers in [
        &[version, method, ("mcp-name", "echo")][..],
        &[version, method],
        &[version, ("mcp-name", "boom")],
        &[version, ("mcp-method", "tools/list"), ("mcp-name", "boom")],
        &[version, ("mcp-method", "TOOLS/CALL"), ("mcp-name", "boom")],
        &[version, method, ("mcp-name", "Boom")],
        &[version, method, ("mcp-name", "=?base64?ZWNobw==?=")],
        &[version, method, ("mcp-name", "echo"), ("mcp-name", "boom")],
        &[version, method, ("mcp-name", "boom"), ("mcp-name", "echo")],
        &[
            version,
            method,
            ("mcp-method", "tools/list"),
            ("mcp-name", "boom"),
        ],
        &[version, method, ("mcp-name", "boom, echo")],
        &[
            ("mcp-protocol-version", "2025-11-25"),
            method,
            ("mcp-name", "boom"),
        ],
        &[method, ("mcp-name", "boom")],
    ] {
        assert_eq!(send(headers, &boom), mismatch, "{headers:?}");
    }
    for (header, body) in [
        ("notes__echo", "mail__boom"),
        ("mail__echo", "mail__boom"),
        ("echo", "mail__echo"),
        ("mail__echo", "echo"),
    ] {
        let client = team.client("", &ana).path("/mcp").header(version.0, version.1);
        let lying = client
            .header(method.0, method.1)
            .header("mcp-name", header)
            .post(&call(1, body, "x"));
        assert_eq!(
            (lying.status, lying.answer().error_code()),
            mismatch,
            "{header} {body}"
        );
    }
    let right = [version, method, ("mcp-name", "boom")];
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let headers = [&right[..], &[("content-type", kind)]].concat();
        assert_eq!(send(&headers, &boom).0, 415, "{kind:?}");
    }
    // What other servers take for another method, path or body is not looked at: the policy denies the call.
    for odd in [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/mcp/notes"),
        ("x-rewrite-url", "/healthz"),
        ("x-forwarded-host", "evil.example"),
    ] {
        let headers = [&right[..], &[odd]].concat();
        assert_eq!(send(&headers, &boom), (200, None), "{odd:?}");
    }
    let encoded = [&right[..], &[("content-encoding", "gzip")]].concat();
    assert_ne!(send(&encoded, "\u{1f}not what it says").0, 200);
    assert!(
        stage.mail.log().calls().is_empty(),
        "{:?}",
        stage.mail.log().lines()
    );
    let echo = [version, method, ("mcp-name", "echo")];
    assert_eq!(send(&echo, &call(1, "echo", "x")), (200, None));
    assert_eq!(stage.mail.log().calls().len(), 1);
}

#[test]
fn a_browser_that_was_led_here_reaches_no_part_of_the_gateway() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let port = authority(&team).rsplit(':').next().unwrap();
    let foreign = [
        ("host", "evil.example".to_owned()),
        ("host", format!("evil.example:{port}")),
        ("host", format!("127.0.0.1.evil.example:{port}")),
        ("host", format!("localhost.:{port}")),
        ("host", "127.0.0.1".to_owned()),
        ("host", format!("user@127.0.0.1:{port}")),
        ("host", format!("2130706433:{port}")),
        ("origin", "http://evil.example".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", format!("http://evil.example:{port}")),
        ("origin", format!("http://127.0.0.1:{port}.evil.example")),
        ("origin", format!("http://127.0.0.1:{port}@evil.example")),
        ("origin", format!("file://127.0.0.1:{port}")),
    ];
    for (name, value) in foreign {
        for (method, path) in [
            ("POST", "/mcp/notes"),
            ("GET", "/mcp/notes"),
            ("DELETE", "/mcp/notes"),
            ("OPTIONS", "/mcp/notes"),
            ("GET", "/mcp/mail/sse"),
            ("POST", "/mcp/mail/messages?sessionId=0"),
            ("GET", "/mcp/sse"),
            ("POST", "/mcp/sse/messages?sessionId=0"),
            ("POST", "/mcp/none"),
        ] {
            let client = team.client("notes", &ana).path(path).header(name, &value);
            let refused = client.send(method, &[], initialize().as_bytes()).rest();
            assert_eq!(
                refused.status, 403,
                "{method} {path} with {name}: {value}: {refused:?}"
            );
            let allows = |header: &str| refused.header(header).is_some();
            assert!(!allows("access-control-allow-origin"), "{refused:?}");
        }
    }
    assert!(stage.notes.messages().is_empty());
    assert!(stage.mail.log().messages().is_empty());
}

#[test]
fn what_belongs_to_another_grant_or_server_can_neither_be_read_nor_answered_nor_ended() {
    let stage = Stage::new();
    let [ana, bob] = ["ana", "bob"].map(|label| stage.grant(label, &["notes=open", "mail=open"]));
    let team = stage.serve();
    for server in ["notes", "mail"] {
        let mut owner = team.begun(server, &ana);
        let mut asked = owner.open_call("ask", json!({"what": "elicitation"}));
        let question = until("the server asks", || {
            let event = asked.event_within(Duration::from_millis(50))?;
            (event.json["method"] == "elicitation/create").then_some(event)
        });
        let slow = owner.open_call("sleep", json!({"ms": 700}));
        let log = if server == "notes" {
            &stage.notes
        } else {
            stage.mail.log()
        };
        until("both calls have reached the server", || {
            (log.calls().len() == 2).then_some(())
        });

        let session = owner.session().unwrap().to_owned();
        let other = if server == "notes" { "mail" } else { "notes" };
        let mut thieves = [
            team.client(server, &bob),
            team.client(other, &ana),
            team.client(other, &bob),
        ];
        let odd = [
            format!(" {session}"),
            session.to_uppercase(),
            format!("{session},{session}"),
        ];
        for thief in &mut thieves {
            thief.set_session(Some(&session));
            let answer = json!({"jsonrpc": "2.0", "id": question.json["id"], "result": {"action": "accept", "content": {"it": "stolen"}}});
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}});
            for message in [answer, cancel] {
                assert_eq!(thief.post(&message.to_string()).status, 404, "{message}");
            }
            for last in ["0", "1", "0-0", "1-1", &session] {
                let resumed = thief.clone().header("last-event-id", last);
                assert_eq!(resumed.listen().status(), 404, "{last}");
            }
            assert_eq!(thief.delete(), 404);
        }
        for odd in odd.iter().skip(1) {
            let mut guess = team.client(server, &ana);
            guess.set_session(Some(odd));
            assert_eq!(guess.reply("tools/list", json!({})).status, 404, "{odd}");
        }
        // A stateless cancellation of another grant names the same id, and cancels nothing either.
        let stateless = team.client(server, &bob).modern();
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": modern(json!({"requestId": 2}))});
        let _ = stateless.post(&cancel.to_string());
        let slept = slow.rest().messages().pop().unwrap();
        assert_eq!(slept.text(), "slept", "{}", slept.raw);
        assert_eq!(
            owner.answer(&question, json!({"action": "accept", "content": {"it": "mine"}})),
            202
        );
        let said = asked.rest().messages().pop().unwrap();
        assert!(said.text().contains("mine"), "{}", said.raw);
        assert!(!log.lines().iter().any(|line| line.contains("stolen")));
    }
}

#[test]
fn requests_of_two_grants_with_the_same_ids_and_tokens_do_not_meet() {
    let stage = Stage::new();
    let tokens = ["ana", "bob"].map(|label| stage.grant(label, &["notes=open", "mail=open"]));
    let team = stage.serve();
    let message = |method: &str, mut params: Value| {
        params = modern(params);
        params["_meta"]["progressToken"] = json!(1);
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    for server in ["notes", "mail"] {
        let named = |token: &str, name: &str| {
            team.client(server, token)
                .modern()
                .header("mcp-method", "tools/call")
                .header("mcp-name", name)
        };
        // Callers in turn: one is told progress, all are answered under the one id that they gave.
        let progress = message(
            "tools/call",
            json!({"name": "progress", "arguments": {"steps": 40, "ms": 10}}),
        );
        let [mut first, mut second] = tokens
            .each_ref()
            .map(|token| named(token, "progress").send("POST", &[], progress.as_bytes()));
        let texts: Vec<String> = (0..10)
            .map(|number| {
                let text = format!("{server} {number}");
                let echo = message("tools/call", json!({"name": "echo", "arguments": {"text": text}}));
                let answer = named(&tokens[number % 2], "echo").post(&echo).answer();
                assert_eq!(answer.json["id"], 1, "{}", answer.raw);
                assert_eq!(answer.text(), text);
                text
            })
            .collect();
        for (who, stream) in [("first", &mut first), ("second", &mut second)] {
            let mut steps = Vec::new();
            let last = loop {
                let event = stream.event();
                if event.json.get("method").is_none() {
                    break event;
                }
                assert_eq!(event.json["params"]["progressToken"], 1, "{}", event.raw);
                steps.push(event.json["params"]["progress"].as_u64().unwrap());
            };
            assert_eq!(steps, (1..=40).collect::<Vec<_>>(), "{who}");
            assert_eq!((last.text().as_str(), &last.json["id"]), ("done", &json!(1)));
            assert!(!texts.contains(&last.text()));
        }
    }
}

#[test]
fn credentials_go_neither_up_nor_down() {
    // A server that sets cookies, challenges and leads elsewhere, by the tool's argument.
    let lure = Upstream::start(housekeeping);
    let elsewhere = lure.url.clone();
    let server = Upstream::start(move |asked: &Asked| {
        let body = asked.json();
        let status = body["params"]["arguments"]["status"].as_str().map(str::to_owned);
        let plain = housekeeping(asked);
        let plain = match (&status, plain.split_once("\r\n\r\n")) {
            (Some(status), Some((_, body))) => reply(status, "application/json", body),
            _ => plain,
        };
        let planted = format!(
            "set-cookie: upstream=of-the-server\r\nwww-authenticate: Bearer resource_metadata=\"{elsewhere}\"\r\n\
             location: {elsewhere}\r\nmcp-session-id: session-of-the-server\r\nx-secret: of-the-server\r\n\
             access-control-allow-origin: *\r\nclear-site-data: \"*\"\r\n\r\n"
        );
        plain.replacen("\r\n\r\n", &format!("\r\n{planted}"), 1)
    });
    let mut stage = Stage::new();
    stage.config["servers"]["mail"] =
        json!({"url": server.url, "headers": {"Authorization": "Bearer token-of-the-server"}});
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let carrying = |client: Http| {
        let own = [
            ("cookie", "session=of-the-client"),
            ("proxy-authorization", "Basic of-the-client"),
            ("x-api-key", "of-the-client"),
            ("x-forwarded-for", "of-the-client"),
            ("referer", "http://of-the-client/"),
        ];
        own.into_iter()
            .fold(client, |client, (name, value)| client.header(name, value))
    };
    let mut legacy = carrying(team.client("mail", &ana).path("/mcp/mail?key=of-the-client"));
    legacy.initialize("2025-11-25");
    let mut stateless = carrying(team.client("mail", &ana)).modern();
    let mut joined = carrying(team.client("", &ana).path("/mcp?token=of-the-client"));
    joined.initialize("2025-11-25");
    let statuses = [
        "200 OK",
        "401 Unauthorized",
        "403 Forbidden",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
        "407 Proxy Authentication Required",
        "500 Internal Server Error",
    ];
    let clients = [
        (&mut legacy, "echo"),
        (&mut stateless, "echo"),
        (&mut joined, "mail__echo"),
    ];
    for (client, tool) in clients {
        for status in statuses {
            let params = json!({"name": tool, "arguments": {"status": status}});
            let back = client.reply("tools/call", params);
            assert!(
                !matches!(back.status, 300..=399 | 401 | 407),
                "{status}: {back:?}"
            );
            let told = format!("{back:?}");
            for secret in ["of-the-server", &lure.url, "clear-site-data", "access-control"] {
                assert!(!told.contains(secret), "{status}: {told}");
            }
        }
    }
    assert!(lure.asked().is_empty(), "a redirect was followed");
    let asked = server.asked();
    assert!(asked.len() > statuses.len());
    for asked in asked {
        let told = format!("{asked:?}");
        assert!(!told.contains("of-the-client") && !told.contains(&ana), "{told}");
        assert_eq!(asked.header("authorization"), Some("Bearer token-of-the-server"));
    }
    let record = Record::once(&stage.room, "all is settled", Record::is_settled);
    record.assert_one_outcome_each();
}

#[test]
fn a_grant_learns_nothing_of_the_tools_that_it_may_not_use() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open", "notes=open"]);
    let bob = stage.grant("bob", &["mail=echo-only", "notes=echo-only"]);
    let team = stage.serve();
    for server in ["mail", "notes"] {
        let mut first = team.begun(server, &ana);
        let mut stateless = team.client(server, &ana).modern();
        for _ in 0..2 {
            assert!(first.request("tools/list", json!({})).tool_names().len() > 5);
            assert!(stateless.request("tools/list", json!({})).tool_names().len() > 5);
        }
        first.call("grow", json!({}));
        let mut legacy = team.begun(server, &bob);
        let mut stateless = team.client(server, &bob).modern();
        for client in [&mut legacy, &mut stateless] {
            let listed = client.request("tools/list", json!({}));
            assert_eq!(listed.tool_names(), ["echo"], "{}", listed.raw);
            for name in ["add", "grown", "boom"] {
                assert!(!listed.raw.contains(&format!("\"{name}\"")), "{}", listed.raw);
            }
            // One that there is, and one that there is not, are denied alike.
            let denied = |client: &mut Http, name: &str| {
                let answer = client.call(name, json!({"a": "x"}));
                assert_eq!(answer.reason(), Some("tool_not_available"), "{}", answer.raw);
                answer.result().to_string().replace(name, "NAME")
            };
            let unknown = denied(client, "no_such_tool");
            for name in ["add", "grown", "boom"] {
                assert_eq!(denied(client, name), unknown);
            }
        }
    }
    let mut joined = team.client("", &bob).path("/mcp");
    joined.initialize("2025-11-25");
    let mut stateless = team.client("", &bob).path("/mcp").modern();
    for client in [&mut joined, &mut stateless] {
        let mut names = client.request("tools/list", json!({})).tool_names();
        names.sort_unstable();
        assert_eq!(names, ["mail__echo", "notes__echo"]);
        let told = |client: &mut Http, name: &str| {
            let answer = client.call(name, json!({}));
            assert!(answer.is_denied(), "{}", answer.raw);
            answer
                .result()
                .to_string()
                .replace(name, "NAME")
                .replace(name.split("__").nth(1).unwrap(), "NAME")
        };
        let unknown = told(client, "mail__no_such_tool");
        for name in ["mail__add", "mail__grown", "notes__boom"] {
            assert_eq!(told(client, name), unknown);
        }
    }
    assert_eq!(stage.mail.log().calls().len() + stage.notes.calls().len(), 2);
}
