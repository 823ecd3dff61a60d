//! Attacks on `callgate serve` by sheer size and number, and servers that lead elsewhere.

use crate::support::upstream::{Asked, Upstream, housekeeping, reply};
use crate::support::{Record, until};
use crate::team::{Stage, initialize};
use crate::team_attacks::{authority, raw, statuses};
use callgate_testkit::PATIENCE;
use callgate_testkit::process::{is_alive, is_gone_within};
use serde_json::json;

#[test]
fn a_server_cannot_lead_the_gateway_anywhere_else() {
    let other = Upstream::start(housekeeping);
    let there = other
        .url
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .to_owned();
    let port = there.rsplit(':').next().unwrap();
    let mut stage = Stage::new();
    let mut servers = Vec::new();
    let mut named = vec![
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://10.0.0.1/".to_owned(),
        format!("http://localhost:{port}/steal"),
        format!("http://[::ffff:127.0.0.1]:{port}/steal"),
        format!("http://[::1]:{port}/steal"),
        format!("http://2130706433:{port}/steal"),
        format!("http://0.0.0.0:{port}/steal"),
        format!("http:{there}/steal"),
        format!("http:/{there}/steal"),
        format!("///{there}/steal"),
        format!("\\\\{there}\\steal"),
        format!("/\\{there}/steal"),
        format!("\thttp://{there}/steal"),
        format!("http:\\\\{there}/steal"),
        "gopher://127.0.0.1/".to_owned(),
        "unix:/run/callgate.sock".to_owned(),
    ];
    // By another origin's name with its own in front of it.
    named.extend(["OWN@", "OWN\\@", "OWN#@", "OWN%40"].map(|trick| format!("http://{trick}{there}/steal")));
    let event = |data: &str| format!("event: endpoint\ndata: {data}\n\n");
    for named in named {
        servers.push((
            named.clone(),
            Upstream::start(move |asked: &Asked| {
                let own = asked.header("host").unwrap_or_default().to_owned();
                reply("200 OK", "text/event-stream", &event(&named.replace("OWN", &own)))
            }),
        ));
    }
    let (turned, url) = (event(&other.url), other.url.clone());
    servers.push((
        "it turns away".to_owned(),
        Upstream::start(move |asked: &Asked| {
            if asked.method == "GET" {
                return reply(
                    "200 OK",
                    "text/event-stream",
                    &format!("event: endpoint\ndata: /messages\n\n{turned}"),
                );
            }
            "HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }),
    ));
    for (status, method) in [
        ("302 Found", "GET"),
        ("307 Temporary Redirect", "GET"),
        ("307 Temporary Redirect", "POST"),
    ] {
        let url = url.clone();
        servers.push((format!("{status} to {method}"), Upstream::start(move |asked: &Asked| {
            if asked.method == method {
                return format!("HTTP/1.1 {status}\r\nlocation: {url}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            }
            reply("200 OK", "text/event-stream", "event: endpoint\ndata: /messages\n\n")
        })));
    }
    let mut uses = Vec::new();
    for (number, (_, server)) in servers.iter().enumerate() {
        let name = format!("s{number}");
        stage.config["servers"][&name] =
            json!({"url": server.url, "transport": "sse", "headers": {"X-Key": "of-the-server"}});
        uses.push(format!("{name}=open"));
    }
    let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
    let ana = stage.grant("ana", &uses);
    let team = stage.serve();
    std::thread::scope(|scope| {
        for (number, (what, server)) in servers.iter().enumerate() {
            let client = team.client(&format!("s{number}"), &ana);
            scope.spawn(move || {
                let answer = client.post(&initialize());
                let is_refused = answer.status != 200 || answer.answer().error_code().is_some();
                assert!(is_refused, "{what}: {answer:?}");
                let posts = server.asked().into_iter().filter(|asked| asked.method == "POST");
                let is_named_own = what.contains("turns") || what.contains("POST");
                assert!(is_named_own || posts.count() == 0, "{what}: {:?}", server.asked());
            });
        }
    });
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

#[test]
fn what_is_too_large_in_any_way_is_refused_and_ends_nothing() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=echo-only"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &ana);
    let before = stage.mail.log().lines().len();
    let (kb64, mb) = ("x".repeat(64 << 10), "x".repeat(1 << 20));
    let refused = |what: &str, status: u16| {
        assert!((400..500).contains(&status), "{what}: {status}");
    };
    // Heads: what holds them is bounded, whatever is in them.
    for name in [
        "authorization",
        "mcp-session-id",
        "last-event-id",
        "mcp-name",
        "mcp-protocol-version",
        "origin",
        "x-any",
    ] {
        let huge = client.clone().header(name, &mb);
        refused(name, huge.post(&initialize()).status);
    }
    let many: Vec<(String, String)> = (0..500).map(|n| (format!("x-{n}"), "y".to_owned())).collect();
    refused(
        "many headers",
        client.send("POST", &many, initialize().as_bytes()).rest().status,
    );
    let long = client.clone().path(&format!("/mcp/{mb}"));
    refused("a long path", long.post(&initialize()).status);
    let query = client.clone().path(&format!("/mcp/mail?{mb}"));
    refused("a long query", query.post(&initialize()).status);
    for (name, status) in [("mcp-session-id", 404), ("mcp-protocol-version", 400)] {
        let mut long = team.client("mail", &ana);
        long.set_session(client.session().filter(|_| name != "mcp-session-id"));
        let long = long.header(name, &"y".repeat(8 << 10));
        assert_eq!(
            long.post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
                .status,
            status,
            "{name}"
        );
    }
    let resumed = client.clone().header("last-event-id", &"9".repeat(8 << 10));
    refused("an event id", resumed.listen().status());
    // Bodies.
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{{"a":"{}"}}}}"#,
        "x".repeat(17 << 20)
    );
    assert_eq!(client.post(&body).status, 413);
    let told = raw(&team, format!(
        "POST /mcp/mail HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {ana}\r\ncontent-type: application/json\r\n\
         content-length: 99999999999\r\nconnection: close\r\n\r\n{{", authority(&team)).as_bytes());
    assert!(
        statuses(&told).iter().all(|status| status.starts_with('4')),
        "{told}"
    );
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{{"a":{}}}}}"#,
        "[".repeat(1 << 20)
    );
    refused("depth", client.post(&deep).status);
    // Names within a message.
    for (what, message) in [
        (
            "an id",
            json!({"jsonrpc": "2.0", "id": mb, "method": "tools/list"}),
        ),
        ("a method", json!({"jsonrpc": "2.0", "id": 1, "method": mb})),
        (
            "a tool",
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": mb, "arguments": {}}}),
        ),
        (
            "a cursor",
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": kb64}}),
        ),
        (
            "a token",
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
            {"_meta": {"progressToken": mb}, "name": "none", "arguments": {}}}),
        ),
    ] {
        let reply = client.post(&message.to_string());
        assert!(reply.status < 500, "{what}: {}", reply.status);
        if reply.status == 200 && what != "a cursor" {
            let answer = reply.answer();
            let is_refused = answer.error_code().is_some() || answer.is_tool_error() || what == "an id";
            assert!(is_refused, "{what}: {:.300}", answer.raw);
            assert!(
                what == "an id" || answer.raw.len() < 8 << 10,
                "{what} comes back at length"
            );
        }
    }
    let reached = stage.mail.log().lines().split_off(before);
    assert!(
        !reached
            .iter()
            .any(|line| line.contains("vendor/x") || line.contains("tools/call"))
    );
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let record = Record::once(&stage.room, "the call is settled", Record::is_settled);
    assert_eq!(record.statuses(), ["ok"]);
}

#[test]
fn a_flood_of_sessions_is_its_own_grants_and_ends_with_it() {
    let stage = Stage::new();
    let [ana, bob] = ["ana", "bob"].map(|label| stage.grant(label, &["notes=open", "mail=open"]));
    let team = stage.serve();
    let opened: Vec<u16> = std::thread::scope(|scope| {
        let opens: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let open = |_| team.client("notes", &ana).post(&initialize()).status;
                    (0..10).map(open).collect::<Vec<u16>>()
                })
            })
            .collect();
        opens
            .into_iter()
            .flat_map(|opens| opens.join().unwrap())
            .collect()
    });
    let count = |status: u16| opened.iter().filter(|opened| **opened == status).count();
    assert_eq!((count(200), count(429)), (30, 10), "{opened:?}");
    // Streams of 2024-11-05 are sessions too.
    let stream = team.client("notes", &ana).path("/mcp/notes/sse");
    assert_eq!(stream.listen().status(), 429);
    // Neither another grant nor another server of the same one waits for it.
    for (server, token) in [("notes", &bob), ("mail", &ana)] {
        let mut client = team.begun(server, token);
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    let pids: Vec<u32> = stage
        .notes
        .notes_of("pid")
        .iter()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 31);
    stage.grants(&["revoke", "ana"]);
    let left = until("the children of the revoked grant have ended", || {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| is_alive(*pid)).collect();
        (left.len() == 1).then_some(left)
    });
    stage.grants(&["revoke", "bob"]);
    assert!(is_gone_within(left[0], PATIENCE));
}

#[test]
fn a_flood_of_failed_authentications_fills_no_ledger_and_keeps_nobody_out() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &ana);
    std::thread::scope(|scope| {
        for attacker in 0..4 {
            let team = &team;
            scope.spawn(move || {
                for number in 0..250 {
                    let guess = format!("cg_{attacker:0>8}{number:0>35}");
                    let status = team.client("mail", &guess).post(&initialize()).status;
                    assert!(matches!(status, 401 | 429), "{status}");
                }
            });
        }
        for number in 0..50 {
            let text = number.to_string();
            assert_eq!(client.call("echo", json!({"text": text})).text(), text);
        }
    });
    let record = Record::once(&stage.room, "all failures are counted", |record| {
        record.auth_failures() == 1000
    });
    let kept = record
        .0
        .iter()
        .filter(|body| body.kind().as_str() == "auth_failure")
        .count();
    assert!(kept < 200, "{kept} records of their own");
    assert_eq!(stage.mail.log().of_method("initialize").len(), 1);
    let written: Vec<u8> = std::fs::read_dir(stage.room.at("state"))
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default())
        .collect();
    assert!(
        !written.windows(11).any(|window| window == b"cg_00000000"),
        "a guess was written down"
    );
}
