//! `callgate`: the call gate between AI agents and MCP servers.

mod args;
mod commands;
mod run;
mod words;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            words::complain(&error);
            ExitCode::from(words::FAILED)
        }
    }
}
