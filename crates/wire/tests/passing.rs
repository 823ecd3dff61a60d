//! Results that are passed on piece by piece: read as strictly as in one, whatever the pieces.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read has failed")]

// The body is shared with the fuzz target.
#[path = "../../../fuzz/bodies/passing.rs"]
mod body;

use callgate_wire::passing::{Addressing, Fault, Part, Passing, ResultReader};
use callgate_wire::{Bounds, IdKey, Malformed, decode};
use proptest::prelude::*;

fn corpus() -> Vec<Vec<u8>> {
    corpus_of(&["passing", "wire"])
}

fn corpus_of(folders: &[&str]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for folder in folders {
        let folder = format!("{}/../../fuzz/corpus/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(&folder).unwrap() {
            all.push(std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
    assert!(all.len() >= 30 * folders.len(), "only {} inputs", all.len());
    all
}

#[test]
fn cut_anywhere_a_result_is_read_as_in_one() {
    for data in corpus() {
        body::fuzz_passing(&data);
    }
}

#[test]
fn a_fault_has_the_name_that_it_has_in_one() {
    let bounds = Bounds::default();
    let mut faults = 0;
    for data in corpus_of(&["passing"]) {
        let mut reader = ResultReader::new(&bounds);
        let read = data.chunks(3).try_for_each(|piece| reader.push(piece));
        let read = read.and_then(|()| reader.finish());
        if let (Err(Fault::Malformed(cause)), Err(expected)) = (read, decode(&data, &bounds)) {
            // A message that is broken in two ways is refused for the first that is met.
            if !data.windows(6).any(|part| part == br"\ud800") {
                assert_eq!(
                    cause.code(),
                    expected.code(),
                    "{}",
                    String::from_utf8_lossy(&data)
                );
            }
            faults += 1;
        }
    }
    assert!(faults >= 20, "only {faults} faults");
}

#[test]
fn every_prefix_and_every_changed_byte_is_read_as_in_one() {
    let bounds = Bounds::default();
    let check = |data: &[u8]| {
        let whole = decode(data, &bounds);
        for piece in [1, 3, data.len().max(1)] {
            let pieces: Vec<&[u8]> = data.chunks(piece).collect();
            body::check(data, &pieces, &whole, &bounds);
        }
    };
    for data in corpus_of(&["passing"]) {
        if data.len() > 250 {
            continue;
        }
        for at in 0..data.len() {
            check(data.get(..at).unwrap_or_default());
            for byte in *b"\",:{}[]0\\u \n\xff" {
                let mut changed = data.clone();
                changed.splice(at..=at, [byte]);
                check(&changed);
                changed.insert(at, byte);
                check(&changed);
            }
        }
    }
}

/// Text of JSON that is right mostly, and wrong here and there.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("+1".to_owned()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        text(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (key(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(member, 0..5).prop_map(|all| format!("{{{}}}", all.join(", "))),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("\\ud83d".to_owned()),
        Just("\\uDE00".to_owned()),
        Just("\\n".to_owned()),
        Just("\\u00e9".to_owned()),
        Just("é€😀".to_owned()),
        "[ -!#-\\[\\]-~]{0,12}",
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn key() -> impl Strategy<Value = String> {
    let known = ["isError", "resultType", "task", "taskId", "content", "a", "A"];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(|key| format!("\"{key}\"")),
        text()
    ]
}

fn message() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        4 => (0..3_u8).prop_map(|id| format!("\"id\":{id}")),
        1 => text().prop_map(|id| format!("\"id\":{id}")),
    ];
    let result = json().prop_map(|result| format!("\"result\":{result}"));
    let version = prop_oneof![
        8 => Just("\"jsonrpc\":\"2.0\"".to_owned()),
        1 => Just("\"jsonrpc\":\"2.1\"".to_owned()),
    ];
    let more = prop::option::weighted(
        0.3,
        (key(), json()).prop_map(|(key, value)| format!("{key}:{value}")),
    );
    (version, id, result, more)
        .prop_map(|(version, id, result, more)| {
            [version, id, result].into_iter().chain(more).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|members| format!(" {{{}}}\n", members.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_message_cut_anywhere_is_read_as_in_one(
        message in message(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let data = message.as_bytes();
        let bounds = Bounds::default();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &data[cut[0]..cut[1]]).collect();
        body::check(data, &pieces, &decode(data, &bounds), &bounds);
    }
}

#[test]
fn the_generator_makes_messages_that_stand_and_messages_that_do_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let stands = (0..200)
        .filter(|_| {
            let tree = message().new_tree(&mut runner).unwrap();
            decode(
                proptest::strategy::ValueTree::current(&tree).as_bytes(),
                &Bounds::default(),
            )
            .is_ok()
        })
        .count();
    assert!((40..160).contains(&stands), "{stands} of 200");
}

#[test]
fn a_message_is_bounded_and_so_is_what_is_kept_of_it() {
    let bounds = Bounds {
        message_bytes_max: 100,
        ..Bounds::default()
    };
    let mut reader = ResultReader::new(&bounds);
    assert_eq!(reader.push(br#"{"jsonrpc":"2.0","id":1,"result":""#), Ok(()));
    assert_eq!(reader.push(&[b'x'; 66]), Ok(()));
    let beyond = reader.push(b"\"");
    assert_eq!(
        beyond,
        Err(Fault::Malformed(Malformed::TooLarge {
            bytes: 101,
            bytes_max: 100
        }))
    );
    // Keys of the result, an id that goes on, the task: none of them fills memory.
    let key = |index: usize| format!("\"k{index}\":1,");
    let keys: String = (0..40_000).map(key).collect();
    let long = "x".repeat(2 << 20);
    for message in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{keys}"#),
        format!(r#"{{"jsonrpc":"2.0","id":"{long}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"{long}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"task":{{"x":"{long}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"more":{}"#, "1".repeat(2 << 20)),
    ] {
        let mut reader = ResultReader::new(&Bounds::default());
        let read = message
            .as_bytes()
            .chunks(4_096)
            .try_for_each(|piece| reader.push(piece));
        assert_eq!(read, Err(Fault::TooMuchToKeep));
    }
    // What is not looked at may be as long as a message.
    let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{{keys}"a":"{long}"}}]}}}}"#);
    let mut reader = ResultReader::new(&Bounds::default());
    let read = message
        .as_bytes()
        .chunks(4_096)
        .try_for_each(|piece| reader.push(piece));
    assert_eq!(read, Ok(()));
    assert!(reader.finish().is_ok());
}

#[test]
fn an_answer_to_another_request_goes_no_further_than_its_id() {
    let addressing = Addressing {
        expected: IdKey::from(1),
        own: Some(IdKey::from("mine")),
    };
    let mut passing = Passing::new(&Bounds::default(), addressing);
    let mut passed = Vec::new();
    let piece = br#"{"jsonrpc":"2.0","id":2,"result":{"secret":1}}"#;
    let pushed = passing.push(piece, |part| match part {
        Part::Received(range) => passed.extend_from_slice(&piece[range]),
        Part::Own(bytes) => passed.extend_from_slice(bytes),
    });
    assert_eq!(pushed, Err(Fault::OtherId));
    assert_eq!(passed, b"");
}
