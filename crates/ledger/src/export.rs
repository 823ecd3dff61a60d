//! The export file: JSON Lines that a stranger can verify without the store.
//!
//! A header; then the records, verbatim, in order; each checkpoint directly behind the last record that it
//! covers. Each line ends in a line feed.

use crate::canonical::{Fields, read_object};
use crate::checkpoint::CheckpointError;
use crate::note::{KeyError, VerifierKey};
use crate::record::{DecodeError, FORMAT_VERSION, Field, Writer, take};
use crate::tree::{Frontier, Hash};
use crate::value::{CallId, Uint53};
use crate::verify::{Fault, Outside, Prefix, Report, Verifier};

const EXPORT: &str = "export";
const CHECKPOINT: &str = "checkpoint";
/// How every checkpoint line begins, and no record.
const CHECKPOINT_START: &[u8] = b"{\"kind\":\"checkpoint\",";

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The log's name.
    pub origin: String,
    /// The key that signs its checkpoints.
    pub vkey: VerifierKey,
    /// What lies before the records.
    pub prefix: Prefix,
    /// The number after the last record in the file.
    pub size: Uint53,
}

/// Why an export is not good.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The first line.
    #[error("line 1 is not the header of an export in format version {FORMAT_VERSION}")]
    Header,
    /// The key that the header names.
    #[error("the header's key: {0}")]
    Key(#[from] KeyError),
    /// A line that is not a checkpoint line, though it begins as one.
    #[error("line {line} (record {seq}): not a checkpoint line")]
    CheckpointLine {
        /// Its number, from 1.
        line: u64,
        /// The record that was due.
        seq: u64,
    },
    /// A line without its line feed, or bytes that are none.
    #[error("the file does not end in a line feed: it was cut at record {0}")]
    Cut(u64),
    /// Fewer or more records than the header says.
    #[error("record {found}: the file ends here, its header says {expected} records: it was cut or added to")]
    Size {
        /// The number after the last record.
        found: u64,
        /// The header's.
        expected: u64,
    },
    /// The log itself.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ExportError {
    /// The number of the first record that is wrong; 0 where the header already is.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Header | Self::Key(_) => 0,
            Self::CheckpointLine { seq, .. } | Self::Cut(seq) => *seq,
            Self::Size { found, .. } => *found,
            Self::Fault(fault) => fault.seq,
        }
    }
}

/// Appends the header line.
pub fn write_header(header: &Header, out: &mut Vec<u8>) {
    let mut writer = Writer::nested(out);
    let (first, frontier) = header.prefix.frontier.to_parts();
    Uint53::saturating(first).put("first", &mut writer);
    frontier.to_vec().put("frontier", &mut writer);
    EXPORT.to_owned().put("kind", &mut writer);
    header.prefix.open.put("open", &mut writer);
    header.origin.put("origin", &mut writer);
    header.size.put("size", &mut writer);
    Uint53::from(FORMAT_VERSION).put("v", &mut writer);
    header.vkey.to_string().put("vkey", &mut writer);
    writer.finish();
    out.push(b'\n');
}

/// Appends a record's line: its bytes as they are.
pub fn write_record(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(record);
    out.push(b'\n');
}

/// Appends a checkpoint's line; it belongs directly behind the last record that it covers.
pub fn write_checkpoint(note: &str, out: &mut Vec<u8>) {
    let mut writer = Writer::nested(out);
    CHECKPOINT.to_owned().put("kind", &mut writer);
    note.to_owned().put("note", &mut writer);
    writer.finish();
    out.push(b'\n');
}

/// Reads a header line, without its line feed.
///
/// # Errors
/// If it is none.
pub fn read_header(line: &[u8]) -> Result<Header, ExportError> {
    let mut fields = read_object(line).map_err(|_| ExportError::Header)?;
    let members = HeaderMembers::take(&mut fields).map_err(|_| ExportError::Header)?;
    let frontier =
        Frontier::from_parts(members.first.get(), members.frontier).map_err(|_| ExportError::Header)?;
    let good = members.kind == EXPORT
        && members.version == Uint53::from(FORMAT_VERSION)
        && fields.left_over().is_none()
        && members.size >= members.first;
    if !good {
        return Err(ExportError::Header);
    }
    let header = Header {
        origin: members.origin,
        vkey: members.vkey.parse()?,
        prefix: Prefix {
            frontier,
            open: members.open,
        },
        size: members.size,
    };
    let mut again = Vec::with_capacity(line.len() + 1);
    write_header(&header, &mut again);
    if again.strip_suffix(b"\n") == Some(line) {
        Ok(header)
    } else {
        Err(ExportError::Header)
    }
}

struct HeaderMembers {
    first: Uint53,
    frontier: Vec<Hash>,
    kind: String,
    open: Vec<CallId>,
    origin: String,
    size: Uint53,
    version: Uint53,
    vkey: String,
}

impl HeaderMembers {
    fn take(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            first: take(fields, "first")?,
            frontier: Field::take(fields, "frontier")?,
            kind: take(fields, "kind")?,
            open: Field::take(fields, "open")?,
            origin: take(fields, "origin")?,
            size: take(fields, "size")?,
            version: take(fields, "v")?,
            vkey: take(fields, "vkey")?,
        })
    }
}

/// What the person who verifies an export knows from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The key that must have signed the checkpoints, instead of the one that the file names.
    pub key: Option<VerifierKey>,
    /// Checkpoints kept elsewhere: their notes, one behind the other.
    pub checkpoint: Option<String>,
}

/// Verifies an export line by line.
#[derive(Debug)]
pub struct ExportVerifier {
    verifier: Verifier,
    line: u64,
    size: Uint53,
}

impl ExportVerifier {
    /// Begins with the header line, without its line feed.
    ///
    /// # Errors
    /// If the header is none, or does not agree with what is trusted.
    pub fn new(header_line: &[u8], trust: Trust) -> Result<Self, ExportError> {
        let header = read_header(header_line)?;
        let keys = vec![trust.key.unwrap_or(header.vkey)];
        let first = header.prefix.frontier.size();
        let fault = |error: CheckpointError| Fault {
            seq: first,
            kind: crate::FaultKind::Checkpoint(error),
        };
        let outside = trust
            .checkpoint
            .map(|note| Outside::open(&note, &keys))
            .transpose()
            .map_err(fault)?;
        let verifier = Verifier::new(&header.origin, keys, header.prefix, outside)?;
        Ok(Self {
            verifier,
            line: 1,
            size: header.size,
        })
    }

    /// Takes the next line, without its line feed.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ExportError> {
        self.line += 1;
        let seq = self.verifier.next();
        if !line.starts_with(CHECKPOINT_START) {
            self.verifier.record(seq, line, None)?;
            return Ok(());
        }
        let note = read_checkpoint(line).ok_or(ExportError::CheckpointLine { line: self.line, seq })?;
        self.verifier.checkpoint(&note)?;
        Ok(())
    }

    /// Ends.
    ///
    /// # Errors
    /// If the file is shorter or longer than its header or the trusted checkpoint says.
    pub fn finish(self) -> Result<Report, ExportError> {
        let (found, expected) = (self.verifier.next(), self.size.get());
        if found != expected {
            return Err(ExportError::Size { found, expected });
        }
        Ok(self.verifier.finish()?)
    }
}

fn read_checkpoint(line: &[u8]) -> Option<String> {
    let mut fields = read_object(line).ok()?;
    let kind: String = take(&mut fields, "kind").ok()?;
    let note = take(&mut fields, "note").ok()?;
    (kind == CHECKPOINT && fields.left_over().is_none()).then_some(note)
}

/// Verifies a whole export in memory.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify_export(bytes: &[u8], trust: Trust) -> Result<Report, ExportError> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let header = lines
        .next()
        .and_then(|line| line.strip_suffix(b"\n"))
        .ok_or(ExportError::Header)?;
    let mut verifier = ExportVerifier::new(header, trust)?;
    for line in lines {
        let seq = verifier.verifier.next();
        verifier.line(line.strip_suffix(b"\n").ok_or(ExportError::Cut(seq))?)?;
    }
    verifier.finish()
}
