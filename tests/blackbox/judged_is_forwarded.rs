//! Invariant: judged is forwarded. The bytes that policy judged are the bytes the server gets, and what two
//! parsers could read differently is refused, whatever the method.

use crate::support::{OPEN, Record, before_echo, gate};
use callgate_testkit::{HttpServer, Room, ServerLog, Stdio};
use serde_json::{Value, json};

/// Denies one tool, so that an attack has something to reach.
const NO_BOOM: &str = "version: \"1\"\ndefault: allow\ntools:\n  boom: {rules: [{action: deny, on_deny: not today}]}\n";

/// Messages as odd as they may be: spacing, order of keys, spellings of numbers, escapes, unknown fields.
const ODD: [&str; 6] = [
    r#"{"jsonrpc":"2.0","id":101,"method":"tools/call","params":{"name":"mirror","arguments":{"b":1,"a":2}}}"#,
    r#" { "params" : {"arguments":{ "z" : 1e2 , "y":-0.0,"x":1.50,"w":1E+2 } , "name" : "mirror" } ,"method":"tools/call", "id" : 102 ,"jsonrpc":"2.0"} "#,
    r#"{"jsonrpc":"2.0","id":103,"method":"tools\/call","params":{"name":"\u006dirror","arguments":{"s":"\u00e9é\/\ud83d\ude00😀\u0000","":0}}}"#,
    r#"{"jsonrpc":"2.0","id":104,"method":"tools/call","params":{"name":"mirror","arguments":{"n":123456789012345678901234567890,"p":0.1000000000000000055}},"x-vendor":[1 ,2],"trace":null}"#,
    r#"{"jsonrpc":"2.0","id":105,"method":"tools/call","params":{"_meta":{"x/y":{"k":1.0},"progressToken":"t\u0031"},"name":"mirror","arguments":{},"vendor":true}}"#,
    r#"{"jsonrpc":"2.0","id":"106","method":"tools/call","params":{"name":"mirror"}}"#,
];

#[test]
fn judged_is_forwarded_byte_for_byte_over_stdio() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut direct = Stdio::direct(&callgate_testkit::StdioServer::echo(&Room::new()));
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    direct.initialize("2025-06-18");
    for line in ODD {
        let id = serde_json::from_str::<Value>(line).unwrap()["id"].clone();
        client.send(line);
        direct.send(line);
        assert_eq!(client.answer(id.clone()).raw, direct.answer(id).raw, "the answer to {line}");
    }
    let calls: Vec<String> = received(server.log(), "mirror");
    assert_eq!(calls, ODD.map(str::trim_end_of_line).to_vec());
}

trait TrimEndOfLine {
    fn trim_end_of_line(&self) -> &str;
}

impl TrimEndOfLine for str {
    /// The bundled server does not log the white space at the end of a line.
    fn trim_end_of_line(&self) -> &str {
        self.trim_end()
    }
}

/// The lines with a word that a server received, without Callgate's own.
fn received(log: &ServerLog, word: &str) -> Vec<String> {
    let unescaped = |line: &String| line.replace("\\u006d", "m").contains(word);
    log.lines().into_iter().filter(|line| unescaped(line)).collect()
}
