//! Invariant: judged is forwarded. The bytes that policy judged are the bytes the server gets, and what two
//! parsers could read differently is refused, whatever the method.

use crate::support::{OPEN, Record, before_echo, gate, until};
use callgate_testkit::{Http, HttpServer, Room, ServerLog, Stdio, StdioServer};
use serde_json::{Value, json};

/// Denies one tool, so that an attack has something to reach.
const NO_BOOM: &str =
    "version: \"1\"\ndefault: allow\ntools:\n  boom: {rules: [{action: deny, on_deny: never}]}\n";

/// Messages as odd as they may be: spacing, order of keys, spellings of numbers, escapes, unknown fields.
const ODD: [&str; 7] = [
    r#"{"jsonrpc":"2.0","id":101,"method":"tools/call","params":{"name":"mirror","arguments":{"b":1,"a":2}}}"#,
    r#"{ "params" : {"arguments":{ "z" : 1e2 , "y":-0.0,"x":1.50,"w":1E+2 } , "name" : "mirror" } ,"method":"tools/call", "id" : 102 ,"jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","id":103,"method":"tools\/call","params":{"name":"\u006dirror","arguments":{"s":"\u00e9é\/\ud83d\ude00😀\u0000","":0}}}"#,
    r#"{"jsonrpc":"2.0","id":104,"method":"tools/call","params":{"name":"mirror","arguments":{"n":1234567890123456789012345678,"p":0.1000000000000000055}},"x-vendor":[1 ,2],"trace":null}"#,
    r#"{"jsonrpc":"2.0","id":105,"method":"tools/call","params":{"_meta":{"x/y":{"k":1.0},"progressToken":"t\u0031"},"name":"mirror","arguments":{},"vendor":true}}"#,
    r#"{"jsonrpc":"2.0","id":"106","method":"tools/call","params":{"name":"mirror"}}"#,
    r#"{"jsonrpc":"2.0","id":107,"method":"vendor/odd","params":{"z":[1e0 , {"é":"\u00e9"}],"a":{}}}"#,
];

fn id_of(message: &str) -> Value {
    serde_json::from_str::<Value>(message).unwrap()["id"].clone()
}

/// What a server received, without the handshake and Callgate's own requests.
fn received(log: &ServerLog) -> Vec<String> {
    let own = ["initialize", "callgate-", "\"tools/list\""];
    let is_clients = |line: &String| !own.iter().any(|word| line.contains(word));
    log.lines().into_iter().filter(is_clients).collect()
}

#[test]
fn judged_is_forwarded_byte_for_byte_over_stdio() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut direct = Stdio::direct(&StdioServer::echo(&Room::new()));
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    direct.initialize("2025-06-18");
    for line in ODD {
        client.send(line);
        direct.send(line);
        let id = id_of(line);
        assert_eq!(
            client.answer(id.clone()).raw,
            direct.answer(id).raw,
            "the answer to {line}"
        );
    }
    assert_eq!(received(server.log()), ODD);
}

#[test]
fn judged_is_forwarded_byte_for_byte_over_http() {
    for mode in ["json", "sse"] {
        let (room, other) = (Room::new(), Room::new());
        let server = HttpServer::start(&room, &["--mode", mode]);
        let twin = HttpServer::start(&other, &["--mode", mode]);
        let gate = gate(&room, OPEN).before_http(&server).http();
        let (mut client, mut direct) = (gate.client(), Http::to(twin.url()));
        client.initialize("2025-06-18");
        direct.initialize("2025-06-18");
        for body in ODD {
            let through = client.post(body);
            assert_eq!(through.status, 200, "{through:?}");
            assert_eq!(
                through.answer().raw,
                direct.post(body).answer().raw,
                "the answer to {body}"
            );
        }
        let from_client = received(server.log())
            .into_iter()
            .filter(|line| !line.contains("initialized"));
        assert_eq!(from_client.collect::<Vec<_>>(), ODD);
    }
}

#[test]
fn what_the_server_asks_and_what_the_client_answers_pass_unchanged() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = gate.stdio();
    client.initialize("2025-11-25");
    for (number, (what, answer)) in [
        (
            "roots",
            r#"{ "result":{"roots":[{"uri":"file:\/\/\/tmp","x":1e1}]} ,"jsonrpc":"2.0","id":"ask-0","v":1}"#,
        ),
        (
            "sampling",
            r#"{"id":"ask-1","jsonrpc":"2.0","error":{"code":-1,"message":"no","data":[1.0]}}"#,
        ),
        (
            "elicitation",
            r#"{"jsonrpc":"2.0","id":"ask-2","result":{"action":"accept","content":{"it":"\u00e9"}}}"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let call = client.start_call("ask", json!({"what": what}));
        let asked = until("the server asks", || {
            let id = json!(format!("ask-{number}"));
            client
                .lines()
                .into_iter()
                .find(|line| line.contains("\"method\"") && id_of(line) == id)
        });
        assert!(
            asked.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":"ask-{number}","method":""#)),
            "{asked}"
        );
        client.send(answer);
        assert!(client.answer(call).text().starts_with("the client said "));
        assert!(
            received(server.log()).contains(&answer.to_owned()),
            "{:#?}",
            server.log().lines()
        );
    }
}

/// Each would be read differently by two parsers, or is no message at all, and the code that it is refused with.
const ATTACKS: &[(&str, &[u8])] = &[
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"boom"}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"boom"}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"boom"}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"boom"}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":{"b":1,"b":2}}}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","uri":"b"}}"#),
    ("duplicate_key", br#"{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{"d":[[{"k":1,"k":2}]]}}"#),
    ("case_variant_keys", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"boom"}}"#),
    ("case_variant_keys", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"x","params":{"name":"boom"}}"#),
    ("case_variant_keys", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"path":1,"PATH":2}}}"#),
    ("case_variant_keys", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"mirror\",\"arguments\":{\"task\":1,\"ta\u{17f}k\":2}}}".as_bytes()),
    ("number_out_of_range", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":1e400}}}"#),
    ("lone_surrogate", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":"\ud800"}}}"#),
    ("invalid_utf8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"mirror\",\"arguments\":{\"a\":\"\xff\"}}}"),
    ("invalid_utf8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"mirror\",\"arguments\":{\"a\":\"\xc0\xaf\"}}}"),
    ("byte_order_mark", b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"boom\"}}"),
    ("trailing_data", br#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"boom"}}"#),
    ("syntax", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":NaN}}}"#),
    ("syntax", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":01}}}"#),
    ("syntax", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call",/* */"params":{"name":"mirror"}}"#),
    ("syntax", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror",}}"#),
    ("syntax", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"mirror\",\"arguments\":{\"a\":\"\x01\"}}}"),
    ("method_looks_like", br#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"boom"}}"#),
    ("method_looks_like", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"boom"}}"#),
    ("method_looks_like", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000","params":{"name":"boom"}}"#),
    ("tool_call_without_id", br#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"boom"}}"#),
    ("params_not_object", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["boom"]}"#),
    ("bad_id", br#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"boom"}}"#),
    ("bad_id", br#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"boom"}}"#),
    ("bad_id", br#"{"jsonrpc":"2.0","id":{"a":1},"method":"tools/call","params":{"name":"boom"}}"#),
    ("wrong_version", br#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"boom"}}"#),
    ("ambiguous_envelope", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"boom"},"result":{}}"#),
    ("arguments_not_object", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":["boom"]}}"#),
    ("bad_tool_name", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["boom"]}}"#),
    ("empty_batch", b"[]"),
    ("not_an_object", b"\"tools/call\""),
];

#[test]
fn what_parsers_could_read_differently_is_refused_and_the_session_lives_on() {
    let (room, server, gate) = before_echo(NO_BOOM);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"mirror","arguments":{{"a":{}{}}}}}}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    let attacks: Vec<(&str, &[u8])> = ATTACKS
        .iter()
        .copied()
        .chain([("too_deep", deep.as_bytes())])
        .collect();
    for (number, (code, attack)) in attacks.iter().enumerate() {
        let shown = String::from_utf8_lossy(attack);
        let before = client.lines().len();
        client.send_bytes(attack);
        client.send("");
        let ping = format!("ping-{number}");
        client.send(&json!({"jsonrpc": "2.0", "id": ping, "method": "ping"}).to_string());
        client.answer(ping.clone());
        let answers = client.messages().split_off(before);
        let error = answers
            .iter()
            .find(|answer| answer["id"] != ping)
            .unwrap_or_else(|| panic!("no answer to {shown}"));
        assert!(error.get("error").is_some(), "{shown} was answered by {error}");
        let code_is_told = error["error"]["data"]["callgate/reason"] == *code || error["id"] == 1;
        assert!(code_is_told, "{shown} was refused as {error}, not as {code}");
    }
    let pings = received(server.log())
        .into_iter()
        .filter(|line| !line.contains("\"ping\""))
        .collect::<Vec<_>>();
    assert_eq!(pings, Vec::<String>::new(), "attacks reached the server");
    assert_eq!(
        client.call("mirror", json!({"a": 1})).result()["structuredContent"]["a"],
        1
    );
    client.close_stdin();
    client.ended();
    let record = Record::of(&room);
    let codes = record.malformed_or_suppressed();
    assert!(codes >= 10, "malformed messages are recorded: {codes}");
}

#[test]
fn an_escaped_name_is_judged_as_what_it_says() {
    let (_room, server, gate) = before_echo(NO_BOOM);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client.send(r#"{"jsonrpc":"2.0","id":50,"method":"tools\u002fcall","params":{"n\u0061me":"b\u006fom"}}"#);
    assert!(client.answer(50).is_denied());
    assert_eq!(server.log().calls(), Vec::<Value>::new());
}

/// An allowed call, a denied one, a notification and a ping.
const BATCH: &str = r#"[ {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":1e2}}} , {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"boom"}},{"jsonrpc":"2.0","method":"notifications/vendor"}, {"jsonrpc":"2.0","id":3,"method":"ping"}]"#;

#[test]
fn each_message_of_a_batch_is_judged_alone_and_the_answers_are_joined() {
    for version in ["2024-11-05", "2025-03-26"] {
        let (room, server, gate) = before_echo(NO_BOOM);
        let mut client = gate.stdio();
        client.initialize(version);
        client.send(BATCH);
        let joined = until("the batch is answered", || {
            client.lines().into_iter().find(|line| line.starts_with('['))
        });
        let answers: Vec<Value> = serde_json::from_str(&joined).unwrap();
        let of = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(answers.len(), 3, "{joined}");
        assert!(joined.contains(r#""structuredContent":{"a":1e2}"#), "{joined}");
        assert_eq!(of(2)["result"]["isError"], true);
        assert!(of(3).get("result").is_some());
        let alone = received(server.log());
        assert_eq!(alone.len(), 3, "{alone:#?}");
        assert!(alone.contains(&r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror","arguments":{"a":1e2}}}"#.to_owned()));
        assert!(alone.contains(&r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#.to_owned()));
        client.close_stdin();
        client.ended();
        assert_eq!(Record::of(&room).intents().len(), 1);
    }
}

#[test]
fn a_batch_is_refused_where_the_version_has_none() {
    for version in ["2025-06-18", "2025-11-25"] {
        let (_room, server, gate) = before_echo(NO_BOOM);
        let mut client = gate.stdio();
        client.initialize(version);
        client.send(BATCH);
        let refused = client.answer(Value::Null);
        assert_eq!(refused.error_code(), Some(-32600), "{}", refused.raw);
        assert_eq!(client.request("ping", json!({})).error_code(), None);
        assert_eq!(server.log().calls(), Vec::<Value>::new());
    }
}

#[test]
fn a_batch_in_a_batch_and_an_id_twice_in_a_batch_are_refused() {
    let (_room, server, gate) = before_echo(NO_BOOM);
    let mut client = gate.stdio();
    client.initialize("2025-03-26");
    client.send(r#"[[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirror"}}]]"#);
    assert_eq!(client.answer(Value::Null).reason(), Some("nested_batch"));
    assert_eq!(server.log().calls(), Vec::<Value>::new());
    client.send(
        r#"[{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"mirror","arguments":{"a":1}}},{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"mirror","arguments":{"a":2}}}]"#,
    );
    until("the batch is answered", || {
        client.lines().into_iter().find(|line| line.starts_with('['))
    });
    assert_eq!(
        server.log().calls().len(),
        1,
        "the second of one id does not pass"
    );
}
