//! What has to hold for a result that is passed on in pieces: shared by the fuzz target and by ordinary tests.

use callgate_wire::passing::{Addressing, Answer, Fault, LAST, Part, Passing, ResultReader};
use callgate_wire::splice::Splice;
use callgate_wire::{Bounds, Decoded, IdKey, Kind, Malformed, Message, Payload, RawJson, decode};

/// Reads the bytes as a whole, and in pieces of several lengths.
pub(crate) fn fuzz_passing(data: &[u8]) {
    let bounds = Bounds::default();
    let whole = decode(data, &bounds);
    for piece in [1, 2, 3, 5, 8, 64, data.len().max(1)] {
        let pieces: Vec<&[u8]> = data.chunks(piece).collect();
        check(data, &pieces, &whole, &bounds);
    }
    if data.len() <= 400 {
        for at in 0..data.len() {
            let (first, second) = data.split_at(at);
            check(data, &[first, second], &whole, &bounds);
        }
    }
}

/// Reader and whole reader agree on whether the message stands and on what it is; what goes on is what the whole
/// message, spliced, would be.
pub(crate) fn check(data: &[u8], pieces: &[&[u8]], whole: &Result<Decoded<'_>, Malformed>, bounds: &Bounds) {
    let read = read(pieces, bounds);
    let result = match whole {
        Ok(Decoded::Single(message)) => match message.kind() {
            Kind::Response(response) => match (&response.id, response.payload) {
                (Some(id), Payload::Result(result)) => Some((message, id.key(), result)),
                (_, _) => None,
            },
            Kind::Request(_) | Kind::Notification(_) => None,
        },
        Ok(Decoded::Batch(_)) | Err(_) => None,
    };
    let shown = || String::from_utf8_lossy(data).into_owned();
    let agrees = match (&read, result, whole) {
        (Ok(answer), Some((message, key, result)), _) => {
            assert_eq!(answer.id(), key, "{}", shown());
            assert_alike(answer.result(), result);
            for own in [None, Some(IdKey::from(7)), Some(IdKey::from("a \"new\" id"))] {
                check_passing(message, pieces, key, own, bounds);
            }
            true
        }
        (Err(Fault::NotAResult), None, _) => true,
        // A message with several faults may be refused for another of them.
        (Err(Fault::Malformed(_)), None, Err(_)) => true,
        _ => false,
    };
    assert!(agrees, "{read:?}, {whole:?}: {}", shown());
}

fn read(pieces: &[&[u8]], bounds: &Bounds) -> Result<Answer, Fault> {
    let mut reader = ResultReader::new(bounds);
    for piece in pieces {
        reader.push(piece)?;
    }
    reader.finish()
}

/// Nothing is told by one that is not told by the other.
fn assert_alike(gist: RawJson<'_>, result: RawJson<'_>) {
    let (Some(gist), result) = (gist.as_object(), result.as_object()) else {
        assert_eq!(result.as_object(), None);
        return;
    };
    let text = |value: Option<RawJson<'_>>| value.map(|value| value.text().to_owned());
    for name in ["resultType", "isError", "task", "taskId"] {
        let expected = result.as_ref().and_then(|result| result.get(name));
        assert_eq!(text(gist.get(name)), text(expected), "{name}");
    }
    let has_content = result.and_then(|result| result.get("content")).is_some();
    assert_eq!(gist.get("content").is_some(), has_content);
}

/// What goes on is the message without white space around it, with the other id; nothing of it ends the message
/// before all of it was read; and it answers that request alone.
fn check_passing(message: &Message<'_>, pieces: &[&[u8]], key: &IdKey, own: Option<IdKey>, bounds: &Bounds) {
    let expected = match &own {
        None => message.raw().to_vec(),
        Some(own) => {
            let spliced = Splice::new(message)
                .id(own)
                .and_then(|splice| splice.finish(bounds));
            assert!(spliced.is_ok(), "{spliced:?}");
            spliced.unwrap_or_default()
        }
    };
    let addressing = Addressing {
        expected: key.clone(),
        own,
    };
    let (passed, answer) = pass(pieces, addressing.clone(), bounds);
    assert!(answer.is_ok(), "{answer:?}");
    let brace = expected.len() - LAST.len();
    assert_eq!(passed, expected.get(..brace).unwrap_or_default());
    assert_eq!(expected.get(brace..), Some(LAST));
    assert!(decode(&passed, bounds).is_err());
    let other = Addressing {
        expected: IdKey::from("another"),
        ..addressing
    };
    if other.expected != *key {
        assert_eq!(pass(pieces, other, bounds).1, Err(Fault::OtherId));
    }
}

fn pass(pieces: &[&[u8]], addressing: Addressing, bounds: &Bounds) -> (Vec<u8>, Result<Answer, Fault>) {
    let mut passing = Passing::new(bounds, addressing);
    let mut passed = Vec::new();
    for piece in pieces {
        let pushed = passing.push(piece, |part| match part {
            Part::Received(range) => passed.extend_from_slice(piece.get(range).unwrap_or_default()),
            Part::Own(bytes) => passed.extend_from_slice(bytes),
        });
        if let Err(fault) = pushed {
            return (passed, Err(fault));
        }
    }
    (passed, passing.finish())
}
