//! Finding records: by number, by the name of a call, by time.

use super::time::Micros;
use callgate_ledger::record::{Intent, Outcome};
use callgate_ledger::{Body, CallId, Record};
use callgate_store::{Entry, ReadError, Reader};
use clap::Args;

/// Which call or record is meant.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A record's number (the first column of `tail`), or a call's name of 32 hexadecimal digits
    #[arg(value_name = "ID", value_parser = id)]
    pub(crate) id: Id,
}

/// A record's number, or a call's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// A number.
    Seq(u64),
    /// A call.
    Call(CallId),
}

fn id(text: &str) -> Result<Id, String> {
    let number = text.strip_prefix('#').unwrap_or(text);
    CallId::from_hex(text)
        .map(Id::Call)
        .or_else(|| number.parse().ok().map(Id::Seq))
        .ok_or_else(|| {
            "write a record's number, such as 42, or a call's name of 32 hexadecimal digits".to_owned()
        })
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The records: of a call all, in the order of the log; else one.
    pub(crate) entries: Vec<Entry>,
    /// The recorded argument values, as JSON text.
    pub(crate) values: Option<String>,
}

/// Finds what is meant.
pub(crate) fn find(id: Id, reader: &Reader) -> anyhow::Result<Found> {
    match id {
        Id::Call(call) => of_call(call, reader)?.ok_or_else(|| {
            anyhow::anyhow!("no call {call} is in this ledger; `callgate ledger search` finds calls")
        }),
        Id::Seq(seq) => {
            let range = reader.range()?;
            let entry = reader
                .entries(seq)
                .next()
                .transpose()?
                .filter(|entry| entry.seq == seq);
            let entry = entry.ok_or_else(|| {
                anyhow::anyhow!(
                    "no record {seq} is in this ledger, which holds {} to {}",
                    range.start,
                    range.end.saturating_sub(1)
                )
            })?;
            // A record that cannot be read, or whose intent is in an archive, still stands for itself.
            let call = entry.record().ok().and_then(|record| record.body.call());
            let whole = call.map(|call| of_call(call, reader)).transpose()?.flatten();
            Ok(whole.unwrap_or(Found {
                entries: vec![entry],
                values: None,
            }))
        }
    }
}

fn of_call(call: CallId, reader: &Reader) -> Result<Option<Found>, ReadError> {
    Ok(reader.call(call)?.map(|records| Found {
        entries: std::iter::once(records.intent).chain(records.following).collect(),
        values: records.values,
    }))
}

/// A call's intent and outcome, as far as they are kept here.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The intent with its record.
    pub(crate) intent: Option<(Record, Intent)>,
    /// The outcome.
    pub(crate) outcome: Option<Outcome>,
}

impl Call {
    /// Reads a call.
    pub(crate) fn read(call: CallId, reader: &Reader) -> Result<Self, ReadError> {
        let Some(records) = reader.call(call)? else {
            return Ok(Self::default());
        };
        let record = records.intent.record()?;
        let Body::Intent(intent) = &record.body else {
            return Ok(Self::default());
        };
        let intent = intent.clone();
        let mut outcome = None;
        for entry in &records.following {
            if let Body::Outcome(body) = entry.record()?.body {
                outcome = Some(body);
            }
        }
        Ok(Self {
            intent: Some((record, intent)),
            outcome,
        })
    }
}

/// The number of the first record that is not older than `at`; times never step back in the log.
pub(crate) fn first_since(at: Micros, reader: &Reader) -> Result<u64, ReadError> {
    let range = reader.range()?;
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(entry) = reader.entries(middle).next().transpose()? else {
            return Ok(range.end);
        };
        if entry.record()?.at.get() < at.0 {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
