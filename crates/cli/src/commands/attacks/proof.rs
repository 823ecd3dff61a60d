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
    /// How many records the attack has left in the ledger, where that verifies.
    pub(super) records: Option<u64>,
    pub(super) ordinary: Used,
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

/// Ordinary use under the same policy.
#[derive(Debug, Serialize)]
pub(super) struct Used {
    pub(super) calls: usize,
    /// Those that were refused, or failed.
    pub(super) failed: usize,
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
    let alone = attacked(case, Between::Nothing);
    let alone = alone.await.context("the attack without Callgate")?;
    let without = Played::of(case, &alone);

    let guarded = attacked(case, Between::Gate(policy));
    let guarded = guarded.await.context("the attack with Callgate")?;
    let with = Played::of(case, &guarded);
    let ledger = Ledger::of(&guarded)?;
    let mut flaws = judged(&without, &with, &ledger.refused);
    flaws.extend(ledger.flaws);
    if matches!(under, Under::Page) {
        flaws.extend(other_reasons(
            &attack.stopped_by().collect::<Vec<_>>(),
            &ledger.refused,
        ));
    }

    let mut scene = Scene::open(case, Between::Gate(policy)).await?;
    let done = case.ordinary(&mut scene).await;
    let used = scene.close().await.context("ordinary use")?;
    flaws.extend(Ledger::of(&used)?.flaws);
    flaws.extend(hindrance(&used, done.err()));

    let beyond = case.beyond().filter(|_| matches!(under, Under::Page));
    if beyond.is_some() {
        let mut scene = Scene::open(case, Between::Gate(policy)).await?;
        case.attack_beyond(&mut scene)
            .await
            .context("what the page says that it does not stop")?;
        if case.harm(&scene.close().await?.done).is_none() {
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
        ordinary: Used {
            calls: used.seen.len(),
            failed: used.seen.iter().filter(|answer| answer.is_failure()).count(),
        },
        beyond,
        flaws,
    })
}

/// Plays the attack itself.
async fn attacked(case: &dyn Case, between: Between<'_>) -> anyhow::Result<Remains> {
    let mut scene = Scene::open(case, between).await?;
    case.attack(&mut scene).await?;
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

/// What is wrong with the attack itself, without and with Callgate.
fn judged(without: &Played, with: &Played, refused: &[Refused]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    if without.harm.is_none() {
        flaws.push(Flaw::HarmlessAlone);
    }
    match &with.harm {
        Some(harm) => flaws.push(Flaw::NotStopped(harm.clone())),
        None if refused.is_empty() => flaws.push(Flaw::NothingRefused),
        None => {}
    }
    flaws
}

/// The reasons of refusals that a page does not name.
fn other_reasons(named: &[&str], refused: &[Refused]) -> Vec<Flaw> {
    let mut others: Vec<&str> = refused.iter().map(|refused| refused.reason.as_str()).collect();
    others.retain(|reason| !named.contains(reason));
    others.dedup();
    others
        .into_iter()
        .map(|reason| Flaw::OtherReason(reason.to_owned()))
        .collect()
}

/// What of ordinary use was hindered.
fn hindrance(used: &Remains, error: Option<anyhow::Error>) -> Option<Flaw> {
    let failed = used.seen.iter().find(|answer| answer.is_failure());
    if let Some(failed) = failed {
        return Some(Flaw::OrdinaryUse(format!("{}: {}", failed.tool, failed.text())));
    }
    if let Some(error) = error {
        return Some(Flaw::OrdinaryUse(error.to_string()));
    }
    let arrived = used.done.received.len();
    (arrived == 0 || arrived != used.seen.len()).then_some(Flaw::NoOrdinaryUse)
}

/// What a gate has recorded of a play.
struct Ledger {
    refused: Vec<Refused>,
    records: Option<u64>,
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
                    records: None,
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
            records: Some(report.records()),
            flaws,
        })
    }
}

fn count(report: &Report, kind: Kind) -> u64 {
    let counted = report.kinds.iter().find(|(of, _)| *of == kind);
    counted.map_or(0, |(_, count)| *count)
}

/// The refusals of a ledger by reason and rule, each with the words that the agent got for the first of them. Those that
/// were counted and not recorded one by one count under the last rule that refused for their reason.
fn refused(reader: &Reader, seen: &[Answer]) -> anyhow::Result<Vec<Refused>> {
    let mut all: Vec<Refused> = Vec::new();
    for entry in reader.entries(0) {
        let (reason, rule, count, tool) = match entry?.record()?.body {
            Body::Denial(body) => (body.reason, body.rule, 1, body.tool),
            Body::Malformed(body) => (body.reason, None, 1, None),
            Body::AuthFailure(body) => (body.reason, None, 1, None),
            Body::Suppressed(body) if body.of != SuppressedKind::Drop => {
                let Some(reason) = body.reason else { continue };
                let of_reason = |refused: &&mut Refused| refused.reason == reason.to_string();
                if let Some(last) = all.iter_mut().rfind(of_reason) {
                    last.count += body.count.get();
                }
                continue;
            }
            Body::Suppressed(_)
            | Body::Intent(_)
            | Body::Outcome(_)
            | Body::Start(_)
            | Body::Stop(_)
            | Body::Reload(_)
            | Body::Late(_)
            | Body::TaskEnd(_)
            | Body::Drop(_)
            | Body::List(_)
            | Body::GrantChange(_) => continue,
        };
        let (reason, rule) = (reason.to_string(), rule.map(|rule| rule.to_string()));
        let same = |refused: &&mut Refused| refused.reason == reason && refused.rule == rule;
        if let Some(known) = all.iter_mut().find(same) {
            known.count += count;
            continue;
        }
        // What could not be read has no tool, and is told by its own reason.
        let told = seen
            .iter()
            .filter(|answer| answer.is_refused())
            .find(|answer| match &tool {
                // Where all servers are one, the caller's name of it has the server's before it.
                Some(tool) => answer.tool.ends_with(tool.as_str()) && answer.rule() == rule.as_deref(),
                None => answer.reason().is_none_or(|told| told == reason),
            });
        all.push(Refused {
            text: told.map(|answer| answer.text().to_owned()).unwrap_or_default(),
            reason,
            rule,
            count,
        });
    }
    all.sort_by(|one, other| (&one.reason, &one.rule).cmp(&(&other.reason, &other.rule)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(harm: Option<&str>) -> Played {
        Played {
            calls: 1,
            reached_server: 1,
            harm: harm.map(str::to_owned),
        }
    }

    fn refusal(reason: &str) -> Refused {
        Refused {
            reason: reason.to_owned(),
            rule: None,
            count: 1,
            text: String::new(),
        }
    }

    #[test]
    fn only_harm_that_was_done_and_then_refused_proves_anything() {
        let refused = [refusal("rate_limited")];
        let (harm, none) = (play(Some("paid")), play(None));
        assert_eq!(judged(&harm, &none, &refused), []);
        assert_eq!(judged(&none, &none, &refused), [Flaw::HarmlessAlone]);
        assert_eq!(judged(&harm, &none, &[]), [Flaw::NothingRefused]);
        let through = Flaw::NotStopped("paid".to_owned());
        assert_eq!(judged(&harm, &harm, &refused), [through]);
    }

    #[test]
    fn a_refusal_for_a_reason_that_the_page_does_not_name_is_a_flaw() {
        let refused = ["hidden", "rate_limited", "rate_limited"].map(refusal);
        assert_eq!(other_reasons(&["hidden", "rate_limited"], &refused), []);
        assert_eq!(
            other_reasons(&["hidden"], &refused),
            [Flaw::OtherReason("rate_limited".to_owned())]
        );
    }
}
