//! What came of all checks and test programs together, and what is said of it at the end.

use crate::shell::{Ran, say};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// How many lines tell of failures at the end, however many there are: who reads the last forty sees them all.
const LINES_MAX: usize = 34;
/// How much of one line is shown there.
const CHARACTERS_MAX: usize = 300;

/// What a test program is called that ended before its last line.
const CUT_SHORT: &str = "a test program did not run to its end";

/// The counts, and what failed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    ignored: u64,
    failures: Vec<Failure>,
    /// Of the test program that is running.
    program: Option<Program>,
    /// The index of the failure whose output is being read.
    open: Option<usize>,
}

#[derive(Debug)]
struct Failure {
    name: String,
    said: Vec<String>,
}

/// A test program between its first line and its last.
#[derive(Debug)]
struct Program {
    /// Where its failures begin.
    first: usize,
}

impl Tally {
    /// Takes a line of a test program: names of tests that failed, what they printed, and the counts.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("running ")
            && (rest.ends_with(" tests") || rest.ends_with(" test"))
        {
            self.cut_short();
            self.program = Some(Program {
                first: self.failures.len(),
            });
            return;
        }
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            // Of a test that has to panic, its kind follows its name.
            let name = name.split(" - should panic").next().unwrap_or(name);
            self.failures.push(Failure {
                name: name.to_owned(),
                said: Vec::new(),
            });
            return;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
            self.program = None;
            self.open = None;
            return;
        }
        let head = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let (Some(name), Some(program)) = (head, &self.program) {
            let found = self
                .failures
                .iter()
                .skip(program.first)
                .position(|failure| failure.name == name);
            self.open = found.map(|place| place + program.first);
        } else if line == "failures:" {
            self.open = None;
        } else if let Some(failure) = self.open.and_then(|open| self.failures.get_mut(open)) {
            failure.said.push(line.to_owned());
        }
    }

    /// Takes the end of a command that ran tests or built something.
    pub(super) fn end(&mut self, command: &str, ran: &Ran) {
        self.cut_short();
        // Which program died is said here alone, and at the end of a line.
        let died = ran
            .stderr
            .iter()
            .filter(|line| line.contains("process didn't exit successfully"));
        let unfinished = self
            .failures
            .iter_mut()
            .filter(|failure| failure.name == CUT_SHORT);
        for (failure, line) in unfinished.zip(died) {
            failure.said = vec![line.trim().to_owned()];
        }
        let is_told = ran
            .stderr
            .iter()
            .any(|line| line.starts_with("error: test failed"));
        if !ran.is_success && (!is_told || self.failed == 0) {
            let from = ran.stderr.iter().position(|line| line.starts_with("error"));
            let said: Vec<&str> = ran
                .stderr
                .iter()
                .skip(from.unwrap_or(0))
                .map(String::as_str)
                .collect();
            self.fail(&format!("`{command}` did not run to its end"), &said);
        }
    }

    /// A test program that began and did not close has failed, whatever its tests said.
    fn cut_short(&mut self) {
        if self.program.take().is_some() {
            self.open = None;
            self.fail(CUT_SHORT, &[]);
        }
    }

    /// Counts a failure.
    pub(super) fn fail(&mut self, name: &str, said: &[&str]) {
        self.failed += 1;
        self.failures.push(Failure {
            name: name.to_owned(),
            said: said.iter().map(|&line| line.to_owned()).collect(),
        });
    }

    /// Tells what failed and why, and closes with one line that counts.
    pub(super) fn close(&self, started: Instant) -> ExitCode {
        for line in self.report() {
            say(&line);
        }
        say(&format!("took {} s", started.elapsed().as_secs()));
        let skipped = if self.ignored > 0 {
            format!(", {} skipped", self.ignored)
        } else {
            String::new()
        };
        let _ = writeln!(
            std::io::stdout().lock(),
            "{} passed, {} failed{skipped}",
            self.passed,
            self.failed
        );
        if self.failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// The names of what failed, and beneath each as much of its output as there is room for.
    fn report(&self) -> Vec<String> {
        let count = self.failures.len();
        let shown = count.min(LINES_MAX - 1);
        let mut lines = Vec::new();
        for (place, failure) in self.failures.iter().take(shown).enumerate() {
            // What the failures before did not use is there for the ones that follow.
            let room = (LINES_MAX - 1 - lines.len()) / (shown - place);
            lines.push(format!("failed: {}", failure.name));
            let telling = telling(&failure.said, room.saturating_sub(1));
            lines.extend(telling.into_iter().map(|line| cut(&format!("    {line}"))));
        }
        if count > shown {
            lines.push(format!("failed: {} more", count - shown));
        }
        lines
    }
}

/// The lines of a failure's output that tell most: from the panic on, without the stack, and what room is left for
/// from before it. What does not fit is left out in the middle.
fn telling(said: &[String], room: usize) -> Vec<&str> {
    let mut lines: Vec<&str> = Vec::new();
    let mut is_stack = false;
    for line in said
        .iter()
        .map(String::as_str)
        .filter(|line| !line.trim().is_empty())
    {
        if line == "stack backtrace:" {
            is_stack = true;
        } else if line.starts_with("note: ") && (is_stack || line.contains("RUST_BACKTRACE")) {
            is_stack = false;
        } else if !is_stack {
            lines.push(line);
        }
    }
    let panic = lines
        .iter()
        .position(|line| line.contains(" panicked at "))
        .unwrap_or(0);
    let wanted = (lines.len() - panic).min(room);
    let (before, after) = lines.split_at(panic);
    let mut kept: Vec<&str> = before
        .iter()
        .skip(before.len().saturating_sub(room - wanted))
        .copied()
        .collect();
    if after.len() <= room {
        kept.extend(after);
    } else if room > 0 {
        let head = room / 2;
        kept.extend(after.iter().take(head));
        kept.push("…");
        kept.extend(after.iter().skip(after.len() - (room - head - 1)));
    }
    kept
}

fn cut(line: &str) -> String {
    let mut characters = line.chars();
    let mut kept: String = characters.by_ref().take(CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read(line));
        tally
    }

    const RUN: &str = "\
running 12 tests
test wire::a_bomb ... FAILED
test wire::another ... ok
test wire::third ... FAILED

failures:

---- wire::a_bomb stdout ----
it was said before

thread 'wire::a_bomb' (7) panicked at crates/wire/src/scan.rs:1:2:
assertion `left == right` failed: too deep
  left: 1
 right: 2
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:689:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

---- wire::third stdout ----
Error: it is an error

failures:
    wire::a_bomb
    wire::third

test result: FAILED. 10 passed; 2 failed; 2 ignored; 0 measured; 0 filtered out
";

    #[test]
    fn closing_lines_are_counted() {
        let mut tally = read(RUN);
        tally.read("running 3 tests");
        tally.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((tally.passed, tally.failed, tally.ignored), (13, 2, 2));
    }

    #[test]
    fn a_failure_is_told_with_its_panic_and_without_its_stack() {
        let report = read(RUN).report();
        assert_eq!(
            report,
            [
                "failed: wire::a_bomb",
                "    it was said before",
                "    thread 'wire::a_bomb' (7) panicked at crates/wire/src/scan.rs:1:2:",
                "    assertion `left == right` failed: too deep",
                "      left: 1",
                "     right: 2",
                "failed: wire::third",
                "    Error: it is an error",
            ]
        );
    }

    #[test]
    fn however_much_fails_the_report_stays_short_and_names_what_it_can() {
        let long: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        for failures in [1, 2, 5, 33, 34, 100] {
            let mut tally = Tally::default();
            for number in 0..failures {
                tally.fail(&format!("test {number}"), &long);
            }
            let report = tally.report();
            assert!(report.len() <= LINES_MAX, "{failures}: {report:#?}");
            let named = report
                .iter()
                .filter(|line| line.starts_with("failed: test "))
                .count();
            assert_eq!(named, failures.min(LINES_MAX - 1));
        }
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_output_are_kept() {
        let said: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(telling(&said, 5), ["0", "1", "…", "8", "9"]);
        assert_eq!(telling(&said, 0), [""; 0]);
    }

    #[test]
    fn a_program_that_dies_has_failed_though_no_test_says_so() {
        let mut tally = read("running 2 tests\ntest one ... ok");
        tally.read("running 1 test");
        tally.read("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((tally.passed, tally.failed), (1, 1));
    }

    #[test]
    fn code_that_does_not_build_is_told_with_the_error() {
        let ran = |lines: &[&str]| Ran {
            is_success: false,
            stderr: lines.iter().map(|&line| line.to_owned()).collect(),
        };
        let mut tally = Tally::default();
        tally.end(
            "cargo test",
            &ran(&["   Compiling it", "error[E0425]: no such name"]),
        );
        assert_eq!(tally.failed, 1);
        assert_eq!(tally.report().last().unwrap(), "    error[E0425]: no such name");
        // Tests that failed were counted by name already.
        let mut tally = read(RUN);
        tally.end("cargo test", &ran(&["error: test failed, to rerun pass `--lib`"]));
        assert_eq!(tally.failed, 2);
    }
}
