//! What is left after the calls: the ledger, checked, and what it says if it is tampered with.

use super::super::ledger::line::{self, Line};
use super::super::ledger::{Call, Out, verify_folder};
use super::Counts;
use super::stage::Remains;
use anyhow::{Context, ensure};
use callgate_ledger::record::Denial;
use callgate_ledger::{Body, Fault, Kind, Record, Report, Text, Verifier};
use callgate_store::{Entry, Reader};
use std::process::ExitCode;

/// Shows the ledger and whether it agrees with what was seen.
pub(super) fn show(
    remains: &Remains,
    counts: &Counts,
    json: bool,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let reader = Reader::open(&remains.state())?;
    let report =
        verify_folder(&reader)?.map_err(|words| anyhow::anyhow!("the ledger does not verify: {words}"))?;
    let received = remains.received()?;
    let intents = count(&report, Kind::Intent);
    let tampered = tampered(&reader)?;
    ensure!(
        u64::try_from(received) == Ok(intents) && received == counts.allowed,
        "{received} calls reached the server, {intents} are in the ledger, {} were allowed",
        counts.allowed
    );
    if json {
        out.json(&serde_json::json!({
            "kind": "verified", "counts": counts, "reached_server": received, "records": report.records(),
            "intents": intents, "outcomes": count(&report, Kind::Outcome), "denials": count(&report, Kind::Denial),
            "root": report.root.to_string(), "tampered": { "record": tampered.seq, "error": tampered.to_string() },
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let paint = out.paint();
    let Counts {
        allowed,
        limited,
        denied,
    } = counts;
    out.line("")?;
    out.line(&format!(
        "{allowed} allowed, {limited} limited, {denied} denied. {received} calls reached the server: those that were allowed, no other."
    ))?;
    out.line("")?;
    out.line(&paint.strong("The ledger holds all of it (callgate ledger tail):"))?;
    out.line("")?;
    out.line(&line::header(paint))?;
    for entry in reader.entries(0) {
        if let Some(line) = line_of(&entry?, &reader)? {
            out.line(&line.show(paint))?;
        }
    }
    out.line("")?;
    out.line(&format!(
        "{} {} records are whole, in order and signed (callgate ledger verify); every call that reached the server has its intent and its outcome.",
        paint.good("verified"),
        report.records(),
    ))?;
    out.line(&format!(
        "{} had somebody rewritten the denial of delete_workflow, verify would say: {tampered}",
        paint.odd("tampered"),
    ))?;
    out.line("")?;
    out.line("Guard a server of your own:  callgate run -c policy.yaml -- npx -y mistral-mcp")?;
    Ok(ExitCode::SUCCESS)
}

fn count(report: &Report, kind: Kind) -> u64 {
    report
        .kinds
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or(0, |(_, count)| *count)
}

fn line_of(entry: &Entry, reader: &Reader) -> anyhow::Result<Option<Line>> {
    let record = entry.record()?;
    if let Body::Intent(intent) = &record.body {
        let call = Call::read(intent.call, reader)?;
        return Ok(Some(Line::of_call(&record, intent, call.outcome.as_ref())));
    }
    // An outcome is shown with its intent.
    Ok((record.kind() != Kind::Outcome).then(|| Line::of_record(&record)))
}

/// Checks the same ledger once more with one record rewritten, as a person with a database tool would.
fn tampered(reader: &Reader) -> anyhow::Result<Fault> {
    let mut verifier = Verifier::new(&reader.origin()?, reader.keys()?, reader.prefix()?, None)?;
    for entry in reader.entries(0) {
        let entry = entry?;
        let bytes = rewritten(&entry)?;
        if let Err(fault) = verifier.record(entry.seq, &bytes, Some(&entry.leaf)) {
            return Ok(fault);
        }
    }
    None.context("a rewritten record was not noticed")
}

fn rewritten(entry: &Entry) -> anyhow::Result<Vec<u8>> {
    let record = entry.record()?;
    if let Body::Denial(denial) = &record.body
        && denial.tool.as_ref().map(Text::as_str) == Some("delete_workflow")
    {
        let tool = Some("workflow_status".into());
        let body = Body::Denial(Denial {
            tool,
            ..denial.clone()
        });
        return Ok(Record { body, ..record }.encode());
    }
    Ok(entry.bytes.clone())
}
