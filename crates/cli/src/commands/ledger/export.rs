//! `callgate ledger export`: the log as JSON Lines.

use super::out::Out;
use super::progress::Progress;
use crate::words::warn;
use anyhow::{Context, bail};
use callgate_ledger::export::{Header, write_checkpoint, write_header, write_record};
use callgate_ledger::{Checkpoint, Uint53, VerifierKey};
use callgate_store::Reader;
use std::process::ExitCode;

/// The keys that signed checkpoints, the one of the newest checkpoint first.
pub(crate) fn keys(reader: &Reader) -> anyhow::Result<Vec<VerifierKey>> {
    let mut keys = reader.keys()?;
    if let Some((_, note)) = reader.last_checkpoint()? {
        keys.sort_by_key(|key| Checkpoint::open(&note, std::slice::from_ref(key)).is_err());
    }
    Ok(keys)
}

pub(crate) fn export(reader: &Reader, out: &mut Out) -> anyhow::Result<ExitCode> {
    write(reader, |bytes| Ok(out.bytes(bytes)?))?;
    Ok(ExitCode::SUCCESS)
}

/// Hands the export on line by line.
pub(crate) fn write(reader: &Reader, mut to: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let vkey = keys(reader)?.into_iter().next().context(
        "no checkpoint has been signed yet; a gate signs the first one a second after its first call",
    )?;
    // Records that come from here on are not part of it.
    let range = reader.range()?;
    let mut left_out = 0_u64;
    let mut checkpoints = reader
        .checkpoints()?
        .into_iter()
        .filter(|(size, _)| range.start <= *size && *size <= range.end)
        .filter(|(_, note)| {
            let good = Checkpoint::open(note, std::slice::from_ref(&vkey)).is_ok();
            left_out += u64::from(!good);
            good
        })
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    let mut line = Vec::new();
    let header = Header {
        origin: reader.origin()?,
        vkey,
        prefix: reader.prefix()?,
        size: Uint53::saturating(range.end),
    };
    write_header(&header, &mut line);
    let mut progress = Progress::new("records", range.end.saturating_sub(range.start));
    let mut next = range.start;
    let mut entries = reader.entries(range.start);
    loop {
        while let Some((_, note)) = checkpoints.next_if(|(size, _)| *size == next) {
            write_checkpoint(&note, &mut line);
        }
        to(&line)?;
        line.clear();
        if next >= range.end {
            break;
        }
        let entry = entries.next().transpose()?;
        let Some(entry) = entry.filter(|entry| entry.seq == next) else {
            bail!("record {next} is missing; `callgate ledger verify` says more");
        };
        write_record(&entry.bytes, &mut line);
        next += 1;
        progress.step();
    }
    if left_out > 0 {
        warn(&format!(
            "{left_out} checkpoints by another key are left out: an export names one key"
        ));
    }
    Ok(())
}
