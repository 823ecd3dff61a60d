//! What is known of tools: the class of what one can do at worst, how severe that is, and how one can tell.
//!
//! [`classify`] looks at a tool's definition and at nothing else: no clock, no network, no language model. Rules
//! are tables ([`words`]), added up by [`weigh`]; weights of words are learned from labelled tools ([`model`]); and
//! [`decide`] takes a class by both. What the class rests on is given back as evidence, quoted from the definition.

pub mod attacks;
pub mod catalogue;
mod class;
mod decide;
mod definition;
mod evidence;
mod features;
mod hidden;
mod learned;
mod lookalike;
pub mod measure;
mod model;
mod phrase;
mod rationale;
pub mod recommend;
mod rules;
mod seek;
mod signals;
mod text;
mod weigh;
mod words;

pub use class::{Class, Confidence, Severity};
pub use definition::{Definition, Parameter};
pub use evidence::{Evidence, Part};
pub use hidden::{is_hidden, is_shown};
pub use lookalike::{are_near, look, look_the_same};
pub use signals::Signal;
pub use text::words_of_name;

/// What the learned part is made with.
pub mod learn {
    pub use crate::decide::words_to_learn;
    pub use crate::features::{Feature, Place};
    pub use crate::model::{Model, POINTS_PER_DOUBLING, START, WHOLE, parts, written};
}

/// What the classifier says of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the tool can do at worst.
    pub class: Class,
    /// How much that matters.
    pub severity: Severity,
    /// How sure the class is.
    pub confidence: Confidence,
    /// What else is worth knowing of it, in a fixed order.
    pub signals: Vec<Signal>,
    /// What the class rests on, the heaviest first.
    pub evidence: Vec<Evidence>,
    /// Why, in one sentence.
    pub rationale: String,
}

/// Classes one tool by itself.
#[must_use]
pub fn classify(tool: &Definition) -> Verdict {
    classify_by(tool, model::Model::bundled())
}

/// Classes one tool by itself, by weights that are given.
#[must_use]
pub fn classify_by(tool: &Definition, model: &model::Model<'_>) -> Verdict {
    let decided = decide::decide(tool, model);
    let signals = signals::signals(tool, decided.class, decided.is_unclear);
    let severity = signals::severity(tool, decided.class, &signals);
    Verdict {
        class: decided.class,
        severity,
        confidence: decided.confidence,
        rationale: rationale::sentence(&decided, &signals),
        evidence: decided.evidence,
        signals,
    }
}

/// Classes the tools of one list, each also beside the others: a name that looks like another's is a signal.
#[must_use]
pub fn classify_list(tools: &[Definition]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = tools.iter().map(classify).collect();
    for (index, other) in lookalike::pairs(tools) {
        if let Some(verdict) = verdicts.get_mut(index) {
            add_look_alike(verdict, other);
        }
    }
    verdicts
}

/// Classes one tool of a list, beside the others, as [`classify_list`] does; `None` where there are not so many.
#[must_use]
pub fn classify_among(tools: &[Definition], index: usize) -> Option<Verdict> {
    let mut verdict = classify(tools.get(index)?);
    let pairs = lookalike::pairs(tools);
    if let Some((_, other)) = pairs.into_iter().find(|(at, _)| *at == index) {
        add_look_alike(&mut verdict, other);
    }
    Some(verdict)
}

fn add_look_alike(verdict: &mut Verdict, other: String) {
    signals::add(&mut verdict.signals, Signal::LookAlike { other });
    verdict.severity = verdict.severity.max(Severity::High);
}
