//! How the program speaks: data on stdout, everything else on stderr, colour on a terminal only.

use crate::log;
use callgate_policy::{Diagnostic, Style};
use std::io::{IsTerminal, Write};
use tracing::Level;

/// The exit code of whatever could not be done.
pub(crate) const FAILED: u8 = 1;
/// The exit code of what was looked at and found wrong, such as an invalid policy.
pub(crate) const FOUND_WRONG: u8 = 2;

/// Whether what a person reads on stderr may be coloured: <https://no-color.org>.
pub(crate) fn stderr_has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

/// How findings look on a terminal.
pub(crate) const COLOURED: Style = Style {
    error: "\u{1b}[1;31m",
    warning: "\u{1b}[1;33m",
    frame: "\u{1b}[34m",
    hint: "\u{1b}[36m",
    reset: "\u{1b}[0m",
};

/// An error with its causes, on stderr.
pub(crate) fn complain(error: &anyhow::Error) {
    if log::is_json() {
        return log::line(Level::ERROR, &told(error), &[]);
    }
    let label = if stderr_has_colour() {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    say(&format!("{label}: {}", told(error)));
}

/// An error and its causes, none of them said twice.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A warning, on stderr.
pub(crate) fn warn(text: &str) {
    if log::is_json() {
        return log::line(Level::WARN, text, &[]);
    }
    let label = if stderr_has_colour() {
        "\u{1b}[1;33mwarning\u{1b}[0m"
    } else {
        "warning"
    };
    say(&format!("{label}: {text}"));
}

/// A finding in a file, on stderr: as `rendered` for people.
pub(crate) fn say_finding(file: &str, found: &Diagnostic, rendered: impl FnOnce(&Style) -> String) {
    if log::is_json() {
        return log::finding(file, found);
    }
    let style = if stderr_has_colour() {
        COLOURED
    } else {
        Style::PLAIN
    };
    say(&rendered(&style));
}

/// A line on stderr. A closed stderr is no reason to end.
pub(crate) fn say(text: &str) {
    if log::is_json() {
        let text = text.strip_prefix("callgate: ").unwrap_or(text);
        return log::line(Level::INFO, text, &[]);
    }
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_its_error_names_is_not_said_twice() {
        let cause = anyhow::anyhow!("permission denied");
        let named = cause.context("cannot read x: permission denied; make it readable");
        assert_eq!(told(&named), "cannot read x: permission denied; make it readable");
        let unnamed = anyhow::anyhow!("no such file").context("cannot read x");
        assert_eq!(told(&unnamed), "cannot read x: no such file");
    }
}
