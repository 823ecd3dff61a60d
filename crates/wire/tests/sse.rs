//! Server-sent events: the standard's own examples, any cutting, the bound.

use callgate_wire::sse::{Event, Item, Parser, write_data, write_event};
use proptest::prelude::*;

const MAX: usize = 1024 * 1024;

fn items_in(pieces: &[&[u8]], max: usize) -> Vec<Item> {
    let mut parser = Parser::new(max);
    let mut items = Vec::new();
    for piece in pieces {
        parser.push(piece, |item| items.push(item));
    }
    items
}

fn shown(stream: &str) -> Vec<String> {
    items_in(&[stream.as_bytes()], MAX)
        .into_iter()
        .map(|item| match item {
            Item::Comment(text) => format!("comment({})", String::from_utf8_lossy(&text)),
            Item::TooLarge => "too large".to_owned(),
            Item::Event(event) => {
                let data = event.data.map(|data| String::from_utf8_lossy(&data).into_owned());
                format!("{:?} {:?} {:?} {data:?}", event.event, event.id, event.retry)
            }
        })
        .collect()
}

#[test]
fn streams_read_as_the_standard_says() {
    for (stream, expected) in [
        (
            "data: YHOO\ndata: +2\ndata: 10\n\n",
            &[r#"None None None Some("YHOO\n+2\n10")"#][..],
        ),
        (
            "data:test\n\ndata: test\n\n",
            &[r#"None None None Some("test")"#, r#"None None None Some("test")"#],
        ),
        (
            "data\n\ndata\ndata\n\ndata:",
            &[r#"None None None Some("")"#, r#"None None None Some("\n")"#],
        ),
        (
            "event: message\r\ndata: {}\r\n\r\n",
            &[r#"Some("message") None None Some("{}")"#],
        ),
        ("data: a\rdata: b\r\r", &[r#"None None None Some("a\nb")"#]),
        (
            ": ping\n\n:\ndata: a\n: inside\n\n",
            &["comment( ping)", "comment()", r#"None None None Some("a")"#],
        ),
        (
            "id: 7\nretry: 300\ndata:\n\n",
            &[r#"None Some("7") Some(300) Some("")"#],
        ),
        ("id: 7\n\n", &[r#"None Some("7") None None"#]),
        (
            "id: a\0b\nretry: 3s\nfoo: bar\ndata:  x\n\n",
            &[r#"None None None Some(" x")"#],
        ),
        (
            "\u{feff}data: a\n\n\u{feff}data: b\n\n",
            &[r#"None None None Some("a")"#, "None None None None"],
        ),
        ("\n\n\n", &[]),
        ("data: unfinished\n", &[]),
        ("data: a:b: c\n\n", &[r#"None None None Some("a:b: c")"#]),
    ] {
        assert_eq!(shown(stream), expected, "{stream:?}");
    }
}

#[test]
fn a_block_keeps_its_exact_bytes() {
    let stream = "data: a\r\n: c\nid:1\r\n\ndata: b\n\n";
    let raws: Vec<_> = items_in(&[stream.as_bytes()], MAX)
        .into_iter()
        .map(|item| match item {
            Item::Event(event) => String::from_utf8_lossy(&event.raw).into_owned(),
            Item::Comment(_) | Item::TooLarge => String::new(),
        })
        .collect();
    assert_eq!(raws, ["data: a\r\n: c\nid:1\r\n\n", "data: b\n\n"]);
}

#[test]
fn the_last_id_and_the_reconnection_time_are_kept() {
    let mut parser = Parser::new(MAX);
    parser.push(
        b"id: 1\nretry: 5\ndata: a\n\ndata: b\n\nid: 2\n\nid\ndata: c",
        |_| {},
    );
    assert_eq!((parser.last_event_id(), parser.retry()), ("2", Some(5)));
    assert!(parser.is_inside_event());
    parser.push(b"\n\n", |_| {});
    assert_eq!(parser.last_event_id(), "");
    assert!(!parser.is_inside_event());
}

#[test]
fn an_event_up_to_the_bound_is_read_and_the_stream_lives_on_after_a_larger_one() {
    let event = |bytes: usize| format!("data: {}\n\n", "x".repeat(bytes));
    let count = |stream: &str, piece: usize| {
        let items = items_in(&stream.as_bytes().chunks(piece).collect::<Vec<_>>(), 100);
        items
            .into_iter()
            .map(|item| match item {
                Item::Event(event) => event.data.map_or(0, |data| data.len()),
                Item::Comment(_) => 0,
                Item::TooLarge => usize::MAX,
            })
            .collect::<Vec<_>>()
    };
    for piece in [1, 7, 99, 1 << 20] {
        assert_eq!(count(&event(100), piece), [100], "{piece}");
        let stream = [event(101), event(5)].concat();
        assert_eq!(count(&stream, piece), [usize::MAX, 5], "{piece}");
        let stream = [event(200_000), event(5)].concat();
        assert_eq!(count(&stream, piece), [usize::MAX, 5], "{piece}");
        let many = format!("{}data: tail\n\n{}", "data: 0123456789\n".repeat(20), event(5));
        assert_eq!(count(&many, piece), [usize::MAX, 5], "{piece}");
        let endless = format!("{}\n\n{}", "x: y\n".repeat(50_000), event(5));
        assert_eq!(count(&endless, piece), [usize::MAX, 5], "{piece}");
    }
}

#[test]
fn a_large_event_in_small_pieces_takes_linear_time() {
    let stream = format!("data: {}\n\n", "x".repeat(8 * 1024 * 1024));
    let begun = std::time::Instant::now();
    let pieces: Vec<_> = stream.as_bytes().chunks(64).collect();
    assert_eq!(items_in(&pieces, 16 * 1024 * 1024).len(), 1);
    // A scan from the start for each of the 131,072 pieces would read half a terabyte.
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn what_is_written_is_read_back() {
    let event = Event {
        event: Some("message".to_owned()),
        id: Some("a\r\nb".to_owned()),
        retry: Some(10),
        data: Some(b"{\r\n\"a\":1,\r\"b\":2\n}".to_vec()),
        raw: Vec::new(),
    };
    let mut out = Vec::new();
    write_event(&mut out, &event);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "event: message\nid: ab\nretry: 10\ndata: {\ndata: \"a\":1,\ndata: \"b\":2\ndata: }\n\n"
    );
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        &b"\n"[..],
        b"\r",
        b"\r\n",
        b"data",
        b":",
        b" ",
        b"x",
        b"id: 1",
        b"event: e",
        b"retry: 5",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xef",
        b"\xff",
        b"data: {\"a\":1}",
        b"\n\n",
        b": c",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cutting_a_stream_anywhere_gives_the_same_items(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        max in 1_usize..30,
    ) {
        let whole = items_in(&[&stream], max);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).filter_map(|pair| stream.get(*pair.first()?..*pair.last()?)).collect();
        prop_assert_eq!(&items_in(&pieces, max), &whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&items_in(&bytes, max), &whole);
    }

    #[test]
    fn data_that_is_written_is_read_back_with_line_feeds(data in "[a-z{}: \r\n]{0,40}") {
        let mut out = Vec::new();
        write_data(&mut out, data.as_bytes());
        let expected = data.replace("\r\n", "\n").replace('\r', "\n").into_bytes();
        let items = items_in(&[&out], MAX);
        prop_assert_eq!(items.len(), 1);
        let Some(Item::Event(event)) = items.into_iter().next() else { return Err(TestCaseError::fail("no event")) };
        prop_assert_eq!(event.data, Some(expected));
    }
}
