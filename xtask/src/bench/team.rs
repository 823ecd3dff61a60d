//! Gateways of teams of many sizes. Their grants are made once for each size and copied for each gateway: making
//! 10,000 of them takes longer than what is measured.

use super::message::Address;
use super::subject::{Programs, Server};
use crate::process::{Heard, Running};
use anyhow::Context;
use callgate_core::name::ServerName;
use callgate_store::{GrantLabel, Grants, NewGrant, PolicyName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Grants that are made in one transaction.
const AT_ONCE: usize = 500;

/// How many servers and grants a team has. Every grant has every server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    pub(super) servers: usize,
    pub(super) grants: usize,
}

impl Size {
    pub(super) const SMALLEST: Self = Self {
        servers: 1,
        grants: 1,
    };
    pub(super) const MIDDLE: Self = Self {
        servers: 10,
        grants: 100,
    };

    /// All pairs; more than 10,000 grants there may not be.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [1, 10, 50]
            .into_iter()
            .flat_map(|servers| [1, 100, 10_000].map(|grants| Self { servers, grants }))
    }

    fn names(self) -> impl Iterator<Item = String> {
        (0..self.servers).map(name_of)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: usize| if count == 1 { "" } else { "s" };
        let grants = match self.grants {
            10_000 => "10,000".to_owned(),
            few => few.to_string(),
        };
        let servers = self.servers;
        write!(
            f,
            "{servers} server{}, {grants} grant{}",
            of(servers),
            of(self.grants)
        )
    }
}

fn name_of(server: usize) -> String {
    format!("server-{server}")
}

/// State folders in which grants were made.
#[derive(Debug)]
pub(super) struct Grounds {
    folder: TempDir,
    /// The tokens of the grants, by what was made.
    made: BTreeMap<Size, Vec<String>>,
}

impl Grounds {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            made: BTreeMap::new(),
        })
    }

    /// A state folder of its own for a gateway, and the tokens of its grants.
    fn copy_to(&mut self, state: &Path, size: Size) -> anyhow::Result<Vec<String>> {
        let made = self
            .folder
            .path()
            .join(format!("{}-{}", size.servers, size.grants));
        let tokens = match self.made.get(&size) {
            Some(tokens) => tokens.clone(),
            None => {
                let tokens = make(&made, size)?;
                self.made.insert(size, tokens.clone());
                tokens
            }
        };
        copy(&made, state)?;
        Ok(tokens)
    }
}

/// Copies a folder with all that is in it, private as it is.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// Makes grants, and gives their tokens.
fn make(state: &Path, size: Size) -> anyhow::Result<Vec<String>> {
    let policy = PolicyName::new("all")?;
    let servers = size
        .names()
        .map(|name| Ok((ServerName::new(&name)?, Some(policy.clone()))))
        .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let new = |index: usize| {
        Ok(NewGrant {
            label: GrantLabel::new(&format!("agent {index}"))?,
            servers: servers.clone(),
            expires: None,
        })
    };
    let new: Vec<NewGrant> = (0..size.grants).map(new).collect::<anyhow::Result<_>>()?;
    let grants = Grants::of(state);
    let mut tokens = Vec::with_capacity(size.grants);
    for some in new.chunks(AT_ONCE) {
        let issued = grants.create_all(some.to_vec())?;
        tokens.extend(issued.iter().map(|issued| issued.token.reveal().to_owned()));
    }
    Ok(tokens)
}

/// The gateway of a team, all of whose servers are the one that is measured.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) running: Running,
    pub(super) heard: Heard,
    /// The token of each grant.
    pub(super) tokens: Vec<String>,
    /// In which `SERVER` stands for a server.
    url: String,
    pub(super) config: Value,
    path: PathBuf,
}

impl Gateway {
    /// Starts it with a policy for all that is called, and more flags.
    pub(super) fn start(
        programs: &Programs,
        server: &Server,
        room: &Path,
        grounds: &mut Grounds,
        (size, policy): (Size, &str),
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("team-").tempdir_in(room)?.keep();
        std::fs::write(folder.join("policy.yaml"), policy)?;
        let servers: BTreeMap<String, Value> = size
            .names()
            .map(|name| (name, json!({"url": server.url})))
            .collect();
        let config = json!({
            "version": 1,
            "listen": "127.0.0.1:0",
            "state": {"dir": "state"},
            "servers": servers,
            "policies": {"all": "policy.yaml"},
        });
        let path = folder.join("callgate.yaml");
        std::fs::write(&path, config.to_string())?;
        let tokens = grounds.copy_to(&folder.join("state"), size)?;
        let mut command = Command::new(&programs.callgate);
        command.arg("serve").arg("-c").arg(&path).args(flags);
        let (running, url, heard) = Running::heard(&mut command)?;
        Ok(Self {
            running,
            heard,
            tokens,
            url,
            config,
            path,
        })
    }

    /// The address of one server, for the caller with a token.
    pub(super) fn one(&self, server: usize, token: &str) -> Address {
        Address::of(&self.url.replace("SERVER", &name_of(server))).with_token(token)
    }

    /// The address of all servers as one.
    pub(super) fn all(&self, token: &str) -> Address {
        Address::of(&self.url.replace("/SERVER", "")).with_token(token)
    }

    /// Puts the configuration in the place of the one before, as editors do.
    pub(super) fn replace(&self) -> anyhow::Result<()> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, self.config.to_string())?;
        Ok(std::fs::rename(new, &self.path)?)
    }
}
