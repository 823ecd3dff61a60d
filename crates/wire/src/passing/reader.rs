//! The reader of one result, fed with pieces: what it has found, and whether it stands.

use super::machine::Machine;
use super::recorder::{Kept, Recorder};
use crate::bounds::Bounds;
use crate::id::IdKey;
use crate::json::{RawJson, quoted};
use crate::malformed::Malformed;
use crate::scan::keys::Key;

/// Why a message cannot be passed on piece by piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is malformed, as [`crate::decode`] would say too (which may find another cause first).
    #[error(transparent)]
    Malformed(Malformed),
    /// It is well-formed so far, and no single response with a `result`.
    #[error("the message is no result")]
    NotAResult,
    /// It answers another request.
    #[error("the message answers another request")]
    OtherId,
    /// It has so many keys, or such large values where they are looked at, that they are not kept.
    #[error("more would have to be kept of the message than is")]
    TooMuchToKeep,
}

impl From<Malformed> for Fault {
    fn from(cause: Malformed) -> Self {
        Self::Malformed(cause)
    }
}

impl From<Box<Malformed>> for Fault {
    fn from(cause: Box<Malformed>) -> Self {
        Self::Malformed(*cause)
    }
}

impl Fault {
    pub(super) const fn not_utf8(offset: usize) -> Self {
        Self::Malformed(Malformed::InvalidUtf8 { offset })
    }
}

/// What a result was found to be, once all of it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    id: IdKey,
    gist: Box<str>,
}

impl Answer {
    /// The request that it answers.
    #[must_use]
    pub const fn id(&self) -> &IdKey {
        &self.id
    }

    /// The result without what nothing is told by: an object with those of `resultType`, `isError`, `task`,
    /// `taskId` and `content` that it has, the last one empty. `null` where the result is no object, or its keys are
    /// not all different.
    #[must_use]
    pub fn result(&self) -> RawJson<'_> {
        RawJson::new(&self.gist, 0)
    }
}

/// What is looked at of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Version,
    Id,
    /// A member of the result.
    Member(&'static str),
}

/// The members of a result that are kept.
pub(super) const KEPT: [&str; 4] = ["resultType", "isError", "task", "taskId"];
/// The one of which it is told that it is there.
pub(super) const CONTENT: &str = "content";

/// What the value at hand is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// The envelope, and members of it that nothing is known of.
    Envelope,
    /// `result`.
    Result,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) begin: Option<usize>,
    pub(super) end: Option<usize>,
    pub(super) id_begin: Option<usize>,
    pub(super) id_end: Option<usize>,
    pub(super) has_result: bool,
    pub(super) is_object: bool,
    /// Two keys of the result are equal, or one has no single meaning.
    pub(super) is_ambiguous: bool,
    pub(super) has_content: bool,
    version: Option<Box<str>>,
    id: Option<Box<str>>,
    key: Option<IdKey>,
    members: Vec<(&'static str, Box<str>)>,
}

impl Found {
    pub(super) fn keep(&mut self, slot: Slot, text: &str, end: usize) {
        match slot {
            Slot::Version => self.version = Some(text.into()),
            // Of two, which end in a refusal, the first is the one that is replaced.
            Slot::Id if self.id.is_some() => {}
            Slot::Id => {
                self.key = IdKey::of(RawJson::new(text, 0));
                self.id = Some(text.into());
                self.id_end = Some(end);
            }
            Slot::Member(name) => self.members.push((name, text.into())),
        }
    }

    /// Whether the members of the envelope, all of which have come, are those of a result.
    pub(super) fn judged(&self) -> Result<(), Malformed> {
        let version = self.version.as_deref().map(|text| RawJson::new(text, 0));
        if version.and_then(|version| version.as_str()).as_deref() != Some("2.0") {
            return Err(Malformed::WrongVersion);
        }
        if !self.has_result {
            return Err(Malformed::NotAMessage);
        }
        self.key.as_ref().map_or(Err(Malformed::BadId), |_| Ok(()))
    }

    fn gist(&self) -> Box<str> {
        if !self.is_object || self.is_ambiguous {
            return "null".into();
        }
        let content = self.has_content.then_some((CONTENT, "[]"));
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(name, text)| (*name, &**text))
            .chain(content)
            .map(|(name, text)| format!("{}:{text}", quoted(name)))
            .collect();
        format!("{{{}}}", members.join(",")).into()
    }
}

/// Reads one response with a `result`, in pieces cut anywhere, by the rules of [`crate::decode`], and keeps no more of
/// it than is looked at.
#[derive(Debug)]
pub struct ResultReader {
    pub(super) machine: Machine,
    utf8: Utf8,
    bytes_max: usize,
}

impl ResultReader {
    /// A reader to which nothing has come yet.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            machine: Machine::new(bounds.depth_in_force()),
            utf8: Utf8::default(),
            bytes_max: bounds.message_bytes_max,
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// [`Fault`]; the message is refused from there on, whatever follows.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let bytes = self.machine.before.saturating_add(piece.len());
        if bytes > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(Malformed::TooLarge { bytes, bytes_max }.into());
        }
        self.utf8.push(piece, self.machine.before)?;
        self.machine.push(piece)
    }

    /// Says that nothing follows, and asks what it was.
    ///
    /// # Errors
    /// [`Fault`], where it is not complete, or no result of this kind.
    pub fn finish(self) -> Result<Answer, Fault> {
        self.machine.over()?;
        self.utf8.over(self.machine.before)?;
        let found = self.machine.found;
        let gist = found.gist();
        let id = found.key.ok_or(Malformed::BadId)?;
        Ok(Answer { id, gist })
    }

    /// Whether the key `result` has come.
    #[must_use]
    pub fn has_result(&self) -> bool {
        self.machine.found.has_result
    }

    /// The id, once it has come.
    #[must_use]
    pub fn id(&self) -> Option<&IdKey> {
        self.machine.found.key.as_ref()
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.machine.before
    }

    /// Where the message begins.
    pub(super) const fn begin(&self) -> Option<usize> {
        self.machine.found.begin
    }

    /// Where the brace is that ends it.
    pub(super) const fn end(&self) -> Option<usize> {
        self.machine.found.end
    }

    /// From where to where its id stands, as far as that is known.
    pub(super) const fn id_place(&self) -> (Option<usize>, Option<usize>) {
        (self.machine.found.id_begin, self.machine.found.id_end)
    }
}

/// What keys and values are gathered in.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) keys: Vec<Key<'static>>,
    /// The key or number at hand.
    pub(super) token: Recorder,
    /// The value at hand that is looked at.
    pub(super) value: Recorder,
    pub(super) kept: Kept,
}

/// Characters that may be cut over pieces.
#[derive(Debug, Default)]
struct Utf8 {
    /// The bytes of a character whose end has not come: at most three.
    begun: Vec<u8>,
}

impl Utf8 {
    fn push(&mut self, piece: &[u8], before: usize) -> Result<(), Fault> {
        let mut rest = piece;
        while !self.begun.is_empty()
            && let Some((byte, after)) = rest.split_first()
        {
            self.begun.push(*byte);
            rest = after;
            match std::str::from_utf8(&self.begun) {
                Ok(_) => self.begun.clear(),
                Err(cause) if cause.error_len().is_none() => {}
                Err(_) => return Err(Fault::not_utf8(before)),
            }
        }
        if let Err(cause) = std::str::from_utf8(rest) {
            if cause.error_len().is_some() {
                let at = piece.len() - rest.len() + cause.valid_up_to();
                return Err(Fault::not_utf8(before.saturating_add(at)));
            }
            self.begun
                .extend_from_slice(rest.get(cause.valid_up_to()..).unwrap_or_default());
        }
        Ok(())
    }

    fn over(&self, offset: usize) -> Result<(), Fault> {
        if self.begun.is_empty() {
            Ok(())
        } else {
            Err(Fault::not_utf8(offset))
        }
    }
}
