//! Writing to stdout: buffered, coloured on a terminal only, and calm when the reader leaves.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;

/// Stdout.
#[derive(Debug)]
pub(crate) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    paint: Paint,
}

/// Whether text is coloured: <https://no-color.org>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// It is plain.
    Plain,
    /// It has colours.
    Coloured,
}

impl Paint {
    /// For what goes to stdout.
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && io::stdout().is_terminal() {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// What went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What was refused, or is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What should be looked at.
    pub(crate) fn odd(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A heading.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }
}

impl Out {
    pub(crate) fn new() -> Self {
        Self {
            to: BufWriter::new(io::stdout().lock()),
            paint: Paint::of_stdout(),
        }
    }

    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.write_all(b"\n")
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)
    }

    /// A value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Lets the reader see what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Does `work` and writes what it has to say. Where the reader of stdout has left (`| head`), the rest is not
/// wanted, and that is no failure.
pub(crate) fn to_the_end_of_a_pipe(
    work: impl FnOnce(&mut Out) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let mut out = Out::new();
    let done = work(&mut out).and_then(|code| {
        // What was found is told by the code too, also when nobody reads.
        match out.flush() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(code),
        }
    });
    match done {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        io.or_else(|| json.and_then(serde_json::Error::io_error_kind)) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Text from outside, for a terminal: what would move the cursor, colour or reorder the line is spelt out.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders = matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if character.is_control() || reorders {
            clean.extend(character.escape_unicode());
        } else {
            clean.push(character);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_name_cannot_draw_on_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[2Jb\rc\u{202e}d é"),
            "a\\u{1b}[2Jb\\u{d}c\\u{202e}d é"
        );
    }
}
