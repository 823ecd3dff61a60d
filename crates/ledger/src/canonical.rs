//! The subset of JSON that the ledger is written in, in the canonical form of RFC 8785.
//!
//! Objects, arrays, strings and integers from 0 to 2^53 - 1; no other numbers, no `true`, `false` or
//! `null`. Keys are `[a-z_]+`, so their order by UTF-16 code units is their order by bytes. The reader
//! accepts the canonical form alone: each accepted text is the only one of its value.

use std::borrow::Cow;

use crate::value::Uint53;

/// How deep arrays and objects may nest.
pub const DEPTH_MAX: usize = 4;

/// A value as read from canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json<'a> {
    Text(Cow<'a, str>),
    Integer(Uint53),
    Array(Vec<Self>),
    Object(Fields<'a>),
}

/// The members of an object, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fields<'a> {
    members: Vec<(&'a str, Option<Json<'a>>)>,
}

impl<'a> Fields<'a> {
    /// Takes the member `key` out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Json<'a>> {
        self.members
            .iter_mut()
            .find(|(name, _)| *name == key)
            .and_then(|(_, value)| value.take())
    }

    /// A member that nobody took.
    pub(crate) fn left_over(&self) -> Option<&'a str> {
        self.members
            .iter()
            .find(|(_, value)| value.is_some())
            .map(|(name, _)| *name)
    }
}

/// Why bytes are not canonical JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical JSON at byte {at}: {reason}")]
pub struct CanonicalError {
    /// Offset of the first byte that does not fit.
    pub at: usize,
    /// What was expected there.
    pub reason: Reason,
}

/// What does not fit the canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes end inside the value.
    #[error("the text ends too early")]
    Ended,
    /// A byte that no canonical text has at this place.
    #[error("unexpected byte")]
    Byte,
    /// The text is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// An escape that RFC 8785 writes otherwise.
    #[error("escape sequence that the canonical form does not use")]
    Escape,
    /// A number that is not an integer from 0 to 2^53 - 1, or has leading zeros.
    #[error("not an integer from 0 to 9007199254740991")]
    Integer,
    /// Keys must be `[a-z_]+`, ascend, and not repeat.
    #[error("keys must be lower case, ascend and not repeat")]
    KeyOrder,
    /// Deeper than [`DEPTH_MAX`].
    #[error("nested too deep")]
    Depth,
    /// Bytes after the value.
    #[error("bytes after the end")]
    Trailing,
}

/// Reads one object that fills `bytes`.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Fields<'_>, CanonicalError> {
    let text = std::str::from_utf8(bytes).map_err(|error| CanonicalError {
        at: error.valid_up_to(),
        reason: Reason::Utf8,
    })?;
    let mut reader = Reader { text, at: 0 };
    reader.expect(b'{')?;
    let fields = reader.object(1)?;
    if reader.at == text.len() {
        Ok(fields)
    } else {
        Err(reader.error(Reason::Trailing))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, reason: Reason) -> CanonicalError {
        CanonicalError { at: self.at, reason }
    }

    fn peek(&self) -> Result<u8, CanonicalError> {
        self.text
            .as_bytes()
            .get(self.at)
            .copied()
            .ok_or_else(|| self.error(Reason::Ended))
    }

    fn expect(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.peek()? != byte {
            return Err(self.error(Reason::Byte));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes `byte` if it is next.
    fn took(&mut self, byte: u8) -> bool {
        let next = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(next);
        next
    }

    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, CanonicalError> {
        match self.peek()? {
            b'[' | b'{' if depth > DEPTH_MAX => Err(self.error(Reason::Depth)),
            b'"' => {
                self.at += 1;
                self.string().map(Json::Text)
            }
            b'0'..=b'9' => self.integer(),
            b'[' => {
                self.at += 1;
                self.array(depth)
            }
            b'{' => {
                self.at += 1;
                self.object(depth).map(Json::Object)
            }
            _ => Err(self.error(Reason::Byte)),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, CanonicalError> {
        let mut items = Vec::new();
        if self.took(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.took(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Fields<'a>, CanonicalError> {
        let mut members: Vec<(&str, Option<Json<'_>>)> = Vec::with_capacity(16);
        if self.took(b'}') {
            return Ok(Fields { members });
        }
        loop {
            let start = self.at;
            let key = self.key()?;
            if members.last().is_some_and(|(last, _)| *last >= key) {
                return Err(CanonicalError {
                    at: start,
                    reason: Reason::KeyOrder,
                });
            }
            self.expect(b':')?;
            members.push((key, Some(self.value(depth + 1)?)));
            if self.took(b'}') {
                return Ok(Fields { members });
            }
            self.expect(b',')?;
        }
    }

    fn key(&mut self) -> Result<&'a str, CanonicalError> {
        self.expect(b'"')?;
        let start = self.at;
        while matches!(self.peek()?, b'a'..=b'z' | b'_') {
            self.at += 1;
        }
        let key = self.slice(start);
        if key.is_empty() || self.peek()? != b'"' {
            return Err(self.error(Reason::KeyOrder));
        }
        self.at += 1;
        Ok(key)
    }

    fn integer(&mut self) -> Result<Json<'a>, CanonicalError> {
        let start = self.at;
        while self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let digits = self.slice(start);
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        let value = digits
            .parse()
            .ok()
            .and_then(|value| Uint53::new(value).ok())
            .filter(|_| !leading_zero);
        value.map(Json::Integer).ok_or(CanonicalError {
            at: start,
            reason: Reason::Integer,
        })
    }

    /// The rest of a string whose opening quote was taken.
    fn string(&mut self) -> Result<Cow<'a, str>, CanonicalError> {
        let mut start = self.at;
        let mut text = Cow::Borrowed("");
        loop {
            match self.peek()? {
                b'"' => {
                    let last = self.slice(start);
                    self.at += 1;
                    return Ok(if text.is_empty() {
                        Cow::Borrowed(last)
                    } else {
                        text + last
                    });
                }
                b'\\' => {
                    text += self.slice(start);
                    let character = self.escape()?;
                    text.to_mut().push(character);
                    start = self.at;
                }
                0..=0x1f => return Err(self.error(Reason::Escape)),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, CanonicalError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        for byte in [b'"', b'\\'].into_iter().chain(0..0x20) {
            let (escape, length) = escape_of(byte);
            if escape
                .get(..length)
                .is_some_and(|escape| rest.starts_with(escape))
            {
                self.at += length;
                return Ok(char::from(byte));
            }
        }
        Err(self.error(Reason::Escape))
    }
}

/// The escape of `"`, `\` or a control character (RFC 8785 section 3.2.2.2), and its length.
fn escape_of(byte: u8) -> ([u8; 6], usize) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            let low = byte & 15;
            let digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
            return ([b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit], 6);
        }
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(start..at).unwrap_or_default());
        let (escape, length) = escape_of(*byte);
        out.extend_from_slice(escape.get(..length).unwrap_or_default());
        start = at + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}

/// Appends an integer in decimal.
pub(crate) fn write_integer(value: Uint53, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 16];
    let mut rest = value.get();
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_rfc_8785_says() {
        // The example of RFC 8785 section 3.2.2 and each control character's own rule.
        assert_eq!(
            written("\u{20ac}$\u{f}\nA'B\"\\\\\"/"),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""
        );
        assert_eq!(written("\u{8}\t\n\u{c}\r"), r#""\b\t\n\f\r""#);
        assert_eq!(written("\0\u{1f}\u{b}"), r#""\u0000\u001f\u000b""#);
        assert_eq!(written("\u{7f}\u{2028}\u{1f600}"), "\"\u{7f}\u{2028}\u{1f600}\"");
    }

    #[test]
    fn integers_are_plain_decimals() {
        for (value, text) in [(0, "0"), (10, "10"), (9_007_199_254_740_991, "9007199254740991")] {
            let mut out = Vec::new();
            write_integer(Uint53::new(value).unwrap(), &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        for (text, reason) in [
            (r#"{"a":01}"#, Reason::Integer),
            (r#"{"a":9007199254740992}"#, Reason::Integer),
            (r#"{"a":-1}"#, Reason::Byte),
            (r#"{"a":1.0}"#, Reason::Byte),
            (r#"{"a":1e3}"#, Reason::Byte),
            (r#"{"a":true}"#, Reason::Byte),
            (r#"{"a":null}"#, Reason::Byte),
            (r#"{"a": 1}"#, Reason::Byte),
            (r#"{"b":1,"a":1}"#, Reason::KeyOrder),
            (r#"{"a":1,"a":1}"#, Reason::KeyOrder),
            (r#"{"A":1}"#, Reason::KeyOrder),
            (r#"{"":1}"#, Reason::KeyOrder),
            (r#"{"a":"\/"}"#, Reason::Escape),
            (r#"{"a":"\u0041"}"#, Reason::Escape),
            (r#"{"a":"\u000A"}"#, Reason::Escape),
            (r#"{"a":"\u000a"}"#, Reason::Escape),
            ("{\"a\":\"\n\"}", Reason::Escape),
            (r#"{"a":[1,]}"#, Reason::Byte),
            (r#"{"a":1}x"#, Reason::Trailing),
            (r#"{"a":[[[[1]]]]}"#, Reason::Depth),
            (r#"{"a":"#, Reason::Ended),
            (r#"[]"#, Reason::Byte),
        ] {
            assert_eq!(
                read_object(text.as_bytes()).map_err(|error| error.reason),
                Err(reason),
                "{text}"
            );
        }
        assert_eq!(read_object(b"{\"a\":\"\xff\"}").unwrap_err().reason, Reason::Utf8);
    }

    proptest! {
        #[test]
        fn any_string_reads_back(text in any::<String>()) {
            let mut out = b"{\"a\":".to_vec();
            write_string(&text, &mut out);
            out.push(b'}');
            prop_assert_eq!(read_object(&out).unwrap().take("a"), Some(Json::Text(Cow::Borrowed(&*text))));
        }

        #[test]
        fn control_characters_read_back(text in "[\u{0}-\u{22}\\\\]{0,12}") {
            let mut out = b"{\"a\":".to_vec();
            write_string(&text, &mut out);
            out.push(b'}');
            prop_assert_eq!(read_object(&out).unwrap().take("a"), Some(Json::Text(Cow::Borrowed(&*text))));
        }
    }
}
