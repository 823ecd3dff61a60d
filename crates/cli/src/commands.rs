//! One file a subcommand.

pub(crate) mod attacks;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod grants;
pub(crate) mod init;
pub(crate) mod ledger;
pub(crate) mod login;
pub(crate) mod mcp;
pub(crate) mod reload;
pub(crate) mod scan;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod test;
mod tree;
pub(crate) mod validate;

use crate::args::{Cli, Command};
use crate::{run, serve};
use std::process::ExitCode;

/// Does what was asked.
pub(crate) fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Attacks(args)) => attacks::attacks(&args),
        Some(Command::AttackServer(args)) => attacks::server::serve(&args),
        Some(Command::Demo(args)) => demo::demo(&args),
        Some(Command::DemoServer(args)) => demo::server::serve(&args),
        Some(Command::Ledger(args)) => ledger::ledger(&args),
        Some(Command::Grants(args)) => grants::grants(&args),
        Some(Command::Login(args)) => login::login(&args),
        Some(Command::Reload(args)) => reload::reload(&args),
        Some(Command::Status(args)) => status::status(&args),
        Some(Command::Completions(args)) => completions::completions(&args),
        Some(Command::Man(args)) => completions::man(&args),
        Some(Command::Validate(args)) => validate::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Test(args)) => test::run(&args),
        Some(Command::Catalog(args)) => catalog::catalog(&args),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Mcp) => mcp::mcp(),
        Some(Command::Scan(args)) => scan::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Schema(args)) => schema::run(&args),
    }
}
