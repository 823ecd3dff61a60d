//! What a denial means, from the tables of the documents, which are the one source of it.

use super::answer::Answer;
use super::arguments::ExplainDenial;
use crate::commands::catalog::safe::{cut, shown};
use anyhow::bail;
use callgate_policy::nearest;
use serde::Serialize;

/// The page that users read.
const PAGE: &str = include_str!("../../../../../docs/answers.md");

/// A code of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Meaning {
    reason: String,
    when: String,
    what_to_do: Option<String>,
    /// What the agent is told in place of the code.
    told_as: Option<String>,
}

/// The rows of the page: of the table of reasons, and of that of messages that cannot be read.
pub(super) fn meanings() -> Vec<Meaning> {
    PAGE.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Meaning> {
    let cells: Vec<&str> = line
        .strip_prefix("| `")?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let (code, rest) = cells.split_first()?;
    let code = code.strip_suffix('`')?;
    let is_code = code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    match rest {
        [when, what_to_do, told_as] if is_code => Some(Meaning {
            reason: code.to_owned(),
            when: (*when).to_owned(),
            what_to_do: Some((*what_to_do).to_owned()),
            told_as: Some(told_as.trim_matches('`').to_owned()).filter(|code| !code.is_empty()),
        }),
        [when] if is_code => Some(Meaning {
            reason: code.to_owned(),
            when: (*when).to_owned(),
            what_to_do: None,
            told_as: None,
        }),
        _ => None,
    }
}

/// What was asked about, for programs.
#[derive(Debug, Serialize)]
struct Explained<'m> {
    /// What the answer says of itself: the gate refused the call, or the call failed.
    kind: &'static str,
    /// What the code may mean: several where the agent is not to know which.
    reasons: Vec<&'m Meaning>,
    has_reached_the_server: &'static str,
}

pub(super) fn explain(asked: &ExplainDenial) -> anyhow::Result<Answer> {
    asked.check()?;
    let all = meanings();
    let text = asked.text.as_deref().unwrap_or_default();
    let found = match &asked.reason {
        Some(code) => {
            let found = of_code(&all, code.trim());
            if found.is_empty() {
                let told = cut(&shown(code), 80);
                match nearest(code, all.iter().map(|meaning| meaning.reason.as_str())) {
                    Some(near) => bail!("`{told}` is no reason code\nhint: did you mean `{near}`?"),
                    None => bail!("`{told}` is no reason code of Callgate"),
                }
            }
            found
        }
        None if text.trim().is_empty() => {
            bail!("give `reason`, the value of `callgate/reason` in `_meta`, or `text`")
        }
        None => of_text(&all, text),
    };
    let is_failure = text.contains("[CALL FAILED]");
    let is_denial = text.contains("[POLICY DENIED]");
    if found.is_empty() && !is_failure && !is_denial {
        bail!(
            "this names no reason code and is no answer of Callgate: those begin with [POLICY DENIED] or [CALL FAILED]"
        );
    }
    let (kind, reached) = match (is_denial, is_failure) {
        (true, _) => ("denied", "no"),
        (false, true) => ("failed", "perhaps: the text says whether the call may have run"),
        (false, false) => ("not said", "not by a denial; after a failed call, its text says"),
    };
    let explained = Explained {
        kind,
        reasons: found,
        has_reached_the_server: reached,
    };
    let mut out = String::new();
    if is_denial {
        out.push_str("The gate refused the call; it has not reached the server. The same call gets the same answer until something changes.\n");
    }
    if is_failure {
        out.push_str("The call was allowed and could not be carried out, or its answer did not come.\n");
    }
    if explained.reasons.len() > 1 {
        out.push_str("One of these; which, is not told on purpose:\n");
    }
    for meaning in &explained.reasons {
        out.push_str(&format!("- {}: {}.", meaning.reason, meaning.when));
        if let Some(advice) = &meaning.what_to_do {
            out.push_str(&format!(" What to do: {advice}."));
        }
        out.push('\n');
    }
    if explained.reasons.is_empty() {
        out.push_str("Its text names no code; `callgate/reason` in the `_meta` of the answer does.\n");
    }
    out.push_str("Do not look for another way to do what was denied: ask a person.\n");
    Answer::new(out, &explained)
}

fn of_code<'m>(all: &'m [Meaning], code: &str) -> Vec<&'m Meaning> {
    all.iter()
        .filter(|meaning| match &meaning.told_as {
            Some(told_as) => told_as == code || meaning.reason == code,
            None => meaning.reason == code,
        })
        .collect()
}

/// What the codes in a text mean: those under `callgate/reason`, else the first that stands in it as a word.
fn of_text<'m>(all: &'m [Meaning], text: &str) -> Vec<&'m Meaning> {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_lowercase() && c != '_')
            .filter(|word| word.contains('_') || all.iter().any(|meaning| meaning.reason == *word))
            .map(str::to_owned)
            .collect()
    };
    let after = text.split_once("callgate/reason").map(|(_, after)| after);
    let in_meta = after.and_then(|after| {
        words(after)
            .into_iter()
            .find(|word| !of_code(all, word).is_empty())
    });
    let code = in_meta.or_else(|| {
        words(text)
            .into_iter()
            .find(|word| word.contains('_') && !of_code(all, word).is_empty())
    });
    code.map(|code| of_code(all, &code)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_meaning_and_an_advice_for_each_reason() {
        let all = meanings();
        let reasons = all.iter().filter(|meaning| meaning.what_to_do.is_some()).count();
        assert!(reasons >= 26, "{reasons}");
        assert!(all.len() > reasons, "messages that cannot be read too");
        for meaning in &all {
            assert!(!meaning.when.is_empty(), "{meaning:?}");
            assert_ne!(meaning.what_to_do.as_deref(), Some(""), "{meaning:?}");
        }
        assert_eq!(of_code(&all, "tool_not_available").len(), 3);
        assert_eq!(of_code(&all, "rate_limited").len(), 1);
    }
}
