//! The clients of MCP that are known, and where each keeps its servers.
//!
//! Places and keys are those of each client's own documentation: "Connect Claude Code to tools via MCP" and "Managed
//! MCP configuration" (Claude Code), "Connect to local MCP servers" (Claude Desktop), "Model Context Protocol"
//! (Cursor), "MCP configuration reference" (VS Code), "Cascade MCP Integration" (Windsurf), "Model Context Protocol"
//! (Zed), "Model Context Protocol" and "Configuration Reference" (Codex), "MCP servers with Gemini CLI" (Gemini CLI).

use crate::commands::tree::{Format, Kind, Node};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A program that starts MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    #[value(name = "vscode")]
    #[serde(rename = "vscode")]
    VsCode,
    Windsurf,
    Zed,
    Codex,
    Gemini,
    /// One that only its file names.
    #[value(skip)]
    Other,
}

impl Client {
    /// Its name as its makers write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Windsurf => "Windsurf",
            Self::Zed => "Zed",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Other => "another client",
        }
    }
}

/// Who has written a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// The person who runs this.
    User,
    /// Whoever has written the project, who may be a stranger.
    Project,
}

/// A file that may name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) path: PathBuf,
    pub(super) scope: Scope,
    /// The keys that lead to the servers; `*` stands for any one key.
    pub(super) servers: &'static [&'static [&'static str]],
}

/// Systems that keep configurations in different folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Linux,
    MacOs,
}

impl System {
    pub(super) const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

const MCP_SERVERS: &[&[&str]] = &[&["mcpServers"]];
const OF_PROJECTS: &[&[&str]] = &[&["mcpServers"], &["projects", "*", "mcpServers"]];
const SERVERS: &[&[&str]] = &[&["servers"]];
const OF_SETTINGS: &[&[&str]] = &[&["mcp", "servers"]];
const CONTEXT_SERVERS: &[&[&str]] = &[&["context_servers"]];
const TOML_SERVERS: &[&[&str]] = &[&["mcp_servers"]];
/// Where the servers of a file are whose client is not known.
const ANY: &[&[&str]] = &[
    &["mcpServers"],
    &["projects", "*", "mcpServers"],
    &["servers"],
    &["mcp", "servers"],
    &["context_servers"],
    &["mcp_servers"],
];

/// Where a person's configurations are: the home folder, and the folders that variables name.
#[derive(Debug, Clone, Default)]
pub(super) struct Homes {
    pub(super) home: PathBuf,
    /// `XDG_CONFIG_HOME`.
    pub(super) config: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`.
    pub(super) claude: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub(super) codex: Option<PathBuf>,
}

/// The files of a person, whether they exist or not.
pub(super) fn of_person(homes: &Homes, system: System) -> Vec<Place> {
    let home = &homes.home;
    let config = homes.config.clone().unwrap_or_else(|| home.join(".config"));
    let programs = match system {
        System::Linux => config.clone(),
        System::MacOs => home.join("Library/Application Support"),
    };
    let claude = homes.claude.as_ref().unwrap_or(home).join(".claude.json");
    let codex = homes.codex.clone().unwrap_or_else(|| home.join(".codex"));
    let mut places = vec![
        (Client::ClaudeCode, claude, OF_PROJECTS),
        (
            Client::ClaudeDesktop,
            programs.join("Claude/claude_desktop_config.json"),
            MCP_SERVERS,
        ),
        (Client::Cursor, home.join(".cursor/mcp.json"), MCP_SERVERS),
    ];
    for edition in ["Code", "Code - Insiders"] {
        let user = programs.join(edition).join("User");
        places.push((Client::VsCode, user.join("mcp.json"), SERVERS));
        places.push((Client::VsCode, user.join("settings.json"), OF_SETTINGS));
        for profile in folders_in(&user.join("profiles")) {
            places.push((Client::VsCode, profile.join("mcp.json"), SERVERS));
        }
    }
    places.extend([
        (
            Client::Windsurf,
            home.join(".codeium/windsurf/mcp_config.json"),
            MCP_SERVERS,
        ),
        (Client::Zed, config.join("zed/settings.json"), CONTEXT_SERVERS),
        (Client::Codex, codex.join("config.toml"), TOML_SERVERS),
        (Client::Gemini, home.join(".gemini/settings.json"), MCP_SERVERS),
    ]);
    let of = |(client, path, servers)| Place {
        client,
        path,
        scope: Scope::User,
        servers,
    };
    places.into_iter().map(of).collect()
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// The files of a project, whether they exist or not.
pub(super) fn of_project(project: &Path) -> Vec<Place> {
    let places = [
        (Client::ClaudeCode, ".mcp.json", MCP_SERVERS),
        (Client::Cursor, ".cursor/mcp.json", MCP_SERVERS),
        (Client::VsCode, ".vscode/mcp.json", SERVERS),
        (Client::VsCode, ".vscode/settings.json", OF_SETTINGS),
        (Client::Zed, ".zed/settings.json", CONTEXT_SERVERS),
        (Client::Codex, ".codex/config.toml", TOML_SERVERS),
        (Client::Gemini, ".gemini/settings.json", MCP_SERVERS),
    ];
    let of = |(client, path, servers)| Place {
        client,
        path: project.join(path),
        scope: Scope::Project,
        servers,
    };
    places.into_iter().map(of).collect()
}

/// The folder of the project that a folder is in: the nearest one with a `.git`, or the folder itself.
pub(super) fn project_of(folder: &Path) -> PathBuf {
    folder
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .unwrap_or(folder)
        .to_owned()
}

/// Files by which an organization rules Claude Code, and which are left alone.
pub(super) fn managed(system: System) -> &'static Path {
    Path::new(match system {
        System::Linux => "/etc/claude-code/managed-mcp.json",
        System::MacOs => "/Library/Application Support/ClaudeCode/managed-mcp.json",
    })
}

/// A file that a person has named.
pub(super) fn named(path: &Path, known: &[Place]) -> Place {
    let same = |place: &&Place| match (place.path.canonicalize(), path.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => place.path == path,
    };
    let of_project = || {
        let mut places = of_project(Path::new("")).into_iter();
        places
            .find(|place| path.ends_with(&place.path))
            .map(|place| Place {
                path: path.to_owned(),
                ..place
            })
    };
    known
        .iter()
        .find(same)
        .cloned()
        .or_else(of_project)
        .unwrap_or_else(|| Place {
            client: Client::Other,
            path: path.to_owned(),
            // Who names a file has chosen it.
            scope: Scope::User,
            servers: ANY,
        })
}

impl Place {
    pub(super) fn format(&self) -> Format {
        Format::of(&self.path)
    }

    /// The paths of the tables of servers in a file.
    pub(super) fn tables(&self, root: &Node) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for keys in self.servers {
            walk(root, keys, &mut Vec::new(), &mut found);
        }
        found
    }
}

fn walk(node: &Node, keys: &[&str], path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Some((key, rest)) = keys.split_first() else {
        if matches!(node.kind, Kind::Table(..)) {
            found.push(path.clone());
        }
        return;
    };
    for member in node.members() {
        if *key == "*" || member.name == *key {
            path.push(member.name.clone());
            walk(&member.value, rest, path, found);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_places_on_each_system() {
        let homes = Homes {
            home: "/home/ana".into(),
            ..Homes::default()
        };
        let paths = |system| {
            let places = of_person(&homes, system);
            let line = |place: &Place| format!("{}: {}", place.client.name(), place.path.display());
            places.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(paths(System::Linux), @r"
        Claude Code: /home/ana/.claude.json
        Claude Desktop: /home/ana/.config/Claude/claude_desktop_config.json
        Cursor: /home/ana/.cursor/mcp.json
        VS Code: /home/ana/.config/Code/User/mcp.json
        VS Code: /home/ana/.config/Code/User/settings.json
        VS Code: /home/ana/.config/Code - Insiders/User/mcp.json
        VS Code: /home/ana/.config/Code - Insiders/User/settings.json
        Windsurf: /home/ana/.codeium/windsurf/mcp_config.json
        Zed: /home/ana/.config/zed/settings.json
        Codex: /home/ana/.codex/config.toml
        Gemini CLI: /home/ana/.gemini/settings.json
        ");
        insta::assert_snapshot!(paths(System::MacOs), @r"
        Claude Code: /home/ana/.claude.json
        Claude Desktop: /home/ana/Library/Application Support/Claude/claude_desktop_config.json
        Cursor: /home/ana/.cursor/mcp.json
        VS Code: /home/ana/Library/Application Support/Code/User/mcp.json
        VS Code: /home/ana/Library/Application Support/Code/User/settings.json
        VS Code: /home/ana/Library/Application Support/Code - Insiders/User/mcp.json
        VS Code: /home/ana/Library/Application Support/Code - Insiders/User/settings.json
        Windsurf: /home/ana/.codeium/windsurf/mcp_config.json
        Zed: /home/ana/.config/zed/settings.json
        Codex: /home/ana/.codex/config.toml
        Gemini CLI: /home/ana/.gemini/settings.json
        ");
        let elsewhere = Homes {
            config: Some("/c".into()),
            claude: Some("/cc".into()),
            codex: Some("/cx".into()),
            ..homes
        };
        let moved: Vec<PathBuf> = of_person(&elsewhere, System::Linux)
            .into_iter()
            .map(|place| place.path)
            .filter(|path| !path.starts_with("/home"))
            .collect();
        assert!(moved.contains(&"/cc/.claude.json".into()) && moved.contains(&"/cx/config.toml".into()));
        assert!(moved.contains(&"/c/zed/settings.json".into()));
    }
}
