//! Running other programs, and saying what is run.

use anyhow::{Context, bail};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The top folder of the checkout.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let crate_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(crate_folder
        .parent()
        .context("xtask lies in the checkout")?
        .to_owned())
}

/// A line on stderr.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A command, run from the top folder.
pub(crate) fn command(words: &[&str]) -> anyhow::Result<Command> {
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()?);
    Ok(command)
}

/// Runs a command that has to succeed.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ {}", words.join(" ")));
    let status = command(words)?.status().with_context(|| words.join(" "))?;
    if !status.success() {
        bail!("`{}` failed ({status})", words.join(" "));
    }
    Ok(())
}

/// Whether a program is there and answers to `--version`.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// What a command that has ended did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) is_success: bool,
    /// The last lines that it wrote to stderr.
    pub(crate) stderr: Vec<String>,
}

/// How many lines of stderr are kept.
const LINES_MAX: usize = 400;

/// Runs a command, shows what it prints, and hands each line of stdout to `each`.
pub(crate) fn follow(words: &[&str], mut each: impl FnMut(&str)) -> anyhow::Result<Ran> {
    say(&format!("$ {}", words.join(" ")));
    let mut child = command(words)?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| words.join(" "))?;
    let output = child.stdout.take().context("its output is not there")?;
    let errors = child.stderr.take().context("its errors are not there")?;
    let errors = std::thread::spawn(move || {
        let mut kept = VecDeque::new();
        for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            say(&line);
            if kept.len() == LINES_MAX {
                kept.pop_front();
            }
            kept.push_back(line);
        }
        kept
    });
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let _ = writeln!(std::io::stdout().lock(), "{line}");
        each(&line);
    }
    let is_success = child.wait()?.success();
    let stderr = errors.join().map_or_else(|_| Vec::new(), Vec::from);
    Ok(Ran { is_success, stderr })
}
