//! One server of a configuration: what it starts or reaches, and what Callgate in front of it looks like.

pub(super) mod edit;
mod remote;
mod stdio;
#[cfg(test)]
mod tests;

use super::clients::Client;
use crate::commands::tree::{Format, Kind, Member, Node};
use edit::Placed;
use std::path::Path;

pub(super) use remote::{LOGIN, Remote};
pub(super) use stdio::Command;

/// What stands at an entry.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A server that Callgate can be put in front of.
    Open(Box<Server>),
    /// Callgate is in front of it, under this policy.
    Guarded(String),
    /// It cannot be put behind Callgate, or is not to be; the reason.
    Left(String),
}

/// How a server is started or reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    Command(Command),
    Remote(Remote),
}

/// What is put in front of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate<'g> {
    /// The program: a path, so that a client without this shell's `PATH` finds it.
    pub(super) program: &'g str,
    pub(super) policy: &'g str,
    /// What the server is called in limits and ledger.
    pub(super) server: &'g str,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'s> {
    pub(super) client: Client,
    pub(super) format: Format,
    pub(super) text: &'s str,
}

/// A gate is started by its path.
const BY_PATH: &str = "/callgate";

/// Reads an entry. `own` says whether a command is this very program.
pub(super) fn read(client: Client, node: &Node, own: &dyn Fn(&str) -> bool) -> Entry {
    if !matches!(node.kind, Kind::Table(..)) {
        return Entry::Left("it is no table".to_owned());
    }
    if let Some(member) = node.twice_below() {
        return Entry::Left(format!(
            "the key `{}` stands twice in it, so that two readers could take different values",
            super::secrets::shown(&member.name)
        ));
    }
    if is_off(node) {
        return Entry::Left("it is switched off".to_owned());
    }
    let found = if node.member("command").is_some() {
        stdio::read(client, node).map(Server::Command)
    } else if remote::url(node).is_some() {
        remote::read(client, node).map(Server::Remote)
    } else if node.member("source").is_some() || node.member("settings").is_some() {
        Err("an extension starts it, and its command stands elsewhere".to_owned())
    } else {
        Err("it has neither a command nor a URL".to_owned())
    };
    match found {
        Ok(Server::Command(command)) if own(&command.program) => {
            match (command.misleads(&command.program), command.policy()) {
                (Some(reason), _) => Entry::Left(reason.to_owned()),
                (None, Some(policy)) => Entry::Guarded(policy.to_owned()),
                (None, None) => Entry::Left("it is Callgate's own".to_owned()),
            }
        }
        Ok(Server::Command(command)) if is_namesake(&command.program) => Entry::Left(format!(
            "it starts another program called callgate, `{}`",
            super::secrets::shown(&command.program)
        )),
        Ok(Server::Command(command)) => match command.misleads(BY_PATH) {
            Some(reason) => Entry::Left(reason.to_owned()),
            None => Entry::Open(Box::new(Server::Command(command))),
        },
        Ok(server @ Server::Remote(_)) => Entry::Open(Box::new(server)),
        Err(reason) => Entry::Left(reason),
    }
}

/// The policy of the gate in front of an entry, whichever program called callgate it is, and whether the entry is
/// switched off or not.
pub(super) fn gate(client: Client, node: &Node, own: &dyn Fn(&str) -> bool) -> Option<String> {
    let command = stdio::read(client, node).ok()?;
    let is_gate = own(&command.program) || is_namesake(&command.program);
    command.policy().filter(|_| is_gate).map(str::to_owned)
}

fn is_off(node: &Node) -> bool {
    let is = |name, value| {
        node.member(name)
            .is_some_and(|member| member.value.kind == Kind::Flag(value))
    };
    is("disabled", true) || is("enabled", false)
}

fn is_namesake(program: &str) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name == "callgate")
}

/// The changes that put a gate in front of an entry.
///
/// # Errors
/// Why this entry cannot be changed.
pub(super) fn wrap(
    site: Site<'_>,
    node: &Node,
    server: &Server,
    gate: Gate<'_>,
) -> Result<Vec<Placed>, String> {
    match server {
        Server::Command(command) => stdio::wrap(site, node, command, gate),
        Server::Remote(remote) => remote::wrap(site, node, remote, gate),
    }
}

impl Server {
    /// What makes it the server it is, without its secrets of the environment: the same in two clients is one server.
    pub(super) fn identity(&self) -> Vec<String> {
        match self {
            Self::Command(command) => command.words(),
            Self::Remote(remote) => vec![remote.url.clone()],
        }
    }

    /// Its command or URL as a person reads it, secrets masked.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Command(command) => super::secrets::shown_command(&command.words()),
            Self::Remote(remote) => super::secrets::shown(&super::secrets::mask_url(&remote.url)),
        }
    }

    /// What else decides what is started, as a person reads it: a variable such as `NODE_OPTIONS` can have a command
    /// run another program.
    pub(super) fn surroundings(&self) -> Vec<String> {
        let (what, names, folder) = match self {
            Self::Command(command) => {
                let names: Vec<&String> = command.env.iter().map(|(name, _)| name).collect();
                ("variables", names, command.cwd.as_ref())
            }
            Self::Remote(remote) => {
                let names = remote.headers.iter().map(|header| &header.name).collect();
                ("headers", names, None)
            }
        };
        let names: Vec<String> = names
            .into_iter()
            .map(|name| super::secrets::shown(name))
            .collect();
        let mut lines = Vec::new();
        if !names.is_empty() {
            lines.push(format!("with the {what} {}", names.join(", ")));
        }
        if let Some(folder) = folder {
            let folder = super::secrets::shown_command(std::slice::from_ref(folder));
            lines.push(format!("in the folder {folder}"));
        }
        lines
    }
}

/// The texts of a table of texts, such as `env`. Numbers and switches, which some clients take, have no text here.
fn texts(node: Option<&Node>) -> Result<Vec<(String, String)>, String> {
    let members = node.map(Node::members).unwrap_or_default();
    let text = |member: &Member| match member.value.text() {
        Some(text) => Ok((member.name.clone(), text.to_owned())),
        None => Err(format!(
            "the value of `{}` is no text",
            super::secrets::shown(&member.name)
        )),
    };
    members.iter().map(text).collect()
}
