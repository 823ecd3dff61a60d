//! The proof of an attack: played without Callgate it does harm, played with it it does not, for the reason that its
//! page gives, and ordinary use goes on.

use super::super::ledger::verify_folder;
use super::caller::Answer;
use super::case::Case;
use super::scene::{Between, Remains, Scene};
use anyhow::Context;
use callgate_catalog::attacks::Attack;
use callgate_ledger::record::SuppressedKind;
use callgate_ledger::{Body, Kind, Report};
use callgate_store::Reader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Under which policy an attack is played.
#[derive(Debug, Clone, Copy)]
pub(super) enum Under<'p> {
    /// That of its page, which says by which reasons it is stopped, and what is not.
    Page,
    /// Another.
    Given(&'p str),
}

/// What came of an attack.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    pub(super) id: &'static str,
    /// Whether all went as the page says.
    pub(super) ok: bool,
    pub(super) without: Played,
    pub(super) with: Played,
    pub(super) refused: Vec<Refused>,
    /// The records of the ledger, which was verified.
    pub(super) records: u64,
    /// The calls of ordinary use.
    pub(super) ordinary: usize,
    /// What the page says that it does not stop, where that was played too.
    pub(super) beyond: Option<&'static str>,
    pub(super) flaws: Vec<Flaw>,
}

/// One time that an attack was played.
#[derive(Debug, Serialize)]
pub(super) struct Played {
    pub(super) calls: usize,
    pub(super) reached_server: usize,
    pub(super) harm: Option<String>,
}

/// Calls that the gate refused for one reason, as the ledger has them.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) rule: Option<String>,
    pub(super) count: u64,
    /// What the agent was told.
    pub(super) text: String,
}

/// Why an attack did not go as its page says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It does no harm where nothing stops it, so that stopping it proves nothing.
    HarmlessAlone,
    /// It was not stopped.
    NotStopped(String),
    /// It did no harm, and Callgate refused nothing.
    NothingRefused,
    /// It was refused for a reason that the page does not name.
    OtherReason(String),
    /// A call of ordinary use was refused or failed.
    OrdinaryUse(String),
    /// Ordinary use did not reach the server.
    NoOrdinaryUse,
    /// The ledger does not agree with what was seen.
    Ledger(String),
    /// What the page says that it does not stop does no harm.
    HarmlessBeyond,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HarmlessAlone => f.write_str("without Callgate it did no harm, so that nothing is proved"),
            Self::NotStopped(harm) => write!(f, "it was not stopped: the server has {harm}"),
            Self::NothingRefused => {
                f.write_str("it did no harm with Callgate, but Callgate has refused nothing")
            }
            Self::OtherReason(reason) => {
                write!(f, "it was refused as `{reason}`, which its page does not name")
            }
            Self::OrdinaryUse(text) => write!(f, "ordinary use is hindered: {text}"),
            Self::NoOrdinaryUse => f.write_str("ordinary use did not reach the server"),
            Self::Ledger(words) => write!(f, "the ledger is wrong: {words}"),
            Self::HarmlessBeyond => f.write_str("what its page says that it does not stop did no harm"),
        }
    }
}

impl Serialize for Flaw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Plays an attack each way.
pub(super) async fn prove(
    case: &dyn Case,
    attack: &'static Attack,
    under: Under<'_>,
) -> anyhow::Result<Proof> {
    let policy = match under {
        Under::Page => attack.policy(),
        Under::Given(policy) => policy,
    };
    let mut flaws = Vec::new();
    let alone = played(case, Between::Nothing, Part::Attack);
    let alone = alone.await.context("the attack without Callgate")?;
    let without = Played::of(case, &alone);
    if without.harm.is_none() {
        flaws.push(Flaw::HarmlessAlone);
    }

    let guarded = played(case, Between::Gate(policy), Part::Attack);
    let guarded = guarded.await.context("the attack with Callgate")?;
    let with = Played::of(case, &guarded);
    let ledger = Ledger::of(&guarded)?;
    flaws.extend(ledger.flaws);
    match &with.harm {
        Some(harm) => flaws.push(Flaw::NotStopped(harm.clone())),
        None if ledger.refused.is_empty() => flaws.push(Flaw::NothingRefused),
        None => {}
    }
    if matches!(under, Under::Page) {
        flaws.extend(other_reasons(attack, &ledger.refused));
    }

    let used = played(case, Between::Gate(policy), Part::Ordinary);
    let used = used.await.context("ordinary use")?;
    flaws.extend(Ledger::of(&used)?.flaws);
    flaws.extend(hindrance(&used));

    let beyond = case.beyond().filter(|_| matches!(under, Under::Page));
    if beyond.is_some() {
        let beyond = played(case, Between::Gate(policy), Part::Beyond);
        let beyond = beyond.await.context("what the page says that it does not stop")?;
        if case.harm(&beyond.done).is_none() {
            flaws.push(Flaw::HarmlessBeyond);
        }
    }
    Ok(Proof {
        id: attack.id,
        ok: flaws.is_empty(),
        without,
        with,
        refused: ledger.refused,
        records: ledger.records,
        ordinary: used.seen.len(),
        beyond,
        flaws,
    })
}

/// What is played.
#[derive(Debug, Clone, Copy)]
enum Part {
    Attack,
    Ordinary,
    Beyond,
}

async fn played(case: &dyn Case, between: Between<'_>, part: Part) -> anyhow::Result<Remains> {
    let mut scene = Scene::open(case, between).await?;
    match part {
        Part::Attack => case.attack(&mut scene).await?,
        Part::Ordinary => case.ordinary(&mut scene).await?,
        Part::Beyond => case.attack_beyond(&mut scene).await?,
    }
    scene.close().await
}

impl Played {
    fn of(case: &dyn Case, remains: &Remains) -> Self {
        Self {
            calls: remains.seen.len(),
            reached_server: remains.done.received.len(),
            harm: case.harm(&remains.done),
        }
    }
}

fn other_reasons(attack: &Attack, refused: &[Refused]) -> Vec<Flaw> {
    refused
        .iter()
        .filter(|refused| attack.stopped_by().all(|named| named != refused.reason))
        .map(|refused| Flaw::OtherReason(refused.reason.clone()))
        .collect()
}

/// What of ordinary use was hindered.
fn hindrance(used: &Remains) -> Option<Flaw> {
    let failed = used.seen.iter().find(|answer| answer.is_failure());
    if let Some(failed) = failed {
        return Some(Flaw::OrdinaryUse(format!("{}: {}", failed.tool, failed.text())));
    }
    let arrived = used.done.received.len();
    (arrived == 0 || arrived != used.seen.len()).then_some(Flaw::NoOrdinaryUse)
}

/// What a gate has recorded of a play.
struct Ledger {
    refused: Vec<Refused>,
    records: u64,
    flaws: Vec<Flaw>,
}

impl Ledger {
    /// Verifies it, and compares it with what the server received and what the agent saw.
    fn of(remains: &Remains) -> anyhow::Result<Self> {
        let reader = Reader::open(&remains.state_folder())?;
        let report = match verify_folder(&reader)? {
            Ok(report) => report,
            Err(words) => {
                return Ok(Self {
                    refused: Vec::new(),
                    records: 0,
                    flaws: vec![Flaw::Ledger(words)],
                });
            }
        };
        let refused = refused(&reader, &remains.seen)?;
        let mut flaws = Vec::new();
        let received = u64::try_from(remains.done.received.len())?;
        let intents = count(&report, Kind::Intent);
        if intents != received || count(&report, Kind::Outcome) != intents || !report.open.is_empty() {
            flaws.push(Flaw::Ledger(format!(
                "{received} calls reached the server, {intents} are in the ledger, {} of them with an outcome",
                count(&report, Kind::Outcome)
            )));
        }
        let told = remains.seen.iter().filter(|answer| answer.is_refused());
        let told = u64::try_from(told.count())?;
        let recorded: u64 = refused.iter().map(|refused| refused.count).sum();
        if recorded != told {
            flaws.push(Flaw::Ledger(format!(
                "{told} calls were refused, {recorded} refusals are in the ledger"
            )));
        }
        Ok(Self {
            refused,
            records: report.records(),
            flaws,
        })
    }
}

fn count(report: &Report, kind: Kind) -> u64 {
    let counted = report.kinds.iter().find(|(of, _)| *of == kind);
    counted.map_or(0, |(_, count)| *count)
}

/// The refusals of a ledger by reason and rule, each with the words that the agent got. Those that were counted and
/// not recorded one by one count under the rule of the last one that was.
fn refused(reader: &Reader, seen: &[Answer]) -> anyhow::Result<Vec<Refused>> {
    let mut counts: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    for entry in reader.entries(0) {
        let (reason, rule, count) = match entry?.record()?.body {
            Body::Denial(body) => (body.reason, body.rule.map(|rule| rule.to_string()), 1),
            Body::Malformed(body) => (body.reason, None, 1),
            Body::AuthFailure(body) => (body.reason, None, 1),
            Body::Suppressed(body) if body.of != SuppressedKind::Drop => {
                let Some(reason) = body.reason else { continue };
                let of_reason = |(known, _): &&(String, Option<String>)| *known == reason.to_string();
                let rule = counts.keys().rfind(of_reason).and_then(|(_, rule)| rule.clone());
                (reason, rule, body.count.get())
            }
            _ => continue,
        };
        *counts.entry((reason.to_string(), rule)).or_default() += count;
    }
    let words = |reason: &str, rule: Option<&str>| {
        let answers = || seen.iter().filter(|answer| answer.is_refused());
        let by_both = answers().find(|answer| answer.rule() == rule && answer.reason() == Some(reason));
        let by_rule = || answers().find(|answer| answer.rule() == rule);
        by_both
            .or_else(by_rule)
            .map(|answer| answer.text().to_owned())
            .unwrap_or_default()
    };
    Ok(counts
        .into_iter()
        .map(|((reason, rule), count)| Refused {
            text: words(&reason, rule.as_deref()),
            reason,
            rule,
            count,
        })
        .collect())
}
