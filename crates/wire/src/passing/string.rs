//! The inside of a string, as it comes.

use crate::malformed::{Expected, Malformed};
use crate::scan::text::plain_run;

/// What has been read of a string.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inside {
    step: Step,
    /// Where the half of a surrogate pair began whose other half has to follow at once.
    half: Option<usize>,
    /// Where a half stood alone, first.
    pub(super) lone: Option<usize>,
    /// Whether it holds an escape.
    pub(super) has_escape: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Step {
    #[default]
    Plain,
    /// Behind the backslash that stands here.
    Backslash(usize),
    /// Within `\uXXXX`.
    Hex { began: usize, unit: u32, digits: u8 },
}

/// How far a piece has taken it.
pub(super) enum Read {
    /// To the end of the piece.
    Piece,
    /// To the quote that ends it, which stands here.
    Quote(usize),
}

impl Inside {
    /// Reads on at `at`; `before` bytes lie before the piece.
    pub(super) fn read(&mut self, piece: &[u8], mut at: usize, before: usize) -> Result<Read, Malformed> {
        loop {
            match self.step {
                Step::Plain => {
                    let run = plain_run(piece.get(at..).unwrap_or_default());
                    if run > 0 {
                        self.half_is_over();
                        at += run;
                    }
                    match piece.get(at) {
                        None => return Ok(Read::Piece),
                        Some(b'"') => {
                            self.half_is_over();
                            return Ok(Read::Quote(at));
                        }
                        Some(b'\\') => self.step = Step::Backslash(before + at),
                        Some(_) => return Err(Malformed::syntax(before + at, Expected::EscapedControl)),
                    }
                    self.has_escape = true;
                }
                Step::Backslash(began) => match piece.get(at) {
                    None => return Ok(Read::Piece),
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                        self.half_is_over();
                        self.step = Step::Plain;
                    }
                    Some(b'u') => {
                        self.step = Step::Hex {
                            began,
                            unit: 0,
                            digits: 0,
                        };
                    }
                    Some(_) => return Err(Malformed::syntax(began, Expected::Escape)),
                },
                Step::Hex { began, unit, digits } => match piece.get(at) {
                    None => return Ok(Read::Piece),
                    Some(byte) => {
                        let digit = char::from(*byte)
                            .to_digit(16)
                            .ok_or_else(|| Malformed::syntax(began, Expected::Escape))?;
                        let unit = unit * 16 + digit;
                        self.step = if digits == 3 {
                            self.unit(unit, began);
                            Step::Plain
                        } else {
                            Step::Hex {
                                began,
                                unit,
                                digits: digits + 1,
                            }
                        };
                    }
                },
            }
            at += 1;
        }
    }

    /// A unit of UTF-16 that was written as an escape.
    fn unit(&mut self, unit: u32, began: usize) {
        match (self.half, unit) {
            (Some(_), 0xdc00..=0xdfff) => self.half = None,
            (_, 0xd800..=0xdbff) => {
                self.half_is_over();
                self.half = Some(began);
            }
            (None, 0xdc00..=0xdfff) => self.stands_alone(began),
            (_, _) => self.half_is_over(),
        }
    }

    fn half_is_over(&mut self) {
        if let Some(began) = self.half.take() {
            self.stands_alone(began);
        }
    }

    fn stands_alone(&mut self, began: usize) {
        self.lone.get_or_insert(began);
    }
}
