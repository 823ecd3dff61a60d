//! Other servers' words in an answer to an agent: short, on one line, nothing hidden. What speaks to the model is left
//! out, since an answer that repeats it would be the attack.

use crate::commands::catalog::safe::{cut, shown};
use crate::commands::catalog::view::usual_rule;
use callgate_catalog::catalogue::Tool;
use callgate_catalog::{Part, Signal, Verdict};
use serde::Serialize;

/// So many characters of a name are told.
const NAME_CHARS_MAX: usize = 128;
/// So many characters of a description are told.
const SAID_CHARS_MAX: usize = 300;
/// So many characters of a piece of evidence are told.
const QUOTE_CHARS_MAX: usize = 160;

/// What stands for a text that speaks to the model.
const LEFT_OUT: &str = "(left out: it has text that speaks to the model or that nobody sees; a person can read it with \
    `callgate catalog`)";

/// Signals whose text is the attack.
const SPEAKING: [&str; 2] = ["instruction_like_text", "hidden_text"];

/// Whether a tool with these signals has text that is not to be repeated.
pub(super) fn speaks(signals: &[&str]) -> bool {
    signals.iter().any(|signal| SPEAKING.contains(signal))
}

/// A name from another server.
pub(super) fn name(name: &str) -> String {
    cut(&shown(name), NAME_CHARS_MAX)
}

/// A description from another server, of a tool with these signals.
pub(super) fn said(text: &str, signals: &[&str]) -> String {
    if speaks(signals) {
        LEFT_OUT.to_owned()
    } else {
        cut(&shown(text), SAID_CHARS_MAX)
    }
}

/// A tool in a list.
#[derive(Debug, Serialize)]
pub(super) struct Brief {
    pub(super) server: String,
    pub(super) tool: String,
    class: &'static str,
    severity: &'static str,
    signals: Vec<&'static str>,
    description: String,
}

impl Brief {
    pub(super) fn of(server: &str, tool: &Tool) -> Self {
        Self {
            server: server.to_owned(),
            tool: name(&tool.name),
            class: tool.class.name(),
            severity: tool.severity.name(),
            signals: tool.signals.clone(),
            description: said(&tool.description, &tool.signals),
        }
    }

    pub(super) fn line(&self) -> String {
        format!(
            "- {} of {}: {}, {}. It says of itself: “{}”",
            self.tool, self.server, self.class, self.severity, self.description
        )
    }
}

/// A piece of evidence.
#[derive(Debug, Serialize)]
struct Quote {
    part: &'static str,
    quote: String,
    speaks_for: &'static str,
    points: i32,
}

/// What is said of one tool.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) tool: String,
    pub(super) class: &'static str,
    class_means: &'static str,
    pub(super) severity: &'static str,
    confidence: f64,
    /// Whether a person should read the definition, since little in it speaks clearly.
    is_unclear: bool,
    signals: Vec<&'static str>,
    details: Vec<String>,
    evidence: Vec<Quote>,
    rationale: String,
    usual_rule: &'static str,
}

impl Judged {
    pub(super) fn of(tool: &str, verdict: &Verdict) -> Self {
        let signals: Vec<&'static str> = verdict.signals.iter().map(Signal::code).collect();
        let speaks = speaks(&signals);
        let evidence = verdict.evidence.iter().map(|found| Quote {
            part: found.part.name(),
            quote: match found.part {
                Part::Name => name(&found.quote),
                Part::Title | Part::Description | Part::Parameter | Part::Annotation if speaks => {
                    LEFT_OUT.to_owned()
                }
                Part::Title | Part::Description | Part::Parameter | Part::Annotation => {
                    cut(&shown(&found.quote), QUOTE_CHARS_MAX)
                }
            },
            speaks_for: found.class.name(),
            points: found.points,
        });
        let details = verdict.signals.iter().map(|signal| {
            if speaks {
                meaning(signal.code()).to_owned()
            } else {
                cut(&shown(&signal.text()), QUOTE_CHARS_MAX)
            }
        });
        Self {
            tool: name(tool),
            class: verdict.class.name(),
            class_means: verdict.class.meaning(),
            severity: verdict.severity.name(),
            confidence: verdict.confidence.as_share(),
            is_unclear: verdict.confidence.is_low(),
            details: details.collect(),
            evidence: evidence.collect(),
            signals,
            rationale: shown(&verdict.rationale),
            usual_rule: usual_rule(verdict.class),
        }
    }

    pub(super) fn words(&self) -> String {
        let mut out = format!(
            "{}: {}, {} ({}). {}\n",
            self.tool, self.class, self.severity, self.class_means, self.rationale
        );
        if self.is_unclear {
            out.push_str("Little in its definition speaks clearly: a person should read it.\n");
        }
        for found in &self.evidence {
            out.push_str(&format!(
                "- speaks for {} ({:+}): its {}, “{}”\n",
                found.speaks_for, found.points, found.part, found.quote
            ));
        }
        for (code, detail) in self.signals.iter().zip(&self.details) {
            out.push_str(&format!("- {code}: {detail}\n"));
        }
        out.push_str(&format!(
            "Usual rule for {} tools: {}.\n",
            self.class, self.usual_rule
        ));
        out
    }
}

/// What a signal means, without a word of the tool.
fn meaning(code: &str) -> &'static str {
    Signal::KINDS
        .iter()
        .find(|(known, _)| *known == code)
        .map_or("", |(_, meaning)| meaning)
}
