//! The processes of a play: the attacked server, a gate before it or none, and the agent's client.

use super::caller::{Answer, Caller, STEP_MAX};
use super::case::Case;
use super::record::Done;
use anyhow::Context;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// What stands between the agent and the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Between<'p> {
    /// Nothing.
    Nothing,
    /// A gate with this policy.
    Gate(&'p str),
}

/// The processes, in a folder that goes when they go.
pub(super) struct Scene {
    folder: tempfile::TempDir,
    agent: Caller,
    process: Child,
}

/// What is left when all processes have ended.
pub(super) struct Remains {
    folder: tempfile::TempDir,
    /// What the server did.
    pub(super) done: Done,
    /// What the agent saw.
    pub(super) seen: Vec<Answer>,
}

impl Scene {
    /// Starts everything.
    pub(super) async fn open(case: &dyn Case, between: Between<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("callgate-attack-")
            .tempdir()
            .context("cannot make a folder for the attack; TMPDIR names another place")?;
        std::fs::create_dir(server_folder(folder.path()))?;
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let mut command = Command::new(&program);
        if let Between::Gate(policy) = between {
            let file = folder.path().join("policy.yaml");
            std::fs::write(&file, policy)?;
            command
                .args(["run", "--server", case.id(), "--reload", "off", "-c"])
                .arg(&file)
                .arg("--state-dir")
                .arg(state_folder(folder.path()))
                .arg("--")
                .arg(&program);
        }
        command
            .args(["attack-server", case.id(), "--folder"])
            .arg(server_folder(folder.path()))
            // Nothing of the surroundings decides how an attack ends, and no traces of it are sent anywhere.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log(folder.path()))?)
            .kill_on_drop(true);
        let mut process = command.spawn().context("cannot start the program itself")?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (to, from) = pipes.context("the process has no pipes")?;
        let agent = Caller::over(to, from).await;
        let agent = agent.with_context(|| format!("the server did not start: {}", said(folder.path())))?;
        Ok(Self {
            folder,
            agent,
            process,
        })
    }

    /// The agent.
    pub(super) const fn agent(&mut self) -> &mut Caller {
        &mut self.agent
    }

    /// Ends all processes in order; a gate signs its ledger as it leaves.
    pub(super) async fn close(mut self) -> anyhow::Result<Remains> {
        let seen = self.agent.leave();
        let ended = timeout(STEP_MAX, self.process.wait()).await;
        let ended = ended.context("the processes do not end")??;
        anyhow::ensure!(
            ended.success(),
            "a process ended with {ended}: {}",
            said(self.folder.path())
        );
        Ok(Remains {
            done: Done::read(&server_folder(self.folder.path()))?,
            folder: self.folder,
            seen,
        })
    }
}

impl Remains {
    /// Where the gate kept its ledger.
    pub(super) fn state_folder(&self) -> PathBuf {
        state_folder(self.folder.path())
    }
}

fn state_folder(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn server_folder(folder: &Path) -> PathBuf {
    folder.join("server")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// What the processes said on stderr.
fn said(folder: &Path) -> String {
    let text = std::fs::read_to_string(log(folder)).unwrap_or_default();
    text.trim().to_owned()
}
