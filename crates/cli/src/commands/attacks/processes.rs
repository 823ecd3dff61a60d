//! Starting and ending what is attacked, and the gate before it.

use super::caller::{Caller, Pipes, STEP_MAX};
use super::case::{Access, Case, Serving};
use super::issuer::{ISSUER, Issuer, Person};
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
/// How callers with access tokens reach the gateway, as it is told.
const GATE: &str = "https://gate.example.com";
/// The label of a caller that is the only one.
pub(super) const AGENT: &str = "agent";
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
    /// Who has access tokens of the issuer instead.
    people: &'static [Person],
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
        let (child, pipes) = piped(&mut command)?;
        let mut processes = Self::none();
        processes.piped = Some(child);
        processes.folders = vec![own];
        Ok((processes, pipes))
    }

    /// A server over pipes in these surroundings, or a gateway in them that starts it.
    pub(super) async fn start(
        case: &dyn Case,
        surroundings: &[(&str, &str)],
        between: Between<'_>,
        folder: &Path,
    ) -> anyhow::Result<(Self, Option<Pipes>)> {
        let mut processes = Self::none();
        let own = server_folder(folder, case.id())?;
        processes.folders = vec![own.clone()];
        let program = program()?;
        let policy = match between {
            Between::Nothing => {
                let mut command = command(&program, folder)?;
                command
                    .args(["attack-server", case.id(), "--folder"])
                    .arg(&own)
                    .envs(surroundings.iter().copied())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped());
                let (child, pipes) = piped(&mut command)?;
                processes.piped = Some(child);
                return Ok((processes, Some(pipes)));
            }
            Between::Gate(policy) => policy,
        };
        let entry = json!({ "command": [program, "attack-server", case.id(), "--folder", own] });
        let token = granted(AGENT, &[case.id()], folder).await?;
        processes.tokens.insert(AGENT.to_owned(), token);
        let config = config(&json!({ (case.id()): entry }), folder);
        let names = [case.id().to_owned()];
        processes
            .start_gateway(&config, policy, &names, surroundings, folder)
            .await?;
        Ok((processes, None))
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
            Between::Gate(policy) => processes.guard(serving, policy, folder).await?,
        }
        if let Access::Issuer(people) = serving.access {
            processes.people = people;
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
            people: &[],
            folders: Vec::new(),
        }
    }

    async fn start_server(&mut self, case: &dyn Case, name: &str, folder: &Path) -> anyhow::Result<()> {
        let own = server_folder(folder, name)?;
        let address = own.join("address");
        let child = command(&program()?, folder)?
            .args(["attack-server", case.id(), "--name", name, "--listen", "--folder"])
            .arg(&own)
            .stdin(Stdio::piped())
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
    async fn guard(&mut self, serving: &Serving, policy: &str, folder: &Path) -> anyhow::Result<()> {
        let names: Vec<String> = self.urls.keys().cloned().collect();
        let entry = |url: &String| match serving.access {
            Access::Labels => json!({ "url": url }),
            // What the servers want to see is the gateway's own.
            Access::Issuer(_) => {
                json!({ "url": url, "headers": { "Authorization": "Bearer the-gateway-s" } })
            }
        };
        let servers: serde_json::Map<String, Value> = self
            .urls
            .iter()
            .map(|(name, url)| (name.clone(), entry(url)))
            .collect();
        let mut config = config(&servers.into(), folder);
        for label in serving.callers {
            let servers: Vec<&str> = names.iter().map(String::as_str).collect();
            let token = granted(label, &servers, folder).await?;
            self.tokens.insert((*label).to_owned(), token);
        }
        if let Access::Issuer(people) = serving.access {
            let keys = written(folder, "keys.json", &Issuer::new()?.keys().to_string())?;
            let issuer = json!({ "issuer": ISSUER, "jwks_file": keys });
            let oauth = json!({ "url": GATE, "issuers": { "play": issuer } });
            config
                .as_object_mut()
                .context("the configuration")?
                .insert("oauth".to_owned(), oauth);
            for person in people {
                let attach = [
                    "attach",
                    person.name,
                    "--issuer",
                    ISSUER,
                    "--subject",
                    person.name,
                ];
                grants(&attach, folder).await?;
            }
        }
        self.start_gateway(&config, policy, &names, &[], folder).await
    }

    /// Starts a gateway with this configuration, before the servers of these names.
    async fn start_gateway(
        &mut self,
        config: &Value,
        policy: &str,
        names: &[String],
        surroundings: &[(&str, &str)],
        folder: &Path,
    ) -> anyhow::Result<()> {
        written(folder, "policy.yaml", policy)?;
        let config = written(folder, "callgate.yaml", &config.to_string())?;
        let gateway = command(&program()?, folder)?
            .args(["serve", "-c"])
            .arg(config)
            .envs(surroundings.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the program itself")?;
        self.gateway = Some(gateway);
        let url = told(&log(folder), "listening on http://").await?;
        let (base, _) = url.split_once("/mcp").context("the gateway's address")?;
        for name in names {
            self.urls.insert(name.clone(), format!("{base}/mcp/{name}"));
        }
        // Under no name: all servers as one.
        self.urls.insert(String::new(), format!("{base}/mcp"));
        Ok(())
    }

    /// Whether there is an address where all servers are one.
    pub(super) fn has_all_as_one(&self) -> bool {
        self.urls.contains_key("")
    }

    /// A client at a server with the credentials of a caller, which has not said a word yet. An unknown label has
    /// none.
    pub(super) fn visitor(&self, label: &str, server: &str) -> anyhow::Result<Caller> {
        self.replayer(label, server, server)
    }

    /// A client at a server with what a caller shows at another one.
    pub(super) fn replayer(&self, label: &str, token_for: &str, server: &str) -> anyhow::Result<Caller> {
        let url = self.urls.get(server);
        let url = url.with_context(|| format!("there is no server `{server}` here"))?;
        let person = self.people.iter().find(|person| person.name == label);
        match person {
            None => Caller::at(url, self.tokens.get(label).map(String::as_str)),
            Some(person) => {
                let token = Issuer::new()?.token(*person, &self.audience(token_for));
                Caller::at(url, Some(&token))
            }
        }
    }

    /// For whom a token has to be that is used at a server.
    fn audience(&self, server: &str) -> String {
        if self.gateway.is_some() {
            format!("{GATE}/mcp/{server}")
        } else {
            format!("https://{server}.example.com/mcp")
        }
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

/// The configuration of a gateway with these servers.
fn config(servers: &Value, folder: &Path) -> Value {
    json!({
        "version": 1,
        "listen": "127.0.0.1:0",
        "state": { "dir": state_folder(folder) },
        "servers": servers,
        "policies": { (POLICY): "policy.yaml" },
    })
}

/// Makes a grant for these servers under the page's policy: its token.
async fn granted(label: &str, servers: &[&str], folder: &Path) -> anyhow::Result<String> {
    let servers: Vec<String> = servers
        .iter()
        .map(|name| format!("--server={name}={POLICY}"))
        .collect();
    let mut words = vec!["create", label];
    words.extend(servers.iter().map(String::as_str));
    grants(&words, folder).await
}

/// What `callgate grants` prints.
async fn grants(words: &[&str], folder: &Path) -> anyhow::Result<String> {
    let mut command = command(&program()?, folder)?;
    command
        .arg("grants")
        .args(words)
        .arg("--state-dir")
        .arg(state_folder(folder))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let output = command.output().await?;
    ensure!(
        output.status.success(),
        "callgate grants {} failed",
        words.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Starts a process whose stdin and stdout are the agent's.
fn piped(command: &mut Command) -> anyhow::Result<(Child, Pipes)> {
    let mut child = command.spawn().context("cannot start the program itself")?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    Ok((child, pipes.context("the process has no pipes")?))
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
