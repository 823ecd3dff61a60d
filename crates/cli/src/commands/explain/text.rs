//! A story as people read it.

use super::story::{
    Asked, ConditionStory, Denial, LimitStory, Outcome, Place, RuleOutcome, RuleStory, Story, TruthWord,
};
use callgate_policy::Style;
use std::fmt::Write as _;

/// The decision, the rules and the limits. What comes from a call or a policy is shown without control characters.
pub(crate) fn words(story: &Story, file: &str, style: &Style) -> String {
    let mut out = String::new();
    let (paint, reset) = match story.decision {
        Outcome::Allow => (style.hint, style.reset),
        Outcome::Deny => (style.error, style.reset),
    };
    // Writing to a `String` cannot fail.
    let _ = write!(
        out,
        "{paint}{}{reset}  {}",
        story.decision.word(),
        clean(&story.subject)
    );
    if let Some(denial) = &story.denial {
        let _ = write!(out, "  {}", denial.reason);
    }
    out.push('\n');
    if let Some(denial) = &story.denial {
        denial_lines(&mut out, denial, file);
    }
    for denial in &story.shadow {
        let _ = writeln!(out, "  shadow    would deny: {}", denial.reason);
        denial_lines(&mut out, denial, file);
    }
    out.push_str(&details(story, file));
    out
}

/// The rules and limits of a story.
pub(crate) fn details(story: &Story, file: &str) -> String {
    let mut out = String::new();
    if !story.rules.is_empty() {
        out.push_str("\nrules, in the order in which they were asked:\n");
    }
    for rule in &story.rules {
        rule_lines(&mut out, rule, file);
    }
    if !story.limits.is_empty() {
        out.push_str("\nlimits:\n");
    }
    for limit in &story.limits {
        limit_lines(&mut out, limit);
    }
    out
}

fn denial_lines(out: &mut String, denial: &Denial, file: &str) {
    match &denial.rule {
        Some(place) => {
            let _ = writeln!(out, "  rule      {}", place_words(place, file));
        }
        None => out.push_str("  rule      none: see `default`, `hide`, and what the server lists\n"),
    }
    let _ = writeln!(out, "  told      {}", clean(&denial.told));
    if let Some(wait) = denial.retry_after {
        let _ = writeln!(out, "  retry     in {} s", wait.as_secs_f64());
    }
}

fn place_words(place: &Place, file: &str) -> String {
    let mut words = clean(&place.pointer);
    if let Some(name) = &place.name {
        let _ = write!(words, " \"{}\"", clean(name));
    }
    if let Some(line) = place.line {
        let _ = write!(words, " ({file}:{line})");
    }
    words
}

fn rule_lines(out: &mut String, rule: &RuleStory, file: &str) {
    let decision = match rule.decision {
        RuleOutcome::Pass => "pass  ",
        RuleOutcome::Deny => "DENY  ",
        RuleOutcome::Shadow => "shadow",
    };
    let asked = match rule.asked {
        Asked::Validate => "validate",
        Asked::Deny => "deny",
        Asked::Require => "require",
        Asked::DenyIf => "deny_if",
        Asked::Approval => "require_approval",
        Asked::Limit => "limit",
    };
    let _ = writeln!(out, "  {decision}  {asked:<9} {}", place_words(&rule.rule, file));
    for condition in &rule.conditions {
        condition_lines(out, condition);
    }
}

fn condition_lines(out: &mut String, condition: &ConditionStory) {
    let _ = write!(out, "            {}", clean(&condition.asked));
    if let Some(wanted) = &condition.wanted {
        let _ = write!(out, " {}", clean(wanted));
    }
    let truth = match condition.truth {
        TruthWord::True => "true",
        TruthWord::False => "false",
        TruthWord::Missing => "missing",
        TruthWord::Error => "error",
    };
    let _ = write!(out, ": {truth}");
    match (&condition.error, &condition.value) {
        (Some(error), _) => {
            let _ = write!(out, ", {}", clean(error));
        }
        (None, Some(value)) => {
            let _ = write!(out, ", it is {}", clean(value));
        }
        (None, None) => {}
    }
    out.push('\n');
}

fn limit_lines(out: &mut String, limit: &LimitStory) {
    let what = match (&limit.sums, limit.counts) {
        (Some(path), _) => format!("of {}", clean(path)),
        (None, "sum") => format!("of {}", clean(&limit.counter)),
        (None, counts) => counts.to_owned(),
    };
    let _ = write!(out, "  {}: ", clean(&limit.rule.pointer));
    match (limit.max, limit.min) {
        (Some(max), _) => {
            let _ = write!(out, "at most {max} {what} {}", limit.period);
        }
        (None, Some(min)) => {
            let _ = write!(out, "at least {min} {what} {}", limit.period);
        }
        (None, None) => out.push_str(&what),
    }
    let _ = writeln!(
        out,
        ", by {}: {} before, this call takes {}, {} after",
        clean(&limit.scope),
        limit.before,
        limit.takes,
        limit.after
    );
}

/// A text that moves neither the cursor nor the columns.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' => ' ',
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}
