//! Running other programs, and saying what is run.

use anyhow::{Context, bail};
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

/// Runs a command, shows what it prints on stdout, and hands each line to `each`. Whether it succeeded.
pub(crate) fn follow(words: &[&str], mut each: impl FnMut(&str)) -> anyhow::Result<bool> {
    say(&format!("$ {}", words.join(" ")));
    let mut child = command(words)?
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| words.join(" "))?;
    let output = child.stdout.take().context("its output is not there")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let _ = writeln!(std::io::stdout().lock(), "{line}");
        each(&line);
    }
    Ok(child.wait()?.success())
}
