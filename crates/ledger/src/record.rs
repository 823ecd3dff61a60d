//! Records: what the ledger says happened, and their one encoding.

mod bodies;
mod codec;

pub use bodies::{
    AuthFailure, Body, Charge, Denial, Drop, Durability, GrantAction, GrantChange, Intent, Kind, Late, List,
    Malformed, Mode, Outcome, Peer, PolicyInUse, Reload, ReloadEffect, Scope, Settlement, Shadow, Start,
    Status, Stop, Suppressed, SuppressedKind, TaskEnd, TaskStatus,
};

use crate::canonical::{CanonicalError, Fields};
use crate::value::{RunId, Uint53};
pub(crate) use codec::{Field, Scalar, Writer, take};

/// The version of the record format that this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
/// Longest record in bytes that is read. What clients and servers send is bounded field by field to a few
/// kilobytes; only a policy of thousands of rules that all apply to one call comes near.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// One entry of the ledger: a header that all kinds share, and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log: gapless, from 0.
    pub seq: Uint53,
    /// When it was written, in microseconds since the Unix epoch; never less than the record before.
    pub at: Uint53,
    /// The run of the process that wrote it.
    pub run: RunId,
    /// What happened.
    pub body: Body,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`RECORD_BYTES_MAX`].
    #[error("a record of {0} bytes is over the limit of {RECORD_BYTES_MAX}")]
    TooLong(usize),
    /// Not canonical JSON.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Written by a newer Callgate.
    #[error("format version {0} is newer than this program reads ({FORMAT_VERSION})")]
    NewerVersion(Uint53),
    /// Version 0 does not exist.
    #[error("format version {0} does not exist")]
    UnknownVersion(Uint53),
    /// A kind that this version of the format does not have.
    #[error("kind `{0}` is unknown in format version {FORMAT_VERSION}")]
    UnknownKind(crate::Text),
    /// A required field is absent.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field has another type, or a value out of its bounds.
    #[error("field `{0}` has a value that it cannot have")]
    Invalid(&'static str),
    /// A field that this kind does not have.
    #[error("field `{0}` does not belong here")]
    UnknownField(crate::Text),
    /// Readable, yet not the one way to write it (an empty list that should be absent).
    #[error("not the canonical encoding of its content")]
    NotCanonical,
}

impl Record {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// The canonical bytes; see [`Record::encode_into`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(768);
        self.encode_into(&mut out);
        out
    }

    /// Appends the canonical bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, self);
        self.body.write(&mut writer);
        writer.finish();
    }

    /// Reads a record.
    ///
    /// # Errors
    /// If the bytes are not the one canonical encoding of a record of a known version and kind.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        let mut fields = crate::canonical::read_object(bytes)?;
        let record = Self::from_fields(&mut fields)?;
        if let Some(field) = fields.left_over() {
            return Err(DecodeError::UnknownField(field.into()));
        }
        let mut again = Vec::with_capacity(bytes.len());
        record.encode_into(&mut again);
        if again == bytes {
            Ok(record)
        } else {
            Err(DecodeError::NotCanonical)
        }
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        let version: Uint53 = take(fields, "v")?;
        if version > Uint53::from(FORMAT_VERSION) {
            return Err(DecodeError::NewerVersion(version));
        }
        if version < Uint53::from(FORMAT_VERSION) {
            return Err(DecodeError::UnknownVersion(version));
        }
        let kind: crate::Text = take(fields, "kind")?;
        let kind = Kind::from_name(kind.as_str()).ok_or(DecodeError::UnknownKind(kind))?;
        Ok(Self {
            seq: take(fields, "seq")?,
            at: take(fields, "at")?,
            run: take(fields, "run")?,
            body: Body::read(kind, fields)?,
        })
    }
}

#[cfg(test)]
mod tests;
