//! `callgate ledger prove`: a receipt for one call or record.

use super::export::keys;
use super::find::{Which, find};
use super::out::Out;
use crate::words::warn;
use anyhow::{Context, bail};
use callgate_ledger::receipt::{Entry, Receipt};
use callgate_ledger::{Checkpoint, Record, inclusion_proof};
use callgate_store::Reader;
use std::process::ExitCode;

pub(crate) fn prove(which: &Which, reader: &Reader, out: &mut Out) -> anyhow::Result<ExitCode> {
    let found = find(which.id, reader)?;
    let (size, note) = reader.last_checkpoint()?.context(
        "no checkpoint has been signed yet; a gate signs the first one a second after its first call",
    )?;
    let total = found.entries.len();
    let mut entries = Vec::with_capacity(total);
    for entry in found.entries.iter().filter(|entry| entry.seq < size) {
        entries.push(Entry {
            record: String::from_utf8(entry.bytes.clone())
                .context("the record is no text; `callgate ledger verify` says more")?,
            proof: inclusion_proof(entry.seq, size, reader)?,
        });
    }
    if entries.is_empty() {
        bail!(
            "no checkpoint covers it yet (the last one covers {size} records); checkpoints follow within a second while a gate runs"
        );
    }
    if entries.len() < total {
        warn("no checkpoint covers the last records of this call yet; the receipt shows those before");
    }
    let receipt = Receipt {
        checkpoint: note,
        entries,
    };
    // A receipt that does not hold would come from a ledger that was tampered with.
    let checked: Result<(Checkpoint, Vec<Record>), _> = receipt.verify(&keys(reader)?);
    checked.context("this ledger cannot prove it; `callgate ledger verify` says what is wrong")?;
    out.bytes(&receipt.encode())?;
    out.bytes(b"\n")?;
    Ok(ExitCode::SUCCESS)
}
