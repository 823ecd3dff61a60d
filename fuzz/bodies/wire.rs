//! What has to hold for any bytes: shared by the fuzz target and by the test that replays the kept corpus.

use callgate_wire::headers::{decode_value, encode_value};
use callgate_wire::list::ToolList;
use callgate_wire::mcp::{CancelTarget, ToolCall, progress_notification, protocol_version};
use callgate_wire::splice::{Splice, SpliceError, to_line};
use callgate_wire::sse::{Item, Parser, write_data};
use callgate_wire::{
    Bounds, Decoded, IdKey, Json, JsonKind, Kind, Malformed, Message, Payload, RawJson, decode, quoted,
};

/// Reads the same bytes as a message, a value, a stream of events and a header.
pub(crate) fn fuzz_wire(data: &[u8]) {
    match decode(data, &Bounds::default()) {
        Ok(Decoded::Single(message)) => check_message(&message),
        Ok(Decoded::Batch(messages)) => messages.iter().for_each(check_message),
        Err(cause) => assert!(!cause.to_string().is_empty() && !cause.code().is_empty()),
    }
    if let Ok(raw) = RawJson::read(data, &Bounds::default()) {
        assert_eq!(data.get(raw.span()), Some(raw.bytes()));
        assert_eq!(raw.check_strict(&Bounds::default()), Ok(()));
        check_value(raw, &raw.parse());
    }
    check_stream(data);
    if let Ok(value) = decode_value(data) {
        assert_eq!(
            decode_value(encode_value(&value).as_bytes()).as_deref(),
            Ok(value.as_ref())
        );
    }
}

fn check_message(message: &Message<'_>) {
    assert_eq!(
        decode(message.raw(), &Bounds::default()),
        Ok(Decoded::Single(message.clone()))
    );
    let line = to_line(message.raw());
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    assert!(decode(&line, &Bounds::default()).is_ok());
    match message.kind() {
        Kind::Request(request) => {
            if let Ok(Some(call)) = ToolCall::from_request(request) {
                assert!(!call.name.is_empty());
                if let Some(arguments) = call.arguments {
                    assert_eq!(arguments.kind(), JsonKind::Object);
                    assert_eq!(message.raw().get(arguments.span()), Some(arguments.bytes()));
                    check_value(arguments, &arguments.parse());
                }
            }
            let _ = protocol_version(request);
            check_splice(message, |splice| {
                splice
                    .id(&IdKey::from(7))?
                    .progress_token(Some(&IdKey::from("t")))
            });
            check_splice(message, |splice| splice.progress_token(None));
        }
        Kind::Notification(notification) => {
            let _ = CancelTarget::from_notification(notification);
            let _ = progress_notification(notification);
        }
        Kind::Response(response) => {
            let (Payload::Result(raw) | Payload::Error(raw)) = response.payload;
            let tree = raw.parse();
            if raw.check_strict(&Bounds::default()).is_ok() {
                check_value(raw, &tree);
            }
            if let Ok(list) = ToolList::read(raw) {
                check_list(message, &list);
            }
        }
    }
}

/// A splice either gives a message or says why not; the one cause there is are keys beside the new ones.
fn check_splice(
    message: &Message<'_>,
    edit: impl for<'m, 'a> FnOnce(Splice<'m, 'a>) -> Result<Splice<'m, 'a>, SpliceError>,
) {
    match edit(Splice::new(message)).and_then(|splice| splice.finish(&Bounds::default())) {
        Ok(spliced) => assert!(decode(&spliced, &Bounds::default()).is_ok()),
        Err(SpliceError::NoPlace { .. }) | Err(SpliceError::Malformed(Malformed::CaseVariantKeys { .. })) => {
        }
        Err(other) => assert_eq!(Err(other), Ok(())),
    }
}

fn check_list(message: &Message<'_>, list: &ToolList<'_>) {
    let mut is_kept = false;
    let filtered = list.filtered(message, |_| {
        is_kept = !is_kept;
        is_kept
    });
    assert!(filtered.is_some_and(|filtered| decode(&filtered, &Bounds::default()).is_ok()));
}

fn check_value(raw: RawJson<'_>, tree: &Json<'_>) {
    match tree {
        Json::Object(members) => {
            let object = raw.as_object();
            assert_eq!(object.as_ref().map(|object| object.len()), Some(members.len()));
            for ((key, value), (tree_key, tree)) in
                object.iter().flat_map(|object| object.iter()).zip(members)
            {
                assert_eq!(key, tree_key);
                check_value(value, tree);
            }
        }
        Json::Array(elements) => {
            let array = raw.as_array().unwrap_or_default();
            assert_eq!(array.len(), elements.len());
            for (value, tree) in array.into_iter().zip(elements) {
                check_value(value, tree);
            }
        }
        Json::String(text) => {
            assert_eq!(raw.as_str().as_ref(), Some(text));
            let again = quoted(text);
            let again = RawJson::read(again.as_bytes(), &Bounds::default());
            assert_eq!(again.ok().and_then(|raw| raw.as_str()).as_ref(), Some(text));
        }
        Json::Number(numeral) => assert_eq!(raw.text(), *numeral),
        Json::Bool(value) => assert_eq!(raw.as_bool(), Some(*value)),
        Json::Null => assert_eq!(raw.text(), "null"),
    }
}

/// Cut into pieces of any length, a stream gives the same items; what is written is read back.
fn check_stream(data: &[u8]) {
    let max = usize::from(data.first().copied().unwrap_or(0)) + 1;
    let read = |piece: usize, max: usize| {
        let mut items: Vec<Item> = Vec::new();
        let mut parser = Parser::new(max);
        for piece in data.chunks(piece) {
            parser.push(piece, |item| items.push(item));
        }
        items
    };
    let whole = read(data.len().max(1), max);
    for piece in [1, 2, 3, 7] {
        assert_eq!(read(piece, max), whole);
    }
    let mut written = Vec::new();
    write_data(&mut written, data);
    let mut events = 0;
    Parser::new(data.len()).push(&written, |item| {
        assert!(matches!(item, Item::Event(_)));
        events += 1;
    });
    assert_eq!(events, 1);
}
