//! `callgate attacks run`: attacks, played and told.

use super::super::ledger::{Out, clean, to_the_end_of_a_pipe};
use super::case::Case;
use super::cases;
use super::proof::{Played, Proof, Under, Used, prove};
use crate::words::FAILED;
use anyhow::Context;
use callgate_catalog::attacks::{self, Attack};
use callgate_gateway::answer::DENIED;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Which attacks are played.
#[derive(Debug)]
pub(super) enum Which<'w> {
    /// All.
    All,
    /// Those of these ids.
    These(&'w [String]),
}

/// An attack that is played: its page and its case.
type Pair = (&'static Attack, &'static dyn Case);

/// Plays attacks and tells what came of them.
pub(super) fn run(which: &Which<'_>, policy: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let attacks = chosen(which)?;
    let policy = policy
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())));
    let policy = policy.transpose()?;
    let under = policy.as_deref().map_or(Under::Page, Under::Given);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    to_the_end_of_a_pipe(|out| {
        runtime.block_on(async {
            let mut term = signal(SignalKind::terminate())?;
            tokio::select! {
                done = play(&attacks, under, json, out) => done,
                // The folders and the processes go with the future.
                _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(FAILED)),
                _ = term.recv() => Ok(ExitCode::from(FAILED)),
            }
        })
    })
}

fn chosen(which: &Which<'_>) -> anyhow::Result<Vec<Pair>> {
    let pages: Vec<&Attack> = match which {
        Which::All => attacks::all()?.iter().collect(),
        Which::These(ids) => ids
            .iter()
            .map(|id| super::page::named(id))
            .collect::<Result<_, _>>()?,
    };
    pages
        .into_iter()
        .map(|attack| {
            let case = cases::find(attack.id);
            let case = case.with_context(|| format!("{} cannot be played in this version", attack.id))?;
            Ok((attack, case))
        })
        .collect()
}

async fn play(attacks: &[Pair], under: Under<'_>, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut went_wrong = 0;
    for (attack, case) in attacks {
        let proof = prove(*case, attack, under).await;
        let proof = proof.with_context(|| format!("{} could not be played", attack.id))?;
        if !proof.ok {
            went_wrong += 1;
        }
        if json {
            out.json(&proof)?;
        } else {
            tell(attack, &proof, out)?;
        }
        out.flush()?;
    }
    if !json && attacks.len() > 1 {
        let stopped = attacks.len() - went_wrong;
        out.line(&format!(
            "{stopped} of {} attacks went as their pages say.",
            attacks.len()
        ))?;
    }
    Ok(if went_wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

fn tell(attack: &Attack, proof: &Proof, out: &mut Out) -> anyhow::Result<()> {
    let paint = out.paint();
    out.line(&format!("{}  {}", paint.strong(attack.id), attack.title))?;
    out.line(&row("without Callgate", &played(&proof.without)))?;
    out.line(&row("with Callgate", &played(&proof.with)))?;
    for refused in &proof.refused {
        // What the reason says already is not said twice.
        let text = refused.text.strip_prefix(DENIED).unwrap_or(&refused.text).trim();
        let rule = refused.rule.as_deref().unwrap_or_default();
        let reason = paint.odd(&refused.reason);
        out.line(&row("", &format!("{} × {reason} {}", refused.count, clean(rule))))?;
        out.line(&row("", &format!("  {}", clean(text))))?;
    }
    let Used { calls, failed } = proof.ordinary;
    let used = match failed {
        0 => format!("{}, all carried out", times(calls, "call")),
        _ => format!("{}, {failed} refused or failed", times(calls, "call")),
    };
    out.line(&row("ordinary use", &used))?;
    if let Some(records) = proof.records {
        let ledger = format!("{records} records of the attack, whole, in order and signed");
        out.line(&row("ledger", &ledger))?;
    }
    if let Some(beyond) = proof.beyond {
        out.line(&row("not stopped", beyond))?;
    }
    if proof.ok {
        out.line(&row("", &paint.good("stopped")))?;
    }
    for flaw in &proof.flaws {
        out.line(&row("", &paint.bad(&clean(&flaw.to_string()))))?;
    }
    Ok(out.line("")?)
}

fn played(played: &Played) -> String {
    let Played {
        calls,
        reached_server,
        harm,
    } = played;
    let harm = harm.as_deref().map_or_else(|| "done no harm".to_owned(), clean);
    let calls = times(*calls, "call");
    format!("{calls}, {reached_server} reached the server; it has {harm}")
}

fn times(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn row(label: &str, text: &str) -> String {
    format!("  {label:<18}{text}")
}
