//! A policy that changes while the gate runs.
//!
//! The file is looked at by its content, twice a second: editors replace it, Kubernetes swaps a link above
//! it, and neither tells a watcher of the file. A policy that does not load leaves the one in force.

use super::policy::PolicyFile;
use super::setup::in_force;
use crate::args::Reload;
use anyhow::Context as _;
use callgate_core::looser::{Loosening, looser};
use callgate_core::name::ServerName;
use callgate_core::program::Program;
use callgate_gateway::Gate;
use callgate_gateway::gate::PolicySlot;
use callgate_ledger::record::{self, ReloadEffect};
use callgate_ledger::{Digest, Text};
use callgate_store::{Event, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Where a policy that is read anew goes.
pub(super) struct Target {
    pub(super) slot: Arc<PolicySlot>,
    pub(super) store: Arc<Store>,
    pub(super) mode: Reload,
    /// The server that it is for.
    pub(super) server: ServerName,
}

/// Watches the policy file, unless that was turned off, and compares each policy with the server's tools, for
/// as long as the program runs.
pub(super) fn watch(target: Target, gate: &Gate, mut policy: PolicyFile) {
    let mode = target.mode;
    let mut lists = gate.lists();
    tokio::spawn(async move {
        // What was last read, in force or not.
        let mut seen = policy.text.clone().into_bytes();
        // Kept across listings, which would otherwise put the next look off for good.
        let mut next = Box::pin(next_content(policy.path.clone(), seen.clone()));
        loop {
            tokio::select! {
                changed = lists.changed() => match changed {
                    Ok(()) => policy.compare(&lists.borrow_and_update()),
                    Err(_) => return,
                },
                content = &mut next, if mode != Reload::Off => {
                    seen.clone_from(&content);
                    next.set(next_content(policy.path.clone(), seen.clone()));
                    if let Some(taken) = take(&target, &policy.path, content).await {
                        policy = taken;
                        policy.compare(&lists.borrow());
                    }
                }
            }
        }
    });
}

/// Waits until the file holds other bytes than `seen`, whether they are text or not.
async fn next_content(path: PathBuf, seen: Vec<u8>) -> Vec<u8> {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // A file that is away for a moment, as while it is being replaced, is no change.
        let Ok(content) = tokio::fs::read(&path).await else {
            continue;
        };
        if content == seen {
            continue;
        }
        // Half a file may have been read while it was being written: it has to read the same twice.
        tokio::time::sleep(INTERVAL / 5).await;
        if tokio::fs::read(&path).await.is_ok_and(|again| again == content) {
            return content;
        }
    }
}

/// Puts a changed policy in force, or leaves the one that is; either is recorded.
async fn take(target: &Target, path: &Path, content: Vec<u8>) -> Option<PolicyFile> {
    let before = target.slot.program();
    let policy = match compile(path.to_owned(), content).await {
        Ok(policy) => policy,
        Err(error) => {
            tracing::error!("{error:#}; the policy in force stays");
            let rejected = reload(
                target,
                &before,
                None,
                ReloadEffect::Rejected,
                Some("does not load"),
            );
            target.store.record(Event::Reload(rejected));
            return None;
        }
    };
    let after = &policy.loaded.program;
    let looser = looser(&before, after);
    let words = words(&looser);
    let effect = match (looser.is_empty(), target.mode) {
        (true, _) if before.digest == after.digest => ReloadEffect::Same,
        (true, _) => ReloadEffect::Tighter,
        (false, Reload::Tighten) => ReloadEffect::Waiting,
        (false, Reload::Any | Reload::Off) => ReloadEffect::Looser,
    };
    let reason = (!looser.is_empty()).then_some(words.as_str());
    let record = reload(target, &before, Some(after), effect, reason);
    if effect == ReloadEffect::Waiting {
        target.store.record(Event::Reload(record));
        tracing::warn!(
            "the policy was changed and is looser ({words}); --reload tighten keeps the old one, restart to put it in force"
        );
        return None;
    }
    put_in_force(target, after, record).await?;
    if effect == ReloadEffect::Looser {
        tracing::warn!("the policy was reloaded and is looser: {words}");
    } else {
        tracing::info!("the policy was reloaded; nothing is allowed that was not");
    }
    Some(policy)
}

/// Compiles a policy apart from the threads that serve: a large one takes long.
async fn compile(path: PathBuf, content: Vec<u8>) -> anyhow::Result<PolicyFile> {
    let compiled = tokio::task::spawn_blocking(move || {
        let text = String::from_utf8(content)
            .map_err(|_| anyhow::anyhow!("the policy {} is not UTF-8 text", path.display()))?;
        PolicyFile::compile(&path, text)
    });
    compiled.await.context("the policy could not be compiled")?
}

/// Puts a policy in force once the store knows it; `None` where the gate ends before that.
async fn put_in_force(target: &Target, program: &Program, record: record::Reload) -> Option<()> {
    loop {
        let policies = vec![in_force(&target.server, program)];
        match target.store.reload(policies, vec![record.clone()]).await {
            Ok(()) => break,
            Err(StoreError::Closed) => return None,
            // Until the store can be written again every call is denied, so nothing passes by the old one.
            Err(StoreError::Unavailable(_) | StoreError::Unreadable(_)) => tokio::time::sleep(INTERVAL).await,
        }
    }
    target.slot.replace(Arc::new(program.clone()));
    Some(())
}

fn words(looser: &[Loosening]) -> String {
    looser
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn reload(
    target: &Target,
    before: &Program,
    after: Option<&Program>,
    effect: ReloadEffect,
    reason: Option<&str>,
) -> record::Reload {
    record::Reload {
        effect,
        from: Some(Digest(before.digest)),
        reason: reason.map(Text::new),
        server: Some(target.server.as_str().into()),
        to: after.map(|program| Digest(program.digest)),
    }
}
