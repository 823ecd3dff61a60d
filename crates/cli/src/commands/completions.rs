//! `callgate completions` and `callgate man`: what shells and `man` read, made from the definition of the command line.

use super::ledger::to_the_end_of_a_pipe;
use crate::args::Cli;
use anyhow::Context;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `completions` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate completions bash > ~/.local/share/bash-completion/completions/callgate
  callgate completions zsh > ~/.zfunc/_callgate
  callgate completions fish > ~/.config/fish/completions/callgate.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell that is to complete
    #[arg(value_enum)]
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate man | man -l -
  callgate man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// A folder for the pages of all subcommands; without one, the main page goes to stdout
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "callgate", &mut script);
    to_the_end_of_a_pipe(|out| {
        out.bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints the manual's main page, or writes all pages.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return to_the_end_of_a_pipe(|out| {
            out.bytes(&page)?;
            Ok(ExitCode::SUCCESS)
        });
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| format!("cannot write the manual to {}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
