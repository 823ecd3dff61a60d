//! What is read of calls, cancellations and progress.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::mcp::{
    CancelTarget, ProgressTokenKey, ToolCall, progress_notification, protocol_version,
    result_protocol_version,
};
use callgate_wire::{Bounds, Decoded, IdKey, Kind, Notification, RawJson, Request, decode};

fn kind(text: &str) -> Kind<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => message.into_kind(),
        other => panic!("{text}: {other:?}"),
    }
}

fn request(text: &str) -> Request<'_> {
    match kind(text) {
        Kind::Request(request) => request,
        other @ (Kind::Notification(_) | Kind::Response(_)) => panic!("{other:?}"),
    }
}

fn notification(text: &str) -> Notification<'_> {
    match kind(text) {
        Kind::Notification(notification) => notification,
        other @ (Kind::Request(_) | Kind::Response(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_call_gives_what_is_judged() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"re\u0061d","arguments": {"p" : 1.0},"task":{"ttl":1},"_meta":{"progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let call = ToolCall::from_request(&request(text))
        .unwrap_or_default()
        .unwrap_or_else(|| panic!("{text}"));
    assert_eq!(call.name, "read");
    let arguments = call.arguments.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(arguments.text(), r#"{"p" : 1.0}"#);
    assert_eq!(text.get(arguments.span()), Some(arguments.text()));
    assert!(call.has_task);
    assert_eq!(call.progress_token, Some(ProgressTokenKey(IdKey::from("t"))));
    assert_eq!(call.protocol_version.as_deref(), Some("2026-07-28"));
    let other = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(ToolCall::from_request(&request(other)), Ok(None));
}

#[test]
fn a_tool_call_that_can_not_be_judged_is_refused() {
    for (params, cause) in [
        (r#","params":{}"#, "bad_tool_name"),
        ("", "bad_tool_name"),
        (r#","params":{"name":""}"#, "bad_tool_name"),
        (r#","params":{"name":["t"]}"#, "bad_tool_name"),
        (r#","params":{"name":"t","arguments":[]}"#, "arguments_not_object"),
        (
            r#","params":{"name":"t","arguments":null}"#,
            "arguments_not_object",
        ),
        (
            r#","params":{"name":"t","arguments":"{}"}"#,
            "arguments_not_object",
        ),
        (r#","params":{"name":"t","_meta":[]}"#, "meta_not_object"),
        (
            r#","params":{"name":"t","_meta":{"progressToken":1.5}}"#,
            "bad_progress_token",
        ),
        (
            r#","params":{"name":"t","_meta":{"progressToken":null}}"#,
            "bad_progress_token",
        ),
        (
            r#","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
            "bad_protocol_version",
        ),
        (r#","params":{"name":"t"}"#, "accepted"),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call"{params}}}"#);
        let read = ToolCall::from_request(&request(&text));
        assert_eq!(
            read.err().map_or("accepted", |cause| cause.code()),
            cause,
            "{params}"
        );
    }
}

#[test]
fn cancellations_and_progress_name_what_they_are_about() {
    let cancelled =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#);
    let text = cancelled(r#"{"requestId":"\u0061"}"#);
    assert_eq!(
        CancelTarget::from_notification(&notification(&text)),
        Ok(Some(CancelTarget(IdKey::from("a"))))
    );
    for params in ["{}", r#"{"requestId":null}"#, r#"{"requestId":1.0}"#] {
        assert!(
            CancelTarget::from_notification(&notification(&cancelled(params))).is_err(),
            "{params}"
        );
    }
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}}"#;
    assert_eq!(
        progress_notification(&notification(progress)),
        Ok(Some(ProgressTokenKey(IdKey::from(5))))
    );
    assert_eq!(CancelTarget::from_notification(&notification(progress)), Ok(None));
    let bare = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
    assert!(progress_notification(&notification(bare)).is_err());
    assert_eq!(
        progress_notification(&notification(r#"{"jsonrpc":"2.0","method":"x"}"#)),
        Ok(None)
    );
}

#[test]
fn the_protocol_version_is_found_where_each_era_puts_it() {
    for (text, version) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
            Some("2025-06-18"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"protocolVersion":"x"}}"#,
            Some("2026-07-28"),
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, None),
    ] {
        assert_eq!(
            protocol_version(&request(text)).unwrap_or_default().as_deref(),
            version,
            "{text}"
        );
    }
    let result = RawJson::read(br#"{"protocolVersion":"2025-11-25"}"#, &Bounds::default())
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        result_protocol_version(&result).unwrap_or_default().as_deref(),
        Some("2025-11-25")
    );
}
