//! From one era to the other: what changes, and that nothing else does.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::bridge::{
    Again, Answer, Hello, Input, Server, Speaker, Spoken, Wanted, answer_for_legacy, answer_for_modern,
    ask_client, discover_result, initialize_request, initialize_result, input_required, request_for_legacy,
    request_for_modern,
};
use callgate_wire::mcp::Version;
use callgate_wire::{Bounds, Decoded, IdKey, Kind, Message, RawJson, Request, Response, decode};
use proptest::prelude::*;

fn message(text: &str) -> Message<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn request<'m, 'a>(message: &'m Message<'a>) -> &'m Request<'a> {
    match message.kind() {
        Kind::Request(request) => request,
        other @ (Kind::Notification(_) | Kind::Response(_)) => panic!("{other:?}"),
    }
}

fn response<'m, 'a>(message: &'m Message<'a>) -> &'m Response<'a> {
    match message.kind() {
        Kind::Response(response) => response,
        other @ (Kind::Notification(_) | Kind::Request(_)) => panic!("{other:?}"),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|cause| panic!("{cause}"))
}

fn speaker() -> Speaker {
    Speaker {
        info: Some(r#"{"name":"c"}"#.to_owned()),
        capabilities: "{}".to_owned(),
        log_level: None,
    }
}

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{}"#;

fn to_modern(sent: &str, again: Option<&Again>) -> String {
    let bytes = request_for_modern(
        &message(sent),
        &IdKey::from(9),
        &speaker(),
        again,
        &Bounds::default(),
    );
    text(bytes.unwrap_or_else(|cause| panic!("{sent}: {cause}")))
}

fn to_legacy(sent: &str) -> String {
    let bytes = request_for_legacy(&message(sent), &IdKey::from(9), &Bounds::default());
    text(bytes.unwrap_or_else(|cause| panic!("{sent}: {cause}")))
}

#[test]
fn a_legacy_request_gets_the_introduction_of_its_client() {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        to_modern(list, None),
        format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{{"_meta":{{{META}}}}}}}"#)
    );
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t", "arguments":{"a":1.0} , "_meta":{"k":1.0}}}"#;
    let again = Again {
        responses: r#"{"q":{"action":"accept"}}"#.to_owned(),
        state: Some(r#""s\u0041""#.to_owned()),
    };
    assert_eq!(
        to_modern(call, Some(&again)),
        format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"t", "arguments":{{"a":1.0}} , "_meta":{{"k":1.0,{META}}},"inputResponses":{{"q":{{"action":"accept"}}}},"requestState":"s\u0041"}}}}"#
        )
    );
    // What a client says of itself in another's words is not believed.
    let lying = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"requestState":"x","name":"t","inputResponses":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"1999-01-01"}}}"#;
    assert_eq!(
        to_modern(lying, None),
        format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"t","_meta":{{{META}}}}}}}"#
        )
    );
}

#[test]
fn a_modern_request_loses_the_introduction_of_its_client() {
    for (params, left) in [
        (format!(r#"{{"_meta":{{{META}}}}}"#), r#"{"_meta":{}}"#),
        (
            format!(r#"{{"name":"t","_meta":{{"k":1.0,{META},"progressToken":2}},"arguments":{{ }}}}"#),
            r#"{"name":"t","_meta":{"k":1.0,"progressToken":2},"arguments":{ }}"#,
        ),
        (
            format!(r#"{{"inputResponses":{{}},"requestState":"s","name":"t","_meta":{{{META}}}}}"#),
            r#"{"name":"t","_meta":{}}"#,
        ),
        (
            format!(r#"{{"name":"t","inputResponses":{{}},"_meta":{{{META}}},"requestState":"s"}}"#),
            r#"{"name":"t","_meta":{}}"#,
        ),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{params}}}"#);
        let expected = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{left}}}"#);
        assert_eq!(to_legacy(&sent), expected);
    }
}

fn legacy_answer(asked: &str, sent: &str) -> Result<Answer, String> {
    answer_for_legacy(&message(sent), &IdKey::from("c"), asked, &Bounds::default())
        .map_err(|cause| cause.to_string())
}

fn complete(answer: Result<Answer, String>) -> String {
    match answer {
        Ok(Answer::Complete(bytes)) => text(bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_modern_result_loses_what_the_legacy_era_does_not_know() {
    let info = r#""io.modelcontextprotocol/serverInfo":{"name":"s"}"#;
    for (asked, result, left) in [
        ("tools/call", r#"{"resultType":"complete","content":[ ],"x":1.50}"#.to_owned(), r#"{"content":[ ],"x":1.50}"#),
        ("tools/call", format!(r#"{{"content":[],"_meta":{{{info}}}}}"#), r#"{"content":[]}"#),
        ("tools/call", format!(r#"{{"content":[],"_meta":{{"k": 1,{info}}}}}"#), r#"{"content":[],"_meta":{"k": 1}}"#),
        ("tools/call", r#"{"content":[],"structuredContent":[1],"_meta":{ }}"#.to_owned(), r#"{"content":[]}"#),
        ("tools/call", r#"{"structuredContent":{"a":1e2}}"#.to_owned(), r#"{"structuredContent":{"a":1e2}}"#),
        ("prompts/list", r#"{"ttlMs":5,"cacheScope":"public","resultType":"complete","prompts":[]}"#.to_owned(), r#"{"prompts":[]}"#),
        (
            "tools/list",
            r#"{"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"string","x-mcp-header":"a b"}}}},{"name":"b"}]}"#.to_owned(),
            r#"{"tools":[{"name":"b"}]}"#,
        ),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","vendor":1.0,"id":9,"result":{result}}}"#);
        let expected = format!(r#"{{"jsonrpc":"2.0","vendor":1.0,"id":"c","result":{left}}}"#);
        assert_eq!(complete(legacy_answer(asked, &sent)), expected);
    }
    for result in [
        r#"{"resultType":"task"}"#,
        r#"{"resultType":1}"#,
        "[]",
        r#"{"resultType":"x","resultType":"y"}"#,
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":9,"result":{result}}}"#);
        assert!(legacy_answer("tools/call", &sent).is_err(), "{result}");
    }
}

#[test]
fn errors_change_their_codes_and_nothing_else() {
    for (asked, error, expected) in [
        (
            "resources/read",
            r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#,
            r#"{"code":-32002,"message":"m","data":{"uri":"a:b"}}"#,
        ),
        (
            "resources/read",
            r#"{"code":-32602,"message":"m"}"#,
            r#"{"code":-32602,"message":"m"}"#,
        ),
        (
            "tools/call",
            r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#,
            r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#,
        ),
        (
            "tools/call",
            r#"{"code":-32020,"message":"m"}"#,
            r#"{"code":-32603,"message":"m"}"#,
        ),
        (
            "tools/call",
            r#"{"code":-32021,"message":"m","data":{"requiredCapabilities":{}}}"#,
            r#"{"code":-32602,"message":"m","data":{"requiredCapabilities":{}}}"#,
        ),
        (
            "tools/call",
            r#"{"code": -32000 ,"message":"m"}"#,
            r#"{"code": -32000 ,"message":"m"}"#,
        ),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":9,"error":{error}}}"#);
        assert_eq!(
            complete(legacy_answer(asked, &sent)),
            format!(r#"{{"jsonrpc":"2.0","id":"c","error":{expected}}}"#)
        );
    }
    for (error, expected, status) in [
        (
            r#"{"code":-32002,"message":"m","data":{"uri":"a:b"}}"#,
            r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#,
            200,
        ),
        (
            r#"{"code":-32601,"message":"m"}"#,
            r#"{"code":-32601,"message":"m"}"#,
            404,
        ),
        (
            r#"{"code":-32042,"message":"m"}"#,
            r#"{"code":-32603,"message":"m"}"#,
            200,
        ),
        (r#"{"code":7,"message":"m"}"#, r#"{"code":7,"message":"m"}"#, 200),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":9,"error":{error}}}"#);
        let told = answer_for_modern(
            &message(&sent),
            &IdKey::from("c"),
            "tools/call",
            &Bounds::default(),
        );
        let (bytes, told_status) = told.unwrap_or_else(|cause| panic!("{cause}"));
        assert_eq!(
            text(bytes),
            format!(r#"{{"jsonrpc":"2.0","id":"c","error":{expected}}}"#)
        );
        assert_eq!(told_status, status);
    }
    // An error that could not tell its request has it told.
    let told = legacy_answer(
        "tools/call",
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#,
    );
    assert_eq!(
        complete(told),
        r#"{"jsonrpc":"2.0","id":"c","error":{"code":1,"message":"m"}}"#
    );
}

#[test]
fn a_legacy_result_is_marked_and_a_list_holds_for_nobody_else() {
    for (asked, result, expected) in [
        (
            "tools/call",
            r#"{"content":[ ],"x":1.50}"#,
            r#"{"content":[ ],"x":1.50,"resultType":"complete"}"#,
        ),
        (
            "tools/call",
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"complete"}"#,
        ),
        (
            "tools/list",
            r#"{"tools":[]}"#,
            r#"{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            "tools/list",
            r#"{"tools":[],"ttlMs":9,"cacheScope":"public"}"#,
            r#"{"tools":[],"ttlMs":0,"cacheScope":"private","resultType":"complete"}"#,
        ),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":9,"result":{result}}}"#);
        let told = answer_for_modern(&message(&sent), &IdKey::from("c"), asked, &Bounds::default());
        let (bytes, status) = told.unwrap_or_else(|cause| panic!("{cause}"));
        assert_eq!(
            text(bytes),
            format!(r#"{{"jsonrpc":"2.0","id":"c","result":{expected}}}"#)
        );
        assert_eq!(status, 200);
    }
}

#[test]
fn the_answer_to_discover_tells_the_era() {
    let spoken = |payload: &str| {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":1,{payload}}}"#);
        Spoken::of(response(&message(&sent)))
    };
    for modern in [
        r#""result":{"supportedVersions":["2025-11-25","2026-07-28"]}"#,
        r#""error":{"code":-32020,"message":"m"}"#,
        r#""error":{"code":-32021,"message":"m"}"#,
        r#""error":{"code":-32022,"message":"m","data":{"supported":["2026-07-28"]}}"#,
    ] {
        assert!(matches!(spoken(modern), Spoken::Modern(_)), "{modern}");
    }
    for legacy in [
        r#""result":{}"#,
        r#""result":{"supportedVersions":["2025-11-25"]}"#,
        r#""result":[]"#,
        r#""error":{"code":-32601,"message":"m"}"#,
        r#""error":{"code":-32602,"message":"m"}"#,
        r#""error":{"code":-32000,"message":"m"}"#,
        r#""error":{"code":-32022,"message":"m","data":{"supported":["2025-11-25"]}}"#,
    ] {
        assert_eq!(spoken(legacy), Spoken::Legacy, "{legacy}");
    }
}

#[test]
fn a_handshake_of_one_era_is_one_of_the_other() {
    let sent = r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"instructions":"a\u0041","capabilities":{"tools":{"listChanged":true},"tasks":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","x":1.0}}}}"#;
    let Spoken::Modern(Some(server)) = Spoken::of(response(&message(sent))) else {
        panic!("{sent}")
    };
    assert!(server.offers(&["tools", "listChanged"]) && !server.offers(&["resources"]));
    assert_eq!(
        text(initialize_result(&IdKey::from(1), &server, Version::V2025_06_18)),
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","x":1.0},"instructions":"a\u0041"}}"#
    );
    let sent = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-03-26","capabilities":{"tools":{},"tasks":{}},"serverInfo":{"name":"s"}}}"#;
    let server = Server::of_initialize(response(&message(sent))).unwrap_or_else(|cause| panic!("{cause}"));
    assert_eq!(server.version, Some(Version::V2025_03_26));
    assert_eq!(
        text(discover_result(&IdKey::from(1), &server)),
        r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}}"#
    );
    for (asked, agreed) in [
        ("2024-11-05", Version::V2024_11_05),
        ("2026-07-28", Version::V2025_11_25),
        ("x", Version::V2025_11_25),
    ] {
        let sent = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{asked}","capabilities":{{"roots":{{}},"tasks":{{}}}},"clientInfo":{{"name":"c"}}}}}}"#
        );
        let hello = Hello::of_initialize(request(&message(&sent)));
        assert_eq!(hello.version, agreed);
        assert_eq!(hello.speaker.capabilities, r#"{"roots":{}}"#);
    }
    let sent = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{META},"io.modelcontextprotocol/logLevel":"info"}}}}}}"#
    );
    let hello = Hello::of_modern(request(&message(&sent)));
    assert_eq!(hello.speaker.log_level.as_deref(), Some("\"info\""));
    assert_eq!(
        text(initialize_request(&IdKey::from(2), &hello)),
        r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c"}}}"#
    );
}

#[test]
fn what_a_server_wants_is_asked_as_the_clients_version_has_it() {
    let wanted = |params: &str| Wanted {
        input: Input::Elicitation,
        params: Some(params.to_owned()),
    };
    let id = IdKey::from("i");
    let asked = |params: &str, version| ask_client(&id, &wanted(params), version).map(text);
    let form = r#"{"mode":"form","message":"m"}"#;
    assert_eq!(
        asked(form, Version::V2025_11_25).as_deref(),
        Ok(
            r#"{"jsonrpc":"2.0","id":"i","method":"elicitation/create","params":{"mode":"form","message":"m"}}"#
        )
    );
    assert_eq!(
        asked(form, Version::V2025_06_18).as_deref(),
        Ok(r#"{"jsonrpc":"2.0","id":"i","method":"elicitation/create","params":{"message":"m"}}"#)
    );
    let url = r#"{"mode":"url","url":"u"}"#;
    assert_eq!(
        asked(url, Version::V2025_11_25).as_deref(),
        Ok(
            r#"{"jsonrpc":"2.0","id":"i","method":"elicitation/create","params":{"mode":"url","url":"u","elicitationId":"i"}}"#
        )
    );
    assert!(asked(url, Version::V2025_06_18).is_err());
    let back = input_required(
        &id,
        &[(
            "k".to_owned(),
            wanted(r#"{"mode":"url","elicitationId":"e","task":{}}"#),
        )],
        Some("s"),
    );
    assert_eq!(
        back.map(text).as_deref(),
        Ok(
            r#"{"jsonrpc":"2.0","id":"i","result":{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"url"}}},"requestState":"s"}}"#
        )
    );
    for (params, capabilities, is_declared) in [
        (form, r#"{"elicitation":{}}"#, true),
        (form, r#"{"elicitation":{"form":{}}}"#, true),
        (form, r#"{"elicitation":{"url":{}}}"#, false),
        (form, "{}", false),
        (url, r#"{"elicitation":{}}"#, false),
        (url, r#"{"elicitation":{"url":{}}}"#, true),
    ] {
        assert_eq!(
            wanted(params).is_declared(capabilities),
            is_declared,
            "{params} {capabilities}"
        );
    }
}

/// Some JSON, written in some way.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("-0".to_owned()),
        Just("1e2".to_owned()),
        Just(r#""\u0041\/ é""#.to_owned()),
        "[a-z ]{0,5}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|elements| format!("[{}]", elements.join(" , "))),
            prop::collection::vec(inner, 0..4).prop_map(|values| object("m", &values)),
        ]
    })
}

fn object(prefix: &str, values: &[String]) -> String {
    let members: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| format!("\"{prefix}{index}\" : {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

fn member<'a>(message: &Message<'a>, key: &str) -> Option<RawJson<'a>> {
    request(message)
        .params
        .as_ref()
        .and_then(|params| params.get(key))
}

proptest! {
    #[test]
    fn name_arguments_and_unknown_members_survive_both_ways(
        arguments in prop::collection::vec(json(), 0..4),
        unknown in json(),
        meta in prop::collection::vec(json(), 0..3),
        state in prop::option::of(json()),
    ) {
        let arguments = object("a", &arguments);
        let own = object("k", &meta);
        let meta = if own == "{}" { format!("{{{META}}}") } else { format!("{{{META}, {}", own.trim_start_matches('{')) };
        let state = state.map(|state| format!(r#", "requestState":{state} "#)).unwrap_or_default();
        let sent = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{ "x":{unknown},"_meta":{meta}{state}, "name" : "\u0074","arguments":{arguments} }}}}"#
        );
        let again = Again { responses: unknown_object(&unknown), state: Some("\"s\"".to_owned()) };
        let legacy = to_legacy(&sent);
        for (told, is_again) in [(legacy.clone(), false), (to_modern(&sent, None), false), (to_modern(&legacy, Some(&again)), true)] {
            let told = message(&told);
            prop_assert_eq!(member(&told, "name").map(|name| name.text()), Some(r#""\u0074""#));
            prop_assert_eq!(member(&told, "arguments").map(|raw| raw.text()), Some(arguments.as_str()));
            prop_assert_eq!(member(&told, "x").map(|raw| raw.text()), Some(unknown.as_str()));
            prop_assert_eq!(member(&told, "requestState").is_some(), is_again);
            let meta = member(&told, "_meta").and_then(|meta| meta.as_object());
            let expected = message_of(&own);
            for (key, value) in expected.iter().flat_map(callgate_wire::Object::iter) {
                let kept = meta.as_ref().and_then(|meta| meta.get(key)).map(|kept| kept.text());
                prop_assert_eq!(kept, Some(value.text()));
            }
        }
    }

    #[test]
    fn members_of_results_survive_both_ways(values in prop::collection::vec(json(), 1..5)) {
        let result = object("r", &values);
        let sent = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let legacy = complete(legacy_answer("tools/call", &sent));
        let modern = answer_for_modern(&message(&sent), &IdKey::from(2), "tools/list", &Bounds::default());
        let modern = text(modern.unwrap_or_else(|cause| panic!("{cause}")).0);
        let expected = message_of(&result);
        for told in [legacy, modern] {
            let told = message(&told);
            let callgate_wire::Payload::Result(kept) = response(&told).payload else { panic!("{told:?}") };
            let kept = kept.as_object();
            for (key, value) in expected.iter().flat_map(callgate_wire::Object::iter) {
                let kept = kept.as_ref().and_then(|kept| kept.get(key)).map(|kept| kept.text());
                prop_assert_eq!(kept, Some(value.text()));
            }
        }
    }
}

fn unknown_object(value: &str) -> String {
    format!("{{\"k\":{value}}}")
}

fn message_of(text: &str) -> Option<callgate_wire::Object<'_>> {
    RawJson::read(text.as_bytes(), &Bounds::default())
        .ok()?
        .as_object()
}
