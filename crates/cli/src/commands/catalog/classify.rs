//! `callgate catalog classify`: the class of tools, from their definitions.

use super::read;
use super::safe::{LINE_CHARS_MAX, cut};
use super::view::VerdictView;
use crate::commands::ledger::to_the_end_of_a_pipe;
use crate::commands::scan::comment::one_line;
use callgate_catalog::{Definition, Verdict, classify_list};
use std::path::Path;
use std::process::ExitCode;

/// So many characters of a name are shown in the table.
const NAME_CHARS_MAX: usize = 32;

/// Reads, classifies and prints.
pub(super) fn classify(file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let text = read::text(file)?;
    let tools = read::tools(&text)?;
    let verdicts = classify_list(&tools);
    let mut out = String::new();
    if as_json {
        for (tool, verdict) in tools.iter().zip(&verdicts) {
            out.push_str(&serde_json::to_string(&VerdictView::of(&tool.name, verdict))?);
            out.push('\n');
        }
    } else {
        out = table(&tools, &verdicts);
    }
    to_the_end_of_a_pipe(|pipe| {
        pipe.bytes(out.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    })
}

fn table(tools: &[Definition], verdicts: &[Verdict]) -> String {
    let names: Vec<String> = tools
        .iter()
        .map(|tool| cut(&one_line(&tool.name), NAME_CHARS_MAX))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut out = format!("{:<width$}  CLASS        SEVERITY  SURE  SIGNALS\n", "TOOL");
    for (name, verdict) in names.iter().zip(verdicts) {
        let signals: Vec<String> = verdict
            .signals
            .iter()
            .map(|signal| signal.code().replace('_', " "))
            .collect();
        let line = format!(
            "{name:<width$}  {:<11}  {:<8}  {}  {}",
            verdict.class,
            verdict.severity,
            verdict.confidence,
            signals.join(", ")
        );
        out.push_str(cut(line.trim_end(), LINE_CHARS_MAX).trim_end());
        out.push('\n');
    }
    out
}
