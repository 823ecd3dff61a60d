//! JSON (RFC 8259) with `//` and `/* */` comments and trailing commas, as editors keep their settings.

use super::{DEPTH_MAX, Fault, Kind, Member, Node, Shape, fault};
use std::ops::Range;

/// Reads a whole text. Nothing but space and comments is nothing at all, and no configuration.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.skip()?;
    let node = reader.value(0)?;
    reader.skip()?;
    if reader.peek().is_some() {
        return Err(reader.fault("something follows the end"));
    }
    Ok(node)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, what: &'static str) -> Fault {
        fault(self.text, self.at, what)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.step();
        Ok(())
    }

    /// Passes space and comments.
    fn skip(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with([' ', '\t', '\n', '\r']) {
                1
            } else if rest.starts_with("//") {
                self.line_comment()?
            } else if rest.starts_with("/*") {
                let end = rest.get(2..).and_then(|inside| inside.find("*/"));
                end.ok_or_else(|| self.fault("a comment is not closed"))?
                    .saturating_add(4)
            } else {
                return Ok(());
            };
            self.at = self.at.saturating_add(length);
        }
    }

    /// The length of a comment up to the end of its line. What ends a line to some clients alone would let these
    /// read what others pass over.
    fn line_comment(&self) -> Result<usize, Fault> {
        let rest = self.rest();
        let length = rest.find('\n').unwrap_or(rest.len());
        let comment = rest.get(..length).unwrap_or_default();
        match comment
            .trim_end_matches('\r')
            .find(['\r', '\u{2028}', '\u{2029}'])
        {
            Some(at) => Err(fault(
                self.text,
                self.at.saturating_add(at),
                "this ends a comment to some readers, and not to others",
            )),
            None => Ok(length),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault("values nest too deep"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Table(Shape::Braced, self.members(depth)?),
            Some(b'[') => Kind::List(self.items(depth)?),
            Some(b'"') => Kind::Text(self.string()?),
            Some(b't') => self.word("true", Kind::Flag(true))?,
            Some(b'f') => self.word("false", Kind::Flag(false))?,
            Some(b'n') => self.word("null", Kind::Other)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => return Err(self.fault("a value is expected here")),
            None => return Err(self.fault("the text ends too early")),
        };
        Ok(Node {
            span: start..self.at,
            kind,
        })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, Fault> {
        let mut members = Vec::new();
        self.step();
        loop {
            self.skip()?;
            if self.peek() == Some(b'}') {
                self.step();
                return Ok(members);
            }
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.fault("a key in quotes, or `}`, is expected here"));
            }
            let name = self.string()?;
            let key = start..self.at;
            self.skip()?;
            self.take(b':', "`:` is expected here")?;
            self.skip()?;
            let value = self.value(depth.saturating_add(1))?;
            members.push(Member { name, key, value });
            self.skip()?;
            self.comma(b'}', "`,` or `}` is expected here")?;
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        self.step();
        loop {
            self.skip()?;
            if self.peek() == Some(b']') {
                self.step();
                return Ok(items);
            }
            items.push(self.value(depth.saturating_add(1))?);
            self.skip()?;
            self.comma(b']', "`,` or `]` is expected here")?;
        }
    }

    /// Passes a comma, unless the end follows.
    fn comma(&mut self, end: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek() == Some(end) {
            return Ok(());
        }
        self.take(b',', what)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.step();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.step();
                    self.step();
                }
                Some(b'\n') | None => return Err(fault(self.text, start, "a text is not closed")),
                Some(_) => self.step(),
            }
        }
        self.step();
        self.decoded(start..self.at)
    }

    fn decoded(&self, span: Range<usize>) -> Result<String, Fault> {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        serde_json::from_str(raw).map_err(|_| fault(self.text, span.start, "this text is not valid JSON"))
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, Fault> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("a value is expected here"));
        }
        self.at = self.at.saturating_add(word.len());
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.step();
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        match serde_json::from_str::<serde_json::Number>(raw) {
            Ok(_) => Ok(Kind::Other),
            Err(_) => Err(fault(self.text, start, "this is no number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_where_it_says() {
        let text =
            "\u{feff}{ // c }\n\t\"a\\u0062\": [1, \"x\", /* ] */ null,],\r\n \"é\": {\"t\": true,},\n}\n";
        let node = read(text).unwrap();
        let names: Vec<_> = node.members().iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["ab", "é"]);
        let at = |range: &Range<usize>| text.get(range.clone()).unwrap();
        assert_eq!(at(&node.members()[0].key), "\"a\\u0062\"");
        assert_eq!(at(&node.members()[0].value.span), "[1, \"x\", /* ] */ null,]");
        assert_eq!(at(&node.members()[1].value.span), "{\"t\": true,}");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let cases = [
            ("", (1, 1), "the text ends too early"),
            ("{\n  \"a\": ,\n}", (2, 8), "a value is expected here"),
            ("{\"a\" 1}", (1, 6), "`:` is expected here"),
            ("{\"a\": 1 \"b\": 2}", (1, 9), "`,` or `}` is expected here"),
            ("{\"a\": 01}", (1, 7), "this is no number"),
            ("{\"a\": \"x\n\"}", (1, 7), "a text is not closed"),
            ("{\"a\": \"\\q\"}", (1, 7), "this text is not valid JSON"),
            ("{} {}", (1, 4), "something follows the end"),
            ("{,}", (1, 2), "a key in quotes, or `}`, is expected here"),
            ("[1 /* ", (1, 4), "a comment is not closed"),
            (
                "{ // a\r\"b\": 1}",
                (1, 7),
                "this ends a comment to some readers, and not to others",
            ),
            (
                "{}\r\n// é\u{2028}1",
                (2, 5),
                "this ends a comment to some readers, and not to others",
            ),
            ("{'a': 1}", (1, 2), "a key in quotes, or `}`, is expected here"),
            ("{\"a\": tru}", (1, 7), "a value is expected here"),
            ("{\"é\": \"\\", (1, 7), "a text is not closed"),
        ];
        for (text, (line, column), what) in cases {
            assert_eq!(read(text), Err(Fault { line, column, what }), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(read(&deep).unwrap_err().what, "values nest too deep");
    }
}
