//! The desk of a reader: a folder in which a page is gone through, and the programs that it names.

use super::page::{Block, Page};
use super::shown::assert_shown;
use crate::support::deps::node;
use callgate_testkit::{Http, HttpServer, PATIENCE, Process, Room, Script, Stdio};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that stand in for those that a page names; all others are the machine's own.
const PROGRAMS: &[(&str, &str)] = &[
    // What is run is the program that was built already, in the tests' profile.
    (
        "cargo",
        "case \"$*\" in\n\
         'run --release -- '*) shift 3; exec callgate \"$@\" ;;\n\
         'install --path crates/cli') grep -q 'name = \"callgate\"' crates/cli/Cargo.toml ;;\n\
         *) exit 64 ;;\n\
         esac",
    ),
    // The package that was installed already.
    (
        "npx",
        "[ \"$1\" = -y ] || exit 64\nshift\nprogram=$1\nshift\nexec \"$NODE_MODULES/.bin/$program\" \"$@\"",
    ),
    // Nobody is added to the machine's users, and nothing changes hands.
    ("useradd", ""),
    ("chown", ""),
    ("runuser", "shift 3\nexec \"$@\""),
];

/// What a page's folder has of the repository.
const LINKS: &[(&str, &str)] = &[
    ("policies", "policies"),
    ("crates", "crates"),
    ("tests", "tests"),
    ("docs/examples/payments", "payments"),
    ("docs/examples/failing", "failing"),
    ("docs/examples/team/policies", "team-policies"),
];

/// The key of the ledger that the page on it shows.
const KEY: &str = "'callgate-3d53266c8f9318a3+ac92d56b+ASSHXpUeFDkHp7gy/gmAKcEtBJm/LBOp+yS55NOiN/90'";

/// The folder, and what runs beside it.
pub(super) struct Desk {
    pub(super) room: Room,
    upstream: OnceCell<HttpServer>,
}

/// The repository.
pub(super) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

impl Desk {
    /// The folder for a page, with what the page says is there already.
    pub(super) fn new(page: &str) -> Self {
        let room = Room::new();
        let desk = Self {
            room,
            upstream: OnceCell::new(),
        };
        std::fs::create_dir(desk.room.at("bin")).unwrap();
        std::fs::create_dir(desk.room.at("etc")).unwrap();
        symlink(env!("CARGO_BIN_EXE_callgate"), desk.room.at("bin/callgate")).unwrap();
        for (name, script) in PROGRAMS {
            let path = desk
                .room
                .write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for (from, to) in LINKS {
            symlink(repository().join(from), desk.room.at(to)).unwrap();
        }
        let notes = Self::notes_policy();
        desk.room.write("notes.yaml", &notes);
        let mistral = std::fs::read_to_string(repository().join("policies/mistral-mcp.yaml")).unwrap();
        desk.room.write("etc/mistral.yaml", &mistral);
        if page == "docs/ledger.md" {
            super::odd::keep_a_ledger(&desk);
        }
        desk
    }

    /// The policy for the server with notes, which several pages speak of.
    pub(super) fn notes_policy() -> String {
        let page = Page::read("docs/getting-started.md");
        let block = page
            .blocks
            .into_iter()
            .find(|block| block.text.contains("list_notes:"))
            .unwrap();
        block.text
    }

    /// A command line as the page has it, with this folder's places and names for the page's.
    pub(super) fn here(&self, text: &str) -> String {
        let at = |name: &str| self.room.at(name).to_str().unwrap().to_owned();
        let mut text = text
            .replace("/etc/callgate", &at("etc"))
            .replace("/var/lib/callgate", &at("state"))
            .replace("/opt/notes/server.py", Script::path("notes.py").to_str().unwrap())
            .replace(" -o callgate -g callgate", "")
            .replace("--port 8931", "--port 0");
        for url in ["https://host/mcp", "https://mcp.example.com"] {
            if text.contains(url) {
                text = text.replace(url, self.upstream().url());
            }
        }
        if text.contains(KEY) {
            let key = self.said("callgate ledger key");
            text = text.replace(KEY, &format!("'{}'", key.trim()));
        }
        text
    }

    /// The server behind a URL.
    pub(super) fn upstream(&self) -> &HttpServer {
        self.upstream.get_or_init(|| HttpServer::start(&self.room, &[]))
    }

    /// A shell at this desk that runs a script.
    pub(super) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap();
        command
            .args(["-e", "-c", &self.here(script)])
            .current_dir(self.room.path())
            .env("PATH", format!("{}:{path}", self.room.at("bin").display()))
            .env("HOME", self.room.path())
            .env("CALLGATE_STATE_DIR", self.room.at("state"))
            .env("NODE_MODULES", node().join("node_modules"))
            // No call of the server's backend leaves the machine.
            .env("NODE_OPTIONS", redirect())
            .env("MISTRAL_STANDIN", "http://127.0.0.1:9")
            .env("MISTRAL_API_KEY", "k")
            .env("API_KEY", "of-the-environment")
            .env("KEY", "of-the-environment");
        command
    }

    /// What a command prints, stdout and stderr as they come; and its exit code.
    pub(super) fn ran(&self, command: &str) -> (String, Option<i32>) {
        let mut command = self.shell(&format!("exec 2>&1\n{command}"));
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    /// What a command prints that has to succeed.
    #[track_caller]
    pub(super) fn said(&self, command: &str) -> String {
        let (printed, code) = self.ran(command);
        assert_eq!(code, Some(0), "{command}\n{printed}");
        printed
    }

    /// Keeps a policy or a test file where the page's commands look for it, and validates a policy.
    pub(super) fn validate(&self, block: &Block) {
        if block.text.starts_with("cases:") || block.text.contains("\ncases:") {
            self.room.write("policy.test.yaml", &block.text);
            let printed = self.said("callgate test policy.test.yaml");
            assert!(printed.contains("  ok    "), "{}: {printed}", block.place);
            return;
        }
        self.room.write("policy.yaml", &block.text);
        let (printed, code) = self.ran("callgate validate policy.yaml");
        assert_eq!(code, Some(0), "{}\n{printed}", block.place);
    }

    /// Runs commands after `$`, each of which prints what follows it, and ends with the code after a `?`.
    pub(super) fn session(&self, block: &Block) {
        let commands = block.text.strip_prefix("$ ").unwrap().split("\n$ ");
        for step in commands {
            let (command, rest) = step.split_once('\n').unwrap_or((step, ""));
            let stated = rest.strip_prefix("? ").and_then(|rest| rest.split_once('\n'));
            let (printed, code) = self.ran(command);
            assert_shown(
                &format!("{}: {command}", block.place),
                stated.map_or(rest, |(_, output)| output),
                &printed,
            );
            if let Some((stated, _)) = stated {
                assert_eq!(code, Some(stated.parse().unwrap()), "{}: {command}", block.place);
            }
        }
    }

    /// Runs commands that have to succeed. A gate at their end is spoken to.
    pub(super) fn script(&self, block: &Block) {
        if !block.text.contains("callgate run ") {
            self.said(&block.text);
            return;
        }
        let mut process = Process::start(&mut self.shell(&format!("exec {}", block.text)));
        process.lives_in(&self.room);
        let policy = block.text.split(" -c ").nth(1).unwrap();
        let policy = self.here(policy.split_whitespace().next().unwrap());
        if !block.text.contains("--transport http") {
            self.speak(&block.place, Stdio::on(process), Some(&policy));
            return;
        }
        let line = process.stderr_line("listening on http://");
        let url = line.split_whitespace().last().unwrap();
        let without = Http::to(url).post("{}");
        assert_eq!(without.status, 401, "{}: without the token", block.place);
        let token = std::fs::read_to_string(self.room.at("etc/notes.token")).unwrap();
        let mut client = Http::to(url).header("authorization", &format!("Bearer {}", token.trim()));
        client.initialize("2025-06-18");
        let listed = client.request("tools/list", json!({})).tool_names();
        self.assert_listed(&block.place, &policy, listed);
    }

    /// Starts each server of a client's configuration as a client does, and speaks to it.
    pub(super) fn client_config(&self, block: &Block) {
        let config: Value =
            serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        for (name, server) in config["mcpServers"].as_object().unwrap() {
            let words = |value: &Value| self.here(value.as_str().unwrap());
            // The shell gives the environment, and is gone.
            let mut command = self.shell("exec \"$0\" \"$@\"");
            command.arg(words(&server["command"]));
            command.args(server["args"].as_array().unwrap().iter().map(words));
            for (name, value) in server["env"].as_object().into_iter().flatten() {
                command.env(name, words(value));
            }
            let mut process = Process::start(&mut command);
            process.lives_in(&self.room);
            let arguments: Vec<&Value> = server["args"].as_array().unwrap().iter().collect();
            // What is no gate has no policy.
            let policy = (*arguments[0] != "mcp").then(|| {
                let flag = arguments.iter().position(|word| *word == "-c").unwrap();
                words(arguments[flag + 1])
            });
            self.speak(
                &format!("{}: {name}", block.place),
                Stdio::on(process),
                policy.as_deref(),
            );
        }
    }

    /// Shakes hands with a gate and asks for its tools, which are those of the policy where one is named.
    pub(super) fn speak(&self, place: &str, mut client: Stdio, policy: Option<&str>) {
        let answer = client.initialize("2025-06-18");
        assert!(
            answer.result()["serverInfo"].is_object(),
            "{place}: {}",
            answer.raw
        );
        let listed = client.tools();
        assert!(!listed.is_empty(), "{place}: no tool is listed");
        if let Some(policy) = policy {
            self.assert_listed(place, policy, listed);
        }
        client.close_stdin();
        assert!(
            client.ended_within(PATIENCE).is_some(),
            "{place}: it does not end"
        );
    }

    /// What `validate` says the policy's tools are is what the gate lists: names that the server does not have
    /// would be missing.
    #[track_caller]
    fn assert_listed(&self, place: &str, policy: &str, mut listed: Vec<String>) {
        let printed = self.said(&format!("callgate validate '{policy}'"));
        let tools = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("tools "));
        let (_, named) = tools.unwrap().split_once('(').unwrap();
        let named: Vec<&str> = named.trim_end_matches(')').split(", ").collect();
        listed.sort();
        assert_eq!(listed, named, "{place}");
    }

    /// A gate in front of the server with notes, under the policy for it.
    pub(super) fn notes_gate(&self, flags: &str) -> Process {
        let command = format!(
            "exec callgate run -c notes.yaml --server notes {flags} -- python3 /opt/notes/server.py --hold"
        );
        let mut process = Process::start(&mut self.shell(&command));
        process.lives_in(&self.room);
        process
    }

    /// Where something of this desk is.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.room.at(name)
    }
}

fn redirect() -> String {
    let path = Script::path("mistral-redirect.mjs").canonicalize().unwrap();
    format!("--import file://{}", path.display())
}
