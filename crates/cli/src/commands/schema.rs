//! `callgate schema`: the policy language, or the configuration, as a JSON Schema, so that editors complete and
//! check it.

use crate::config;
use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Let editors complete policies; in the policy's first line then stands
  `# yaml-language-server: $schema=callgate.schema.json`:
    callgate schema > callgate.schema.json

  The same for the configuration of `serve`:
    callgate schema --config > callgate-config.schema.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// The schema of the configuration, in place of that of policies
    #[arg(long)]
    config: bool,
}

/// Prints the schema.
pub(crate) fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = if args.config {
        config::json_schema()
    } else {
        callgate_policy::json_schema()
    };
    let text = serde_json::to_string_pretty(&schema)?;
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
