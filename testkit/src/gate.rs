//! The built `callgate`, as tests start it.

use crate::client::http::Http;
use crate::client::stdio::Stdio;
use crate::log::ServerLog;
use crate::process::{Process, Room};
use crate::server::{HttpServer, StdioServer};
use std::ffi::{OsStr, OsString};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a gate is to be started. The policy is `policy.yaml` in the room, the state folder its `state`.
#[derive(Debug, Clone)]
pub struct Gate {
    program: PathBuf,
    room: Room,
    flags: Vec<OsString>,
    server: Vec<OsString>,
    log: Option<ServerLog>,
    envs: Vec<(OsString, OsString)>,
}

impl Gate {
    /// A gate of this program, usually `env!("CARGO_BIN_EXE_callgate")`, with a policy that allows everything.
    pub fn of(program: impl Into<PathBuf>, room: &Room) -> Self {
        let gate = Self {
            program: program.into(),
            room: room.clone(),
            flags: Vec::new(),
            server: Vec::new(),
            log: None,
            envs: Vec::new(),
        };
        if gate.policy_path().exists() {
            gate
        } else {
            gate.policy("version: \"1\"\ndefault: allow\ntools: {}\n")
        }
    }

    /// Writes the policy.
    #[must_use]
    pub fn policy(self, text: &str) -> Self {
        self.room.write("policy.yaml", text);
        self
    }

    /// Where the policy is.
    #[must_use]
    pub fn policy_path(&self) -> PathBuf {
        self.room.at("policy.yaml")
    }

    /// Where the state is.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.room.at("state")
    }

    /// One more flag of `callgate run`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// More flags of `callgate run`.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(OsString::from));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// In front of a server that it starts.
    #[must_use]
    pub fn before(mut self, server: &StdioServer) -> Self {
        self.server = [OsString::from("--")]
            .into_iter()
            .chain(server.words().iter().cloned())
            .collect();
        self.log = Some(server.log().clone());
        self
    }

    /// In front of a server that runs.
    #[must_use]
    pub fn before_http(self, server: &HttpServer) -> Self {
        self.upstream(server.url())
    }

    /// In front of a URL.
    #[must_use]
    pub fn upstream(mut self, url: &str) -> Self {
        self.server = vec!["--upstream".into(), url.into()];
        self
    }

    /// Starts it on stdio.
    #[must_use]
    pub fn stdio(&self) -> Stdio {
        Stdio::on(self.start(&[]))
    }

    /// Starts it on HTTP, on a free port, and waits until it listens.
    ///
    /// # Panics
    /// When it does not tell where.
    #[must_use]
    pub fn http(&self) -> HttpGate {
        let process = self.start(&["--transport", "http", "--bind", "127.0.0.1", "--port", "0"]);
        let line = process.stderr_line("http://");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_default();
        HttpGate {
            // In JSON, the end of the message follows.
            url: url.trim_end_matches(['"', '}']).to_owned(),
            process,
        }
    }

    /// Starts it without waiting for anything: for runs that are to fail.
    #[must_use]
    pub fn start(&self, more: &[&str]) -> Process {
        let mut command = self.command("run");
        command
            .arg("-c")
            .arg(self.policy_path())
            .arg("--state-dir")
            .arg(self.state());
        command.args(more).args(&self.flags).args(&self.server);
        let mut process = Process::start(&mut command);
        process.lives_in(&self.room);
        if let Some(log) = &self.log {
            process.owns_servers_of(log.clone());
        }
        process
    }

    /// A subcommand that ends by itself, run in the room with its state folder in the environment: its exit code
    /// and what it wrote to stdout and stderr.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn tell<T: AsRef<OsStr>>(&self, subcommand: &str, arguments: impl IntoIterator<Item = T>) -> Told {
        let mut command = self.command(subcommand);
        command
            .args(arguments)
            .env("CALLGATE_STATE_DIR", self.state())
            .stdin(std::process::Stdio::null());
        let output = command.output().expect("callgate runs");
        Told {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        // Away from the room: a policy below the working folder is worth a warning.
        command
            .arg(subcommand)
            .current_dir(Path::new("/"))
            .envs(self.envs.iter().cloned());
        command
    }
}

/// What a subcommand that has ended said.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its exit code; −1 where a signal ended it.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// A gate that listens.
#[derive(Debug)]
pub struct HttpGate {
    process: Process,
    url: String,
}

impl HttpGate {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Http {
        Http::to(&self.url)
    }
}

impl Deref for HttpGate {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for HttpGate {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
