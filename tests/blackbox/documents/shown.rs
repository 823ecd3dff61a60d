//! Whether a program printed what a page shows.

use regex::Regex;
use std::sync::LazyLock;

/// What differs from run to run, and the word for it that is compared. Lengths are part of some patterns: a page
/// cannot show a hash of half its length.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"\bcg_[A-Za-z0-9_-]{43}", "<token>"),
        (r"\bg_[0-9a-f]{16}\b", "<grant>"),
        (r"callgate-[0-9a-f]{16}", "<log>"),
        (r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", "<key>"),
        (r"\+[0-9a-f]{8}\b", "<key id>"),
        (r"\b[0-9a-f]{64}\b", "<hash>"),
        (r"\b[0-9a-f]{32}\b", "<call>"),
        (r"\b\d+(\.\d+)? (ms|s)\b", "<duration>"),
        // One is signed in each second of the run.
        (r"\b\d+ (agree;|checkpoints are)", "<checkpoints> $1"),
        // Columns are as wide as what varies in them.
        (r" {2,}", "  "),
    ]
    .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
    .into_iter()
    .collect()
});

/// A text without what differs from run to run.
fn plain(text: &str) -> String {
    let mut text = text.trim_end().to_owned();
    for (pattern, word) in VARYING.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    text
}

/// Fails where `printed` is not what the page shows; a line `…` stands for any lines, and a `…` within a line for
/// any characters.
#[track_caller]
pub(super) fn assert_shown(place: &str, shown: &str, printed: &str) {
    if plain(shown) == plain(printed) {
        return;
    }
    let (shown, printed) = (plain(shown), plain(printed));
    let lines = shown.lines().map(|line| match line {
        "…" => "(?s:.*)".to_owned(),
        line => format!("{}\n", regex::escape(line).replace('…', ".*")),
    });
    let pattern = Regex::new(&format!("\\A{}\\z", lines.collect::<String>())).unwrap();
    assert!(
        pattern.is_match(&format!("{printed}\n")),
        "{place}: the page shows\n{shown}\n--- but this was printed\n{printed}\n---"
    );
}

#[test]
fn what_varies_is_let_through_and_nothing_else() {
    assert_shown("here", "took 3.2 ms\n…\nend", "took 17 ms\nmore\nlines\nend");
    let differs = |shown: &'static str, printed: &'static str| {
        std::panic::catch_unwind(|| assert_shown("here", shown, printed)).is_err()
    };
    assert!(differs("14 records", "15 records"));
    assert!(differs("a\n…\nend", "a\nend of it"));
    assert!(differs("a", "a\nb"));
}
