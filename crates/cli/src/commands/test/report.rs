//! What came of the cases, for people and for programs.

use crate::commands::validate::load::{Source, style_of_stdout};
use callgate_policy::{Diagnostic, Style};
use serde::Serialize;
use std::fmt::Write as _;

/// What came of one test file.
#[derive(Debug, Serialize)]
pub(super) struct FileReport {
    pub(super) file: String,
    pub(super) policy: Option<String>,
    pub(super) cases: Vec<CaseReport>,
    /// Why no case could be run: findings in the test file or its policy, with their places.
    pub(super) invalid: Option<String>,
}

/// What came of one case.
#[derive(Debug, Serialize)]
pub(super) struct CaseReport {
    pub(super) name: String,
    pub(super) line: usize,
    /// How many calls were made.
    pub(super) calls: u64,
    /// How long it took.
    #[serde(skip)]
    pub(super) seconds: f64,
    /// What was not as expected.
    pub(super) failure: Option<String>,
}

impl FileReport {
    pub(super) fn invalid(source: &Source, found: &[Diagnostic]) -> Self {
        let shown: Vec<String> = found
            .iter()
            .map(|found| found.render(&source.name, &source.text, &Style::PLAIN))
            .collect();
        Self {
            file: source.name.clone(),
            policy: None,
            cases: Vec::new(),
            invalid: Some(shown.join("\n").trim_end().to_owned()),
        }
    }

    /// The same under the name of another file.
    pub(super) fn of(self, file: &str) -> Self {
        Self {
            file: file.to_owned(),
            policy: Some(self.file),
            ..self
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.invalid.is_some() || self.failures() > 0
    }

    pub(super) fn failures(&self) -> usize {
        self.cases.iter().filter(|case| case.failure.is_some()).count()
    }
}

#[derive(Debug, Serialize)]
struct Totals<'r> {
    passed: usize,
    failed: usize,
    invalid_files: usize,
    files: &'r [FileReport],
}

fn totals(files: &[FileReport]) -> Totals<'_> {
    let failed = files.iter().map(FileReport::failures).sum();
    let cases: usize = files.iter().map(|file| file.cases.len()).sum();
    Totals {
        passed: cases.saturating_sub(failed),
        failed,
        invalid_files: files.iter().filter(|file| file.invalid.is_some()).count(),
        files,
    }
}

/// As JSON.
pub(super) fn json(files: &[FileReport]) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&totals(files))?))
}

/// As people read it.
pub(super) fn words(files: &[FileReport]) -> String {
    let style = style_of_stdout();
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    for file in files {
        let _ = writeln!(out, "{}", file.file);
        if let Some(invalid) = &file.invalid {
            let _ = writeln!(out, "  {}INVALID{}", style.error, style.reset);
            indented(&mut out, invalid);
        }
        for case in &file.cases {
            match &case.failure {
                None => {
                    let _ = writeln!(out, "  {}ok{}    {}", style.hint, style.reset, case.name);
                }
                Some(failure) => {
                    let _ = writeln!(out, "  {}FAIL{}  {}", style.error, style.reset, case.name);
                    indented(&mut out, failure);
                }
            }
        }
    }
    let totals = totals(files);
    let _ = write!(out, "\n{} passed, {} failed", totals.passed, totals.failed);
    if totals.invalid_files > 0 {
        let _ = write!(out, ", {} invalid", counted(totals.invalid_files));
    }
    let _ = writeln!(out, ", in {}", counted(files.len()));
    out
}

fn counted(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        _ => format!("{files} files"),
    }
}

fn indented(out: &mut String, text: &str) {
    for line in text.lines() {
        if line.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, "        {line}");
        }
    }
}
