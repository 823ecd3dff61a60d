//! Every check and every test, with what they need installed first.

use crate::shell::{self, follow, has, say};
use anyhow::bail;
use std::process::ExitCode;
use std::time::Instant;

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Format, lints, tests.
    All,
    /// Tests alone.
    TestsOnly,
}

/// Debian's packages of the programs that tests run.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("cc", &["gcc", "libc6-dev"]),
    ("python3", &["python3", "python3-venv"]),
    ("node", &["nodejs"]),
    ("npm", &["npm"]),
];

/// What came of all test programs together.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
}

/// Runs what `scope` asks for, and closes with one line that counts.
pub(crate) fn run(scope: Scope) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    install()?;
    let mut tally = Tally::default();
    check(scope, &mut tally);
    shell::run(&["cargo", "build", "--workspace", "--bins"])?;
    let tests: [&[&str]; 2] = [
        &["cargo", "test", "--workspace", "--all-targets", "--no-fail-fast"],
        &["cargo", "test", "--workspace", "--doc", "--no-fail-fast"],
    ];
    for words in tests {
        let counted = tally.passed + tally.failed;
        let is_success = follow(words, |line| tally.read(line))?;
        if !is_success && tally.failed == 0 {
            tally.fail(format!("`{}` did not run to its end", words.join(" ")));
        }
        if words.contains(&"--all-targets") && tally.passed + tally.failed == counted {
            tally.fail(format!("`{}` ran no test", words.join(" ")));
        }
    }
    Ok(tally.close(started))
}

/// Checks that are no tests: each counts as one that passed or failed.
fn check(scope: Scope, tally: &mut Tally) {
    if scope == Scope::TestsOnly {
        return;
    }
    let checks: [&[&str]; 2] = [
        &["cargo", "fmt", "--all", "--check"],
        &[
            "cargo",
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ];
    for words in checks {
        match shell::run(words) {
            Ok(()) => tally.passed += 1,
            Err(error) => tally.fail(format!("{error:#}")),
        }
    }
}

/// Installs the programs that are missing. Packages of npm and PyPI are installed by the tests that use them,
/// below `target`.
fn install() -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !has(program))
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        bail!(
            "the tests need {}; install what is missing, then run again",
            missing.join(", ")
        );
    }
    shell::run(&["apt-get", "update", "-qq"])?;
    let mut words = vec!["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    words.extend(missing);
    shell::run(&words)
}

impl Tally {
    /// Counts the closing line of a test program, and keeps the names of tests that failed.
    fn read(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        self.passed += count(counts, "passed");
        self.failed += count(counts, "failed");
        self.ignored += count(counts, "ignored");
    }

    fn fail(&mut self, what: String) {
        self.failed += 1;
        self.failures.push(what);
    }

    fn close(&self, started: Instant) -> ExitCode {
        for failure in &self.failures {
            say(&format!("failed: {failure}"));
        }
        say(&format!("took {} s", started.elapsed().as_secs()));
        let skipped = if self.ignored > 0 {
            format!(", {} skipped", self.ignored)
        } else {
            String::new()
        };
        println(&format!(
            "{} passed, {} failed{skipped}",
            self.passed, self.failed
        ));
        if self.failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// The number before a word, as in `12 passed; 0 failed`.
fn count(counts: &str, word: &str) -> u64 {
    let words: Vec<&str> = counts
        .split([' ', ';', '.'])
        .filter(|part| !part.is_empty())
        .collect();
    let pair = words.windows(2).find(|pair| pair.last() == Some(&word));
    pair.and_then(|pair| pair.first())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn println(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let mut tally = Tally::default();
        tally.read("test wire::a_bomb ... FAILED");
        tally.read("test result: FAILED. 11 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out");
        tally.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((tally.passed, tally.failed, tally.ignored), (14, 1, 2));
        assert_eq!(tally.failures, ["wire::a_bomb"]);
    }
}
