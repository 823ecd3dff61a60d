//! Edits by byte ranges: what changes, what stays, and what is refused.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::splice::{Judged, Param, Splice, SpliceError, rescan_matches, to_line};
use callgate_wire::trace::Carried;
use callgate_wire::{Bounds, Decoded, IdKey, Message, RawJson, decode, mcp};
use std::borrow::Cow;

fn message(text: &str) -> Message<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn edited(
    text: &str,
    edit: impl for<'m, 'a> FnOnce(Splice<'m, 'a>) -> Result<Splice<'m, 'a>, SpliceError>,
) -> Result<String, SpliceError> {
    let message = message(text);
    let bytes = edit(Splice::new(&message))?.finish(&Bounds::default())?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|_| panic!("{text}")))
}

const CALL: &str = r#"{ "jsonrpc":"2.0", "id" : "a\u0062", "method":"tools/call", "params": {"name":"fs__read", "arguments":{"n":1.50, "s":"\u0041"}, "x":[ ]}}"#;

#[test]
fn the_id_is_replaced_and_every_other_byte_stays() {
    assert_eq!(
        edited(CALL, |splice| splice.id(&IdKey::from(7))).as_deref(),
        Ok(CALL.replace(r#""a\u0062""#, "7").as_str())
    );
    assert_eq!(
        edited(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}"#, |splice| {
            splice.id(&IdKey::from("q\""))
        })
        .as_deref(),
        Ok(r#"{"jsonrpc":"2.0","id":"q\"","result":{"a":1,"a":2}}"#)
    );
    let notification = r#"{"jsonrpc":"2.0","method":"a"}"#;
    assert_eq!(
        edited(notification, |splice| splice.id(&IdKey::from(1))),
        Err(SpliceError::NoPlace { member: "id" })
    );
}

#[test]
fn the_id_of_a_subscription_is_replaced_in_a_result_and_every_other_byte_stays() {
    const KEY: &str = mcp::META_SUBSCRIPTION_ID;
    const ENDED: &str = r#"{"id":"own","result":{"x":1.0 ,"_meta" : {"a":{},"io.modelcontextprotocol/subscriptionId" : "own","z":[ ]},"y":{}},"jsonrpc":"2.0"}"#;
    let listen = IdKey::from("listen-1");
    let replaced = edited(ENDED, |splice| splice.id(&listen)?.result_meta(KEY, &listen));
    assert_eq!(
        replaced.as_deref(),
        Ok(ENDED.replace(r#""own""#, r#""listen-1""#).as_str())
    );
    for without in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"x":1}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#,
    ] {
        let replaced = edited(without, |splice| splice.result_meta(KEY, &listen));
        assert_eq!(replaced.as_deref(), Ok(without));
    }
}

#[test]
fn the_name_is_replaced_and_the_arguments_stay() {
    assert_eq!(
        edited(CALL, |splice| splice
            .id(&IdKey::from(7))?
            .param(Param::Name, "read"))
        .as_deref(),
        Ok(CALL
            .replace(r#""a\u0062""#, "7")
            .replace("fs__read", "read")
            .as_str())
    );
    let nothing = SpliceError::NoPlace { member: "uri" };
    assert_eq!(edited(CALL, |splice| splice.param(Param::Uri, "x")), Err(nothing));
    let twice = edited(CALL, |splice| {
        splice.param(Param::Name, "a")?.param(Param::Name, "b")
    });
    assert_eq!(twice, Err(SpliceError::Overlap));
}

#[test]
fn the_progress_token_is_inserted_replaced_and_removed_wherever_it_stands() {
    let call = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#);
    for (before, set, removed) in [
        ("", r#","params":{"_meta":{"progressToken":9}}"#, ""),
        (
            r#","params":{}"#,
            r#","params":{"_meta":{"progressToken":9}}"#,
            r#","params":{}"#,
        ),
        (
            r#","params":{"cursor":""}"#,
            r#","params":{"_meta":{"progressToken":9},"cursor":""}"#,
            r#","params":{"cursor":""}"#,
        ),
        (
            r#","params":{"_meta":{ }}"#,
            r#","params":{"_meta":{"progressToken":9}}"#,
            r#","params":{"_meta":{}}"#,
        ),
        (
            r#","params":{"_meta":{"progressToken":"x"}}"#,
            r#","params":{"_meta":{"progressToken":9}}"#,
            r#","params":{"_meta":{}}"#,
        ),
        (
            r#","params":{"_meta":{"a": 1.0,"progressToken" : "x", "b":"\u0041"}}"#,
            r#","params":{"_meta":{"a": 1.0,"progressToken" : 9,"b":"\u0041"}}"#,
            r#","params":{"_meta":{"a": 1.0,"b":"\u0041"}}"#,
        ),
    ] {
        let before = call(before);
        assert_eq!(
            edited(&before, |splice| splice.progress_token(Some(&IdKey::from(9)))),
            Ok(call(set)),
            "{before}"
        );
        assert_eq!(
            edited(&before, |splice| splice.progress_token(None)),
            Ok(call(removed)),
            "{before}"
        );
    }
}

#[test]
fn several_keys_of_meta_change_together() {
    let version = RawJson::read(br#""2026-07-28""#, &Bounds::default()).unwrap_or_else(|e| panic!("{e}"));
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":1,"io.modelcontextprotocol/logLevel":"info"}}}"#;
    assert_eq!(
        edited(text, |splice| splice
            .progress_token(None)?
            .protocol_meta(mcp::META_LOG_LEVEL, None)?
            .protocol_meta(mcp::META_PROTOCOL_VERSION, Some(version)))
        .as_deref(),
        Ok(
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#
        )
    );
}

#[test]
fn a_cancellation_and_a_progress_report_are_readdressed() {
    assert_eq!(
        edited(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a","reason":"r"}}"#,
            |s| { s.cancel_target(&IdKey::from(4)) }
        )
        .as_deref(),
        Ok(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4,"reason":"r"}}"#)
    );
    assert_eq!(
        edited(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1.0}}"#, |s| {
            s.reported_progress_token(&IdKey::from("t"))
        })
        .as_deref(),
        Ok(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1.0}}"#)
    );
}

#[test]
fn what_differs_from_the_judged_call_is_found() {
    let judged = Judged {
        method: "tools/call",
        name: Some("t"),
        arguments: Some(br#"{"a":1}"#),
    };
    let call = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#);
    let differs = |member| Err(SpliceError::Differs { member });
    for (text, expected) in [
        (
            call(r#""method":"tools/call","params":{"name":"t","arguments":{"a":1}}"#),
            Ok(()),
        ),
        (
            call(r#""method":"tools/call","params":{"name":"\u0074","arguments":{"a":1}}"#),
            Ok(()),
        ),
        (
            call(r#""method":"tools/call","params":{"name":"T","arguments":{"a":1}}"#),
            differs("name"),
        ),
        (
            call(r#""method":"tools/call","params":{"name":"t","arguments":{"a": 1}}"#),
            differs("arguments"),
        ),
        (
            call(r#""method":"tools/call","params":{"name":"t"}"#),
            differs("arguments"),
        ),
        (
            call(r#""method":"tools/list","params":{"name":"t","arguments":{"a":1}}"#),
            differs("method"),
        ),
        (call(r#""result":{}"#), differs("kind")),
        (format!("[{}]", call(r#""method":"ping""#)), differs("batch")),
    ] {
        assert_eq!(
            rescan_matches(judged, text.as_bytes(), &Bounds::default()),
            expected,
            "{text}"
        );
    }
    let broken = rescan_matches(judged, b"{", &Bounds::default());
    assert!(matches!(broken, Err(SpliceError::Malformed(_))));
}

#[test]
fn a_message_is_put_on_one_line_without_touching_its_strings() {
    let pretty = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": 1,\r  \"method\": \"a\\nb\"\n}";
    let line = to_line(pretty.as_bytes());
    assert_eq!(
        line.as_ref(),
        br#"{  "jsonrpc": "2.0",  "id": 1,  "method": "a\nb"}"#
    );
    assert!(decode(&line, &Bounds::default()).is_ok());
    assert!(matches!(to_line(CALL.as_bytes()), Cow::Borrowed(_)));
}

#[test]
fn a_request_with_very_many_members_is_spliced_in_linear_time() {
    let members: Vec<String> = (0..100_000)
        .map(|index| format!("\"k{index}\":{index}"))
        .collect();
    let members = members.join(",");
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{{{members},"_meta":{{{members}}}}}}}"#
    );
    let begun = std::time::Instant::now();
    let spliced = edited(&text, |splice| {
        splice.id(&IdKey::from(2))?.progress_token(Some(&IdKey::from(3)))
    });
    assert!(spliced.is_ok_and(|spliced| spliced.contains(r#","progressToken":3}"#)));
    // Comparing each member with each would take ten thousand million steps.
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_span_of_a_request_is_put_into_its_meta_and_every_other_byte_stays() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let with = |state| Carried::of(Some(PARENT), state).unwrap_or_else(|| panic!("{PARENT}"));
    let own = r#""traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01""#;
    let request = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m"{rest}}}"#);
    let params = |meta: &str| request(&format!(r#","params":{{"_meta":{meta},"a": 1.0}}"#));
    for (before, state, after) in [
        (
            request(""),
            None,
            request(&format!(r#","params":{{"_meta":{{{own}}}}}"#)),
        ),
        (
            request(r#","params":{ }"#),
            None,
            request(&format!(r#","params":{{"_meta":{{{own}}} }}"#)),
        ),
        (params("{}"), None, params(&format!("{{{own}}}"))),
        (
            params(r#"{"x" : 1.0}"#),
            None,
            params(&format!(r#"{{"x" : 1.0,{own}}}"#)),
        ),
        (
            params(r#"{"tracestate":[1],"traceparent":{"a":1},"baggage":"b"}"#),
            None,
            params(&format!(r#"{{{own},"baggage":"b"}}"#)),
        ),
        (
            params(r#"{"traceparent":7,"y":0}"#),
            Some("a=1"),
            params(&format!(r#"{{{own},"y":0,"tracestate":"a=1"}}"#)),
        ),
    ] {
        let spliced = edited(&before, |splice| splice.trace(&with(state)));
        assert_eq!(spliced.as_deref(), Ok(after.as_str()), "{before}");
    }
    for (no_place, error) in [
        (params("7"), "_meta"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), "_meta"),
    ] {
        let spliced = edited(&no_place, |splice| splice.trace(&with(None)));
        assert_eq!(spliced, Err(SpliceError::NoPlace { member: error }), "{no_place}");
    }
    let alike = edited(&params(r#"{"TraceParent":1}"#), |splice| {
        splice.trace(&with(None))
    });
    assert!(matches!(alike, Err(SpliceError::Malformed(_))), "{alike:?}");
}
