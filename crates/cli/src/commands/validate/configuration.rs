//! What a configuration comes to.

use super::Report;
use super::posture::{invalid, listed, valid};
use crate::config::{Config, Durability, Loading, Server, Sharing};
use callgate_policy::Severity;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A configuration, for `--json`. No secret is in it.
#[derive(Debug, Serialize)]
pub(super) struct Overview<'c> {
    listen: String,
    hosts: Vec<String>,
    state: State<'c>,
    servers: BTreeMap<&'c str, Kind<'c>>,
    policies: BTreeMap<&'c str, &'c Path>,
    local: BTreeMap<&'c str, &'c str>,
}

#[derive(Debug, Serialize)]
struct State<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<&'c Path>,
    durability: &'static str,
}

/// A server without what may be secret: arguments, values, the URL's query.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind<'c> {
    Command {
        program: &'c str,
        env: Vec<&'c str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dir: Option<&'c Path>,
        shared: bool,
    },
    Url {
        host: &'c str,
        headers: Vec<&'c str>,
    },
}

/// What became of a configuration.
pub(super) fn report(loading: &Loading) -> Report<'_> {
    Report {
        file: loading.name.clone(),
        valid: loading.config.is_some(),
        diagnostics: &loading.diagnostics,
        shape: None,
        summary: None,
        configuration: loading.config.as_ref().map(overview),
    }
}

fn overview(config: &Config) -> Overview<'_> {
    let servers = config.servers.iter();
    let policies = config.policies.iter();
    let local = config.local.iter();
    Overview {
        listen: config.listen.to_string(),
        hosts: config.hosts.iter().map(ToString::to_string).collect(),
        state: State {
            dir: config.state.dir.as_deref(),
            durability: word(config.state.durability),
        },
        servers: servers
            .map(|(name, server)| (name.as_str(), kind(server)))
            .collect(),
        policies: policies
            .map(|(name, policy)| (name.as_str(), policy.path.as_path()))
            .collect(),
        local: local
            .map(|(server, policy)| (server.as_str(), policy.as_str()))
            .collect(),
    }
}

fn kind(server: &Server) -> Kind<'_> {
    match server {
        Server::Command(command) => Kind::Command {
            program: &command.program,
            env: command.env.keys().map(String::as_str).collect(),
            dir: command.dir.as_deref(),
            shared: command.sharing == Sharing::Shared,
        },
        Server::Remote(remote) => Kind::Url {
            host: remote.url.host_str().unwrap_or_default(),
            headers: remote.headers.keys().map(http::HeaderName::as_str).collect(),
        },
    }
}

const fn word(durability: Durability) -> &'static str {
    match durability {
        Durability::Process => "process",
        Durability::Disk => "disk",
    }
}

/// A configuration in a few lines.
pub(super) fn words(loading: &Loading) -> String {
    let Some(config) = &loading.config else {
        return invalid(&loading.name, loading.count(Severity::Error));
    };
    let names = |names: Vec<String>| listed(&names);
    let mut lines = vec![
        ("listen", config.listen.to_string()),
        ("state", word(config.state.durability).to_owned()),
        (
            "servers",
            names(config.servers.keys().map(ToString::to_string).collect()),
        ),
    ];
    if let Some(dir) = &config.state.dir
        && let Some((_, state)) = lines.get_mut(1)
    {
        *state = format!("{}, {state}", dir.display());
    }
    if !config.hosts.is_empty() {
        let hosts = config.hosts.iter().map(ToString::to_string).collect();
        lines.push(("hosts", names(hosts)));
    }
    if !config.policies.is_empty() {
        let policies = config.policies.keys().map(ToString::to_string).collect();
        lines.push(("policies", names(policies)));
    }
    if !config.local.is_empty() {
        let local = config.local.iter();
        let local = local
            .map(|(server, policy)| format!("{server} by {policy}"))
            .collect();
        lines.push(("local", names(local)));
    }
    valid(&loading.name, loading.count(Severity::Warning), &lines)
}
