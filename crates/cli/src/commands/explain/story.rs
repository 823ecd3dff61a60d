//! How a call was judged, as a value: what `explain` prints, and what a failing test shows.

mod written;

use super::value;
use callgate_core::amount::Amount;
use callgate_core::call::{Call, OtherCall, Scene};
use callgate_core::condition::Truth;
use callgate_core::decide::{self, Leaf, MethodClass, Recorder, Step, decide_method_traced, decide_traced};
use callgate_core::decision::{Admission, Decision};
use callgate_core::limit::{
    Counters, LimitKey, Measure, Reservation, ScopeValue, StoreTime, Verdict, admit, cutoff, period,
};
use callgate_core::name::RuleId;
use callgate_core::program::Mode;
use callgate_core::refusal::Refusal;
use callgate_policy::Loaded;
use callgate_policy::tree::Node;
use serde::Serialize;
use std::time::Duration;
use written::Written;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Tool(Call<'a>),
    Method(OtherCall<'a>),
}

impl<'a> Subject<'a> {
    pub(crate) const fn scene(&self) -> Scene<'a> {
        match self {
            Self::Tool(call) => call.scene,
            Self::Method(call) => call.scene,
        }
    }
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Allow,
    Deny,
}

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Story {
    /// The tool or method.
    pub(crate) subject: String,
    pub(crate) decision: Outcome,
    /// What denied the call.
    pub(crate) denial: Option<Denial>,
    /// What rules in shadow mode would have denied.
    pub(crate) shadow: Vec<Denial>,
    /// The rules in the order in which they were judged.
    pub(crate) rules: Vec<RuleStory>,
    pub(crate) limits: Vec<LimitStory>,
    /// What the call took, for whoever plays on.
    #[serde(skip)]
    pub(crate) taken: Taken,
}

/// What an admitted call took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// The keys of its places among the calls in flight.
    pub(crate) places: Vec<LimitKey>,
}

/// A rule, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// A JSON Pointer into the policy.
    pub(crate) pointer: String,
    pub(crate) name: Option<String>,
    pub(crate) line: Option<usize>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Denial {
    /// `None` where no rule decided.
    pub(crate) rule: Option<Place>,
    /// The stable reason code, as the ledger has it.
    pub(crate) reason: &'static str,
    /// What the agent is told.
    pub(crate) told: String,
    /// Seconds until another try may pass.
    #[serde(serialize_with = "seconds")]
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RuleStory {
    pub(crate) rule: Place,
    pub(crate) asked: Asked,
    pub(crate) decision: RuleOutcome,
    pub(crate) conditions: Vec<ConditionStory>,
}

/// What a rule asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    Validate,
    Deny,
    Require,
    DenyIf,
    Approval,
    Limit,
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleOutcome {
    Pass,
    Deny,
    /// It would have denied, and is in shadow mode.
    Shadow,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConditionStory {
    /// The path and operator, or `when`.
    pub(crate) asked: String,
    /// What the policy compares with, as it is written.
    pub(crate) wanted: Option<String>,
    /// What the call has there.
    pub(crate) value: Option<String>,
    pub(crate) truth: TruthWord,
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TruthWord {
    True,
    False,
    Missing,
    Error,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct LimitStory {
    pub(crate) rule: Place,
    pub(crate) counter: String,
    /// The argument that is summed, where it is no count of calls.
    pub(crate) sums: Option<String>,
    /// Whose calls share it.
    pub(crate) scope: String,
    /// `per minute`.
    pub(crate) period: String,
    /// `calls`, or `sum` of an argument, or `in flight`.
    pub(crate) counts: &'static str,
    #[serde(serialize_with = "amount")]
    pub(crate) before: Amount,
    #[serde(serialize_with = "amount")]
    pub(crate) takes: Amount,
    /// After this call; the same as before where it is denied.
    #[serde(serialize_with = "amount")]
    pub(crate) after: Amount,
    #[serde(serialize_with = "some_amount")]
    pub(crate) max: Option<Amount>,
    #[serde(serialize_with = "some_amount")]
    pub(crate) min: Option<Amount>,
}

fn amount<S: serde::Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

fn some_amount<S: serde::Serializer>(amount: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.collect_str(amount),
        None => serializer.serialize_none(),
    }
}

fn seconds<S: serde::Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    wait.map(|wait| wait.as_secs_f64()).serialize(serializer)
}

/// Judges a call, takes what it takes from `counters` where it passes, and tells how.
pub(crate) fn tell<C: Counters>(
    loaded: &Loaded,
    subject: &Subject<'_>,
    counters: &mut C,
    now: StoreTime,
) -> Result<Story, C::Error> {
    let mut recorder = Recorder::default();
    let (name, decision) = match subject {
        Subject::Tool(call) => (call.tool, decide_traced(&loaded.program, call, &mut recorder)),
        Subject::Method(call) => {
            let class = if callgate_wire::mcp::is_housekeeping(call.method) {
                MethodClass::Housekeeping
            } else {
                MethodClass::Other
            };
            let decision = decide_method_traced(&loaded.program, call, class, &mut recorder);
            (call.method, decision)
        }
    };
    let teller = Teller { loaded, subject };
    let mut story = Story {
        subject: name.to_owned(),
        decision: Outcome::Deny,
        denial: None,
        shadow: Vec::new(),
        rules: Vec::new(),
        limits: Vec::new(),
        taken: Taken::default(),
    };
    match decision {
        Decision::Deny(refusal) => story.denial = Some(teller.denial(&refusal, &recorder)),
        Decision::Admit(admission) => teller.admission(&mut story, &admission, counters, now, &recorder)?,
    }
    let denied_by = story.denial.as_ref().and_then(|denial| denial.rule.as_ref());
    let shadowed: Vec<&Place> = story
        .shadow
        .iter()
        .filter_map(|denial| denial.rule.as_ref())
        .collect();
    // Rules that refused when they were asked, before any limit was counted.
    let own_refusals: Vec<&RuleId> = recorder
        .steps
        .iter()
        .filter(|step| step.refused.is_some())
        .map(|step| &step.rule)
        .collect();
    story.rules = recorder
        .steps
        .iter()
        .map(|step| teller.rule(step, denied_by, &shadowed, &own_refusals))
        .collect();
    Ok(story)
}

struct Teller<'a> {
    loaded: &'a Loaded,
    subject: &'a Subject<'a>,
}

impl Teller<'_> {
    /// The limits are asked last, all of them together.
    fn admission<C: Counters>(
        &self,
        story: &mut Story,
        admission: &Admission,
        counters: &mut C,
        now: StoreTime,
        recorder: &Recorder,
    ) -> Result<(), C::Error> {
        for refusal in &admission.shadow {
            story.shadow.push(self.denial(refusal, recorder));
        }
        for reservation in &admission.reservations {
            let used = counters
                .totals(&reservation.key, cutoff(reservation.window, now))?
                .used;
            story.limits.push(self.limit(reservation, used, recorder));
        }
        for slot in &admission.slots {
            let used = Amount::units(u64::from(counters.in_flight(&slot.key)?));
            story.limits.push(LimitStory {
                rule: self.place(&slot.rule, recorder),
                counter: slot.key.counter.to_string(),
                sums: None,
                scope: scope_words(&slot.key),
                period: "at once".to_owned(),
                counts: "in flight",
                before: used,
                takes: Amount::ONE,
                after: used,
                max: Some(Amount::units(u64::from(slot.max))),
                min: None,
            });
        }
        match admit(counters, now, &admission.reservations, &admission.slots)? {
            Verdict::Refused(refusal) => story.denial = Some(self.denial(&refusal, recorder)),
            Verdict::Admitted { shadow, .. } => {
                story.decision = Outcome::Allow;
                for refusal in &shadow {
                    story.shadow.push(self.denial(refusal, recorder));
                }
                for limit in &mut story.limits {
                    limit.after = limit.before.plus(limit.takes).unwrap_or(Amount::MAX);
                }
                story.taken = Taken {
                    places: admission
                        .slots
                        .iter()
                        .filter(|slot| {
                            let refused = shadow.iter().any(|refusal| refusal.rule == slot.rule);
                            slot.mode == Mode::Enforce || !refused
                        })
                        .map(|slot| slot.key.clone())
                        .collect(),
                };
            }
        }
        Ok(())
    }

    fn limit(&self, reservation: &Reservation, used: Amount, recorder: &Recorder) -> LimitStory {
        LimitStory {
            rule: self.place(&reservation.rule, recorder),
            counter: reservation.key.counter.to_string(),
            sums: match reservation.measure {
                Measure::Calls => None,
                Measure::Sum => self.summed(&reservation.rule),
            },
            scope: scope_words(&reservation.key),
            period: period(reservation.window),
            counts: match reservation.measure {
                Measure::Calls => "calls",
                Measure::Sum => "sum",
            },
            before: used,
            takes: reservation.amount,
            after: used,
            max: reservation.max,
            min: reservation.min,
        }
    }

    /// The argument that a limit sums, as the policy spells it.
    fn summed(&self, rule: &RuleId) -> Option<String> {
        let node = self.node(rule)?;
        let in_state = || node.get("state").and_then(|state| state.get("increment_from"));
        let path = node.get("amount").or_else(in_state)?;
        path.text().map(str::to_owned)
    }

    fn denial(&self, refusal: &Refusal, recorder: &Recorder) -> Denial {
        Denial {
            rule: (!refusal.rule.as_str().is_empty()).then(|| self.place(&refusal.rule, recorder)),
            reason: refusal.reason.code(),
            told: refusal.text.to_string(),
            retry_after: refusal.retry_after,
        }
    }

    fn place(&self, rule: &RuleId, recorder: &Recorder) -> Place {
        let named = recorder.steps.iter().find(|step| step.rule == *rule);
        Place {
            pointer: rule.to_string(),
            name: named.and_then(|step| step.name.as_deref()).map(str::to_owned),
            line: self.node(rule).map(|node| node.span.line),
        }
    }

    fn node(&self, rule: &RuleId) -> Option<&Node> {
        self.loaded.document.root.at(rule.as_str())
    }

    fn rule(
        &self,
        step: &Step,
        denied_by: Option<&Place>,
        shadowed: &[&Place],
        own_refusals: &[&RuleId],
    ) -> RuleStory {
        let asked = match step.asked {
            decide::Asked::Validate => Asked::Validate,
            decide::Asked::Deny => Asked::Deny,
            decide::Asked::Require => Asked::Require,
            decide::Asked::DenyIf => Asked::DenyIf,
            decide::Asked::Approval => Asked::Approval,
            decide::Asked::Limit => Asked::Limit,
        };
        // The first denial decides, so whatever else refused is in shadow mode. Limits refuse after all rules were
        // asked, so a rule that also has a limit is told apart by what it asked.
        let is_this = |place: &Place| place.pointer == step.rule.as_str();
        let is_denied = denied_by.is_some_and(is_this);
        let decision = match &step.refused {
            Some(_) if is_denied => RuleOutcome::Deny,
            Some(_) => RuleOutcome::Shadow,
            None if asked != Asked::Limit => RuleOutcome::Pass,
            None if is_denied && !own_refusals.contains(&&step.rule) => RuleOutcome::Deny,
            None if shadowed.iter().any(|place| is_this(place)) => RuleOutcome::Shadow,
            None => RuleOutcome::Pass,
        };
        let mut written = Written::of(self.node(&step.rule));
        RuleStory {
            rule: Place {
                pointer: step.rule.to_string(),
                name: step.name.as_deref().map(str::to_owned),
                line: self.node(&step.rule).map(|node| node.span.line),
            },
            asked,
            decision,
            conditions: step
                .leaves
                .iter()
                .map(|leaf| self.condition(leaf, &mut written))
                .collect(),
        }
    }

    fn condition(&self, leaf: &Leaf, written: &mut Written) -> ConditionStory {
        let (asked, wanted, found, truth) = match leaf {
            Leaf::Test {
                path,
                operator,
                truth,
            } => (
                format!("{path} {operator}"),
                written.value(path, operator),
                value::at(path, self.subject),
                truth,
            ),
            Leaf::External { truth, .. } => ("when".to_owned(), written.expression(), None, truth),
        };
        let (truth, error) = match truth {
            Truth::True => (TruthWord::True, None),
            Truth::False => (TruthWord::False, None),
            Truth::Missing => (TruthWord::Missing, None),
            Truth::Error(error) => (TruthWord::Error, Some(error.to_string())),
        };
        ConditionStory {
            asked,
            wanted,
            value: found,
            truth,
            error,
        }
    }
}

fn scope_words(key: &LimitKey) -> String {
    match &key.scope {
        ScopeValue::Grant(grant) => format!("grant {grant}"),
        ScopeValue::Session(session) => format!("session {session}"),
        ScopeValue::Tool => "tool".to_owned(),
        ScopeValue::Server => "server".to_owned(),
        ScopeValue::Global => "global".to_owned(),
        ScopeValue::Argument { path, value } => format!("{path} = {value}"),
    }
}
