//! `callgate status`: which gates run, what they let through and refused, which limits are in use.

mod gather;
mod print;

use super::ledger::time::{Since, since};
use super::ledger::to_the_end_of_a_pipe;
use crate::admin::{AdminArgs, gateway};
use crate::args::StateArgs;
use crate::run::state_dir;
use callgate_store::Reader;
use clap::Args;
use std::process::ExitCode;

/// What `status` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate status
  callgate status --since 15m --json

Exit codes: 0 it is known; 1 the state could not be read.")]
pub(crate) struct StatusArgs {
    /// Count calls and denials from then on: 15m, 6h or 2d ago, or a date of UTC such as 2026-11-21T14:30
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = since)]
    since: Since,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateArgs,
}

/// Shows the state of a folder.
pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let dir = state_dir(args.state.state_dir.as_deref())?;
    let reader = Reader::open(&dir)?;
    let servers = match gateway(&dir, &AdminArgs::default())? {
        Some(gateway) => gateway.get("/v1/servers")?,
        None => Vec::new(),
    };
    let status = gather::gather(&reader, &dir, args.since.micros(), servers)?;
    to_the_end_of_a_pipe(|out| {
        if args.json {
            out.json(&status)?;
        } else {
            print::print(&status, out)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
