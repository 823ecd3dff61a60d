//! Starting and ending what is attacked, and the gate before it.

use super::caller::{Caller, Pipes, STEP_MAX};
use super::case::{Case, Serving};
use super::scene::Between;
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// The name of the page's policy in the configuration of a gateway.
const POLICY: &str = "page";
/// The exit code of a gateway that was told to end, and has done so in order.
const ENDED_BY_TERM: i32 = 143;
/// How often it is looked whether a process listens.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// All processes of a play but this one. Those that are left when it goes are killed.
pub(super) struct Processes {
    /// The server, or the gate that has it as its child.
    piped: Option<Child>,
    gateway: Option<Child>,
    servers: Vec<Child>,
    /// Where callers find a server, by its name.
    urls: BTreeMap<String, String>,
    /// What callers show, by their label.
    tokens: BTreeMap<String, String>,
    folders: Vec<PathBuf>,
}

impl Processes {
    /// A server over pipes, or a gate with the server as its child.
    pub(super) fn run(case: &dyn Case, between: Between<'_>, folder: &Path) -> anyhow::Result<(Self, Pipes)> {
        let program = program()?;
        let mut command = command(&program, folder)?;
        if let Between::Gate(policy) = between {
            command
                .args(["run", "--server", case.id(), "--reload", "off", "-c"])
                .arg(written(folder, "policy.yaml", policy)?)
                .arg("--state-dir")
                .arg(state_folder(folder))
                .arg("--")
                .arg(&program);
        }
        let own = server_folder(folder, case.id())?;
        command
            .args(["attack-server", case.id(), "--folder"])
            .arg(&own)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the program itself")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let mut processes = Self::none();
        processes.piped = Some(child);
        processes.folders = vec![own];
        Ok((processes, pipes.context("the process has no pipes")?))
    }

    /// Servers over HTTP, and a gateway before them or none.
    pub(super) async fn serve(
        case: &dyn Case,
        serving: &Serving,
        between: Between<'_>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut processes = Self::none();
        for name in serving.servers {
            processes.start_server(case, name, folder).await?;
        }
        match between {
            Between::Nothing => {
                let shown = serving.callers.iter().map(|label| (*label, *label));
                processes.tokens = shown
                    .map(|(label, token)| (label.to_owned(), token.to_owned()))
                    .collect();
            }
            Between::Gate(policy) => processes.start_gateway(serving, policy, folder).await?,
        }
        Ok(processes)
    }

    const fn none() -> Self {
        Self {
            piped: None,
            gateway: None,
            servers: Vec::new(),
            urls: BTreeMap::new(),
            tokens: BTreeMap::new(),
            folders: Vec::new(),
        }
    }

    async fn start_server(&mut self, case: &dyn Case, name: &str, folder: &Path) -> anyhow::Result<()> {
        let own = server_folder(folder, name)?;
        let address = own.join("address");
        let child = command(&program()?, folder)?
            .args(["attack-server", case.id(), "--name", name, "--listen", "--folder"])
            .arg(&own)
            .stdin(Stdio::null())
            .stdout(File::create(&address)?)
            .spawn()
            .context("cannot start the program itself")?;
        self.servers.push(child);
        self.folders.push(own);
        let url = told(&address, "http://").await?;
        self.urls.insert(name.to_owned(), url);
        Ok(())
    }

    /// Makes the grants, and starts a gateway before the servers that run.
    async fn start_gateway(&mut self, serving: &Serving, policy: &str, folder: &Path) -> anyhow::Result<()> {
        let servers: serde_json::Map<String, Value> = self
            .urls
            .iter()
            .map(|(name, url)| (name.clone(), json!({ "url": url })))
            .collect();
        written(folder, "policy.yaml", policy)?;
        let config = json!({
            "version": 1,
            "listen": "127.0.0.1:0",
            "state": { "dir": state_folder(folder) },
            "servers": servers,
            "policies": { (POLICY): "policy.yaml" },
        });
        let config = written(folder, "callgate.yaml", &config.to_string())?;
        for label in serving.callers {
            let token = self.granted(label, folder).await?;
            self.tokens.insert((*label).to_owned(), token);
        }
        let gateway = command(&program()?, folder)?
            .args(["serve", "-c"])
            .arg(config)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the program itself")?;
        self.gateway = Some(gateway);
        let url = told(&log(folder), "listening on http://").await?;
        let (base, _) = url.split_once("/mcp").context("the gateway's address")?;
        for (name, url) in &mut self.urls {
            *url = format!("{base}/mcp/{name}");
        }
        // Under no name: all servers as one.
        self.urls.insert(String::new(), format!("{base}/mcp"));
        Ok(())
    }

    /// A grant for all servers under the page's policy: its token.
    async fn granted(&self, label: &str, folder: &Path) -> anyhow::Result<String> {
        let mut command = command(&program()?, folder)?;
        command.args(["grants", "create", label]);
        for name in self.urls.keys() {
            command.arg("--server").arg(format!("{name}={POLICY}"));
        }
        command
            .arg("--state-dir")
            .arg(state_folder(folder))
            .stdin(Stdio::null());
        let output = command.stdout(Stdio::piped()).output().await?;
        ensure!(output.status.success(), "no grant could be made for {label}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A client at a server with the credentials of a caller, which has not said a word yet. An unknown label has
    /// none.
    pub(super) fn visitor(&self, label: &str, server: &str) -> anyhow::Result<Caller> {
        let url = self.urls.get(server);
        let url = url.with_context(|| format!("there is no server `{server}` here"))?;
        Caller::at(url, self.tokens.get(label).map(String::as_str))
    }

    /// Ends all of them in order: the folders in which the servers have their records.
    pub(super) async fn end(mut self) -> anyhow::Result<Vec<PathBuf>> {
        if let Some(mut child) = self.piped.take() {
            let ended = child.wait().await?;
            ensure!(ended.success(), "a process ended with {ended}");
        }
        if let Some(mut gateway) = self.gateway.take() {
            let pid = gateway
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw);
            kill_process(pid.context("the gateway has ended early")?, Signal::TERM)?;
            let ended = gateway.wait().await?;
            ensure!(
                ended.code() == Some(ENDED_BY_TERM),
                "the gateway ended with {ended}"
            );
        }
        for mut server in self.servers {
            server.kill().await?;
        }
        Ok(self.folders)
    }
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the program itself")
}

/// This program, which tells on stderr what goes on to a file of the folder.
fn command(program: &Path, folder: &Path) -> anyhow::Result<Command> {
    let log = OpenOptions::new().append(true).create(true).open(log(folder))?;
    let mut command = Command::new(program);
    command
        // Nothing of the surroundings decides how an attack ends, and no traces of it are sent anywhere.
        .env_clear()
        .current_dir("/")
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

fn written(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Waits until a file has a line with this: the address in it.
async fn told(file: &Path, before: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + STEP_MAX;
    while Instant::now() < deadline {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.contains(before));
        let url = line.and_then(|line| line.split_whitespace().find(|word| word.starts_with("http://")));
        // A line that is not whole yet has no end.
        if let Some(url) = url.filter(|_| text.ends_with('\n')) {
            return Ok(url.to_owned());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("nobody listens")
}

/// Where a gate keeps its state.
pub(super) fn state_folder(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn server_folder(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let own = folder.join("servers").join(name);
    std::fs::create_dir_all(&own)?;
    Ok(own)
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// What the processes said on stderr.
pub(super) fn said(folder: &Path) -> String {
    let text = std::fs::read_to_string(log(folder)).unwrap_or_default();
    text.trim().to_owned()
}
