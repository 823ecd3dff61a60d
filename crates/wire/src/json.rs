//! Values of a message: their exact bytes first, their meaning on demand.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use callgate_core::json::Json;

use crate::bounds::Bounds;
use crate::malformed::{Expected, Malformed};
use crate::scan::{Rules, Scanned, Scanner, checked_text};

/// The six kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// The exact bytes of one JSON value whose grammar is already checked.
///
/// Values of requests and notifications are strict throughout. Values inside a result are framed only: call
/// [`RawJson::check_strict`] before anything is judged by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> RawJson<'a> {
    /// `text` is one valid JSON value without white space around it, `start` its offset in the message.
    pub(crate) fn new(text: &'a str, start: usize) -> Self {
        Self { text, start }
    }

    /// Reads bytes that hold one JSON value, held to the rules of a request; for arguments that do not come
    /// in a message (a test file, a command line).
    ///
    /// # Errors
    /// As [`crate::decode`], for what concerns any value.
    pub fn read(bytes: &'a [u8], bounds: &Bounds) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(checked_text(bytes, bounds)?, bounds.depth_in_force());
        scanner.space();
        if scanner.peek().is_none() {
            return Err(Malformed::Empty);
        }
        let start = scanner.pos();
        let scanned = scanner.value(Rules::Request);
        let text = scanner.since(start);
        scanned.and_then(|()| scanner.end()).map_err(|cause| *cause)?;
        Ok(Self { text, start })
    }

    /// The exact text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Where it stands in its message ([`crate::Message::raw`]).
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// Which kind of value it is.
    #[must_use]
    pub fn kind(&self) -> JsonKind {
        match self.text.as_bytes().first() {
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b'"') => JsonKind::String,
            Some(b't' | b'f') => JsonKind::Bool,
            Some(b'n') | None => JsonKind::Null,
            Some(_) => JsonKind::Number,
        }
    }

    /// The string that is meant. `None` where it is no string, or (in a result) holds half a surrogate pair.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inside));
        }
        let mut scanner = Scanner::new(self.text, usize::MAX);
        scanner
            .string(Rules::Inspected)
            .ok()
            .map(|inside| inside.decoded())
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The members, in their order. `None` where it is no object, or (in a result) two of its own keys are
    /// equal, so that an [`Object`] always has one meaning.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'a>> {
        (self.kind() == JsonKind::Object).then_some(())?;
        let mut scanner = Scanner::new(self.text, usize::MAX);
        let mut members = Vec::new();
        let walked = scanner.object(Rules::Inspected, |scanner, key, at| {
            let start = scanner.pos();
            scanner.value(Rules::Framed)?;
            let value = Self {
                text: scanner.since(start),
                start: self.start + start,
            };
            members.push(Member {
                key: key.clone(),
                key_start: self.start + at,
                value,
            });
            Ok(())
        });
        walked.ok().map(|()| Object { raw: *self, members })
    }

    /// The elements, in their order. `None` where it is no array.
    #[must_use]
    pub fn as_array(&self) -> Option<Vec<Self>> {
        (self.kind() == JsonKind::Array).then_some(())?;
        let mut scanner = Scanner::new(self.text, usize::MAX);
        let mut elements = Vec::new();
        let walked = elements_of(&mut scanner, |scanner| {
            let start = scanner.pos();
            scanner.value(Rules::Framed)?;
            elements.push(Self {
                text: scanner.since(start),
                start: self.start + start,
            });
            Ok(())
        });
        walked.ok().map(|()| elements)
    }

    /// Holds a value of a result to what a judgement needs: keys unique at every depth, no number and no
    /// surrogate that parsers read differently. Offsets in the error count from the start of this value.
    ///
    /// # Errors
    /// The first cause found.
    pub fn check_strict(&self, bounds: &Bounds) -> Result<(), Malformed> {
        Scanner::new(self.text, bounds.depth_in_force())
            .value(Rules::Inspected)
            .map_err(|cause| *cause)
    }

    /// The value as a tree; strings are borrowed where they hold no escape.
    ///
    /// In a value of a result that was not checked, equal keys all stand in the tree, and half a surrogate
    /// pair reads as U+FFFD.
    #[must_use]
    pub fn parse(&self) -> Json<'a> {
        // INVARIANT: the grammar of `text` was checked, and its depth bounded, when this value was made; the
        // fallback is never taken.
        tree(&mut Scanner::new(self.text, usize::MAX)).unwrap_or(Json::Null)
    }
}

/// An object whose keys are all different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    raw: RawJson<'a>,
    members: Vec<Member<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, str>,
    /// Where the key's opening quote stands in the message.
    pub(crate) key_start: usize,
    pub(crate) value: RawJson<'a>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(raw: RawJson<'a>, members: Vec<Member<'a>>) -> Self {
        Self { raw, members }
    }

    /// The whole object.
    #[must_use]
    pub fn raw(&self) -> RawJson<'a> {
        self.raw
    }

    /// The value of a key (compared exactly, after decoding).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<RawJson<'a>> {
        self.members
            .iter()
            .find(|member| member.key == key)
            .map(|member| member.value)
    }

    /// Keys and values, in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = (&str, RawJson<'a>)> {
        self.members
            .iter()
            .map(|member| (member.key.as_ref(), member.value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn members(&self) -> &[Member<'a>] {
        &self.members
    }
}

/// A text as a JSON string, quotes included: for messages that a gate writes itself.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => {
                // Writing to a string can not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Walks the array whose `[` is next. `each` has to read one value.
fn elements_of<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&mut Scanner<'a>) -> Scanned<()>,
) -> Scanned<()> {
    scanner.take(b'[');
    scanner.space();
    if scanner.take(b']') {
        return Ok(());
    }
    loop {
        scanner.space();
        each(scanner)?;
        scanner.space();
        if scanner.take(b']') {
            return Ok(());
        }
        if !scanner.take(b',') {
            return Err(Malformed::syntax(scanner.pos(), Expected::CommaOrBracket).into());
        }
    }
}

/// Recursive, which the bound on depth allows.
fn tree<'a>(scanner: &mut Scanner<'a>) -> Scanned<Json<'a>> {
    Ok(match scanner.peek() {
        Some(b'{') => {
            let mut members = Vec::new();
            scanner.object(Rules::Framed, |scanner, key, _| {
                members.push((key.clone(), tree(scanner)?));
                Ok(())
            })?;
            Json::Object(members)
        }
        Some(b'[') => {
            let mut elements = Vec::new();
            elements_of(scanner, |scanner| {
                elements.push(tree(scanner)?);
                Ok(())
            })?;
            Json::Array(elements)
        }
        Some(b'"') => Json::String(scanner.string(Rules::Framed)?.decoded()),
        _ => {
            let start = scanner.pos();
            scanner.value(Rules::Framed)?;
            match scanner.since(start) {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                numeral => Json::Number(Cow::Borrowed(numeral)),
            }
        }
    })
}
