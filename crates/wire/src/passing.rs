//! A result that is passed on before all of it is there.
//!
//! [`ResultReader`] holds each piece to the rules of [`crate::decode`] as it comes; [`Passing`] says which of its
//! bytes may go on, and puts another id in the place of the server's. The brace that ends the message is kept back
//! until the whole has been read, so that what was broken off is no JSON value to anybody.

mod machine;
mod numeral;
mod reader;
mod recorder;
mod string;

pub use reader::{Answer, Fault, ResultReader};

use crate::bounds::Bounds;
use crate::id::IdKey;
use std::ops::Range;

/// What goes on of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// This range of the piece, as it came.
    Received(Range<usize>),
    /// Bytes of Callgate's own: the id that its client knows the request by.
    Own(&'a [u8]),
}

/// How the answer to one request is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressing {
    /// The id that the server knows the request by.
    pub expected: IdKey,
    /// The id to put in its place; `None` where the two are the same.
    pub own: Option<IdKey>,
}

/// One result on its way.
#[derive(Debug)]
pub struct Passing {
    reader: ResultReader,
    expected: IdKey,
    renamed: Option<Renamed>,
}

/// What becomes of a result whose id is replaced.
#[derive(Debug)]
struct Renamed {
    own: IdKey,
    text: Box<[u8]>,
    /// Whether it has gone on.
    is_put: bool,
    /// What was changed is read again.
    again: ResultReader,
}

/// What goes on last.
pub const LAST: &[u8] = b"}";

impl Passing {
    /// The answer to one request, of which nothing is there yet.
    #[must_use]
    pub fn new(bounds: &Bounds, addressing: Addressing) -> Self {
        Self {
            reader: ResultReader::new(bounds),
            expected: addressing.expected,
            renamed: addressing.own.map(|own| Renamed {
                text: own.to_json().into_bytes().into(),
                own,
                is_put: false,
                again: ResultReader::new(bounds),
            }),
        }
    }

    /// Whether it is seen to be a result: whatever follows, it is one or it is malformed.
    #[must_use]
    pub fn has_result(&self) -> bool {
        self.reader.has_result()
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.reader.bytes()
    }

    /// Reads the next piece, and says what of it may go on, in order.
    ///
    /// # Errors
    /// [`Fault`], from which on nothing may go on. Parts that were given before stand.
    pub fn push(&mut self, piece: &[u8], mut each: impl FnMut(Part<'_>)) -> Result<(), Fault> {
        let before = self.reader.bytes();
        self.reader.push(piece)?;
        if self.reader.id().is_some_and(|id| *id != self.expected) {
            return Err(Fault::OtherId);
        }
        let within = |offset: Option<usize>, none: usize| {
            offset.map_or(none, |offset| offset.saturating_sub(before).min(piece.len()))
        };
        let begin = within(self.reader.begin(), piece.len());
        let end = within(self.reader.end(), piece.len());
        let Some(renamed) = &mut self.renamed else {
            if begin < end {
                each(Part::Received(begin..end));
            }
            return Ok(());
        };
        let (id_begin, id_end) = self.reader.id_place();
        let cut = within(id_begin, end).clamp(begin.min(end), end);
        renamed.pass(piece, begin..cut, &mut each)?;
        if let Some(id_end) = id_end {
            renamed.put(&mut each)?;
            let rest = id_end.saturating_sub(before).clamp(cut, end);
            renamed.pass(piece, rest..end, &mut each)?;
        }
        Ok(())
    }

    /// Says that the message has ended; the last part, [`LAST`], may go on then.
    ///
    /// # Errors
    /// [`Fault`], where it has not ended as it has to.
    pub fn finish(self) -> Result<Answer, Fault> {
        let answer = self.reader.finish()?;
        if *answer.id() != self.expected {
            return Err(Fault::OtherId);
        }
        if let Some(Renamed { own, mut again, .. }) = self.renamed {
            again.push(LAST)?;
            if *again.finish()?.id() != own {
                return Err(Fault::OtherId);
            }
        }
        Ok(answer)
    }
}

impl Renamed {
    fn pass(
        &mut self,
        piece: &[u8],
        range: Range<usize>,
        each: &mut impl FnMut(Part<'_>),
    ) -> Result<(), Fault> {
        let bytes = piece.get(range.clone()).unwrap_or_default();
        if !bytes.is_empty() {
            self.again.push(bytes)?;
            each(Part::Received(range));
        }
        Ok(())
    }

    fn put(&mut self, each: &mut impl FnMut(Part<'_>)) -> Result<(), Fault> {
        if !std::mem::replace(&mut self.is_put, true) {
            self.again.push(&self.text)?;
            each(Part::Own(&self.text));
        }
        Ok(())
    }
}
