//! The results as JUnit XML, which continuous integration reads.

use super::report::{CaseReport, FileReport};
use std::fmt::Write as _;

/// The whole document: a suite a file.
pub(super) fn document(files: &[FileReport]) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"callgate test\">\n");
    for file in files {
        let errors = usize::from(file.invalid.is_some());
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\">",
            escaped(&file.file),
            file.cases.len().saturating_add(errors),
            file.failures(),
        );
        if let Some(invalid) = &file.invalid {
            let _ = writeln!(
                out,
                "    <testcase name=\"the files are valid\" classname=\"{}\">\n      <error message=\"invalid\">{}</error>\n    </testcase>",
                escaped(&file.file),
                escaped(invalid),
            );
        }
        for one in &file.cases {
            case(&mut out, file, one);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, file: &FileReport, case: &CaseReport) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3}\"",
        escaped(&case.name),
        escaped(&file.file),
        escaped(&file.file),
        case.line,
        case.seconds,
    );
    match &case.failure {
        None => out.push_str("/>\n"),
        Some(failure) => {
            let first = failure.lines().nth(1).unwrap_or_default();
            let _ = writeln!(
                out,
                ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                escaped(first),
                escaped(failure)
            );
        }
    }
}

/// Text for XML 1.0, which has no place for most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
