//! What is known of tools: the class of what one can do at worst, how severe that is, and how one can tell.
//!
//! [`classify`] looks at a tool's definition and at nothing else: no clock, no network, no model. Words and their
//! weights are tables ([`words`]); the engine that adds them up ([`weigh`]) knows no word. All that counted is given
//! back as evidence, quoted from the definition.

pub mod attacks;
pub mod catalogue;
mod class;
mod definition;
mod hidden;
mod lookalike;
pub mod measure;
mod rationale;
pub mod recommend;
mod signals;
mod text;
mod weigh;
mod words;

pub use class::{Class, Confidence, Severity};
pub use definition::{Definition, Parameter};
pub use hidden::is_hidden;
pub use lookalike::{are_near, look_the_same};
pub use signals::Signal;
pub use weigh::{Evidence, Part};

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
    let weighed = weigh::weigh(tool);
    let signals = signals::signals(tool, weighed.class, weighed.is_unclear);
    let severity = signals::severity(tool, weighed.class, &signals);
    Verdict {
        class: weighed.class,
        severity,
        confidence: weighed.confidence,
        rationale: rationale::sentence(&weighed, &signals),
        evidence: weighed.evidence,
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
