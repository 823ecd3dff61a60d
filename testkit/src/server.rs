//! The bundled servers, as tests name and start them.

use crate::log::ServerLog;
use crate::process::{Process, Room};
use crate::tools::ListKind;
use clap::ValueEnum;
use std::ffi::OsString;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The program of a bundled server, built first if it is missing or older than its source.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn build(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(built_folder).join(name)
}

/// The folder of the programs: that of the running test's profile.
fn built_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the test");
    let is_deps = |path: &&Path| {
        path.file_name()
            .is_some_and(|name| name == "deps" || name == "examples")
    };
    let folder = exe.parent().map(|parent| {
        Some(parent)
            .filter(is_deps)
            .and_then(Path::parent)
            .unwrap_or(parent)
    });
    let folder = folder.expect("a folder above the test").to_owned();
    let programs = ["testkit-echo", "testkit-http", "testkit-kestra", "testkit-toon"];
    let oldest = programs
        .iter()
        .map(|name| modified(&folder.join(name)))
        .min()
        .flatten();
    if oldest.is_none() || oldest < newest_source(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        command.args(["build", "--quiet", "--package", "callgate-testkit", "--bins"]);
        command
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        command
            .arg("--target-dir")
            .arg(folder.parent().expect("a target folder"));
        if folder.file_name().is_some_and(|profile| profile == "release") {
            command.arg("--release");
        }
        let status = command.status().expect("cargo");
        assert!(status.success(), "the bundled servers cannot be built");
    }
    folder
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

fn newest_source(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?;
    let newest = |path: PathBuf| {
        if path.is_dir() {
            newest_source(&path)
        } else {
            modified(&path)
        }
    };
    entries.filter_map(|entry| newest(entry.ok()?.path())).max()
}

/// A server that the gate starts, over stdio.
#[derive(Debug, Clone)]
pub struct StdioServer {
    command: Vec<OsString>,
    log: ServerLog,
    room: Room,
}

impl StdioServer {
    /// `testkit-echo`.
    #[must_use]
    pub fn echo(room: &Room) -> Self {
        Self::bundled("testkit-echo", room)
    }

    /// `testkit-kestra`: an argument becomes a part of a path.
    #[must_use]
    pub fn kestra(room: &Room) -> Self {
        let backend = room.at("backend.log");
        Self::bundled("testkit-kestra", room)
            .arg("--backend-log")
            .arg(backend)
    }

    /// `testkit-toon`: an argument becomes a part of a shell line, run in the room's folder `shell`.
    ///
    /// # Panics
    /// When that folder cannot be made.
    #[must_use]
    pub fn toon(room: &Room) -> Self {
        let dir = room.at("shell");
        std::fs::create_dir_all(&dir).expect("a folder for the shell");
        Self::bundled("testkit-toon", room).arg("--dir").arg(dir)
    }

    /// Any other command; its log stays empty unless it writes one.
    pub fn command<T: Into<OsString>>(room: &Room, command: impl IntoIterator<Item = T>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self {
            command,
            log: ServerLog::at(room.at("server.log")),
            room: room.clone(),
        }
    }

    fn bundled(name: &str, room: &Room) -> Self {
        let log = room.at("server.log");
        Self::command(room, [build(name)]).arg("--log").arg(log)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.push(argument.into());
        self
    }

    /// It misbehaves: one of the names that `testkit-echo --help` tells.
    #[must_use]
    pub fn mischief(self, name: &str) -> Self {
        self.arg("--mischief").arg(name)
    }

    /// It tells its list of tools so.
    #[must_use]
    pub fn list(self, kind: ListKind) -> Self {
        let name = kind.to_possible_value().map(|value| value.get_name().to_owned());
        self.arg("--list").arg(name.unwrap_or_default())
    }

    /// It speaks this version; without it, all.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.arg("--version").arg(version)
    }

    /// It has so many more tools: `tool_0000`, …
    #[must_use]
    pub fn tools(self, count: usize) -> Self {
        self.arg("--tools").arg(count.to_string())
    }

    /// The command and its arguments.
    #[must_use]
    pub fn words(&self) -> &[OsString] {
        &self.command
    }

    /// The folder of its files.
    #[must_use]
    pub const fn room(&self) -> &Room {
        &self.room
    }

    /// What it has received.
    #[must_use]
    pub const fn log(&self) -> &ServerLog {
        &self.log
    }

    /// What the backend of `testkit-kestra` has done: `start NAMESPACE FLOW`, `resume ID`.
    #[must_use]
    pub fn backend(&self) -> Vec<String> {
        ServerLog::at(self.room.at("backend.log")).notes()
    }

    /// The files that the shell of `testkit-toon` has left.
    #[must_use]
    pub fn shell_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.room.at("shell")).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

/// A running `testkit-http`.
#[derive(Debug)]
pub struct HttpServer {
    process: Process,
    url: String,
    log: ServerLog,
}

impl HttpServer {
    /// Starts one with flags as `testkit-http --help` tells them.
    #[must_use]
    pub fn start(room: &Room, flags: &[&str]) -> Self {
        let log = ServerLog::at(room.at("http-server.log"));
        let mut command = Command::new(build("testkit-http"));
        command.args(flags).arg("--log").arg(log.path());
        let (mut process, url) = announced(&mut command);
        process.lives_in(room);
        Self { process, url, log }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has received. Each request begins with a note: the request line and the headers.
    #[must_use]
    pub const fn log(&self) -> &ServerLog {
        &self.log
    }
}

impl Deref for HttpServer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for HttpServer {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A running server of another language, out of `tests/servers`, that prints its URL first.
#[derive(Debug)]
pub struct Script {
    process: Process,
    url: String,
}

impl Script {
    /// Starts `tests/servers/NAME` with Python on a free port.
    #[must_use]
    pub fn python(name: &str, envs: &[(&str, &str)]) -> Self {
        let mut command = Command::new("python3");
        command.arg(Self::path(name)).arg("0").envs(envs.iter().copied());
        let (process, url) = announced(&mut command);
        Self { process, url }
    }

    /// Where a file of `tests/servers` is.
    #[must_use]
    pub fn path(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/servers")).join(name)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }
}

/// Starts a server whose first line of stdout is its URL.
fn announced(command: &mut Command) -> (Process, String) {
    let process = Process::start(command);
    let line = process
        .stdout()
        .find(0, crate::PATIENCE, |line| line.starts_with("http://"));
    let (_, url) = line.unwrap_or_else(|| panic!("{command:?} tells no URL; stderr:\n{}", process.stderr()));
    (process, url)
}
