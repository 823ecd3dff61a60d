//! `callgate reload`: a gateway that runs reads its configuration anew, at once.

use super::ledger::to_the_end_of_a_pipe;
use crate::admin::{AdminArgs, gateway};
use crate::run::state_dir;
use anyhow::Context;
use callgate_console::view::Reloaded;
use clap::Args;
use http::Method;
use std::path::PathBuf;
use std::process::ExitCode;

const NONE: Option<&()> = None;

/// What `reload` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate reload
  callgate reload --admin 127.0.0.1:8701 --admin-token-file admin-token

A gateway looks at its files twice a second by itself; this says when they are in force, or why they are not.

Exit codes: 0 the configuration is in force; 1 what was in force stays, or no gateway was asked.")]
pub(crate) struct ReloadArgs {
    /// The folder of limits and ledger [default: $XDG_STATE_HOME/callgate or ~/.local/state/callgate]
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR")]
    state_dir: Option<PathBuf>,

    #[command(flatten)]
    admin: AdminArgs,
}

/// Has the configuration read, and tells what came of it.
pub(super) fn reload(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    let dir = state_dir(args.state_dir.as_deref())?;
    let gateway = gateway(&dir, &args.admin)?.with_context(|| {
        format!(
            "no gateway with an admin API runs on {}; `admin` in its configuration opens one",
            dir.display()
        )
    })?;
    let reloaded: Reloaded = gateway.tell(Method::POST, "/v1/reload", NONE)?;
    to_the_end_of_a_pipe(|out| {
        out.line(&reloaded.message)?;
        Ok(ExitCode::SUCCESS)
    })
}
