//! Invariant: seen is callable. `tools/list` shows the tools that the caller's policy could allow, and those it
//! denies with a reason meant to be read; everything else of the list stays as the server sent it.

use crate::support::deps::tests_dir;
use crate::support::{OPEN, before, before_echo};
use callgate_testkit::tools::ListKind;
use callgate_testkit::{Answer, Room, Stdio, StdioServer};
use serde_json::{Value, json};
use std::ffi::OsString;

/// What a server answers when nothing stands before it.
fn direct(server: impl Fn(&Room) -> StdioServer, params: Value) -> Answer {
    let mut client = Stdio::direct(&server(&Room::new()));
    client.initialize("2025-06-18");
    client.request("tools/list", params)
}

/// The list through a gate with this policy.
fn through(policy: &str, server: impl Fn(&Room) -> StdioServer, params: Value) -> Answer {
    let (_room, _server, gate) = before(policy, server);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client.request("tools/list", params)
}

fn odd(room: &Room) -> StdioServer {
    StdioServer::echo(room).list(ListKind::Odd)
}

#[test]
fn a_list_of_which_nothing_is_hidden_stays_as_the_server_sent_it() {
    assert_eq!(through(OPEN, odd, json!({})).raw, direct(odd, json!({})).raw);
}

#[test]
fn what_is_shown_of_a_filtered_list_stays_as_the_server_sent_it() {
    let whole = direct(odd, json!({})).raw;
    let (before, rest) = whole.split_once(r#"{"name":"echo""#).unwrap();
    let kept = r#"{"inputSchema":{"type":"object"},"x-first""#;
    let (_, after) = rest.split_once(kept).unwrap();
    let second = format!("{kept}{after}");
    let shown = through(
        "version: \"1\"\ndefault: allow\nhide: [echo]\ntools: {}\n",
        odd,
        json!({}),
    )
    .raw;
    let without_space = |text: &str| text.replace(' ', "");
    assert_eq!(without_space(&shown), without_space(&format!("{before}{second}")));
    assert!(
        shown.contains(r#""deep":[1e2,1.50,-0,1E+2,123456789012345678901234567890]"#),
        "{shown}"
    );
}

#[test]
fn none_of_two_tools_of_one_name_is_seen_or_callable() {
    let notes = |room: &Room| {
        let program = tests_dir().join("servers/notes.py");
        StdioServer::command(
            room,
            [OsString::from("python3"), program.into(), "--twice".into()],
        )
    };
    let (_room, _server, gate) = before(OPEN, notes);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    assert_eq!(client.tools(), ["list_notes", "delete_notes"]);
    let denied = client.call("send_note", json!({"to": "ana", "text": "hi"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    assert!(!client.call("list_notes", json!({"folder": "a"})).is_tool_error());
}

#[test]
fn seen_is_callable_and_unseen_is_not() {
    let policy = r#"
version: "1"
default: deny
hide: ["fail"]
tools:
  echo: {}
  fail: {}
  add: {rules: [{action: deny}]}
  boom: {rules: [{action: deny, on_deny: "ask the operator first"}]}
  mirror: {rules: [{conditions: [{path: args.ok, op: eq, value: true}]}]}
"#;
    let (_room, server, gate) = before_echo(policy);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    assert_eq!(client.tools(), ["echo", "mirror", "boom"]);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert!(!client.call("mirror", json!({"ok": true})).is_denied());
    let denied = client.call("boom", json!({}));
    assert!(
        denied.is_denied() && denied.text().contains("ask the operator first"),
        "{}",
        denied.raw
    );
    // Hidden, unlisted and non-existent tools cannot be told apart.
    let mut texts = Vec::new();
    for tool in ["fail", "sleep", "never_was"] {
        let denied = client.call(tool, json!({}));
        assert!(denied.is_denied(), "{}", denied.raw);
        assert_eq!(denied.reason(), Some("tool_not_available"));
        assert_eq!(denied.rule(), None);
        texts.push(denied.text().replace(tool, "TOOL"));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
    assert!(client.call("add", json!({"a": 1, "b": 1})).is_denied());
    let names: Vec<Value> = server
        .log()
        .calls()
        .iter()
        .map(|call| call["params"]["name"].clone())
        .collect();
    assert_eq!(names, ["echo", "mirror"]);
}

#[test]
fn a_tool_that_the_server_does_not_list_is_not_called() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let denied = client.call("Echo", json!({"text": "hi"}));
    assert!(denied.is_denied(), "{}", denied.raw);
    assert_eq!(server.log().calls(), Vec::<Value>::new());
}

#[test]
fn a_list_in_pages_stays_in_its_pages_and_tools_of_all_pages_may_be_called() {
    let pages = |room: &Room| StdioServer::echo(room).list(ListKind::Pages);
    let (_room, server, gate) = before(
        "version: \"1\"\ndefault: allow\nhide: [mirror]\ntools: {}\n",
        pages,
    );
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    // A tool of the last page, before the client has listed anything.
    assert_eq!(client.call("grow", json!({})).text(), "grown");
    let first = client.request("tools/list", json!({}));
    assert_eq!(first.tool_names(), ["echo", "sleep"]);
    assert_eq!(first.result()["nextCursor"], "", "the empty cursor is a cursor");
    let second = client.request("tools/list", json!({"cursor": ""}));
    assert_eq!(second.result()["nextCursor"], "page-2");
    assert_eq!(second.tool_names().len(), 3);
    let all = client.tools();
    assert_eq!(all.len(), 10, "{all:?}");
    assert!(!all.contains(&"mirror".to_owned()));
    assert_eq!(server.log().calls().len(), 1);
}

#[test]
fn a_list_without_an_end_denies_instead_of_hanging() {
    let endless = |room: &Room| StdioServer::echo(room).list(ListKind::Endless);
    let (_room, server, gate) = before(OPEN, endless);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let denied = client.call("echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("list_unavailable"), "{}", denied.raw);
    assert!(server.log().of_method("tools/list").len() <= 100);
    assert_eq!(server.log().calls(), Vec::<Value>::new());
}

#[test]
fn without_a_list_nothing_is_called() {
    let failing = |room: &Room| StdioServer::echo(room).list(ListKind::Failing);
    let (_room, server, gate) = before(OPEN, failing);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let denied = client.call("echo", json!({"text": "hi"}));
    assert_eq!(denied.reason(), Some("list_unavailable"), "{}", denied.raw);
    assert_eq!(server.log().calls(), Vec::<Value>::new());
}

#[test]
fn a_tool_that_comes_later_may_be_called_once_the_server_has_said_so() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    assert!(client.call("grown", json!({"text": "hi"})).is_denied());
    assert_eq!(client.call("grow", json!({})).text(), "grown");
    client.message("notifications/tools/list_changed");
    assert!(client.tools().contains(&"grown".to_owned()));
    assert_eq!(client.call("grown", json!({"text": "hi"})).text(), "hi");
    assert_eq!(server.log().calls_of("grown").len(), 1);
}

#[test]
fn arguments_are_checked_against_the_schema_that_the_server_lists_now() {
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  add: {validate: schema}\n";
    let (_room, server, gate) = before_echo(policy);
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    assert_eq!(client.call("add", json!({"a": 1, "b": 2})).text(), "3");
    for wrong in [json!({"a": 1}), json!({"a": 1, "b": "2"})] {
        let denied = client.call("add", wrong);
        assert_eq!(denied.reason(), Some("arguments_invalid"), "{}", denied.raw);
    }
    assert_eq!(server.log().calls().len(), 1);
}
