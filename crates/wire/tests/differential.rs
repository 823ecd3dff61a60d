//! Whatever is accepted reads the same everywhere: by our own tree, by serde_json, by Python, by Node.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use callgate_wire::{Bounds, Decoded, Json, Kind, Message, Payload, RawJson, decode};
use proptest::prelude::*;
use serde_json::Value;

/// A small generator with a seed, so that the corpus is the same on every machine.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % bound
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", "", "", "", " ", "\n", "\t", "\r\n", "  "])
    }

    fn string(&mut self) -> String {
        let pieces: Vec<&str> = (0..self.below(6))
            .map(|_| {
                self.pick(&[
                    "a",
                    "name",
                    "é",
                    "世界",
                    "😀",
                    "\u{7f}",
                    "\u{feff}",
                    "\u{2028}",
                    "ſ",
                    "K",
                    "ı",
                    "\\n",
                    "\\\"",
                    "\\\\",
                    "\\/",
                    "\\b",
                    "\\f",
                    "\\r",
                    "\\t",
                    "\\u0000",
                    "\\u0041",
                    "\\u00e9",
                    "\\uD83D\\uDE00",
                    "\\u2028",
                    "\\uffff",
                    "0123456789abcdef0123456789abcdef",
                    "\\ud800",
                    "\\udc00x",
                    "__proto__",
                    "constructor",
                    "'",
                ])
            })
            .collect();
        format!("\"{}\"", pieces.concat())
    }

    fn number(&mut self) -> String {
        let digits = |seed: &mut Self, most: usize| -> String {
            (0..=seed.below(most))
                .map(|_| seed.pick(&["0", "1", "5", "9", "3", "7"]))
                .collect()
        };
        let mut number = self.pick(&["", "", "-"]).to_owned();
        match self.below(4) {
            0 => number.push('0'),
            1 => number.push_str("9007199254740993"),
            _ => {
                number.push_str(self.pick(&["1", "2", "8", "17976931348623157"]));
                number.push_str(&digits(self, 24));
            }
        }
        if self.below(3) == 0 {
            number.push('.');
            number.push_str(&digits(self, 24));
        }
        if self.below(3) == 0 {
            number.push_str(self.pick(&["e", "E", "e+", "e-", "E-"]));
            number.push_str(self.pick(&[
                "0", "1", "2", "10", "22", "23", "100", "290", "300", "307", "308", "309", "400",
            ]));
        }
        number
    }

    fn value(&mut self, depth: usize) -> String {
        let kinds = if depth == 0 { 6 } else { 9 };
        match self.below(kinds) {
            0 => "null".to_owned(),
            1 => self.pick(&["true", "false"]).to_owned(),
            2 | 3 => self.number(),
            4 | 5 => self.string(),
            6 => {
                let elements: Vec<String> = (0..self.below(5)).map(|_| self.spaced(depth)).collect();
                format!("[{}{}]", elements.join(","), self.space())
            }
            _ => self.object(depth),
        }
    }

    fn spaced(&mut self, depth: usize) -> String {
        format!("{}{}{}", self.space(), self.value(depth - 1), self.space())
    }

    fn object(&mut self, depth: usize) -> String {
        let count = if self.below(12) == 0 { 30 } else { self.below(5) };
        let members: Vec<String> = (0..count)
            .map(|index| {
                let key = match self.below(4) {
                    0 => self.string(),
                    _ => format!("\"k{index}\""),
                };
                format!("{}{key}{}:{}", self.space(), self.space(), self.spaced(depth))
            })
            .collect();
        format!("{{{}{}}}", members.join(","), self.space())
    }

    /// A document, at times with one thing wrong.
    fn document(&mut self) -> Vec<u8> {
        let mut text = format!("{}{}{}", self.space(), self.value(4), self.space()).into_bytes();
        if self.below(3) == 0 {
            let at = self.below(text.len() + 1);
            let until = (at + self.below(3)).min(text.len());
            let tokens: [&[u8]; 16] = [
                b",",
                b"]",
                b"}",
                b"\"",
                b"\\",
                b"\0",
                b"\xff",
                b"\xc0\xaf",
                b"\xef\xbb\xbf",
                b"0",
                b"NaN",
                b"e",
                b"-",
                b" ",
                b"\x0b",
                b"",
            ];
            let token = tokens.get(self.below(tokens.len())).copied().unwrap_or_default();
            text.splice(at..until, token.iter().copied());
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn number(numeral: &str) -> f64 {
    let value: f64 = numeral.parse().unwrap_or(f64::NAN);
    value + 0.0
}

/// The canonical form that the readers in Python and Node print.
fn shown(value: &Json<'_>) -> String {
    match value {
        Json::Null => "n".to_owned(),
        Json::Bool(true) => "t".to_owned(),
        Json::Bool(false) => "f".to_owned(),
        Json::Number(numeral) => format!("d{:016x}", number(numeral).to_bits()),
        Json::String(text) => format!("s{}", hex(text.as_bytes())),
        Json::Array(elements) => format!("[{}]", elements.iter().map(shown).collect::<Vec<_>>().join(",")),
        Json::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{}:{}", hex(key.as_bytes()), shown(value)))
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn same(ours: &Json<'_>, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(one), Value::Bool(other)) => one == other,
        (Json::Number(numeral), Value::Number(other)) => other.as_f64() == Some(number(numeral)),
        (Json::String(one), Value::String(other)) => one == other,
        (Json::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key.as_ref()).is_some_and(|other| same(value, other)))
        }
        _ => false,
    }
}

/// Each value's span gives its text in the message, at every depth, and the tree says what the walk says.
fn spans_are_exact(whole: &[u8], raw: RawJson<'_>, tree: &Json<'_>) {
    assert_eq!(whole.get(raw.span()), Some(raw.bytes()), "{raw:?}");
    match tree {
        Json::Object(members) => {
            let object = raw.as_object().unwrap_or_else(|| panic!("{raw:?}"));
            assert_eq!(object.len(), members.len());
            for ((key, value), (tree_key, tree)) in object.iter().zip(members) {
                assert_eq!(key, tree_key);
                spans_are_exact(whole, value, tree);
            }
        }
        Json::Array(elements) => {
            let array = raw.as_array().unwrap_or_else(|| panic!("{raw:?}"));
            assert_eq!(array.len(), elements.len());
            for (value, tree) in array.into_iter().zip(elements) {
                spans_are_exact(whole, value, tree);
            }
        }
        Json::String(text) => assert_eq!(raw.as_str().as_ref(), Some(text)),
        Json::Number(numeral) => assert_eq!(raw.text(), numeral.as_ref()),
        Json::Bool(value) => assert_eq!(raw.as_bool(), Some(*value)),
        Json::Null => assert_eq!(raw.text(), "null"),
    }
}

fn single<'a>(bytes: &'a [u8]) -> Option<Message<'a>> {
    match decode(bytes, &Bounds::default()) {
        Ok(Decoded::Single(message)) => Some(message),
        Ok(Decoded::Batch(_)) | Err(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_accepted_reads_the_same_by_serde_json(seed in 1_u64..) {
        let document = Seed(seed).document();
        if let Ok(raw) = RawJson::read(&document, &Bounds::default()) {
            let tree = raw.parse();
            let theirs: Value = serde_json::from_slice(&document)
                .map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&document))))?;
            prop_assert!(same(&tree, &theirs), "{}", String::from_utf8_lossy(&document));
            spans_are_exact(&document, raw, &tree);
        }
    }

    #[test]
    fn what_serde_json_refuses_is_no_result_either(seed in 1_u64..) {
        let document = Seed(seed).document();
        let message = [br#"{"jsonrpc":"2.0","id":1,"result":"#, &document[..], b"}"].concat();
        let is_framed = single(&message).is_some();
        let is_raw = serde_json::from_slice::<&serde_json::value::RawValue>(&document).is_ok();
        let is_text = std::str::from_utf8(&document).is_ok();
        prop_assert_eq!(is_framed, is_raw && is_text, "{}", String::from_utf8_lossy(&document));
    }

    #[test]
    fn a_message_read_again_is_the_same_message(seed in 1_u64..) {
        let mut seed = Seed(seed);
        let arguments = seed.object(3);
        let text = format!(
            r#"{}{{"jsonrpc":"2.0",{}"id":{},"method":"tools/call","params":{{"name":{},"arguments":{arguments}}}}}{}"#,
            seed.space(), seed.space(), seed.number(), seed.string(), seed.space(),
        );
        let Some(message) = single(text.as_bytes()) else { return Ok(()) };
        prop_assert!(single(message.raw()).is_some_and(|again| again == message));
        let Kind::Request(request) = message.kind() else { return Err(TestCaseError::fail(text)) };
        let sent = request.params.as_ref().and_then(|params| params.get("arguments"));
        let sent = sent.ok_or_else(|| TestCaseError::fail("no arguments"))?;
        prop_assert_eq!(sent.text(), &arguments);
        spans_are_exact(message.raw(), sent, &sent.parse());
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(message) = single(&bytes) {
            prop_assert!(single(message.raw()).is_some_and(|again| again == message));
        }
    }
}

/// Runs a reader over all documents in one process.
fn read_by(program: &str, script: &str, documents: &[Vec<u8>]) -> Vec<String> {
    let path = format!("{}/tests/readers/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(program)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs `{program}` on the PATH: {error}"));
    let lines: String = documents.iter().map(|document| hex(document) + "\n").collect();
    let mut stdin = child
        .stdin
        .take()
        .unwrap_or_else(|| panic!("`{program}` has no input"));
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("`{program}` failed: {error}"));
    assert!(
        output.status.success(),
        "`{program}` ended with {}",
        output.status
    );
    assert!(
        matches!(writer.join(), Ok(Ok(()))),
        "`{program}` did not read its input"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_accepted_reads_the_same_by_python_and_by_node() {
    let mut seed = Seed(0x00ca_119a_7e5e_ed01);
    let documents: Vec<Vec<u8>> = (0..6_000).map(|_| seed.document()).collect();
    let (accepted, refused): (Vec<_>, Vec<_>) = documents
        .into_iter()
        .partition(|document| RawJson::read(document, &Bounds::default()).is_ok());
    assert!(accepted.len() > 2_000, "only {} accepted", accepted.len());
    assert!(refused.len() > 1_000, "only {} refused", refused.len());
    let ours: Vec<String> = accepted
        .iter()
        .map(|document| {
            RawJson::read(document, &Bounds::default())
                .map_or_else(|_| String::new(), |raw| shown(&raw.parse()))
        })
        .collect();
    for (program, script) in [("python3", "read.py"), ("node", "read.mjs")] {
        let theirs = read_by(program, script, &accepted);
        assert_eq!(theirs.len(), accepted.len(), "{program}");
        for ((document, ours), theirs) in accepted.iter().zip(&ours).zip(&theirs) {
            assert_eq!(
                ours,
                theirs,
                "{program} reads {}",
                String::from_utf8_lossy(document)
            );
        }
    }
}

#[test]
fn an_unchecked_result_reads_as_a_tree_without_losing_members() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800x","a":2}}"#;
    let message = single(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
    let Kind::Response(response) = message.kind() else {
        panic!("{text}")
    };
    let (Payload::Result(raw) | Payload::Error(raw)) = response.payload;
    let Json::Object(members) = raw.parse() else {
        panic!("{text}")
    };
    assert_eq!(
        members,
        [
            ("a".into(), Json::String("\u{fffd}x".into())),
            ("a".into(), Json::Number("2".into()))
        ]
    );
}
