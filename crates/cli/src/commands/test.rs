//! `callgate test`: the test files of policies.

mod fields;
mod file;
mod find;
mod junit;
mod play;
mod report;

use super::validate::load::{Checked, Source};
use crate::words::{FAILED, FOUND_WRONG, complain};
use anyhow::{Context, bail};
use callgate_policy::Severity;
use clap::Args;
use report::{CaseReport, FileReport};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  callgate test                     all *.test.yaml below this folder
  callgate test policies/
  callgate test policy.test.yaml --junit results.xml

A test file, policy.test.yaml beside policy.yaml:
  cases:
    - name: small charges pass
      tool: create_charge
      args: {amount: 500}
      expect: allow
    - name: ten a minute
      tool: create_charge
      args: {amount: 500}
      calls:
        - {times: 10, expect: allow}
        - {at: 30s, expect: deny, reason: rate_limited}
        - {at: 60s, expect: allow}

Exit codes: 0 all cases pass, 2 a case fails or a file is invalid, 1 nothing could be run.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// Test files, folders of them, or policies with a test file beside them [default: this folder]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs all test files that are found.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let found = find::test_files(&args.paths)?;
    if found.is_empty() {
        bail!(
            "there is no test file here\nhint: a policy policy.yaml is tested by policy.test.yaml beside it; see callgate test --help"
        );
    }
    let mut reports = Vec::new();
    let mut unread = false;
    for path in &found {
        match run_file(path) {
            Ok(report) => reports.push(report),
            Err(error) => {
                unread = true;
                complain(&error);
            }
        }
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::document(&reports))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let shown = if args.json {
        report::json(&reports)?
    } else {
        report::words(&reports)
    };
    std::io::stdout()
        .lock()
        .write_all(shown.as_bytes())
        .context("cannot write to stdout")?;
    if reports.iter().any(FileReport::failed) {
        return Ok(ExitCode::from(FOUND_WRONG));
    }
    if unread {
        return Ok(ExitCode::from(FAILED));
    }
    if reports.iter().all(|report| report.cases.is_empty()) {
        bail!("no case was run");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one test file.
fn run_file(path: &Path) -> anyhow::Result<FileReport> {
    let source = Source::read(path)?;
    let tests = match file::read(&source, path) {
        Ok(tests) => tests,
        Err(found) => return Ok(FileReport::invalid(&source, &found)),
    };
    let policy = Source::read(&tests.policy)
        .with_context(|| format!("{}: its policy; name it with `policy:`", source.name))?;
    let checked = policy.check();
    let Checked {
        loaded: Some(loaded), ..
    } = &checked
    else {
        let errors: Vec<_> = checked
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .cloned()
            .collect();
        return Ok(FileReport::invalid(&checked.source, &errors).of(&source.name));
    };
    let cases: Vec<CaseReport> = tests
        .cases
        .iter()
        .map(|case| play::play(loaded, &checked.source.name, &tests, case))
        .collect();
    Ok(FileReport {
        file: source.name,
        policy: Some(checked.source.name),
        cases,
        invalid: None,
    })
}
