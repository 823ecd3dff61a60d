//! The page on testing policies: its examples are run.

use crate::support::{repository, run};

fn page() -> String {
    std::fs::read_to_string(repository().join("docs/testing-policies.md")).unwrap()
}

#[test]
fn commands_print_what_the_page_says() {
    let page = page();
    let mut blocks = 0;
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let (command, output) = block.split_once('\n').unwrap();
        let words: Vec<&str> = command.strip_prefix("$ callgate ").unwrap().split(' ').collect();
        let ran = run(&repository().join("docs/examples"), &words, "");
        assert_eq!(ran.stdout.trim_end(), output, "{command}\n{}", ran.stderr);
        blocks += 1;
    }
    assert_eq!(blocks, 2);
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
