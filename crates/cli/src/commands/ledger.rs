//! `callgate ledger`: reading, proving and checking what was recorded.

mod export;
mod find;
pub(super) mod line;
mod out;
mod progress;
mod prove;
mod prune;
mod search;
mod show;
mod tail;
pub(super) mod time;
mod verify;

pub(super) use find::{Call, first_since};
pub(super) use out::{Out, Paint, clean, to_the_end_of_a_pipe};
pub(super) use progress::Progress;
pub(super) use verify::whole_folder as verify_folder;

use crate::run::state_dir;
use anyhow::Context;
use callgate_store::Reader;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it could not be done; 2 it was checked and something is wrong.";

const EXAMPLES: &str = "\
Examples:
  What happened last, and what happens:
    callgate ledger tail --follow

  What was refused since yesterday noon:
    callgate ledger search --kind denial --since 2026-11-20T12:00

  Whether anything was changed since a checkpoint that lies elsewhere:
    callgate ledger verify --checkpoint kept/checkpoints.txt --key \"$(cat kept/key.txt)\"

  Proof of one call, and its check by someone who has no ledger:
    callgate ledger prove 42 > receipt.json
    callgate ledger verify --receipt receipt.json --key \"$(cat kept/key.txt)\"

Exit codes: 0 done; 1 it could not be done; 2 it was checked and something is wrong.";

/// Where the ledger is, and how it is shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,

    #[command(flatten)]
    source: Source,
}

/// What all subcommands share.
#[derive(Debug, Args)]
struct Source {
    /// The folder of limits and ledger [default: $XDG_STATE_HOME/callgate or ~/.local/state/callgate]
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR", global = true)]
    state_dir: Option<PathBuf>,

    /// Print JSON: one value a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Show the newest records, and with --follow those that come
    #[command(after_help = EXIT_CODES)]
    Tail(tail::TailArgs),
    /// Find calls and other records
    #[command(after_help = EXIT_CODES)]
    Search(search::SearchArgs),
    /// Show all that is kept of one call or record
    #[command(after_help = EXIT_CODES)]
    Show(find::Which),
    /// Print a receipt: proof that a call or record stands in the log
    #[command(after_help = EXIT_CODES)]
    Prove(find::Which),
    /// Check that nothing was changed, dropped or inserted; names the first record that is wrong
    #[command(after_help = verify::EXPLAINED)]
    Verify(verify::VerifyArgs),
    /// Print the whole log as JSON Lines that a stranger can verify
    #[command(after_help = EXIT_CODES)]
    Export,
    /// Print the key that checks this ledger's checkpoints; keep it elsewhere
    #[command(after_help = EXIT_CODES)]
    Key,
    /// Move old records to files that still verify
    #[command(after_help = prune::EXPLAINED)]
    Prune(prune::PruneArgs),
}

impl Source {
    fn dir(&self) -> anyhow::Result<PathBuf> {
        state_dir(self.state_dir.as_deref())
    }

    fn open(&self) -> anyhow::Result<Reader> {
        Ok(Reader::open(&self.dir()?)?)
    }
}

/// Does what was asked of the ledger.
pub(super) fn ledger(args: &LedgerArgs) -> anyhow::Result<ExitCode> {
    let source = &args.source;
    to_the_end_of_a_pipe(|out| match &args.command {
        LedgerCommand::Tail(args) => tail::tail(args, &source.open()?, source.json, out),
        LedgerCommand::Search(args) => search::search(args, &source.open()?, source.json, out),
        LedgerCommand::Show(which) => show::show(which, &source.open()?, source.json, out),
        LedgerCommand::Prove(which) => prove::prove(which, &source.open()?, out),
        LedgerCommand::Verify(args) => verify::verify(args, source, out),
        LedgerCommand::Export => export::export(&source.open()?, out),
        LedgerCommand::Prune(args) => prune::prune(args, &source.dir()?, source.json, out),
        LedgerCommand::Key => key(&source.open()?, source.json, out),
    })
}

fn key(reader: &Reader, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let keys = export::keys(reader)?;
    let newest = keys.first().context(
        "no checkpoint has been signed yet; a gate signs the first one a second after its first call",
    )?;
    if json {
        let all: Vec<String> = keys.iter().map(ToString::to_string).collect();
        out.json(&serde_json::json!({ "origin": reader.origin()?, "key": newest.to_string(), "keys": all }))?;
    } else {
        for key in &keys {
            out.line(&key.to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
