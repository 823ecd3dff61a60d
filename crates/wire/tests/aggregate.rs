//! Several servers as one: what is renamed in what a server sends, and that every other byte stays.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::aggregate::{
    ListOf, NoSubject, Prefix, Shape, Subject, answer, from_server, may_hold_names, page,
};
use callgate_wire::splice::{Splice, SpliceError};
use callgate_wire::{Bounds, Decoded, Kind, Message, Payload, RawJson, decode};
use proptest::prelude::*;
use std::borrow::Cow;

fn message(text: &str) -> Message<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn prefix() -> Prefix {
    Prefix::new("srv").unwrap_or_else(|| panic!("a name"))
}

fn text(renamed: Cow<'_, [u8]>) -> String {
    String::from_utf8(renamed.into_owned()).unwrap_or_else(|cause| panic!("{cause}"))
}

fn answered(shape: Shape, original: &str) -> String {
    let renamed = answer(&message(original), shape, &prefix(), &Bounds::default());
    text(renamed.unwrap_or_else(|cause| panic!("{original}: {cause}")))
}

fn sent(original: &str) -> String {
    let renamed = from_server(&message(original), &prefix(), &Bounds::default());
    text(renamed.unwrap_or_else(|cause| panic!("{original}: {cause}")))
}

fn response(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
}

#[test]
fn what_a_result_names_is_renamed_and_what_only_looks_so_stays() {
    for (shape, result, expected) in [
        (
            Shape::Call,
            r#"{"content":[{"type":"resource_link","uri":"a:b"},{ "type" : "resource", "resource":{"uri": "c:d","n":1.0}},{"type":"text","text":"\"uri\"","uri":"stays"}],"structuredContent":{"uri":"stays"},"taskId":"stays"}"#,
            r#"{"content":[{"type":"resource_link","uri":"mcp+srv:a:b"},{ "type" : "resource", "resource":{"uri": "mcp+srv:c:d","n":1.0}},{"type":"text","text":"\"uri\"","uri":"stays"}],"structuredContent":{"uri":"stays"},"taskId":"stays"}"#,
        ),
        (
            Shape::Call,
            r#"{"task":{"taskId":"t","status":"working"},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"uri":"stays"}}"#,
            r#"{"task":{"taskId":"srv:t","status":"working"},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"srv:t"},"uri":"stays"}}"#,
        ),
        (
            Shape::Call,
            r#"{"resultType":"task","taskId":"t"}"#,
            r#"{"resultType":"task","taskId":"srv:t"}"#,
        ),
        (
            Shape::Call,
            r#"{"resultType":"input_required","requestState":"uri","inputRequests":{"k":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"resource_link","uri":"u"}]}]}]}}}}"#,
            r#"{"resultType":"input_required","requestState":"uri","inputRequests":{"k":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"resource_link","uri":"mcp+srv:u"}]}]}]}}}}"#,
        ),
        (
            Shape::Prompt,
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"\u0075"}}}],"uri":"stays"}"#,
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"mcp+srv:u"}}}],"uri":"stays"}"#,
        ),
        (
            Shape::Resource,
            r#"{"contents":[{"uri":"a","text":"t"},{"u\u0072i":"b"}]}"#,
            r#"{"contents":[{"uri":"mcp+srv:a","text":"t"},{"u\u0072i":"mcp+srv:b"}]}"#,
        ),
        (
            Shape::Task,
            r#"{"taskId":"t","result":{"content":[{"type":"resource_link","uri":"u"}]}}"#,
            r#"{"taskId":"srv:t","result":{"content":[{"type":"resource_link","uri":"mcp+srv:u"}]}}"#,
        ),
        (
            Shape::Other,
            r#"{"taskId":"t","contents":[{"uri":"u"}]}"#,
            r#"{"taskId":"t","contents":[{"uri":"u"}]}"#,
        ),
        // Of an object with two meanings nothing is read, and so nothing is renamed.
        (
            Shape::Call,
            r#"{"content":[{"type":"resource_link","uri":"a","uri":"b"}]}"#,
            r#"{"content":[{"type":"resource_link","uri":"a","uri":"b"}]}"#,
        ),
    ] {
        let original = response(result);
        assert_eq!(answered(shape, &original), response(expected));
        if expected != result {
            assert!(may_hold_names(original.as_bytes()), "{original}");
        }
    }
    let missing = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"no","data":{"uri":"u"}}}"#;
    assert_eq!(
        answered(Shape::Resource, missing),
        missing.replace(r#""u""#, r#""mcp+srv:u""#)
    );
    assert_eq!(answered(Shape::Call, missing), missing);
}

#[test]
fn what_a_server_asks_and_tells_bears_its_name() {
    for (original, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
            r#"{"jsonrpc":"2.0","id":"srv:1","method":"roots/list"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"elicitation/create","params":{"_meta":{"progressToken":"p","x":1}},"id":"a\"b"}"#,
            r#"{"jsonrpc":"2.0","method":"elicitation/create","params":{"_meta":{"progressToken":"srv:\"p\"","x":1}},"id":"srv:\"a\\\"b\""}"#,
        ),
        // The task is the client's own.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
            r#"{"jsonrpc":"2.0","id":"srv:1","method":"tasks/get","params":{"taskId":"t"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"srv:1"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"mcp+srv:u"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1e0}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1e0}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["u"],"taskIds":["t"]}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["mcp+srv:u"],"taskIds":["srv:t"]}}}"#,
        ),
    ] {
        assert_eq!(sent(original), expected);
    }
}

#[test]
fn items_of_a_list_are_renamed_where_they_are_asked_for_by_a_name() {
    let tools = response(
        r#"{"tools":[{"title":"name","name":"a","_meta":{"ui":{"resourceUri":"ui://x"},"ui/resourceUri":"ui://y"}, "n":1e2},{"name":7},7,{"name":"b","name":"c"}],"nextCursor":"","ttlMs":5}"#,
    );
    let tools = listed(ListOf::Tools, &tools);
    assert_eq!(
        tools.0,
        [
            r#"{"title":"name","name":"srv__a","_meta":{"ui":{"resourceUri":"mcp+srv:ui://x"},"ui/resourceUri":"mcp+srv:ui://y"}, "n":1e2}"#
        ]
    );
    assert_eq!((tools.1.as_deref(), tools.2), (Some(""), Some(5)));
    for (list, item, expected) in [
        (
            ListOf::Prompts,
            r#"{"name":"a","uri":"u"}"#,
            r#"{"name":"srv__a","uri":"u"}"#,
        ),
        (
            ListOf::Resources,
            r#"{"name":"a","uri":"u"}"#,
            r#"{"name":"a","uri":"mcp+srv:u"}"#,
        ),
        (
            ListOf::Templates,
            r#"{"uriTemplate":"u{x}"}"#,
            r#"{"uriTemplate":"mcp+srv:u{x}"}"#,
        ),
        (ListOf::Tasks, r#"{"taskId":"t"}"#, r#"{"taskId":"srv:t"}"#),
    ] {
        let result = response(&format!(r#"{{"{}":[{item}]}}"#, list.key()));
        assert_eq!(listed(list, &result).0, [expected]);
        assert_eq!(ListOf::of(list.method()), Some(list));
    }
    for wrong in [r#"{"tools":{}}"#, "[]", r#"{"tools":[],"tools":[]}"#, "{}"] {
        let response = response(wrong);
        let message = message(&response);
        assert!(
            page(ListOf::Tools, result_of(&message), &prefix()).is_none(),
            "{wrong}"
        );
    }
}

fn result_of<'a>(message: &Message<'a>) -> RawJson<'a> {
    match message.kind() {
        Kind::Response(response) => match response.payload {
            Payload::Result(result) => result,
            Payload::Error(_) => panic!("an error"),
        },
        Kind::Request(_) | Kind::Notification(_) => panic!("no response"),
    }
}

fn listed(list: ListOf, original: &str) -> (Vec<String>, Option<String>, Option<u64>) {
    let message = message(original);
    let page = page(list, result_of(&message), &prefix()).unwrap_or_else(|| panic!("{original}"));
    let items = page.items.iter().map(|item| item.json.to_string()).collect();
    (items, page.next_cursor.map(Into::into), page.ttl_ms)
}

#[test]
fn a_request_says_what_it_is_about_or_is_told_what_it_lacks() {
    let subject = |method: &str, params: &str| {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        match message(&request).kind() {
            Kind::Request(request) => {
                Subject::of(request).map(|subject| subject.map(|subject| format!("{subject:?}")))
            }
            Kind::Notification(_) | Kind::Response(_) => panic!("{method}"),
        }
    };
    assert_eq!(
        subject("tools/call", r#"{"name":"n"}"#),
        Ok(Some("Name(\"n\")".to_owned()))
    );
    assert_eq!(
        subject("resources/read", r#"{"uri":"u"}"#),
        Ok(Some("Uri(\"u\")".to_owned()))
    );
    assert_eq!(
        subject("tasks/get", r#"{"taskId":"t"}"#),
        Ok(Some("Task(\"t\")".to_owned()))
    );
    let reference = r#"{"ref":{"type":"ref/prompt","name":"p","uri":"u"}}"#;
    assert_eq!(
        subject("completion/complete", reference),
        Ok(Some("PromptRef(\"p\")".to_owned()))
    );
    assert_eq!(
        subject("resources/read", r#"{"uri":1}"#),
        Err(NoSubject { missing: "uri" })
    );
    assert_eq!(
        subject("completion/complete", r#"{"ref":{"type":"x"}}"#),
        Err(NoSubject { missing: "ref" })
    );
    assert_eq!(subject("vendor/x", r#"{"name":"n"}"#), Ok(None));
}

#[test]
fn a_reference_is_replaced_within_and_nothing_else_of_the_message_changes() {
    let original = r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{ "type":"ref/prompt" , "name" : "srv__p", "x":1.0 },"argument":{"name":"srv__p","value":""}}}"#;
    let spliced = Splice::new(&message(original))
        .reference("p")
        .and_then(|splice| splice.finish(&Bounds::default()));
    let expected = original.replacen("\"srv__p\"", "\"p\"", 1);
    assert_eq!(spliced, Ok(expected.into_bytes()));
    for wrong in [
        r#"{"type":"ref/x","name":"p"}"#,
        r#"{"type":"ref/resource","name":"p"}"#,
        "1",
    ] {
        let wrong = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{{"ref":{wrong}}}}}"#
        );
        let refused = Splice::new(&message(&wrong)).reference("p").err();
        assert_eq!(refused, Some(SpliceError::NoPlace { member: "ref" }), "{wrong}");
    }
}

/// Any JSON of a result, written in any way, in which nothing begins as what is renamed to.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1e2".to_owned()),
        Just("-0.50".to_owned()),
        "[a-z/:. ]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"\\ud800\\n\"".to_owned()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\" : {value}"))
                    .collect();
                format!("{{ {} }}", members.join(",\n"))
            }),
        ]
    })
}

fn any_block() -> impl Strategy<Value = (String, usize)> {
    let uri = "[a-z]{1,4}:[a-z/]{0,8}";
    prop_oneof![
        (uri, any_json()).prop_map(|(uri, other)| {
            let block = format!(r#"{{"other":{other},"type":"resource_link", "uri" :"{uri}"}}"#);
            (block, 1)
        }),
        (uri, any_json()).prop_map(|(uri, other)| {
            let block = format!(r#"{{"type":"resource","resource":{{ "uri":"{uri}","other":{other}}}}}"#);
            (block, 1)
        }),
        any_json().prop_map(|other| (format!(r#"{{"type":"text","uri":"stays","other":{other}}}"#), 0)),
        any_json().prop_map(|other| (other, 0)),
    ]
}

proptest! {
    #[test]
    fn whatever_was_not_renamed_on_purpose_is_there_byte_for_byte(
        blocks in prop::collection::vec(any_block(), 0..6),
        other in any_json(),
    ) {
        // A block of any JSON may be a block of its own by chance; it has no type, so it is none.
        let count: usize = blocks.iter().map(|(_, count)| count).sum();
        let blocks: Vec<&str> = blocks.iter().map(|(block, _)| block.as_str()).collect();
        let original = response(&format!(
            r#"{{"structuredContent":{other}, "content":[{}],"isError":false}}"#,
            blocks.join(",")
        ));
        let renamed = answered(Shape::Call, &original);
        prop_assert_eq!(renamed.matches("\"mcp+srv:").count(), count);
        prop_assert_eq!(renamed.replace("\"mcp+srv:", "\""), original.as_str());
        prop_assert!(count == 0 || may_hold_names(original.as_bytes()));
    }
}
