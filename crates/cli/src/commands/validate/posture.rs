//! What a policy comes to, in a few lines.

use callgate_policy::{Loaded, Shape, Summary};
use std::fmt::Write as _;

/// So many names are listed before the rest is counted.
const NAMES_SHOWN_MAX: usize = 8;

/// A file that is invalid.
pub(crate) fn invalid(file: &str, errors: usize) -> String {
    format!("{file}: invalid, {}", counted(errors, "error"))
}

/// A policy that is valid: what is allowed where it says nothing, and what it names.
pub(crate) fn words(file: &str, loaded: &Loaded, warnings: usize) -> String {
    valid(file, warnings, &lines(loaded.shape, &loaded.summary))
}

/// A file that is valid, and what it comes to.
pub(super) fn valid(file: &str, warnings: usize, lines: &[(&str, String)]) -> String {
    let mut out = format!("{file}: valid");
    if warnings > 0 {
        // Writing to a `String` cannot fail.
        let _ = write!(out, ", {}", counted(warnings, "warning"));
    }
    for (label, value) in lines {
        let _ = write!(out, "\n  {label:<9} {value}");
    }
    out
}

fn lines(shape: Shape, summary: &Summary) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.push((
        "shape",
        match shape {
            Shape::Rules => "rules".to_owned(),
            Shape::Catalogue => "catalogue".to_owned(),
            Shape::Hosted => "hosted".to_owned(),
            Shape::Callgate => "callgate".to_owned(),
        },
    ));
    lines.push((
        "default",
        if summary.denies_unlisted_tools {
            "deny: tools that are not named cannot be called".to_owned()
        } else {
            "allow: TOOLS THAT ARE NOT NAMED CAN BE CALLED".to_owned()
        },
    ));
    lines.push((
        "methods",
        if summary.denies_unlisted_methods {
            "deny: resources, prompts and other methods that are not named cannot be used".to_owned()
        } else {
            "allow: resources, prompts and other methods pass unjudged".to_owned()
        },
    ));
    if summary.shadow {
        lines.push((
            "mode",
            "shadow: denials are recorded only, EVERY CALL PASSES".to_owned(),
        ));
    }
    let mut names = |label, names: &[String]| {
        if !names.is_empty() {
            lines.push((label, listed(names)));
        }
    };
    names("tools", &summary.tools);
    names("patterns", &summary.patterns);
    names("hidden", &summary.hidden);
    names("named", &summary.methods);
    lines.push(("rules", summary.rules.to_string()));
    if let Some(timeout) = summary.timeout {
        lines.push(("timeout", format!("{} s", timeout.as_secs())));
    }
    if summary.holds {
        lines.push((
            "approval",
            "some calls need an approver; none can be set up yet, so they are denied".to_owned(),
        ));
    }
    lines
}

/// How many names there are, and the first of them.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|name| name.escape_debug().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => format!("{} ({shown})", names.len()),
        more => format!("{} ({shown} and {more} more)", names.len()),
    }
}

/// `1 error`, `2 errors`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
