//! The scanner: one pass over the text, no recursion, no tree.
//!
//! Containers that are open are kept on a stack of our own, so depth costs memory that is bounded by
//! `depth_max`. Keys of open objects are kept beside it, and compared when their object closes.

pub(crate) mod keys;
pub(crate) mod numeral;
pub(crate) mod text;

use std::borrow::Cow;

use crate::bounds::Bounds;
use crate::malformed::{Expected, Malformed};
use keys::Key;

/// What scanning gives. The cause is boxed: it is large and rare, and each step of the scanner returns one.
pub(crate) type Scanned<T> = Result<T, Box<Malformed>>;

/// How strict a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A request or notification, and every envelope: keys differ even when case is ignored, no number or
    /// surrogate that parsers read differently.
    Request,
    /// A part of a result by which something is judged: as above, but keys may differ by case alone.
    Inspected,
    /// A result that only passes: one valid JSON value.
    Framed,
}

impl Rules {
    fn compares_keys(self) -> bool {
        match self {
            Self::Request | Self::Inspected => true,
            Self::Framed => false,
        }
    }

    fn refuses_differing_scalars(self) -> bool {
        self.compares_keys()
    }
}

/// Keys of open objects in a usual message: enough for one allocation to do.
const KEYS_USUAL: usize = 16;
/// Open containers in a usual message, likewise.
const OPEN_USUAL: usize = 8;

/// A container whose end has not been seen.
#[derive(Debug, Clone, Copy)]
enum Open {
    Object { first_key: usize },
    Array,
}

/// The inside of a string: the bytes between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'a> {
    pub(crate) text: &'a str,
    /// How many escapes it holds. (A whole word: a flag and its padding are slower to hand on.)
    pub(crate) escapes: usize,
}

impl<'a> Inside<'a> {
    /// The string that is meant; borrowed where there is no escape.
    pub(crate) fn decoded(self) -> Cow<'a, str> {
        if self.escapes > 0 {
            Cow::Owned(text::unescaped(self.text))
        } else {
            Cow::Borrowed(self.text)
        }
    }
}

#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    depth: usize,
    depth_max: usize,
    open: Vec<Open>,
    keys: Vec<Key<'a>>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, depth_max: usize) -> Self {
        Self {
            text,
            pos: 0,
            depth: 0,
            depth_max,
            open: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// As [`Scanner::new`], with room for what a usual message has open at once.
    pub(crate) fn with_room(text: &'a str, depth_max: usize) -> Self {
        Self {
            open: Vec::with_capacity(OPEN_USUAL),
            keys: Vec::with_capacity(KEYS_USUAL),
            ..Self::new(text, depth_max)
        }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// The text from `start` up to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.pos).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.pos += 1;
        }
        found
    }

    /// Skips the white space of JSON: space, tab, line feed, carriage return.
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// After the value: nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Scanned<()> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Malformed::TrailingData { offset: self.pos }.into()),
        }
    }

    pub(crate) fn enter(&mut self) -> Scanned<()> {
        if self.depth >= self.depth_max {
            return Err(Malformed::TooDeep {
                depth_max: self.depth_max,
                offset: self.pos,
            }
            .into());
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Walks one object whose `{` is next. `each` gets every key with its offset and has to read the value.
    /// The keys of this object are compared by `rules`; the values by whatever `each` chooses.
    pub(crate) fn object(
        &mut self,
        rules: Rules,
        mut each: impl FnMut(&mut Self, &Cow<'a, str>, usize) -> Scanned<()>,
    ) -> Scanned<()> {
        self.enter()?;
        self.pos += 1;
        let first_key = self.keys.len();
        self.space();
        if !self.take(b'}') {
            loop {
                let at = self.pos;
                let key = self.key_text(rules)?.decoded();
                each(self, &key, at)?;
                self.keys.push(Key { text: key, at });
                self.space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(Malformed::syntax(self.pos, Expected::CommaOrBrace).into());
                }
                self.space();
            }
            self.close_keys(rules, first_key)?;
        }
        self.leave();
        Ok(())
    }

    /// Reads one value of any kind and leaves the position behind it.
    pub(crate) fn value(&mut self, rules: Rules) -> Scanned<()> {
        let floor = self.open.len();
        loop {
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.enter()?;
                    self.pos += 1;
                    self.space();
                    if self.take(b'}') {
                        self.leave();
                    } else {
                        self.open.push(Open::Object {
                            first_key: self.keys.len(),
                        });
                        self.key(rules)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter()?;
                    self.pos += 1;
                    self.space();
                    if self.take(b']') {
                        self.leave();
                    } else {
                        self.open.push(Open::Array);
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string(rules)?;
                }
                Some(b'-' | b'0'..=b'9') => self.number(rules)?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(Malformed::syntax(self.pos, Expected::Value).into()),
            }
            if self.after_value(rules, floor)? {
                return Ok(());
            }
        }
    }

    /// Closes what ends here. True when the value that was asked for is complete, false when a further
    /// element or member follows.
    fn after_value(&mut self, rules: Rules, floor: usize) -> Scanned<bool> {
        while self.open.len() > floor {
            let Some(top) = self.open.last().copied() else {
                break;
            };
            self.space();
            match top {
                Open::Object { first_key } => {
                    if self.take(b',') {
                        self.space();
                        self.key(rules)?;
                        return Ok(false);
                    }
                    if !self.take(b'}') {
                        return Err(Malformed::syntax(self.pos, Expected::CommaOrBrace).into());
                    }
                    self.close_keys(rules, first_key)?;
                }
                Open::Array => {
                    if self.take(b',') {
                        return Ok(false);
                    }
                    if !self.take(b']') {
                        return Err(Malformed::syntax(self.pos, Expected::CommaOrBracket).into());
                    }
                }
            }
            self.open.pop();
            self.leave();
        }
        Ok(true)
    }

    fn key(&mut self, rules: Rules) -> Scanned<()> {
        let at = self.pos;
        let inside = self.key_text(rules)?;
        if rules.compares_keys() {
            self.keys.push(Key {
                text: inside.decoded(),
                at,
            });
        }
        Ok(())
    }

    /// Reads a key and its colon, up to the value.
    fn key_text(&mut self, rules: Rules) -> Scanned<Inside<'a>> {
        if self.peek() != Some(b'"') {
            return Err(Malformed::syntax(self.pos, Expected::Key).into());
        }
        let inside = self.string(rules)?;
        self.space();
        if !self.take(b':') {
            return Err(Malformed::syntax(self.pos, Expected::Colon).into());
        }
        self.space();
        Ok(inside)
    }

    fn close_keys(&mut self, rules: Rules, first_key: usize) -> Scanned<()> {
        let keys = self.keys.get_mut(first_key..).unwrap_or_default();
        match rules {
            Rules::Request => keys::differ_without_case(keys)?,
            Rules::Inspected => keys::differ(keys)?,
            Rules::Framed => {}
        }
        self.keys.truncate(first_key);
        Ok(())
    }

    /// Reads the string whose opening quote is next.
    pub(crate) fn string(&mut self, rules: Rules) -> Scanned<Inside<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.pos + 1;
        let mut at = start;
        let mut escapes = 0;
        loop {
            at += text::plain_run(bytes.get(at..).unwrap_or_default());
            match bytes.get(at) {
                Some(b'"') => {
                    self.pos = at + 1;
                    return Ok(Inside {
                        text: self.text.get(start..at).unwrap_or_default(),
                        escapes,
                    });
                }
                Some(b'\\') => {
                    escapes += 1;
                    let escape = text::escape(bytes.get(at..).unwrap_or_default());
                    at = match escape {
                        text::Escape::Whole { bytes } => at + bytes,
                        text::Escape::HalfPair { .. } if rules.refuses_differing_scalars() => {
                            return Err(Malformed::LoneSurrogate { offset: at }.into());
                        }
                        text::Escape::HalfPair { bytes } => at + bytes,
                        text::Escape::Invalid => return Err(Malformed::syntax(at, Expected::Escape).into()),
                    };
                }
                Some(_) => return Err(Malformed::syntax(at, Expected::EscapedControl).into()),
                None => return Err(Malformed::syntax(at, Expected::ClosingQuote).into()),
            }
        }
    }

    fn number(&mut self, rules: Rules) -> Scanned<()> {
        let start = self.pos;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let length = numeral::length(rest)
            .map_err(|numeral::DigitMissing { at }| Malformed::syntax(start + at, Expected::Digit))?;
        self.pos = start + length;
        if rules.refuses_differing_scalars() && !numeral::is_read_alike(self.since(start)) {
            return Err(Malformed::NumberOutOfRange { offset: start }.into());
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Scanned<()> {
        let rest = self.text.as_bytes().get(self.pos..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Malformed::syntax(self.pos, Expected::Value).into());
        }
        self.pos += word.len();
        Ok(())
    }
}

/// What holds for the bytes as a whole: their number, UTF-8, no byte-order mark.
pub(crate) fn checked_text<'a>(bytes: &'a [u8], bounds: &Bounds) -> Result<&'a str, Malformed> {
    if bytes.len() > bounds.message_bytes_max {
        return Err(Malformed::TooLarge {
            bytes: bytes.len(),
            bytes_max: bounds.message_bytes_max,
        });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Malformed::ByteOrderMark);
    }
    std::str::from_utf8(bytes).map_err(|error| Malformed::InvalidUtf8 {
        offset: error.valid_up_to(),
    })
}
