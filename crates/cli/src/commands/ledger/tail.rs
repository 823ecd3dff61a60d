//! `callgate ledger tail`: the newest records, and those that come.

use super::find::Call;
use super::line::{self, Line};
use super::out::Out;
use callgate_ledger::{Body, CallId, Record};
use callgate_store::{Entry, Reader};
use clap::Args;
use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

/// How often the log is looked at for what is new.
const POLL: Duration = Duration::from_millis(200);

/// What `tail` takes.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// How many records back it begins
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: u64,

    /// Go on with those that come, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// Shows a call in one line: at its intent where the outcome is known by then, and again when it comes.
struct Table<'r> {
    reader: &'r Reader,
    /// Calls that are shown with their outcome.
    whole: HashSet<CallId>,
}

pub(crate) fn tail(args: &TailArgs, reader: &Reader, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let range = reader.range()?;
    let mut next = range.end.saturating_sub(args.lines).max(range.start);
    let mut table = Table {
        reader,
        whole: HashSet::new(),
    };
    if !json {
        out.line(&line::header(out.paint()))?;
    }
    loop {
        for entry in reader.entries(next) {
            let entry = entry?;
            next = entry.seq + 1;
            if json {
                raw(&entry, out)?;
            } else {
                table.show(&entry.record()?, out)?;
            }
        }
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        out.flush()?;
        std::thread::sleep(POLL);
    }
}

/// A record's own bytes, as a line.
pub(super) fn raw(entry: &Entry, out: &mut Out) -> std::io::Result<()> {
    out.bytes(&entry.bytes)?;
    out.bytes(b"\n")
}

impl Table<'_> {
    fn show(&mut self, record: &Record, out: &mut Out) -> anyhow::Result<()> {
        let line = match &record.body {
            Body::Intent(intent) => {
                let outcome = Call::read(intent.call, self.reader)?.outcome;
                if outcome.is_some() {
                    self.whole.insert(intent.call);
                }
                Line::of_call(record, intent, outcome.as_ref())
            }
            Body::Outcome(outcome) => {
                if self.whole.remove(&outcome.call) {
                    return Ok(());
                }
                match Call::read(outcome.call, self.reader)?.intent {
                    Some((record, intent)) => Line::of_call(&record, &intent, Some(outcome)),
                    None => Line::of_record(record),
                }
            }
            Body::Denial(_)
            | Body::Malformed(_)
            | Body::AuthFailure(_)
            | Body::Start(_)
            | Body::Stop(_)
            | Body::Reload(_)
            | Body::Late(_)
            | Body::TaskEnd(_)
            | Body::Suppressed(_)
            | Body::Drop(_)
            | Body::List(_)
            | Body::GrantChange(_) => Line::of_record(record),
        };
        Ok(out.line(&line.show(out.paint()))?)
    }
}
