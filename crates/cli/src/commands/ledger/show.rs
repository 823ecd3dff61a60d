//! `callgate ledger show`: all that is kept of one call or record.

use super::find::{Which, find};
use super::line::Line;
use super::out::{Out, clean};
use super::time::Micros;
use callgate_store::{Entry, Reader};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::process::ExitCode;

/// What `show --json` prints.
#[derive(serde::Serialize)]
struct Shown {
    records: Vec<Box<RawValue>>,
    values: Option<Box<RawValue>>,
}

pub(crate) fn show(which: &Which, reader: &Reader, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let found = find(which.id, reader)?;
    if json {
        let raw = |text: &str| RawValue::from_string(text.to_owned());
        let records = found
            .entries
            .iter()
            .map(|entry| raw(&String::from_utf8_lossy(&entry.bytes)))
            .collect::<Result<_, _>>()?;
        let values = found.values.as_deref().map(raw).transpose()?;
        out.json(&Shown { records, values })?;
        return Ok(ExitCode::SUCCESS);
    }
    for entry in &found.entries {
        print(entry, out)?;
    }
    if let Some(values) = &found.values {
        out.line(&out.paint().strong("recorded arguments"))?;
        out.line(&format!("  {}", clean(values)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(entry: &Entry, out: &mut Out) -> anyhow::Result<()> {
    let record = entry.record()?;
    let paint = out.paint();
    let heading = format!("record {}: {}", record.seq, record.kind());
    out.line(&format!(
        "{}  {}",
        paint.strong(&heading),
        Micros(record.at.get())
    ))?;
    out.line(&paint.dim(&Line::of_record(&record).show(super::Paint::Plain)))?;
    // The record's own fields, by their names in the format.
    let fields: Map<String, Value> = serde_json::from_slice(&entry.bytes)?;
    for (name, value) in fields.iter().filter(|(name, _)| !HEADED.contains(&name.as_str())) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.line(&format!("  {name:<14} {}", clean(&text)))?;
    }
    out.line(&format!("  {:<14} {}", "leaf", entry.leaf))?;
    Ok(())
}

/// Fields that the heading shows.
const HEADED: [&str; 4] = ["seq", "kind", "at", "v"];
