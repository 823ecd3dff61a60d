//! JSON (RFC 8259) to a tree: no duplicate keys, no lone surrogates, numbers as spelled.

use super::may_nest;
use crate::bounds::NODES_MAX;
use crate::diagnostic::Code;
use crate::span::{Lines, Span};
use crate::tree::{Entry, Node, Value};
use std::collections::BTreeSet;

/// Why a text is no JSON document.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

pub(crate) fn read(text: &str, base: usize, lines: &Lines<'_>) -> Result<Node, Fault> {
    let mut reader = Reader {
        text,
        base,
        lines,
        at: 0,
        nodes: 0,
    };
    let root = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.fault("the document ends here, and more follows"));
    }
    Ok(root)
}

struct Reader<'t> {
    text: &'t str,
    base: usize,
    lines: &'t Lines<'t>,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        self.lines.span(start + self.base, end + self.base)
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        let end = self.at + self.rest().chars().next().map_or(0, char::len_utf8);
        Fault {
            code: Code::Syntax,
            span: self.span(self.at, end),
            message: message.into(),
            hint: None,
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.skip_space();
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Fault {
                code: Code::TooLarge,
                ..self.fault(format!("at most {NODES_MAX} values are read"))
            });
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{' | b'[') if !may_nest(depth) => {
                return Err(Fault {
                    code: Code::TooDeep,
                    ..self.fault("lists and mappings nest too deep here")
                });
            }
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::String(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
            None => return Err(self.fault("a value is missing here")),
        };
        Ok(Node::new(self.span(start, self.at), value))
    }

    fn word(&mut self) -> Result<Value, Fault> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        let mut fault = self.fault("this is no JSON value");
        if self.rest().starts_with(['}', ']']) {
            fault.hint = Some("remove the comma before it".to_owned());
        }
        Err(fault)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        self.take(b'-');
        let whole = self.at;
        self.digits()?;
        if self.at - whole > 1 && self.text.as_bytes().get(whole) == Some(&b'0') {
            self.at = whole;
            return Err(self.fault("a number has no leading zeros"));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Value::Number(text.replace('E', "e").into()))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.fault("a digit is missing here"));
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.fault("a `,` or `]` is missing here"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                let mut fault = self.fault("a key in double quotes is missing here");
                if self.peek() == Some(b'}') {
                    fault.hint = Some("remove the comma before it".to_owned());
                }
                return Err(fault);
            }
            let key: Box<str> = self.string()?.into();
            let key_span = self.span(start, self.at);
            if !seen.insert(key.clone()) {
                return Err(Fault {
                    code: Code::DuplicateKey,
                    span: key_span,
                    message: format!("the key `{key}` stands twice in this object"),
                    hint: Some("keep one of them, or merge what they hold".to_owned()),
                });
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.fault("a `:` is missing here"));
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_span, value });
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Map(entries));
            }
            if !self.take(b',') {
                return Err(self.fault("a `,` or `}` is missing here"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.rest().find(|c: char| c == '"' || c == '\\' || c < ' ');
            let Some(length) = plain else {
                self.at = self.text.len();
                return Err(self.fault("this string is not closed"));
            };
            out.push_str(self.rest().get(..length).unwrap_or_default());
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) | None => return Err(self.fault("a control character has to be escaped in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        let plain = match escaped {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            Some(_) | None => return Err(self.fault("this escape does not exist in JSON")),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let unit = |at: usize| {
            let hex = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            hex.bytes()
                .all(|b| b.is_ascii_hexdigit())
                .then(|| u16::from_str_radix(hex, 16).ok())
                .flatten()
        };
        let Some(first) = unit(self.at) else {
            return Err(self.fault("`\\u` needs four hexadecimal digits"));
        };
        let pair = [Some(first), unit(self.at + 6)];
        match char::decode_utf16(pair.into_iter().flatten()).next() {
            Some(Ok(c)) => {
                self.at += if c.len_utf16() == 2 { 12 } else { 6 };
                Ok(c)
            }
            Some(Err(_)) | None => Err(self.fault("half of a surrogate pair is no character")),
        }
    }
}
