//! One file a subcommand.

pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod ledger;
pub(crate) mod status;

use crate::args::{Cli, Command};
use crate::run;
use std::process::ExitCode;

/// Does what was asked.
pub(crate) fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Demo(args)) => demo::demo(&args),
        Some(Command::DemoServer(args)) => demo::server::serve(&args),
        Some(Command::Ledger(args)) => ledger::ledger(&args),
        Some(Command::Status(args)) => status::status(&args),
        Some(Command::Completions(args)) => completions::completions(&args),
        Some(Command::Man(args)) => completions::man(&args),
    }
}
