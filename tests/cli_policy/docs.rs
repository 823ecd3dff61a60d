//! The page on testing policies: its examples are run.

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
