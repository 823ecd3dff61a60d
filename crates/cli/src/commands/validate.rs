//! `callgate validate`: what is wrong with policies, where, and what they come to.

pub(crate) mod load;
mod posture;

use super::scan::client::{self, ServerArgs};
use super::scan::tools::Described;
use crate::words::{FAILED, FOUND_WRONG, complain, say};
use anyhow::{Context, bail};
use callgate_policy::{Diagnostic, Severity, Shape, Summary};
use clap::Args;
use load::{Checked, Source, style_of_stdout};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  callgate validate policy.yaml
  callgate validate policies/*.yaml --json

  Also check names and arguments against the server's own tools:
    callgate validate policy.yaml -- npx -y mistral-mcp

Exit codes: 0 all valid, 2 a policy is invalid, 1 a file could not be read.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ValidateArgs {
    /// Policies: YAML or JSON
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One more policy, as `run` takes it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// What became of one file, for `--json`.
#[derive(Debug, Serialize)]
struct Report<'c> {
    file: String,
    valid: bool,
    diagnostics: &'c [Diagnostic],
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'c Summary>,
}

/// Checks each file. All are looked at, whatever is wrong with the first.
pub(crate) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let files: Vec<&PathBuf> = args.files.iter().chain(&args.config).collect();
    if files.is_empty() {
        bail!("name a policy to check\nhint: callgate validate policy.yaml");
    }
    let tools = match args.server.target()? {
        Some(target) => Some(client::list(&target)?.tools()?),
        None => None,
    };
    let mut checked = Vec::new();
    let mut unread = 0_usize;
    for path in files {
        match Source::read(path) {
            Ok(source) => checked.push(check(source, tools.as_deref())),
            Err(error) => {
                unread = unread.saturating_add(1);
                complain(&error);
            }
        }
    }
    if args.json {
        print_json(&checked)?;
    } else {
        print_words(&checked)?;
    }
    let invalid = checked.iter().filter(|one| one.loaded.is_none()).count();
    if invalid > 0 {
        return Ok(ExitCode::from(FOUND_WRONG));
    }
    Ok(if unread > 0 {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn check(source: Source, tools: Option<&[Described]>) -> Checked {
    let mut checked = source.check();
    if let (Some(loaded), Some(tools)) = (&checked.loaded, tools) {
        let listed: Vec<_> = tools.iter().map(|tool| tool.listed.clone()).collect();
        let found = callgate_policy::check_against_tools(loaded, &listed);
        checked.diagnostics.extend(found);
        checked.diagnostics.sort_by_key(|found| found.span.start);
    }
    checked
}

fn print_json(checked: &[Checked]) -> anyhow::Result<()> {
    let reports: Vec<Report<'_>> = checked
        .iter()
        .map(|one| Report {
            file: one.source.name.clone(),
            valid: one.loaded.is_some(),
            diagnostics: &one.diagnostics,
            shape: one.loaded.as_ref().map(|loaded| loaded.shape),
            summary: one.loaded.as_ref().map(|loaded| &loaded.summary),
        })
        .collect();
    let text = serde_json::to_string_pretty(&reports)?;
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")
}

fn print_words(checked: &[Checked]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let style = style_of_stdout();
    for one in checked {
        for diagnostic in &one.diagnostics {
            let shown = diagnostic.render(&one.source.name, &one.source.text, &style);
            writeln!(out, "{shown}").context("cannot write to stdout")?;
        }
        let verdict = match &one.loaded {
            Some(loaded) => posture::words(&one.source.name, loaded, one.count(Severity::Warning)),
            None => posture::invalid(&one.source.name, one.count(Severity::Error)),
        };
        writeln!(out, "{verdict}").context("cannot write to stdout")?;
    }
    if checked.iter().any(|one| one.loaded.is_none()) {
        say("callgate: an invalid policy is never put in force");
    }
    Ok(())
}
