//! `callgate ledger prune`: old records move to a file that still verifies.

use super::out::Out;
use super::time::{Since, since};
use anyhow::Context;
use callgate_core::limit::StoreTime;
use clap::Args;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXPLAINED: &str = "\
Moved is what signed checkpoints cover; the newest record always stays. Gates may run meanwhile. The file is \
checked and on disk before anything is taken out; `callgate ledger verify --export FILE` checks it again. \
Recorded argument values of calls that are moved are erased.

Exit codes: 0 done, also where nothing was old enough; 1 it could not be done, and every record is where it was.";

/// What `prune` takes.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Records from before then: 90d ago, or a date of UTC such as 2026-11-21
    #[arg(long, value_name = "TIME", value_parser = since)]
    before: Since,

    /// The folder of the files that records are moved to [default: `archive` in the state folder]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(crate) fn prune(args: &PruneArgs, state: &Path, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let archive = args.to.clone().unwrap_or_else(|| state.join("archive"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&archive)
        .with_context(|| format!("cannot make the folder {}", archive.display()))?;
    let before = StoreTime(args.before.micros().0.saturating_mul(1_000));
    let moved = callgate_store::prune(state, before, &archive)?;
    if json {
        let told = moved.map(|archive| {
            let (first, end) = (archive.records.start, archive.records.end);
            serde_json::json!({ "path": archive.path, "first": first, "size": end })
        });
        out.json(&serde_json::json!({ "moved": told }))?;
        return Ok(ExitCode::SUCCESS);
    }
    out.line(&match moved {
        Some(archive) => format!(
            "moved records {} to {} to {}",
            archive.records.start,
            archive.records.end.saturating_sub(1),
            archive.path.display()
        ),
        None => "nothing was old enough, or signed already; nothing was moved".to_owned(),
    })?;
    Ok(ExitCode::SUCCESS)
}
