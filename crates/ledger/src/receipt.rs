//! Receipts: proof, in one document, that records of one call stand in the log.

use crate::canonical::{CanonicalError, Fields, Json, read_object};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::VerifierKey;
use crate::proof::{PROOF_HASHES_MAX, ProofError, verify_inclusion};
use crate::record::{DecodeError, FORMAT_VERSION, Field, Record, Scalar, Writer, take};
use crate::tree::{Hash, leaf_hash};
use crate::value::Uint53;

const KIND: &str = "receipt";
/// Most records of one receipt: an intent, its outcome, a late answer, a task's end, and room.
pub const RECEIPT_ENTRIES_MAX: usize = 16;

/// The records of one call, each with its proof under one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
    /// The records, in the order of the log.
    pub entries: Vec<Entry>,
}

/// One record of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its canonical bytes.
    pub record: String,
    /// The inclusion proof of its leaf, from the leaf's sibling up.
    pub proof: Vec<Hash>,
}

/// Why a receipt does not show what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not canonical JSON.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Canonical JSON, yet no receipt.
    #[error("not a receipt of format version {FORMAT_VERSION}")]
    Form,
    /// The checkpoint.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A record does not decode.
    #[error("record {place}: {error}")]
    Record {
        /// Its place in the receipt, from 1.
        place: usize,
        /// Why.
        error: DecodeError,
    },
    /// A proof does not prove.
    #[error("record {seq}: {error}")]
    Proof {
        /// The record's number in the log.
        seq: Uint53,
        /// Why.
        error: ProofError,
    },
    /// The records are not of one call, or not in the order of the log.
    #[error("the records are not those of one call, in order")]
    NotOneCall,
}

impl Receipt {
    /// The receipt as canonical JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::nested(&mut out);
        self.checkpoint.put("checkpoint", &mut writer);
        self.entries.put("entries", &mut writer);
        KIND.to_owned().put("kind", &mut writer);
        Uint53::from(FORMAT_VERSION).put("v", &mut writer);
        writer.finish();
        out
    }

    /// Reads a receipt; nothing is checked but its form. A line feed at the end is allowed.
    ///
    /// # Errors
    /// If the bytes are no receipt.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let mut fields = read_object(bytes.strip_suffix(b"\n").unwrap_or(bytes))?;
        let (receipt, kind, version) = Self::members(&mut fields).map_err(|_| ReceiptError::Form)?;
        let good = kind == KIND
            && version == Uint53::from(FORMAT_VERSION)
            && fields.left_over().is_none()
            && (1..=RECEIPT_ENTRIES_MAX).contains(&receipt.entries.len());
        if good {
            Ok(receipt)
        } else {
            Err(ReceiptError::Form)
        }
    }

    fn members(fields: &mut Fields<'_>) -> Result<(Self, String, Uint53), DecodeError> {
        let receipt = Self {
            checkpoint: take(fields, "checkpoint")?,
            entries: Field::take(fields, "entries")?,
        };
        Ok((receipt, take(fields, "kind")?, take(fields, "v")?))
    }

    /// Checks that one of `keys` signed the checkpoint, that each record stands in the log at the place it
    /// names, and that all are of one call; gives them.
    ///
    /// # Errors
    /// Otherwise.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(Checkpoint, Vec<Record>), ReceiptError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, keys)?;
        let mut records: Vec<Record> = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let record = Record::decode(entry.record.as_bytes()).map_err(|error| ReceiptError::Record {
                place: index + 1,
                error,
            })?;
            let leaf = leaf_hash(entry.record.as_bytes());
            let (seq, size) = (record.seq, checkpoint.size);
            verify_inclusion(&leaf, seq.get(), size.get(), &entry.proof, &checkpoint.root)
                .map_err(|error| ReceiptError::Proof { seq, error })?;
            let follows = records.last().is_none_or(|last| {
                last.seq < seq && last.body.call().is_some() && last.body.call() == record.body.call()
            });
            if !follows {
                return Err(ReceiptError::NotOneCall);
            }
            records.push(record);
        }
        if records.is_empty() {
            Err(ReceiptError::NotOneCall)
        } else {
            Ok((checkpoint, records))
        }
    }
}

impl Scalar for Entry {
    fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::nested(out);
        self.proof.put("proof", &mut writer);
        self.record.put("record", &mut writer);
        writer.finish();
    }

    fn read(json: Json<'_>) -> Option<Self> {
        let Json::Object(mut fields) = json else {
            return None;
        };
        let proof: Vec<Hash> = Field::take(&mut fields, "proof").ok()?;
        let record = take(&mut fields, "record").ok()?;
        (fields.left_over().is_none() && proof.len() <= PROOF_HASHES_MAX).then_some(Self { record, proof })
    }
}
