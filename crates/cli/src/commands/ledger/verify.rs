//! `callgate ledger verify`: what was changed, dropped or inserted, if anything was.

use super::Source;
use super::line::Line;
use super::out::Out;
use super::progress::Progress;
use crate::words::{FOUND_WRONG, complain};
use anyhow::{Context, bail};
use callgate_ledger::export::{ExportVerifier, Trust};
use callgate_ledger::receipt::Receipt;
use callgate_ledger::{Fault, Outside, Report, Verifier, VerifierKey};
use callgate_store::{ReadError, Reader};
use clap::Args;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXPLAINED: &str = "\
What it shows: without --checkpoint, that the records agree with each other and with the \
checkpoints that lie beside them, which whoever holds the key could have made anew. With a \
checkpoint and a key that were kept elsewhere, that nothing up to the checkpoint's size was \
changed, dropped or inserted. `callgate run --checkpoint-out FILE` appends each checkpoint to a \
file, `callgate ledger key` prints the key.

Exit codes: 0 nothing is wrong; 1 it could not be checked; 2 something is wrong, and the first \
record that is wrong is named.";

/// What `verify` takes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Checkpoints that were kept elsewhere, as --checkpoint-out writes them
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "receipt")]
    checkpoint: Option<PathBuf>,

    /// The key that must have signed, as `callgate ledger key` printed it; several where it was changed
    #[arg(long, value_name = "KEY")]
    key: Vec<VerifierKey>,

    /// Check a receipt instead, offline; `-` reads it from stdin
    #[arg(long, value_name = "FILE", requires = "key")]
    receipt: Option<PathBuf>,

    /// Check a file that `callgate ledger export` wrote instead, offline; `-` reads it from stdin
    #[arg(long, value_name = "FILE", conflicts_with = "receipt")]
    export: Option<PathBuf>,
}

/// What was checked, for scripts.
#[derive(serde::Serialize)]
struct Told<'t> {
    ok: bool,
    log: &'t str,
    first: u64,
    size: u64,
    root: String,
    records: serde_json::Map<String, serde_json::Value>,
    checkpoints: u64,
    signed: Option<u64>,
    unsigned: u64,
    open: Vec<String>,
    outside: Option<u64>,
    keys: Vec<String>,
}

/// The first thing that is wrong.
struct Wrong {
    seq: Option<u64>,
    words: String,
}

pub(super) fn verify(args: &VerifyArgs, source: &Source, out: &mut Out) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.receipt {
        return receipt(path, &args.key, source.json, out);
    }
    let kept = args.checkpoint.as_deref().map(read_text).transpose()?;
    let (log, keys, checked) = match &args.export {
        Some(path) => export(path, &args.key, kept)?,
        None => stored(&source.open()?, &args.key, kept)?,
    };
    match checked {
        Ok(report) => {
            if source.json {
                out.json(&told(&log, &keys, &report))?;
            } else {
                print(&log, &keys, &report, &args.key, out)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => tell_wrong(&wrong, source.json, out),
    }
}

fn tell_wrong(wrong: &Wrong, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    if json {
        out.json(&serde_json::json!({ "ok": false, "record": wrong.seq, "error": wrong.words }))?;
    } else {
        complain(&anyhow::anyhow!("{}", wrong.words));
    }
    Ok(ExitCode::from(FOUND_WRONG))
}

type Checked = (String, Vec<VerifierKey>, Result<Report, Wrong>);

/// Checks the log of a state folder by itself; says what is wrong with it, if something is.
pub(crate) fn whole_folder(reader: &Reader) -> anyhow::Result<Result<Report, String>> {
    let (_, _, checked) = stored(reader, &[], None)?;
    Ok(checked.map_err(|wrong| wrong.words))
}

fn stored(reader: &Reader, given: &[VerifierKey], kept: Option<String>) -> anyhow::Result<Checked> {
    let log = reader.origin()?;
    let keys = if given.is_empty() {
        super::export::keys(reader)?
    } else {
        given.to_vec()
    };
    let outside = kept.map(|kept| Outside::open(&kept, &keys)).transpose();
    let outside = outside
        .context("the checkpoints kept elsewhere do not open; is it the right file, and the right key?")?;
    let mut first = reader.range().map(|range| range.start);
    let checked = loop {
        match check(reader, &log, &keys, outside.clone()) {
            Ok(report) => break Ok(report),
            Err(Stop::Failed(error)) => return Err(error.into()),
            Err(Stop::Wrong(wrong)) => {
                // Where records were moved away meanwhile, it is looked at once more; each time there are fewer.
                let now = reader.range().map(|range| range.start);
                if !matches!((&first, &now), (Ok(first), Ok(now)) if now > first) {
                    break Err(wrong);
                }
                first = now;
            }
        }
    };
    Ok((log, keys, checked))
}

/// Why a check came to no good end.
enum Stop {
    /// Something is wrong with the log.
    Wrong(Wrong),
    /// The log could not be read.
    Failed(ReadError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Wrong(Wrong {
            seq: Some(fault.seq),
            words: fault.to_string(),
        })
    }
}

/// What contradicts itself, or has a type that no gate writes, was changed by somebody else; a failure to read
/// says nothing about the log.
impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        let changed = match &error {
            ReadError::Damaged(_) | ReadError::Node { .. } => true,
            ReadError::Query(error) => error.sqlite_error_code().is_none(),
            ReadError::Missing { .. } | ReadError::Open(_) => false,
        };
        if changed {
            Self::Wrong(Wrong {
                seq: None,
                words: error.to_string(),
            })
        } else {
            Self::Failed(error)
        }
    }
}

impl Stop {
    /// With the number of the record that was due.
    fn at(self, seq: u64) -> Self {
        match self {
            Self::Wrong(wrong) => Self::Wrong(Wrong {
                seq: Some(seq),
                words: format!(
                    "record {seq}, or one of the next, cannot be read: {}",
                    wrong.words
                ),
            }),
            failed @ Self::Failed(_) => failed,
        }
    }
}

fn missing(seq: u64, words: &str) -> Stop {
    Stop::Wrong(Wrong {
        seq: Some(seq),
        words: format!("record {seq}: missing: {words}"),
    })
}

fn check(reader: &Reader, log: &str, keys: &[VerifierKey], outside: Option<Outside>) -> Result<Report, Stop> {
    // Records that come from here on are not looked at, so that every checkpoint read has its records.
    let checkpoints = reader.checkpoints()?;
    let range = reader.range()?;
    let mut progress = Progress::new("records", range.end.saturating_sub(range.start));
    let mut checkpoints = checkpoints
        .into_iter()
        .filter(|(size, _)| *size >= range.start)
        .peekable();
    let prefix = match reader.prefix() {
        Err(ReadError::Node { .. }) => {
            let words = format!(
                "the log begins at {}, and what was before is in no archive",
                range.start
            );
            return Err(missing(0, &words));
        }
        prefix => prefix?,
    };
    let mut verifier = Verifier::new(log, keys.to_vec(), prefix, outside)?;
    let mut entries = reader.entries(range.start);
    loop {
        while let Some((_, note)) = checkpoints.next_if(|(size, _)| *size == verifier.next()) {
            verifier.checkpoint(&note)?;
        }
        let due = verifier.next();
        let entry = entries
            .next()
            .transpose()
            .map_err(|error| Stop::from(error).at(due))?;
        let Some(entry) = entry.filter(|_| due < range.end) else {
            break;
        };
        verifier.record(entry.seq, &entry.bytes, Some(&entry.leaf))?;
        progress.step();
    }
    let end = verifier.next();
    if let Some((size, _)) = checkpoints.next() {
        let words = format!("a signed checkpoint covers {size} records, the log ends here");
        return Err(missing(end, &words));
    }
    Ok(verifier.finish()?)
}

fn export(path: &Path, keys: &[VerifierKey], checkpoint: Option<String>) -> anyhow::Result<Checked> {
    let key = match keys {
        [] => None,
        [key] => Some(key.clone()),
        _ => bail!("an export is signed by one key; name one --key"),
    };
    let mut lines = std::io::BufReader::new(open(path)?);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    let header_line = line.strip_suffix(b"\n").unwrap_or(&line).to_vec();
    let wrong = |error: &callgate_ledger::export::ExportError| Wrong {
        seq: Some(error.seq()),
        words: error.to_string(),
    };
    let header = match callgate_ledger::export::read_header(&header_line) {
        Ok(header) => header,
        Err(error) => return Ok((String::new(), keys.to_vec(), Err(wrong(&error)))),
    };
    let used = vec![key.clone().unwrap_or(header.vkey)];
    let checked = (|| {
        let mut verifier =
            ExportVerifier::new(&header_line, Trust { key, checkpoint }).map_err(|error| wrong(&error))?;
        let mut progress = Progress::new("records", header.size.get());
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).map_err(|error| Wrong {
                seq: None,
                words: error.to_string(),
            })?;
            if read == 0 {
                return verifier.finish().map_err(|error| wrong(&error));
            }
            let Some(whole) = line.strip_suffix(b"\n") else {
                return Err(Wrong {
                    seq: None,
                    words: "the file does not end in a line feed: it was cut".to_owned(),
                });
            };
            verifier.line(whole).map_err(|error| wrong(&error))?;
            progress.step();
        }
    })();
    Ok((header.origin, used, checked))
}

fn receipt(path: &Path, keys: &[VerifierKey], json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    let verified = Receipt::decode(&bytes).and_then(|receipt| receipt.verify(keys));
    let (checkpoint, records) = match verified {
        Ok(verified) => verified,
        Err(error) => {
            let words = format!("the receipt does not hold: {error}");
            return tell_wrong(&Wrong { seq: None, words }, json, out);
        }
    };
    if json {
        let seqs: Vec<u64> = records.iter().map(|record| record.seq.get()).collect();
        let call = records.first().and_then(|record| record.body.call());
        out.json(&serde_json::json!({
            "ok": true, "log": checkpoint.origin, "size": checkpoint.size.get(), "root": checkpoint.root.to_string(),
            "records": seqs, "call": call.map(|call| call.to_string()),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let paint = out.paint();
    let count = records.len();
    out.line(&format!(
        "{} the receipt holds: {count} record{} of the log {} as signed at {} records",
        paint.good("verified"),
        if count == 1 { "" } else { "s" },
        super::clean(&checkpoint.origin),
        checkpoint.size,
    ))?;
    out.line(&super::line::header(paint))?;
    for record in &records {
        out.line(&Line::of_record(record).show(paint))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told<'t>(log: &'t str, keys: &[VerifierKey], report: &Report) -> Told<'t> {
    let counted = report.kinds.iter().filter(|(_, count)| *count > 0);
    Told {
        ok: true,
        log,
        first: report.first,
        size: report.size,
        root: report.root.to_string(),
        records: counted
            .map(|(kind, count)| (kind.to_string(), (*count).into()))
            .collect(),
        checkpoints: report.checkpoints,
        signed: report.signed,
        unsigned: report.unsigned(),
        open: report.open.iter().map(ToString::to_string).collect(),
        outside: report.outside,
        keys: keys.iter().map(ToString::to_string).collect(),
    }
}

fn print(
    log: &str,
    keys: &[VerifierKey],
    report: &Report,
    given: &[VerifierKey],
    out: &mut Out,
) -> anyhow::Result<()> {
    let paint = out.paint();
    out.line(&format!(
        "{} the log {}",
        paint.good("verified"),
        super::clean(log)
    ))?;
    let counted = report.kinds.iter().filter(|(_, count)| *count > 0);
    let kinds: Vec<String> = counted.map(|(kind, count)| format!("{count} {kind}")).collect();
    let last = report.size.saturating_sub(1);
    out.line(&match report.records() {
        0 => "  records      none".to_owned(),
        count => format!(
            "  records      {count} ({} to {last}), whole and in order: {}",
            report.first,
            kinds.join(", ")
        ),
    })?;
    if report.first > 0 {
        out.line(&paint.odd(&format!(
            "  before       records 0 to {} are not here: the file that they were moved to has to show them",
            report.first - 1
        )))?;
    }
    out.line(&format!(
        "  calls        every outcome has its one intent; {} without an outcome yet",
        report.open.len()
    ))?;
    let signed = report.signed.unwrap_or(report.first);
    out.line(&format!(
        "  checkpoints  {} agree; they sign {signed} records, {} after that are unsigned",
        report.checkpoints,
        report.unsigned()
    ))?;
    for key in keys {
        let whence = if given.is_empty() {
            "as the ledger itself says"
        } else {
            "as you gave it"
        };
        out.line(&format!("  key          {key} ({whence})"))?;
    }
    out.line(&format!("  root         {}", report.root))?;
    out.line(&match report.outside {
        Some(size) => format!("  shown        nothing before record {size} was changed, dropped or inserted since the checkpoints kept elsewhere were signed"),
        None => "  shown        the records agree with each other and with the checkpoints beside them; whether all was made anew, only --checkpoint FILE --key K with what was kept elsewhere can show".to_owned(),
    })?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(file))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
