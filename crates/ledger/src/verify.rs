//! Verification: records and checkpoints in, a report or the first fault out.
//!
//! What a good report shows: the records are those that the signed checkpoints speak of, and they tell a
//! consistent story (no gap, no step back in time, no outcome without its one intent). Checkpoints that
//! lie beside the records show that they agree with each other; a checkpoint that was kept elsewhere shows
//! that nothing up to its size was changed, dropped or inserted since.

use std::collections::HashMap;
use std::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{VerifierKey, split_notes};
use crate::record::{Body, DecodeError, Kind, Record, Status};
use crate::tree::{Frontier, Hash, leaf_hash};
use crate::value::{CallId, Uint53};

/// What lies before the records: nothing, or a part that was moved to an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix {
    /// The tree of everything before.
    pub frontier: Frontier,
    /// The calls whose intent is before and whose outcome is not.
    pub open: Vec<CallId>,
}

/// Checkpoints that were kept where the log's owner could not change them.
///
/// All of them are checked, not the last alone: a log that was tampered with goes on to give checkpoints
/// that agree with it, and only those from before do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside(Vec<Checkpoint>);

impl Outside {
    /// Opens kept notes, one behind the other in a file, with the kept keys.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], for the first that is not good.
    pub fn open(notes: &str, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let mut checkpoints = split_notes(notes)
            .map(|note| Checkpoint::open(note, keys))
            .collect::<Result<Vec<_>, _>>()?;
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        if checkpoints.is_empty() {
            Err(CheckpointError::Form)
        } else {
            Ok(Self(checkpoints))
        }
    }

    /// The greatest size.
    fn size(&self) -> u64 {
        self.0.last().map_or(0, |last| last.size.get())
    }
}

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the record that is wrong. Where a checkpoint has another root, which does not tell
    /// the record, it is the first that no agreeing checkpoint covers.
    pub seq: u64,
    /// What is wrong with it.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.seq, self.kind)
    }
}

impl std::error::Error for Fault {}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The store's number does not follow the one before.
    #[error("expected here, but number {found} follows: records were dropped, inserted or swapped")]
    Gap {
        /// The number found in its place.
        found: u64,
    },
    /// The record says another number than its place.
    #[error("the record in this place says it is number {found}: records were dropped, inserted or swapped")]
    Misplaced {
        /// The number that the record says.
        found: Uint53,
    },
    /// The bytes are not a record.
    #[error("cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The stored hash is not that of the bytes.
    #[error("the bytes do not have the hash that was stored with them")]
    Leaf,
    /// An earlier time than the record before.
    #[error("its time {at} is before {last}, the time of the record before")]
    TimeBackwards {
        /// Its time, in microseconds since the Unix epoch.
        at: Uint53,
        /// The time of the record before.
        last: Uint53,
    },
    /// A second intent of the same call.
    #[error("a second intent for call {0}")]
    SecondIntent(CallId),
    /// An outcome, late answer or task's end of a call that has no intent.
    #[error("the {kind} of call {call}, which has no intent before it")]
    NoIntent {
        /// The kind of record.
        kind: Kind,
        /// The call.
        call: CallId,
    },
    /// A second outcome of the same call.
    #[error("a second outcome for call {0}")]
    SecondOutcome(CallId),
    /// A late answer of a call that has no outcome yet.
    #[error("a late answer for call {0}, which has no outcome before it")]
    LateBeforeOutcome(CallId),
    /// The end of a task of a call whose outcome is not `accepted`, or that has ended already.
    #[error("the end of a task for call {0}, which has no task under way")]
    NoTask(CallId),
    /// A checkpoint that is malformed or not signed by the key.
    #[error("the checkpoint at this place is not good: {0}")]
    Checkpoint(CheckpointError),
    /// A checkpoint of another log.
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    Origin {
        /// The log it is of.
        found: String,
        /// The log that is verified.
        expected: String,
    },
    /// A checkpoint in the wrong place.
    #[error("a checkpoint of {size} records stands here: checkpoints follow the last record they cover")]
    CheckpointPlace {
        /// Its size.
        size: Uint53,
    },
    /// The records are not those that were signed.
    #[error(
        "this record, or a later one before {size}, was changed, dropped or inserted: a signed checkpoint has another root"
    )]
    Root {
        /// The checkpoint's size.
        size: u64,
    },
    /// A kept checkpoint disagrees.
    #[error(
        "this record, or a later one before {size}, was changed, dropped or inserted: a checkpoint kept outside has another root"
    )]
    OutsideRoot {
        /// The kept checkpoint's size.
        size: u64,
    },
    /// The log is shorter than the kept checkpoint.
    #[error("missing: a checkpoint that was kept outside covers {size} records, the log ends here")]
    OutsideLonger {
        /// The kept checkpoint's size.
        size: u64,
    },
    /// The log begins behind the kept checkpoint.
    #[error(
        "the records begin here, behind the {size} that the checkpoints kept outside cover: verify it against the archive"
    )]
    OutsidePruned {
        /// The kept checkpoint's size.
        size: u64,
    },
    /// 2^53 records.
    #[error("the log is full")]
    Full,
}

/// What was checked, and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The number of the first record.
    pub first: u64,
    /// The number after the last record: the size of the tree.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// How many records of each kind.
    pub kinds: Vec<(Kind, u64)>,
    /// Calls without an outcome: under way, or not yet closed after a crash.
    pub open: Vec<CallId>,
    /// How many checkpoints were checked.
    pub checkpoints: u64,
    /// The size of the last checkpoint: records from here on are not signed.
    pub signed: Option<u64>,
    /// The greatest size of the checkpoints that were kept outside, if any was given.
    pub outside: Option<u64>,
    /// Late answers and ends of tasks of calls before `first`, whose intents are in an archive.
    pub of_archive: u64,
}

impl Report {
    /// How many records were read.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.size - self.first
    }

    /// How many records no checkpoint in the log covers.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        self.size - self.signed.unwrap_or(self.first).max(self.first)
    }
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallState {
    Open,
    Closed,
    Task,
}

/// Checks a log record by record. It keeps some 40 bytes a call.
#[derive(Debug)]
pub struct Verifier {
    origin: String,
    keys: Vec<VerifierKey>,
    frontier: Frontier,
    first: u64,
    outside: Option<Outside>,
    last_at: Uint53,
    calls: HashMap<CallId, CallState>,
    counts: Vec<(Kind, u64)>,
    checkpoints: u64,
    signed: Option<u64>,
    of_archive: u64,
}

impl Verifier {
    /// Begins to verify the log `origin`, whose checkpoints one of `keys` signs.
    ///
    /// # Errors
    /// If a checkpoint that was kept outside is of another log or disagrees with the tree of the archived
    /// part, or all of them lie before its end.
    pub fn new(
        origin: &str,
        keys: Vec<VerifierKey>,
        prefix: Prefix,
        outside: Option<Outside>,
    ) -> Result<Self, Fault> {
        let first = prefix.frontier.size();
        let verifier = Self {
            origin: origin.to_owned(),
            keys,
            frontier: prefix.frontier,
            first,
            outside,
            last_at: Uint53::default(),
            calls: prefix
                .open
                .into_iter()
                .map(|call| (call, CallState::Open))
                .collect(),
            counts: Kind::ALL.iter().map(|kind| (*kind, 0)).collect(),
            checkpoints: 0,
            signed: None,
            of_archive: 0,
        };
        if let Some(outside) = &verifier.outside {
            outside
                .0
                .iter()
                .try_for_each(|checkpoint| verifier.check_origin(checkpoint))?;
            if outside.size() < first {
                return Err(verifier.fault(FaultKind::OutsidePruned { size: outside.size() }));
            }
        }
        verifier.check_outside()?;
        Ok(verifier)
    }

    /// The number of the record that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.frontier.size()
    }

    /// Takes the next record: the number it is stored under, its bytes, and the hash stored with it.
    ///
    /// # Errors
    /// The fault, if there is one; nothing more can be learnt from the log behind it.
    pub fn record(&mut self, seq: u64, bytes: &[u8], leaf: Option<&Hash>) -> Result<Record, Fault> {
        let record = self
            .check_record(seq, bytes, leaf)
            .map_err(|kind| self.fault(kind))?;
        self.frontier.push(leaf_hash(bytes));
        self.last_at = record.at;
        if let Some((_, count)) = self.counts.iter_mut().find(|(kind, _)| *kind == record.kind()) {
            *count += 1;
        }
        self.check_outside()?;
        Ok(record)
    }

    /// Takes the next checkpoint. It must come directly behind the records it covers: after as many
    /// records as its size says.
    ///
    /// # Errors
    /// The fault, if there is one.
    pub fn checkpoint(&mut self, note: &str) -> Result<(), Fault> {
        let checkpoint =
            Checkpoint::open(note, &self.keys).map_err(|error| self.fault(FaultKind::Checkpoint(error)))?;
        self.check_origin(&checkpoint)?;
        let size = self.frontier.size();
        if checkpoint.size.get() != size {
            return Err(self.fault(FaultKind::CheckpointPlace {
                size: checkpoint.size,
            }));
        }
        if checkpoint.root != self.frontier.root() {
            let seq = self.signed.unwrap_or(self.first);
            return Err(Fault {
                seq,
                kind: FaultKind::Root { size },
            });
        }
        self.checkpoints += 1;
        self.signed = Some(size);
        Ok(())
    }

    /// Ends: there are no more records.
    ///
    /// # Errors
    /// If a checkpoint that was kept outside covers more records.
    pub fn finish(self) -> Result<Report, Fault> {
        let outside = self.outside.as_ref().map(Outside::size);
        if let Some(size) = outside.filter(|size| *size > self.next()) {
            return Err(self.fault(FaultKind::OutsideLonger { size }));
        }
        let mut open: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, state)| **state == CallState::Open)
            .map(|(call, _)| *call)
            .collect();
        open.sort_unstable();
        Ok(Report {
            first: self.first,
            size: self.next(),
            root: self.frontier.root(),
            kinds: self.counts,
            open,
            checkpoints: self.checkpoints,
            signed: self.signed,
            outside,
            of_archive: self.of_archive,
        })
    }

    const fn fault(&self, kind: FaultKind) -> Fault {
        Fault {
            seq: self.next(),
            kind,
        }
    }

    fn check_origin(&self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        if checkpoint.origin == self.origin {
            return Ok(());
        }
        let (found, expected) = (checkpoint.origin.clone(), self.origin.clone());
        Err(self.fault(FaultKind::Origin { found, expected }))
    }

    fn check_outside(&self) -> Result<(), Fault> {
        let Some(Outside(outside)) = &self.outside else {
            return Ok(());
        };
        let size = self.next();
        let from = outside.partition_point(|checkpoint| checkpoint.size.get() < size);
        let mut due = outside
            .iter()
            .skip(from)
            .take_while(|kept| kept.size.get() == size)
            .peekable();
        if due.peek().is_some() {
            let root = self.frontier.root();
            if due.any(|kept| kept.root != root) {
                return Err(Fault {
                    seq: self.first,
                    kind: FaultKind::OutsideRoot { size },
                });
            }
        }
        Ok(())
    }

    fn check_record(&mut self, seq: u64, bytes: &[u8], leaf: Option<&Hash>) -> Result<Record, FaultKind> {
        if seq != self.next() {
            return Err(FaultKind::Gap { found: seq });
        }
        if seq >= Uint53::MAX.get() {
            return Err(FaultKind::Full);
        }
        if leaf.is_some_and(|leaf| *leaf != leaf_hash(bytes)) {
            return Err(FaultKind::Leaf);
        }
        let record = Record::decode(bytes)?;
        if record.seq.get() != seq {
            return Err(FaultKind::Misplaced { found: record.seq });
        }
        if record.at < self.last_at {
            return Err(FaultKind::TimeBackwards {
                at: record.at,
                last: self.last_at,
            });
        }
        self.follow_call(&record)?;
        Ok(record)
    }

    /// Holds the record against what is known of its call.
    fn follow_call(&mut self, record: &Record) -> Result<(), FaultKind> {
        let Some(call) = record.body.call() else {
            return Ok(());
        };
        let known = self.calls.get(&call).copied();
        let kind = record.kind();
        let archived = known.is_none() && self.first > 0 && matches!(kind, Kind::Late | Kind::TaskEnd);
        if archived {
            self.of_archive += 1;
            return Ok(());
        }
        if known.is_none() && kind != Kind::Intent {
            return Err(FaultKind::NoIntent { kind, call });
        }
        let state = match &record.body {
            Body::Intent(_) if known.is_some() => return Err(FaultKind::SecondIntent(call)),
            Body::Intent(_) => CallState::Open,
            Body::Outcome(_) if known != Some(CallState::Open) => {
                return Err(FaultKind::SecondOutcome(call));
            }
            Body::Outcome(outcome) if outcome.status == Status::Accepted => CallState::Task,
            Body::Outcome(_) => CallState::Closed,
            Body::Late(_) if known == Some(CallState::Open) => {
                return Err(FaultKind::LateBeforeOutcome(call));
            }
            Body::TaskEnd(_) if known != Some(CallState::Task) => return Err(FaultKind::NoTask(call)),
            Body::TaskEnd(_) => CallState::Closed,
            Body::Late(_)
            | Body::Denial(_)
            | Body::Malformed(_)
            | Body::AuthFailure(_)
            | Body::Start(_)
            | Body::Stop(_)
            | Body::Reload(_)
            | Body::Suppressed(_)
            | Body::Drop(_)
            | Body::List(_)
            | Body::GrantChange(_) => return Ok(()),
        };
        self.calls.insert(call, state);
        Ok(())
    }
}
