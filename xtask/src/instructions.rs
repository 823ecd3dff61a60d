//! `cargo xtask instructions`: what a decision takes in instructions, with one rule and with a thousand.
//!
//! Time on a shared machine flickers; the number of instructions does not. Valgrind's callgrind counts a whole run,
//! and two runs that differ only by how many decisions they make differ by those decisions alone.

use crate::shell::{self, say};
use anyhow::{Context, bail};
use serde_json::Value;
use std::process::Command;

/// How much more than with one rule a decision may take with a thousand, in percent.
const MORE_MAX: u64 = 10;

/// The two numbers of decisions.
const TIMES: [u64; 2] = [1_000, 3_000];

/// Counts, and fails where a decision with a thousand rules takes too much more.
pub(crate) fn run() -> anyhow::Result<()> {
    let program = built()?;
    let one = of_a_decision(&program, 1)?;
    let thousand = of_a_decision(&program, 1_000)?;
    say(&format!(
        "a decision takes {one} instructions with one rule, {thousand} with a thousand rules over a thousand tools"
    ));
    judge(one, thousand)
}

fn judge(one: u64, thousand: u64) -> anyhow::Result<()> {
    // Nothing counted is no good news.
    if one < 100 {
        bail!("a decision with one rule was counted as {one} instructions: that is no decision");
    }
    if thousand * 100 > one * (100 + MORE_MAX) {
        bail!(
            "a decision takes {one} instructions with one rule and {thousand} with a thousand: more than {MORE_MAX} % more"
        );
    }
    Ok(())
}

/// The bench, as it is built for release.
fn built() -> anyhow::Result<String> {
    let words = [
        "cargo",
        "bench",
        "--quiet",
        "--package",
        "callgate-core",
        "--bench",
        "decide",
        "--no-run",
        "--message-format",
        "json",
    ];
    say(&format!("$ {}", words.join(" ")));
    let output = shell::command(&words)?
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the bench cannot be built");
    }
    std::str::from_utf8(&output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some("decide"))
        .find_map(|message| Some(message.get("executable")?.as_str()?.to_owned()))
        .context("cargo does not say where the bench is")
}

fn of_a_decision(program: &str, rules: u64) -> anyhow::Result<u64> {
    let [few, many] = TIMES;
    let more = of_a_run(program, rules, many)?.saturating_sub(of_a_run(program, rules, few)?);
    Ok(more / (many - few))
}

fn of_a_run(program: &str, rules: u64, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            program,
            "count",
        ])
        .args([rules.to_string(), times.to_string()])
        .output()
        .context("valgrind cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind ended with {}: {said}", output.status);
    }
    collected(&said).with_context(|| format!("valgrind does not say what it counted: {said}"))
}

/// The number in callgrind's line `==1234== Collected : 567`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_says_is_read() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n==7== I   refs:      1,234,567";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==7== Events    : Ir"), None);
    }

    #[test]
    fn a_decision_that_grows_or_that_was_not_counted_fails() {
        assert!(judge(4_000, 4_400).is_ok());
        assert!(judge(4_000, 4_401).is_err());
        assert!(judge(0, 0).is_err());
    }
}
