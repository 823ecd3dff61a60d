//! The pages whose examples are run.

use crate::support::{repository, run};

fn page() -> String {
    text_of("docs/testing-policies.md")
}

fn text_of(page: &str) -> String {
    std::fs::read_to_string(repository().join(page)).unwrap()
}

/// Runs each `console` block of a page in `folder`: a command, its exit code where a line with `?` states it,
/// and what it prints. How many there were.
fn run_blocks(page: &str, folder: &str) -> usize {
    let text = text_of(page);
    let mut blocks = 0;
    for block in text.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let (command, rest) = block.split_once('\n').unwrap();
        let words: Vec<&str> = command.strip_prefix("$ callgate ").unwrap().split(' ').collect();
        let ran = run(&repository().join(folder), &words, "");
        let stated = rest.strip_prefix("? ").and_then(|rest| rest.split_once('\n'));
        let output = stated.map_or(rest, |(_, output)| output);
        let printed = if ran.stdout.is_empty() {
            &ran.stderr
        } else {
            &ran.stdout
        };
        assert_eq!(
            printed.trim_end(),
            output.trim_end(),
            "{page}: {command}\n{}",
            ran.stderr
        );
        if let Some((code, _)) = stated {
            assert_eq!(ran.code, Some(code.parse().unwrap()), "{page}: {command}");
        }
        blocks += 1;
    }
    blocks
}

#[test]
fn commands_print_what_the_pages_say() {
    assert_eq!(run_blocks("docs/testing-policies.md", "docs/examples"), 2);
    assert_eq!(run_blocks("README.md", "."), 1);
    assert_eq!(run_blocks("docs/migrating.md", "."), 1);
}

/// The shape of a time.
const TIME: &str = "2026-11-26 12:08:36.504Z";

/// `text` with ids, tokens and times replaced by what stands for any of them, at the same length.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (mark, length) = match random_part(rest) {
            Some(length) => ('?', length),
            None => (first, first.len_utf8()),
        };
        let (part, after) = rest.split_at(length);
        out.extend(part.chars().map(|_| mark));
        rest = after;
    }
    out
}

/// How long the id, token or time is that `text` begins with.
fn random_part(text: &str) -> Option<usize> {
    let random = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    for (prefix, length) in [("cg_", 43), ("g_", 16)] {
        if let Some(rest) = text.strip_prefix(prefix)
            && rest.bytes().take_while(random).count() == length
        {
            return Some(prefix.len() + length);
        }
    }
    let same = |(byte, shape): (u8, u8)| byte == shape || (byte.is_ascii_digit() && shape.is_ascii_digit());
    let time = text.len() >= TIME.len() && text.bytes().zip(TIME.bytes()).all(same);
    time.then_some(TIME.len())
}

/// Runs a page's `console` blocks one after the other on one state folder. Stderr is shown before stdout, as
/// on a terminal.
#[test]
fn the_page_on_grants_tells_one_story() {
    let folder = tempfile::tempdir().unwrap();
    let text = text_of("docs/grants.md");
    let mut blocks = 0;
    for block in text.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let (command, rest) = block.split_once('\n').unwrap();
        let mut words: Vec<&str> = command.strip_prefix("$ callgate ").unwrap().split(' ').collect();
        words.extend(["--state-dir", "state"]);
        let ran = run(folder.path(), &words, "");
        let (code, output) = match rest.strip_prefix("? ").and_then(|rest| rest.split_once('\n')) {
            Some((code, output)) => (code.parse().unwrap(), output),
            None => (0, rest),
        };
        let printed = ran.stderr.clone() + &ran.stdout;
        assert_eq!(masked(printed.trim_end()), masked(output), "{command}");
        assert_eq!(ran.code, Some(code), "{command}");
        blocks += 1;
    }
    assert_eq!(blocks, 8);
}

#[test]
fn the_page_shows_the_files_that_it_runs() {
    let page = page();
    for name in ["policy.yaml", "policy.test.yaml"] {
        let text = std::fs::read_to_string(repository().join("docs/examples/payments").join(name)).unwrap();
        assert!(
            page.contains(&format!("```yaml\n{}\n```", text.trim_end())),
            "{name}"
        );
    }
}
