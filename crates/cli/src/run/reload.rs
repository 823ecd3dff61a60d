//! A policy that changes while the gate runs.
//!
//! The file is looked at by its content, twice a second: editors replace it, Kubernetes swaps a link above
//! it, and neither tells a watcher of the file. A policy that does not load leaves the one in force.

use super::policy;
use crate::args::{Reload, RunArgs};
use callgate_core::looser::{Loosening, looser};
use callgate_core::program::Program;
use callgate_gateway::Gate;
use callgate_ledger::record::{self, ReloadEffect};
use callgate_ledger::{Digest, Text};
use callgate_store::Event;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// A policy file and what was last read of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Watches the policy file for as long as the program runs, unless that was turned off.
pub(super) fn watch(args: &RunArgs, gate: Arc<Gate>, mut watched: Watched) {
    let mode = args.reload;
    if mode == Reload::Off {
        return;
    }
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            // A file that is away for a moment, as while it is being replaced, is no change.
            let Ok(text) = tokio::fs::read_to_string(&watched.path).await else {
                continue;
            };
            if text == watched.text {
                continue;
            }
            // Half a file may have been read while it was being written: it has to read the same twice.
            tokio::time::sleep(INTERVAL / 5).await;
            if tokio::fs::read_to_string(&watched.path).await.ok().as_ref() != Some(&text) {
                continue;
            }
            watched.text = text;
            take(&gate, &watched.path, &watched.text, mode);
        }
    });
}

fn take(gate: &Gate, path: &Path, text: &str, mode: Reload) {
    let before = gate.program();
    let loaded = match policy::load_text(path, text) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!("{error:#}; the policy in force stays");
            record(
                gate,
                &before,
                None,
                ReloadEffect::Rejected,
                Some("does not load".to_owned()),
            );
            return;
        }
    };
    let after = loaded.program;
    let looser = looser(&before, &after);
    let words = words(&looser);
    let effect = match (looser.is_empty(), mode) {
        (true, _) if before.digest == after.digest => ReloadEffect::Same,
        (true, _) => ReloadEffect::Tighter,
        (false, Reload::Tighten) => ReloadEffect::Waiting,
        (false, Reload::Any | Reload::Off) => ReloadEffect::Looser,
    };
    record(
        gate,
        &before,
        Some(&after),
        effect,
        (!looser.is_empty()).then(|| words.clone()),
    );
    match effect {
        ReloadEffect::Waiting => {
            tracing::warn!(
                "the policy was changed and is looser ({words}); --reload tighten keeps the old one, restart to put it in force"
            );
            return;
        }
        ReloadEffect::Looser => tracing::warn!("the policy was reloaded and is looser: {words}"),
        ReloadEffect::Tighter | ReloadEffect::Same | ReloadEffect::Rejected => {
            tracing::info!("the policy was reloaded; nothing is allowed that was not");
        }
    }
    gate.replace_program(after);
}

fn words(looser: &[Loosening]) -> String {
    looser
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn record(
    gate: &Gate,
    before: &Program,
    after: Option<&Program>,
    effect: ReloadEffect,
    reason: Option<String>,
) {
    gate.recorder().store().record(Event::Reload(record::Reload {
        effect,
        from: Some(Digest(before.digest)),
        reason: reason.as_deref().map(Text::new),
        server: Some(gate.server.as_str().into()),
        to: after.map(|program| Digest(program.digest)),
    }));
}
