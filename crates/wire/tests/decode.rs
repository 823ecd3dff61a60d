//! What is refused, cause by cause, and what is read.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::{Bounds, Decoded, IdKey, Kind, Malformed, Message, Payload, decode};

fn code(bytes: &[u8]) -> &'static str {
    match decode(bytes, &Bounds::default()) {
        Ok(_) => "accepted",
        Err(cause) => cause.code(),
    }
}

fn single(text: &str) -> Message<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn call_with(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
    )
}

fn result_with(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
}

#[test]
fn each_envelope_is_accepted_or_refused_for_its_own_cause() {
    for (text, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "accepted"),
        (
            r#" {"jsonrpc":"2.0","method":"notifications/initialized"} "#,
            "accepted",
        ),
        (r#"{"jsonrpc":"2.0","id":"a","result":null}"#, "accepted"),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#,
            "accepted",
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"m","data":[]}}"#,
            "accepted",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x","extra":{"a":1}}"#,
            "accepted",
        ),
        ("", "empty"),
        (" \r\n", "empty"),
        ("1", "not_an_object"),
        ("\"a\"", "not_an_object"),
        ("nul", "syntax"),
        (r#"{"id":1,"method":"ping"}"#, "wrong_version"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "wrong_version"),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "wrong_version"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":1E0,"method":"ping"}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":true,"result":{}}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "bad_id"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "bad_id"),
        (
            r#"{"jsonrpc":"2.0","id":{},"error":{"code":1,"message":""}}"#,
            "bad_id",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "bad_method"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            "params_not_object",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
            "params_not_object",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}}"#,
            "tool_call_without_id",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call"}"#,
            "method_looks_like",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000"}"#,
            "method_looks_like",
        ),
        (r#"{"jsonrpc":"2.0","method":" tools/call"}"#, "method_looks_like"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            "ambiguous_envelope",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#,
            "ambiguous_envelope",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
            "ambiguous_envelope",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#,
            "ambiguous_envelope",
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#, "not_a_message"),
        (r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#, "bad_error"),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
            "bad_error",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
            "bad_error",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, "bad_error"),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"code":2,"message":""}}"#,
            "bad_error",
        ),
        ("[]", "empty_batch"),
        ("[ ]", "empty_batch"),
        ("[[]]", "nested_batch"),
        (r#"[{"jsonrpc":"2.0","method":"a"},[]]"#, "nested_batch"),
        ("[1]", "not_an_object"),
        (r#"[{"jsonrpc":"2.0","method":"a"}"#, "syntax"),
        (r#"[{"jsonrpc":"2.0","method":"a"}]"#, "accepted"),
    ] {
        assert_eq!(code(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn attack_duplicate_keys_are_refused_at_every_depth_of_requests() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#
            .to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x","extra":{"a":1,"a":1}}"#.to_owned(),
        call_with(r#"{"a":1,"a":1}"#),
        call_with(r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#),
        call_with(&format!(
            "{{{},\"k7\":0}}",
            (0..40)
                .map(|n| format!("\"k{n}\":{n}"))
                .collect::<Vec<_>>()
                .join(",")
        )),
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#.to_owned(),
    ] {
        assert_eq!(code(text.as_bytes()), "duplicate_key", "{text}");
    }
}

#[test]
fn attack_case_variant_keys_are_refused_in_requests() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x","Params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","ID":1,"method":"notifications/x"}"#.to_owned(),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"param\u{17f}\":{}}".to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{},"Error":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Arguments":{}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"URI":"a"}}"#.to_owned(),
        call_with(r#"{"path":"a","Path":"b"}"#),
        call_with("{\"k\":1,\"\u{212a}\":2}"),
        call_with(r#"{"deep":[{"x":{"i":1,"\u0131":2}}]}"#),
        call_with(&format!(
            "{{{},\"K7\":0}}",
            (0..40)
                .map(|n| format!("\"k{n}\":{n}"))
                .collect::<Vec<_>>()
                .join(",")
        )),
    ] {
        assert_eq!(code(text.as_bytes()), "case_variant_keys", "{text}");
    }
    assert_eq!(
        code(br#"{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{"Name":"a"}}"#),
        "accepted"
    );
}

#[test]
fn attack_json_that_parsers_read_differently_is_refused() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for (arguments, expected) in [
        (r#"{"a":1e400}"#, "number_out_of_range"),
        (r#"{"a":-1e400}"#, "number_out_of_range"),
        (r#"{"a":1e-400}"#, "number_out_of_range"),
        (
            r#"{"a":12345678901234567890123456789012345678901}"#,
            "number_out_of_range",
        ),
        (r#"{"a":"\ud800"}"#, "lone_surrogate"),
        (r#"{"a":"\udc00\ud800"}"#, "lone_surrogate"),
        (r#"{"a":"\ud83dx"}"#, "lone_surrogate"),
        (r#"{"\udfff":1}"#, "lone_surrogate"),
        (r#"{"a":"\ud83d\ude00"}"#, "accepted"),
        ("{\"a\":\"\0\"}", "syntax"),
        ("{\"a\":\"line\nbreak\"}", "syntax"),
        ("{\"a\":\"a long enough run of text, then a tab \t\"}", "syntax"),
        ("{\"a\":\"\u{7f}\u{feff}\"}", "accepted"),
        (r#"{"a":1,}"#, "syntax"),
        (r#"{"a":[1,]}"#, "syntax"),
        (r#"{"a":[,1]}"#, "syntax"),
        (r#"{"a":NaN}"#, "syntax"),
        (r#"{"a":Infinity}"#, "syntax"),
        (r#"{"a":-Infinity}"#, "syntax"),
        (r#"{"a":undefined}"#, "syntax"),
        (r#"{"a":01}"#, "syntax"),
        (r#"{"a":+1}"#, "syntax"),
        (r#"{"a":.5}"#, "syntax"),
        (r#"{"a":1.}"#, "syntax"),
        (r#"{"a":1e}"#, "syntax"),
        (r#"{"a":-}"#, "syntax"),
        (r#"{"a":0x10}"#, "syntax"),
        (r#"{'a':1}"#, "syntax"),
        (r#"{a:1}"#, "syntax"),
        (r#"{"a" 1}"#, "syntax"),
        (r#"{"a":1 "b":2}"#, "syntax"),
        (r#"{"a":"\x41"}"#, "syntax"),
        (r#"{"a":"\u12g4"}"#, "syntax"),
        (r#"{"a":tru}"#, "syntax"),
        (r#"{"a":/* */1}"#, "syntax"),
        ("{\"a\":\u{a0}1}", "syntax"),
        ("{\"a\":\u{b}1}", "syntax"),
    ] {
        assert_eq!(code(call_with(arguments).as_bytes()), expected, "{arguments}");
    }
    assert_eq!(code(call_with(&deep(126)).as_bytes()), "accepted");
    assert_eq!(code(call_with(&deep(127)).as_bytes()), "too_deep");
    assert_eq!(code("[".repeat(1_000_000).as_bytes()), "nested_batch");
    assert_eq!(code(call_with(&"[".repeat(1_000_000)).as_bytes()), "too_deep");
    assert_eq!(
        code(call_with(&"{\"a\":".repeat(1_000_000)).as_bytes()),
        "too_deep"
    );
}

#[test]
fn attack_bytes_around_and_below_the_text_are_refused() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for (bytes, expected) in [
        ([b"\xef\xbb\xbf", ping.as_bytes()].concat(), "byte_order_mark"),
        ([b"\xff\xfe", ping.as_bytes()].concat(), "invalid_utf8"),
        ([ping, ping].concat().into_bytes(), "trailing_data"),
        ([ping, "\n", ping].concat().into_bytes(), "trailing_data"),
        ([ping, "\0"].concat().into_bytes(), "trailing_data"),
        (["\0", ping].concat().into_bytes(), "syntax"),
        ([ping, " \r\n\t"].concat().into_bytes(), "accepted"),
        (br#"{"a":1}{"b":2}"#.to_vec(), "wrong_version"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\xaf\"}".to_vec(),
            "invalid_utf8",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xe0\x80\xaf\"}".to_vec(),
            "invalid_utf8",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xed\xa0\x80\"}".to_vec(),
            "invalid_utf8",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}".to_vec(),
            "invalid_utf8",
        ),
    ] {
        assert_eq!(code(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn results_are_framed_and_checked_only_when_inspected() {
    for (result, strict) in [
        (r#"{"a":1,"a":2}"#, "duplicate_key"),
        (r#"{"a":{"b":1,"b":2}}"#, "duplicate_key"),
        (r#"{"a":1,"A":2}"#, "accepted"),
        (r#"["\ud800"]"#, "lone_surrogate"),
        (r#"[1e999]"#, "number_out_of_range"),
        (r#"{"a":[1,"x"]}"#, "accepted"),
    ] {
        let text = result_with(result);
        let message = single(&text);
        let Kind::Response(response) = message.kind() else {
            panic!("{text}")
        };
        let Payload::Result(raw) = response.payload else {
            panic!("{text}")
        };
        assert_eq!(raw.text(), result);
        let checked = raw.check_strict(&Bounds::default());
        assert_eq!(
            checked.err().map_or("accepted", |cause| cause.code()),
            strict,
            "{result}"
        );
    }
    for result in [r#"{"a":}"#, "[1,]", "\"\u{1}\"", "{} {}", "01"] {
        assert!(
            matches!(code(result_with(result).as_bytes()), "syntax"),
            "{result}"
        );
    }
    let deep = result_with(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(code(deep.as_bytes()), "too_deep");
}

#[test]
fn an_object_of_a_result_with_two_equal_keys_has_no_members_to_offer() {
    let text = result_with(r#"{"tools":[],"tools":[1]}"#);
    let message = single(&text);
    let Kind::Response(response) = message.kind() else {
        panic!()
    };
    let Payload::Result(raw) = response.payload else {
        panic!()
    };
    assert_eq!(raw.as_object(), None);
}

#[test]
fn bounds_are_exact() {
    let ping = r#"{"jsonrpc":"2.0","method":"a"}"#;
    let bounds = |message_bytes_max| Bounds {
        message_bytes_max,
        ..Bounds::default()
    };
    assert!(decode(ping.as_bytes(), &bounds(ping.len())).is_ok());
    assert_eq!(
        decode(ping.as_bytes(), &bounds(ping.len() - 1)),
        Err(Malformed::TooLarge {
            bytes: ping.len(),
            bytes_max: ping.len() - 1
        })
    );
    let batch = |count: usize| format!("[{}]", vec![ping; count].join(","));
    assert_eq!(code(batch(256).as_bytes()), "accepted");
    assert_eq!(code(batch(257).as_bytes()), "batch_too_long");
}

#[test]
fn causes_name_the_place_and_tell_the_user_what_to_do() {
    for (text, shown, rpc) in [
        (
            call_with(r#"{"a":1,}"#),
            "not valid JSON at byte 86: expected a key in double quotes",
            -32700,
        ),
        (
            call_with(r#"{"a":1,"a":2}"#),
            "the key `a` is given twice in one object (byte 86)",
            -32600,
        ),
        (
            call_with(r#"{"a":1e999}"#),
            "the number at byte 84 can not be read exactly by every parser; send it as a string",
            -32700,
        ),
        (
            "[1".to_owned(),
            "a message is a JSON object; this one is not (byte 1)",
            -32600,
        ),
    ] {
        let cause = decode(text.as_bytes(), &Bounds::default()).unwrap_err();
        assert_eq!(cause.to_string(), shown, "{text}");
        assert_eq!(cause.jsonrpc_code(), rpc, "{text}");
    }
}

#[test]
fn ids_are_equal_exactly_where_their_values_are() {
    let key = |id: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let message = single(&text);
        let Kind::Request(request) = message.kind() else {
            panic!("{text}")
        };
        assert_eq!(request.id.raw(), id);
        assert_eq!(text.get(request.id.span()), Some(id));
        request.id.key().clone()
    };
    assert_eq!(key(r#""a""#), key(r#""\u0061""#));
    assert_eq!(key("0"), key("-0"));
    assert_eq!(key("1"), IdKey::from(1));
    assert_eq!(key(r#""1""#), IdKey::from("1"));
    let distinct = [
        "1",
        r#""1""#,
        "-1",
        "2",
        r#""""#,
        "9223372036854775808",
        "9223372036854775809",
        r#""A""#,
        r#""a""#,
    ];
    for (index, one) in distinct.iter().enumerate() {
        for (other_index, other) in distinct.iter().enumerate() {
            assert_eq!(key(one) == key(other), index == other_index, "{one} {other}");
        }
    }
    assert_eq!(key("9223372036854775808").to_json(), "9223372036854775808");
    assert_eq!(key("\"q\\\"\\u0001é\"").to_json(), "\"q\\\"\\u0001é\"");
}

#[test]
fn spans_count_from_the_message_also_inside_a_batch() {
    let text = format!(" [ {} , {} ]", call_with(r#"{"p":"x"}"#), call_with("{ }"));
    let Ok(Decoded::Batch(messages)) = decode(text.as_bytes(), &Bounds::default()) else {
        panic!()
    };
    for (message, arguments) in messages.iter().zip([r#"{"p":"x"}"#, "{ }"]) {
        let Kind::Request(request) = message.kind() else {
            panic!()
        };
        let raw = request.params.as_ref().unwrap().get("arguments").unwrap();
        assert_eq!(&message.raw()[raw.span()], arguments.as_bytes());
        assert_eq!(raw.bytes(), arguments.as_bytes());
        assert!(text.contains(std::str::from_utf8(message.raw()).unwrap()));
    }
}
