//! The processes of a play: the attacked servers, a gate before them or none, and the clients of those who call.

use super::caller::{Answer, Caller, STEP_MAX};
use super::case::{Case, Setting};
use super::processes::{AGENT, Processes, said};
use super::record::Done;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands between the callers and the servers.
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
    processes: Processes,
    agent: Caller,
    others: BTreeMap<(String, String), Caller>,
}

/// What is left when all processes have ended.
pub(super) struct Remains {
    folder: tempfile::TempDir,
    /// What the servers did.
    pub(super) done: Done,
    /// What the callers saw.
    pub(super) seen: Vec<Answer>,
}

impl Scene {
    /// Starts everything.
    pub(super) async fn open(case: &dyn Case, between: Between<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("callgate-attack-")
            .tempdir()
            .context("cannot make a folder for the attack; TMPDIR names another place")?;
        let begun = Self::begin(case, between, folder.path()).await;
        let (processes, agent) =
            begun.with_context(|| format!("what is attacked did not start: {}", said(folder.path())))?;
        Ok(Self {
            folder,
            processes,
            agent,
            others: BTreeMap::new(),
        })
    }

    async fn begin(
        case: &dyn Case,
        between: Between<'_>,
        folder: &Path,
    ) -> anyhow::Result<(Processes, Caller)> {
        match case.setting() {
            Setting::Run => {
                let (processes, pipes) = Processes::run(case, between, folder)?;
                let agent = Caller::over(pipes).await?;
                Ok((processes, agent))
            }
            Setting::Serve(serving) => {
                let processes = Processes::serve(case, &serving, between, folder).await?;
                let mut agent = processes.visitor(serving.first.0, serving.first.1)?;
                agent.begin().await?;
                Ok((processes, agent))
            }
            Setting::Start(surroundings) => {
                let (processes, pipes) = Processes::start(case, surroundings, between, folder).await?;
                let agent = match pipes {
                    Some(pipes) => Caller::over(pipes).await?,
                    None => {
                        let mut agent = processes.visitor(AGENT, case.id())?;
                        agent.begin().await?;
                        agent
                    }
                };
                Ok((processes, agent))
            }
        }
    }

    /// The agent: the only caller, or of several the first, at the first server.
    pub(super) const fn agent(&mut self) -> &mut Caller {
        &mut self.agent
    }

    /// A further caller at a server, in a session that is opened the first time.
    pub(super) async fn caller(&mut self, label: &str, server: &str) -> anyhow::Result<&mut Caller> {
        let key = (label.to_owned(), server.to_owned());
        if !self.others.contains_key(&key) {
            let mut caller = self.processes.visitor(label, server)?;
            caller.begin().await?;
            self.others.insert(key.clone(), caller);
        }
        self.others.get_mut(&key).context("the caller is there")
    }

    /// A further client at a server with a caller's credentials, which has said nothing yet. An unknown label has none.
    pub(super) fn visitor(&mut self, label: &str, server: &str) -> anyhow::Result<&mut Caller> {
        let visitor = self.processes.visitor(label, server)?;
        Ok(self.kept((label.to_owned(), server.to_owned()), visitor))
    }

    /// A client that shows at one server the token that a caller has for another.
    pub(super) fn replayer(
        &mut self,
        label: &str,
        token_for: &str,
        server: &str,
    ) -> anyhow::Result<&mut Caller> {
        let replayer = self.processes.replayer(label, token_for, server)?;
        let key = (format!("{label} for {token_for}"), server.to_owned());
        Ok(self.kept(key, replayer))
    }

    fn kept(&mut self, key: (String, String), caller: Caller) -> &mut Caller {
        self.others.entry(key).insert_entry(caller).into_mut()
    }

    /// Whether there is an address where all servers are one.
    pub(super) fn has_all_as_one(&self) -> bool {
        self.processes.has_all_as_one()
    }

    /// Ends all processes in order; a gate signs its ledger as it leaves.
    pub(super) async fn close(self) -> anyhow::Result<Remains> {
        let mut seen = self.agent.leave();
        for caller in self.others.into_values() {
            seen.extend(caller.leave());
        }
        let folders = tokio::time::timeout(STEP_MAX, self.processes.end()).await;
        let folders = folders
            .context("the processes do not end")?
            .with_context(|| said(self.folder.path()))?;
        Ok(Remains {
            done: Done::read(&folders)?,
            folder: self.folder,
            seen,
        })
    }
}

impl Remains {
    /// Where the gate kept its ledger.
    pub(super) fn state_folder(&self) -> PathBuf {
        super::processes::state_folder(self.folder.path())
    }
}
