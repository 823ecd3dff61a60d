//! `callgate catalog`: what is known of tools.

mod classify;
mod read;

use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const CLASSIFY_EXAMPLES: &str = "\
Examples:
  Of a list that a server gave, as the answer to `tools/list` or as an array:
    callgate catalog classify tools.json

  Of one tool:
    echo '{\"name\": \"delete_repository\"}' | callgate catalog classify -

  As JSON, one object a line, the worst alone:
    callgate catalog classify --json tools.json | jq -c 'select(.severity == \"Critical\")'

Nothing is called, fetched or started: the class comes from the definition alone.";

/// What `catalog` takes.
#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Class, severity and signals of tools, from their definitions
    #[command(after_help = CLASSIFY_EXAMPLES)]
    Classify(ClassifyArgs),
}

#[derive(Debug, Args)]
struct ClassifyArgs {
    /// A `tools/list` result, a response with one, an array of tools, or one tool a line; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// One JSON object a line, in the order of the tools
    #[arg(long)]
    json: bool,
}

/// Does what was asked.
pub(crate) fn catalog(args: &CatalogArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CatalogCommand::Classify(args) => classify::classify(&args.file, args.json),
    }
}
