//! `callgate`: the call gate between AI agents and MCP servers.

mod admin;
mod args;
mod commands;
mod config;
mod log;
mod reference;
mod run;
mod serve;
mod traces;
mod upstream;
mod words;

/// A call's memory is taken by one thread and given back by another, which the system's allocator pays for
/// with a contended lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
