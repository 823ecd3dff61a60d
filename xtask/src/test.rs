//! Every check and every test, with what they need installed first.

mod tally;

use crate::shell::{self, Ran, follow, has};
use crate::{conformance, instructions, tools};
use anyhow::bail;
use std::process::ExitCode;
use std::time::Instant;
use tally::Tally;

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Checks, tests, and the official conformance suite.
    All,
    /// Format, lints, spelling, dependencies, instructions.
    ChecksOnly,
    /// Tests alone.
    TestsOnly,
}

/// Debian's packages of the programs that tests run.
const PROGRAMS: [(&str, &[&str]); 8] = [
    ("cc", &["gcc", "libc6-dev"]),
    ("git", &["git"]),
    ("python3", &["python3", "python3-venv"]),
    ("node", &["nodejs"]),
    ("npm", &["npm"]),
    ("openssl", &["openssl"]),
    ("valgrind", &["valgrind"]),
    ("chromium", &["chromium"]),
];

/// Runs what `scope` asks for, and closes with one line that counts.
pub(crate) fn run(scope: Scope) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    install()?;
    let mut tally = Tally::default();
    if scope != Scope::TestsOnly {
        check(&mut tally);
    }
    if scope != Scope::ChecksOnly {
        test(&mut tally)?;
    }
    // Last, as it takes what the tests have built.
    if scope == Scope::All {
        check_one(
            &mut tally,
            "the official suite says the same through Callgate",
            conformance::check,
        );
    }
    Ok(tally.close(started))
}

fn test(tally: &mut Tally) -> anyhow::Result<()> {
    let tests: [&[&str]; 3] = [
        &["cargo", "build", "--workspace", "--bins"],
        &["cargo", "test", "--workspace", "--all-targets", "--no-fail-fast"],
        &["cargo", "test", "--workspace", "--doc", "--no-fail-fast"],
    ];
    for words in tests {
        let counted = tally.passed + tally.failed;
        let ran = follow(words, |line| tally.read(line))?;
        tally.end(&words.join(" "), &ran);
        if words.contains(&"--all-targets") && tally.passed + tally.failed == counted {
            tally.fail(&format!("`{}` ran no test", words.join(" ")), &[]);
        }
    }
    Ok(())
}

/// Fails with the reason as its text.
type Check = fn() -> anyhow::Result<()>;

/// Checks that are no tests: each counts as one that passed or failed.
fn check(tally: &mut Tally) {
    let checks: [(&str, Check); 5] = [
        ("the code is formatted", || {
            checked(&["cargo", "fmt", "--all", "--check"])
        }),
        ("the lints find nothing", || {
            checked(&[
                "cargo",
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        }),
        ("words are spelt right", || {
            checked(&[&tools::typos()?.to_string_lossy(), "--format", "brief"])
        }),
        ("dependencies are those that may be", dependencies),
        ("a decision does not grow with the policy", instructions::run),
    ];
    for (name, check) in checks {
        check_one(tally, name, check);
    }
}

fn check_one(tally: &mut Tally, name: &str, check: Check) {
    let started = Instant::now();
    match check() {
        Ok(()) => tally.passed += 1,
        Err(error) => {
            let said = format!("{error:#}");
            tally.fail(&format!("check: {name}"), &said.lines().collect::<Vec<_>>());
        }
    }
    shell::say(&format!("({name}: {} s)", started.elapsed().as_secs()));
}

/// Licences, bans and sources; what is known of weaknesses is fetched by `cargo xtask deny`.
fn dependencies() -> anyhow::Result<()> {
    let deny = tools::cargo_deny()?;
    // The crates of other systems are judged too, and a build does not fetch those.
    shell::run(&["cargo", "fetch", "--quiet", "--locked"])?;
    checked(&[
        &deny.to_string_lossy(),
        "--offline",
        "--log-level",
        "error",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ])
}

/// All checks of dependencies; what is known of weaknesses is fetched.
pub(crate) fn deny() -> anyhow::Result<()> {
    let deny = tools::cargo_deny()?;
    shell::run(&[&deny.to_string_lossy(), "check", "--hide-inclusion-graph"])
}

/// A command whose last words are the reason where it fails.
fn checked(words: &[&str]) -> anyhow::Result<()> {
    let mut printed = Vec::new();
    let Ran { is_success, stderr } = follow(words, |line| printed.push(line.to_owned()))?;
    if !is_success {
        // What was found comes before its summary, wherever each was written.
        let (found, summary) = (stderr.join("\n"), printed.join("\n"));
        bail!("`{}` failed\n{found}\n{summary}", words.join(" "));
    }
    Ok(())
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
