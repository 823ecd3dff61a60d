//! `callgate schema`: the policy language as a JSON Schema, so that editors complete and check it.

use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Let editors complete policies; in the policy's first line then stands
  `# yaml-language-server: $schema=callgate.schema.json`:
    callgate schema > callgate.schema.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {}

/// Prints the schema.
pub(crate) fn run(_args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(&callgate_policy::json_schema())?;
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
