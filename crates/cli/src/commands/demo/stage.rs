//! The demo's processes: a client here, `callgate run` as a child, and the server as its child.

use super::script::Ask;
use anyhow::Context;
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RoleClient, RunningService};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long any step may take before the demo gives up.
const STEP_MAX: Duration = Duration::from_secs(10);
const POLICY: &str = include_str!("policy.yaml");

/// A client with a gate and a server behind it, in a folder that goes when they go.
pub(super) struct Stage {
    dir: tempfile::TempDir,
    client: RunningService<RoleClient, ()>,
    gate: Child,
}

/// What came of a call, as the agent sees it.
#[derive(Debug, serde::Serialize)]
pub(super) struct Seen {
    pub(super) tool: &'static str,
    #[serde(skip)]
    pub(super) gist: &'static str,
    pub(super) arguments: Value,
    pub(super) decision: Decision,
    pub(super) reason: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) text: String,
    pub(super) took_us: u64,
}

/// What the gate decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    Allowed,
    Limited,
    Denied,
}

impl Decision {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Limited => "limited",
            Self::Denied => "denied",
        }
    }
}

/// What is left when all processes have ended: the folder with the ledger.
pub(super) struct Remains {
    dir: tempfile::TempDir,
}

impl Stage {
    /// Starts everything.
    pub(super) async fn set() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("callgate-demo-")
            .tempdir()
            .context("cannot make a folder for the demo; TMPDIR names another place")?;
        let policy = dir.path().join("policy.yaml");
        std::fs::write(&policy, POLICY)?;
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let log = File::create(dir.path().join("gate.log"))?;
        let mut gate = Command::new(&program)
            .args(["run", "--server", "workflows", "--reload", "off", "-c"])
            .arg(&policy)
            .arg("--state-dir")
            .arg(state(dir.path()))
            .arg("--")
            .arg(&program)
            .arg("demo-server")
            .arg("--received")
            .arg(received(dir.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the gate")?;
        let pipes = gate.stdout.take().zip(gate.stdin.take());
        let pipes = pipes.context("the gate has no pipes")?;
        let client = match timeout(STEP_MAX, ().serve(pipes)).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(anyhow::Error::from(error).context(said(dir.path()))),
            Err(_) => anyhow::bail!("the gate did not answer in time: {}", said(dir.path())),
        };
        Ok(Self { dir, client, gate })
    }

    /// The names of the tools that the agent sees.
    pub(super) async fn tools(&self) -> anyhow::Result<Vec<String>> {
        let tools = timeout(STEP_MAX, self.client.list_all_tools()).await??;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Makes a call and waits for its answer.
    pub(super) async fn call(&self, ask: Ask) -> anyhow::Result<Seen> {
        let mut request = CallToolRequestParams::new(ask.tool);
        request.arguments = ask.arguments.as_object().cloned();
        let began = Instant::now();
        let result = timeout(STEP_MAX, self.client.call_tool(request))
            .await
            .with_context(|| format!("{} was not answered in time: {}", ask.tool, said(self.dir.path())))??;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(seen(ask, &result, took_us))
    }

    /// Ends all processes in order; the gate signs the ledger as it leaves.
    pub(super) async fn clear(mut self) -> anyhow::Result<Remains> {
        self.client.cancel().await?;
        let ended = timeout(STEP_MAX, self.gate.wait())
            .await
            .context("the gate does not end")??;
        anyhow::ensure!(
            ended.success(),
            "the gate ended with {ended}: {}",
            said(self.dir.path())
        );
        Ok(Remains { dir: self.dir })
    }
}

impl Remains {
    /// The state folder.
    pub(super) fn state(&self) -> PathBuf {
        state(self.dir.path())
    }

    /// How many calls arrived at the server, as it says itself.
    pub(super) fn received(&self) -> std::io::Result<usize> {
        match std::fs::read_to_string(received(self.dir.path())) {
            Ok(text) => Ok(text.lines().count()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn state(dir: &Path) -> PathBuf {
    dir.join("state")
}

fn received(dir: &Path) -> PathBuf {
    dir.join("received")
}

/// What the gate said on stderr.
fn said(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("gate.log")).unwrap_or_default()
}

fn seen(ask: Ask, result: &CallToolResult, took_us: u64) -> Seen {
    let meta = |key: &str| {
        let value = result.meta.as_ref().and_then(|meta| meta.0.get(key));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    let reason = meta(callgate_gateway::answer::META_REASON);
    let decision = match reason.as_deref() {
        None => Decision::Allowed,
        Some(reason) if super::super::ledger::line::is_limit(reason) => Decision::Limited,
        Some(_) => Decision::Denied,
    };
    let text = result.content.first().and_then(|content| content.as_text());
    Seen {
        tool: ask.tool,
        gist: ask.gist,
        arguments: ask.arguments,
        decision,
        reason,
        rule: meta(callgate_gateway::answer::META_RULE),
        text: text.map(|text| text.text.clone()).unwrap_or_default(),
        took_us,
    }
}
