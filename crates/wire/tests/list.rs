//! Lists of tools: what is judged, what is cut out, and that all else stays.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::list::{ListError, ToolList};
use callgate_wire::{Bounds, Decoded, Kind, Message, Payload, RawJson, decode};
use proptest::prelude::*;

fn message(text: &str) -> Message<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn result<'a>(message: &Message<'a>) -> RawJson<'a> {
    match message.kind() {
        Kind::Response(response) => match response.payload {
            Payload::Result(result) => result,
            Payload::Error(_) => panic!("an error"),
        },
        Kind::Request(_) | Kind::Notification(_) => panic!("no response"),
    }
}

fn without(text: &str, hidden: &[&str]) -> String {
    let message = message(text);
    let list = ToolList::read(result(&message)).unwrap_or_else(|error| panic!("{error}"));
    let filtered = list.filtered(&message, |tool| !hidden.contains(&tool.name.as_ref()));
    String::from_utf8(filtered.unwrap_or_else(|| panic!("{text}")).into_owned())
        .unwrap_or_else(|_| panic!("{text}"))
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{ "x": 1.0, "tools" : [ {"name":"a","n":1e2} ,
 {"name":"b"}, { "name" : "c" } ], "nextCursor":"","ttlMs":5}}"#;

#[test]
fn hidden_tools_are_cut_out_and_every_other_byte_stays() {
    assert_eq!(without(LIST, &[]), LIST);
    assert_eq!(without(LIST, &["b"]), LIST.replace(" ,\n {\"name\":\"b\"}", ""));
    assert_eq!(
        without(LIST, &["a"]),
        LIST.replace("{\"name\":\"a\",\"n\":1e2} ,\n ", "")
    );
    assert_eq!(without(LIST, &["c"]), LIST.replace(", { \"name\" : \"c\" }", ""));
    assert_eq!(
        without(LIST, &["a", "b", "c"]),
        r#"{"jsonrpc":"2.0","id":1,"result":{ "x": 1.0, "tools" : [  ], "nextCursor":"","ttlMs":5}}"#
    );
}

#[test]
fn tools_that_can_not_be_judged_are_never_shown() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[7,{"name":"a"},{"title":"t"},{"name":5},{"name":"x","name":"y"},{"name":"b","Name":"z"},null,{"name":"c","description":"\ud800"}]}}"#;
    assert_eq!(
        without(text, &[]),
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"c","description":"\ud800"}]}}"#
    );
    let message = message(text);
    let list = ToolList::read(result(&message)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(list.unjudgeable(), 6);
}

#[test]
fn a_page_gives_its_tools_names_schemas_and_cursor() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"\u0061","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"description":"d"},{"name":"a"},{"name":"b"}],"nextCursor":"p2"}}"#;
    let message = message(text);
    let list = ToolList::read(result(&message)).unwrap_or_else(|error| panic!("{error}"));
    let tools: Vec<_> = list.tools().collect();
    assert_eq!(
        tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(),
        ["a", "a", "b"]
    );
    let first = tools.first().unwrap_or_else(|| panic!("no tool"));
    assert_eq!(
        first.input_schema.map(|raw| raw.text()),
        Some(r#"{"type":"object"}"#)
    );
    assert_eq!(
        first.annotations.map(|raw| raw.text()),
        Some(r#"{"readOnlyHint":true}"#)
    );
    assert_eq!(text.get(first.raw.span()), Some(first.raw.text()));
    assert_eq!(list.next_cursor(), Some("p2"));
    assert_eq!(list.duplicate_names(), ["a"]);
}

#[test]
fn a_page_without_one_meaning_is_refused_whole() {
    for (page, expected) in [
        (r#"[]"#, ListError::NotAnObject),
        (r#"{"tools":[],"tools":[{"name":"a"}]}"#, ListError::NotAnObject),
        (r#"{}"#, ListError::NoTools),
        (r#"{"tools":{}}"#, ListError::NoTools),
        (
            r#"{"tools":[],"Tools":[]}"#,
            ListError::CaseVariant { known: "tools" },
        ),
        (
            r#"{"tools":[],"nextcursor":"a"}"#,
            ListError::CaseVariant { known: "nextCursor" },
        ),
        (r#"{"tools":[],"nextCursor":5}"#, ListError::BadCursor),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{page}}}"#);
        assert_eq!(
            ToolList::read(result(&message(&text))).err(),
            Some(expected),
            "{page}"
        );
    }
}

#[test]
fn a_list_is_only_cut_out_of_the_message_it_was_read_from() {
    let (one, other) = (
        message(LIST),
        message(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#),
    );
    let list = ToolList::read(result(&one)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(list.filtered(&other, |_| true), None);
}

proptest! {
    #[test]
    fn any_selection_leaves_exactly_the_kept_tools(
        shown in prop::collection::vec(any::<bool>(), 0..8),
        space in "[ \n\t]{0,3}",
    ) {
        let tools: Vec<String> = shown.iter().enumerate()
            .map(|(index, shown)| format!("{{\"name\":\"{}{index}\"}}", if *shown { "s" } else { "h" })).collect();
        let page = |tools: &[String]| tools.join(&format!("{space},{space}"));
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"tools\":[{space}{}{space}],\"z\":1}}}}", page(&tools));
        let one = message(&text);
        let list = ToolList::read(result(&one)).unwrap_or_else(|error| panic!("{error}"));
        let filtered = list.filtered(&one, |tool| tool.name.starts_with('s')).unwrap_or_default();
        let kept: Vec<String> = tools.into_iter().filter(|tool| tool.contains("\"s")).collect();
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"tools\":[{space}{}{space}],\"z\":1}}}}", page(&kept));
        prop_assert_eq!(String::from_utf8_lossy(&filtered), expected);
    }
}
