//! The grammar of a message, a step at a time: where a piece ends, the next begins.
//!
//! As in [`crate::scan`], containers that are open lie on a stack of our own, and keys are compared when their
//! object closes.

use super::numeral::{Next, Numeral};
use super::reader::{CONTENT, Fault, Found, KEPT, Shelf, Slot, Within};
use super::string::{Inside, Read};
use crate::envelope::ENVELOPE;
use crate::malformed::{Expected, Malformed};
use crate::scan::keys::{Key, differ, differ_without_case, equal_without_case};
use crate::scan::{numeral, text};

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The message.
    Begin,
    Value,
    /// A key, or the end of the object.
    FirstKey,
    Key,
    Colon,
    /// An element, or the end of the array.
    FirstElement,
    /// A comma, or the end of what is open.
    After,
    /// The inside of a string.
    Text(Inside, Place),
    Number(Numeral),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    /// White space.
    End,
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Key,
    Value,
}

/// A container whose end has not come.
#[derive(Debug, Clone, Copy)]
enum Open {
    Object { first_key: usize },
    Array,
}

/// How a key is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    /// The envelope's own.
    Envelope,
    /// Of an object in the envelope: compared without case.
    Strict,
    /// The result's own: compared exactly.
    Result,
    /// Deeper in the result: not looked at.
    Framed,
}

#[derive(Debug)]
pub(super) struct Machine {
    step: Step,
    open: Vec<Open>,
    depth_max: usize,
    within: Within,
    /// What the next value is looked at for.
    wanted: Option<Slot>,
    /// The value that is being kept, and how many containers it stands in.
    keeping: Option<(Slot, usize)>,
    shelf: Shelf,
    /// Bytes before the piece at hand.
    pub(super) before: usize,
    pub(super) found: Found,
}

impl Machine {
    pub(super) fn new(depth_max: usize) -> Self {
        Self {
            step: Step::Begin,
            open: Vec::new(),
            depth_max,
            within: Within::Envelope,
            wanted: None,
            keeping: None,
            shelf: Shelf::default(),
            before: 0,
            found: Found::default(),
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while at < piece.len() {
            at = self.advance(piece, at)?;
        }
        let shelf = &mut self.shelf;
        shelf.token.piece_over(piece, &mut shelf.kept)?;
        shelf.value.piece_over(piece, &mut shelf.kept)?;
        self.before = self.before.saturating_add(piece.len());
        Ok(())
    }

    /// Whether what has come is one whole value.
    pub(super) fn over(&self) -> Result<(), Fault> {
        let expected = match self.step {
            Step::End => return Ok(()),
            Step::Begin => return Err(Malformed::Empty.into()),
            Step::Value | Step::FirstElement | Step::Word(_) => Expected::Value,
            Step::FirstKey | Step::Key => Expected::Key,
            Step::Colon => Expected::Colon,
            Step::Text(..) => Expected::ClosingQuote,
            Step::Number(Numeral::Minus | Numeral::Point | Numeral::Exponent | Numeral::Sign) => {
                Expected::Digit
            }
            Step::After | Step::Number(_) => match self.open.last() {
                Some(Open::Array) => Expected::CommaOrBracket,
                Some(Open::Object { .. }) | None => Expected::CommaOrBrace,
            },
        };
        Err(Malformed::syntax(self.before, expected).into())
    }

    fn advance(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        match self.step {
            Step::Text(inside, place) => return self.text(piece, at, inside, place),
            Step::Number(numeral) => return self.number(piece, at, numeral),
            Step::Word(rest) => return self.word(piece, at, rest),
            Step::Begin
            | Step::Value
            | Step::FirstKey
            | Step::Key
            | Step::Colon
            | Step::FirstElement
            | Step::After
            | Step::End => {}
        }
        let space = piece
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        let at = at + space.count();
        match piece.get(at) {
            Some(byte) => self.mark(piece, at, *byte),
            None => Ok(at),
        }
    }

    /// Reads a character that is neither white space nor within a scalar.
    fn mark(&mut self, piece: &[u8], at: usize, byte: u8) -> Result<usize, Fault> {
        match (self.step, byte) {
            (Step::Begin, b'{') => {
                self.found.begin = Some(self.before + at);
                return self.enter_object(at);
            }
            (Step::Begin, _) => return Err(Fault::NotAResult),
            (Step::Value, _) | (Step::FirstElement, b'\0'..=b'\\' | b'^'..) => {
                return self.value(at, byte);
            }
            (Step::FirstElement, b']') => {
                self.open.pop();
                self.value_over(piece, at + 1)?;
            }
            (Step::FirstKey | Step::Key, b'"') => {
                self.step = Step::Text(Inside::default(), Place::Key);
                if self.key_kind() != KeyKind::Framed {
                    self.shelf.token.begin(at + 1);
                }
            }
            (Step::FirstKey, b'}') => self.close_object(piece, at)?,
            (Step::Colon, b':') => self.step = Step::Value,
            (Step::After, _) => return self.after(piece, at, byte),
            (Step::FirstKey | Step::Key, _) => return Err(self.syntax(at, Expected::Key)),
            (Step::Colon, _) => return Err(self.syntax(at, Expected::Colon)),
            (Step::End | Step::Text(..) | Step::Number(_) | Step::Word(_), _) => {
                let offset = self.before + at;
                return Err(Malformed::TrailingData { offset }.into());
            }
        }
        Ok(at + 1)
    }

    fn value(&mut self, at: usize, byte: u8) -> Result<usize, Fault> {
        if self.open.len() == 1 && self.within == Within::Result {
            self.found.is_object = byte == b'{';
        }
        if let Some(slot) = self.wanted.take() {
            if slot == Slot::Id {
                self.found.id_begin.get_or_insert(self.before + at);
            }
            self.keeping = Some((slot, self.open.len()));
            self.shelf.value.begin(at);
        }
        match byte {
            b'{' => return self.enter_object(at),
            b'[' => {
                self.enter(at, Open::Array)?;
                self.step = Step::FirstElement;
            }
            b'"' => self.step = Step::Text(Inside::default(), Place::Value),
            b'-' | b'0'..=b'9' => {
                self.step = Step::Number(Numeral::first(byte));
                if self.within == Within::Envelope {
                    self.shelf.token.begin(at);
                }
            }
            b't' => return Ok(self.begin_word(b"true", at)),
            b'f' => return Ok(self.begin_word(b"false", at)),
            b'n' => return Ok(self.begin_word(b"null", at)),
            _ => return Err(self.syntax(at, Expected::Value)),
        }
        Ok(at + 1)
    }

    fn after(&mut self, piece: &[u8], at: usize, byte: u8) -> Result<usize, Fault> {
        match (self.open.last(), byte) {
            (Some(Open::Object { .. }), b',') => self.step = Step::Key,
            (Some(Open::Object { .. }), b'}') => self.close_object(piece, at)?,
            (Some(Open::Array), b',') => self.step = Step::Value,
            (Some(Open::Array), b']') => {
                self.open.pop();
                self.value_over(piece, at + 1)?;
            }
            (Some(Open::Object { .. }) | None, _) => return Err(self.syntax(at, Expected::CommaOrBrace)),
            (Some(Open::Array), _) => return Err(self.syntax(at, Expected::CommaOrBracket)),
        }
        Ok(at + 1)
    }

    fn enter_object(&mut self, at: usize) -> Result<usize, Fault> {
        let first_key = self.shelf.keys.len();
        self.enter(at, Open::Object { first_key })?;
        self.step = Step::FirstKey;
        Ok(at + 1)
    }

    fn enter(&mut self, at: usize, open: Open) -> Result<(), Fault> {
        if self.open.len() >= self.depth_max {
            let (depth_max, offset) = (self.depth_max, self.before + at);
            return Err(Malformed::TooDeep { depth_max, offset }.into());
        }
        self.open.push(open);
        Ok(())
    }

    /// The object ends whose brace stands at `at`.
    fn close_object(&mut self, piece: &[u8], at: usize) -> Result<(), Fault> {
        let kind = self.key_kind();
        if let Some(Open::Object { first_key }) = self.open.pop() {
            let keys = self.shelf.keys.get_mut(first_key..).unwrap_or_default();
            match kind {
                KeyKind::Envelope | KeyKind::Strict => differ_without_case(keys)?,
                KeyKind::Result => self.found.is_ambiguous |= differ(keys).is_err(),
                KeyKind::Framed => {}
            }
            self.shelf.keys.truncate(first_key);
        }
        if self.open.is_empty() {
            self.found.judged()?;
            self.found.end = Some(self.before + at);
        }
        self.value_over(piece, at + 1)
    }

    /// The value ends that stands before `at`.
    fn value_over(&mut self, piece: &[u8], at: usize) -> Result<(), Fault> {
        if let Some((slot, depth)) = self.keeping
            && depth == self.open.len()
        {
            self.keeping = None;
            let shelf = &mut self.shelf;
            let text = shelf.value.end(piece, at, &mut shelf.kept)?;
            self.found.keep(slot, text, self.before + at);
        }
        self.step = if self.open.is_empty() {
            Step::End
        } else {
            Step::After
        };
        Ok(())
    }

    fn text(&mut self, piece: &[u8], at: usize, mut inside: Inside, place: Place) -> Result<usize, Fault> {
        let read = inside.read(piece, at, self.before)?;
        let is_strict = match place {
            Place::Key => matches!(self.key_kind(), KeyKind::Envelope | KeyKind::Strict),
            Place::Value => self.within == Within::Envelope,
        };
        if let Some(offset) = inside.lone.filter(|_| is_strict) {
            return Err(Malformed::LoneSurrogate { offset }.into());
        }
        match (read, place) {
            (Read::Piece, _) => {
                self.step = Step::Text(inside, place);
                Ok(piece.len())
            }
            (Read::Quote(quote), Place::Key) => {
                self.step = Step::Colon;
                self.key(piece, quote, inside)?;
                Ok(quote + 1)
            }
            (Read::Quote(quote), Place::Value) => {
                self.value_over(piece, quote + 1)?;
                Ok(quote + 1)
            }
        }
    }

    /// A key has been read; its closing quote stands at `quote`.
    fn key(&mut self, piece: &[u8], quote: usize, inside: Inside) -> Result<(), Fault> {
        let kind = self.key_kind();
        if kind == KeyKind::Framed {
            return Ok(());
        }
        let shelf = &mut self.shelf;
        let raw = shelf.token.end(piece, quote, &mut shelf.kept)?;
        let key = if inside.has_escape {
            text::unescaped(raw)
        } else {
            raw.to_owned()
        };
        shelf.kept.take_key()?;
        // Where its opening quote stands.
        let at = (self.before + quote).saturating_sub(raw.len() + 1);
        match kind {
            KeyKind::Envelope => self.envelope_key(&key, at)?,
            KeyKind::Result => {
                self.found.is_ambiguous |= inside.lone.is_some();
                self.found.has_content |= key == CONTENT;
                let kept = KEPT.into_iter().find(|kept| *kept == key);
                self.wanted = kept.map(Slot::Member);
            }
            KeyKind::Strict | KeyKind::Framed => {}
        }
        let text = key.into();
        self.shelf.keys.push(Key { text, at });
        Ok(())
    }

    fn envelope_key(&mut self, key: &str, at: usize) -> Result<(), Fault> {
        self.within = Within::Envelope;
        match key {
            "jsonrpc" => self.wanted = Some(Slot::Version),
            "id" => self.wanted = Some(Slot::Id),
            "result" => {
                self.within = Within::Result;
                self.found.has_result = true;
            }
            "method" | "params" | "error" if !self.found.has_result => return Err(Fault::NotAResult),
            "method" => return Err(ambiguous("method", "result")),
            "params" => return Err(ambiguous("params", "result")),
            "error" => return Err(ambiguous("result", "error")),
            unknown => {
                let known = ENVELOPE
                    .into_iter()
                    .find(|known| equal_without_case(known, unknown));
                if let Some(known) = known {
                    return Err(Malformed::case_variant(unknown, known, at).into());
                }
            }
        }
        Ok(())
    }

    /// What a key at hand is, or were, in the object that is open.
    fn key_kind(&self) -> KeyKind {
        match (self.within, self.open.len()) {
            (_, 0 | 1) => KeyKind::Envelope,
            (Within::Envelope, _) => KeyKind::Strict,
            (Within::Result, 2) => KeyKind::Result,
            (Within::Result, _) => KeyKind::Framed,
        }
    }

    fn number(&mut self, piece: &[u8], mut at: usize, mut numeral: Numeral) -> Result<usize, Fault> {
        while let Some(byte) = piece.get(at) {
            match numeral.next(*byte) {
                Next::On(next) => numeral = next,
                Next::DigitMissing => return Err(self.syntax(at, Expected::Digit)),
                Next::Over => {
                    self.number_over(piece, at)?;
                    return Ok(at);
                }
            }
            at += 1;
        }
        self.step = Step::Number(numeral);
        Ok(at)
    }

    fn number_over(&mut self, piece: &[u8], at: usize) -> Result<(), Fault> {
        if self.shelf.token.is_on() {
            let shelf = &mut self.shelf;
            let text = shelf.token.end(piece, at, &mut shelf.kept)?;
            if !numeral::is_read_alike(text) {
                let offset = (self.before + at).saturating_sub(text.len());
                return Err(Malformed::NumberOutOfRange { offset }.into());
            }
        }
        self.value_over(piece, at)
    }

    /// A word is read from its first letter on.
    const fn begin_word(&mut self, word: &'static [u8], at: usize) -> usize {
        self.step = Step::Word(word);
        at
    }

    fn word(&mut self, piece: &[u8], at: usize, rest: &'static [u8]) -> Result<usize, Fault> {
        match rest.split_first() {
            Some((expected, rest)) if piece.get(at) == Some(expected) => {
                if rest.is_empty() {
                    self.value_over(piece, at + 1)?;
                } else {
                    self.step = Step::Word(rest);
                }
                Ok(at + 1)
            }
            Some(_) | None => Err(self.syntax(at, Expected::Value)),
        }
    }

    fn syntax(&self, at: usize, expected: Expected) -> Fault {
        Malformed::syntax(self.before + at, expected).into()
    }
}

fn ambiguous(first: &'static str, second: &'static str) -> Fault {
    Malformed::AmbiguousEnvelope { first, second }.into()
}
