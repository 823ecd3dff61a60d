//! The home of a person with clients of all kinds, whose servers are started by stand-ins of `npx`, `uvx` and
//! `docker`.

use callgate_testkit::{HttpServer, Process, Room, Script, Stdio};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as Pipe};

/// The configurations, by their places in the home. `REMOTE` stands for the URL of a server.
pub(super) const LAYOUTS: &[(&str, &str)] = &[
    (".claude.json", include_str!("claude-code.json")),
    (
        ".config/Claude/claude_desktop_config.json",
        include_str!("claude-desktop.json"),
    ),
    (".cursor/mcp.json", include_str!("cursor.json")),
    (".config/Code/User/mcp.json", include_str!("vscode.json")),
    (
        ".config/Code/User/settings.json",
        include_str!("vscode-settings.json"),
    ),
    (".codeium/windsurf/mcp_config.json", include_str!("windsurf.json")),
    (".config/zed/settings.json", include_str!("zed.json")),
    (".codex/config.toml", include_str!("codex.toml")),
    (".gemini/settings.json", include_str!("gemini.json")),
    ("shop/.mcp.json", include_str!("project-mcp.json")),
];

/// Stands for itself, whoever starts it: says what it was started as, and its secrets where nobody is to see them.
const STAND_IN: &str = r#"#!/bin/sh
echo "$(basename "$0") $*" >> "$HOUSE/started"
env | grep -a canary >&2
exec python3 "$NOTES"
"#;

/// A variable of the house whose value is a secret.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("NOTES_LEVEL", "high"),
    ("GEMINI_CANARY", "canary-gemini-variable"),
    ("FIGMA_TOKEN", "canary-codex-variable"),
];

/// What a run said.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    pub(super) fn all(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}

pub(super) struct House {
    pub(super) room: Room,
    server: HttpServer,
}

impl House {
    /// An empty home with a project in it, and a server behind a URL.
    pub(super) fn new() -> Self {
        let room = Room::new();
        let server = HttpServer::start(&room, &[]);
        let house = Self { room, server };
        for program in ["npx", "uvx", "docker"] {
            let path = house.room.at("bin").join(program);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, STAND_IN).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::fs::create_dir_all(house.at("shop/.git")).unwrap();
        house
    }

    /// Writes all configurations, each as `write` keeps it.
    pub(super) fn furnish(&self, write: impl Fn(&str) -> String) {
        for (path, text) in LAYOUTS {
            self.write(path, &write(&self.filled(text)));
        }
    }

    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("REMOTE", self.remote())
    }

    pub(super) fn remote(&self) -> &str {
        self.server.url()
    }

    pub(super) const fn server(&self) -> &HttpServer {
        &self.server
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.room.at("home").join(path)
    }

    pub(super) fn policies(&self) -> PathBuf {
        self.at(".config/callgate/policies")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.at(".local/state/callgate")
    }

    pub(super) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[track_caller]
    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    /// The configurations that exist, each with its mode.
    pub(super) fn files(&self) -> BTreeMap<String, (u32, String)> {
        let own = |path: &String| !path.contains("callgate/");
        self.everything()
            .into_iter()
            .filter(|(path, _)| own(path))
            .collect()
    }

    /// All files of the home, each with its mode.
    pub(super) fn everything(&self) -> BTreeMap<String, (u32, String)> {
        let mut files = BTreeMap::new();
        gather(&self.at(""), "", &mut files);
        files
    }

    /// What the stand-ins were started as.
    pub(super) fn started(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.room.at("started")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// `callgate` in the project's folder, for a person who lives here.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .args(arguments)
            .current_dir(self.at("shop"))
            .stdin(Pipe::null())
            .stdout(Pipe::piped())
            .stderr(Pipe::piped());
        self.surround(&mut command);
        command
    }

    /// Gives a program the house's environment.
    fn surround(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", self.room.at("bin").display()))
            .env("HOME", self.at(""))
            .env("HOUSE", self.room.path())
            .env("NOTES", Script::path("notes.py").canonicalize().unwrap())
            .envs(VARIABLES.iter().copied());
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "CLAUDE_CONFIG_DIR",
            "CODEX_HOME",
            "CALLGATE_STATE_DIR",
        ] {
            command.env_remove(name);
        }
    }

    pub(super) fn callgate(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same at a terminal, where a person types; what the terminal shows.
    pub(super) fn on_terminal(&self, arguments: &[&str], typed: &str) -> String {
        let mut command = Command::new("python3");
        command
            .arg(Script::path("terminal.py"))
            .arg(env!("CARGO_BIN_EXE_callgate"))
            .args(arguments)
            .current_dir(self.at("shop"))
            .stdin(Pipe::piped())
            .stdout(Pipe::piped());
        self.surround(&mut command);
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the command of an entry as a client does: with the entry's own environment, expanding nothing.
    pub(super) fn start(&self, entry: &Value) -> Stdio {
        let mut command = Command::new(entry["command"].as_str().unwrap());
        command.args(
            entry["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap()),
        );
        command.current_dir("/");
        self.surround(&mut command);
        for (name, value) in entry["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap());
        }
        let mut process = Process::start(&mut command);
        process.lives_in(&self.room);
        Stdio::on(process)
    }

    /// An entry of a configuration in JSON without comments.
    pub(super) fn entry(&self, path: &str, pointer: &str) -> Value {
        let config: Value = serde_json::from_str(&self.read(path)).unwrap();
        config.pointer(pointer).unwrap().clone()
    }

    #[track_caller]
    pub(super) fn assert_no_secret(&self, text: &str) {
        assert!(!text.contains("canary-"), "{text}");
    }
}

fn gather(folder: &Path, under: &str, files: &mut BTreeMap<String, (u32, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{under}{}", entry.file_name().to_str().unwrap());
        let meta = entry.path().metadata().unwrap();
        if meta.is_dir() {
            gather(&entry.path(), &format!("{name}/"), files);
        } else if meta.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            files.insert(name, (meta.permissions().mode() & 0o7777, text));
        }
    }
}
