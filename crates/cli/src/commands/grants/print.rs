//! How grants are shown.

use super::super::ledger::Out;
use super::super::ledger::time::Micros;
use callgate_core::limit::StoreTime;
use callgate_core::name::ServerName;
use callgate_store::{Grant, Identity, PolicyName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// A grant as JSON. Times are microseconds since the Unix epoch.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'g> {
    grant: &'g str,
    label: &'g str,
    state: &'static str,
    created_us: u64,
    expires_us: Option<u64>,
    revoked_us: Option<u64>,
    servers: BTreeMap<&'g str, Option<&'g str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lets_in: Vec<ShownIdentity<'g>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'g str>,
}

/// Whose OAuth tokens let in as a grant.
#[derive(Debug, Serialize)]
struct ShownIdentity<'g> {
    issuer: &'g str,
    claim: &'g str,
    value: &'g str,
}

impl<'g> ShownIdentity<'g> {
    fn of(identity: &'g Identity) -> Self {
        Self {
            issuer: identity.issuer(),
            claim: identity.claim(),
            value: identity.value(),
        }
    }
}

impl<'g> Shown<'g> {
    pub(super) fn of(grant: &'g Grant, now: StoreTime) -> Self {
        let servers = grant.servers.iter();
        Self {
            grant: grant.id.as_str(),
            label: grant.label.as_str(),
            state: match State::of(grant, now) {
                State::Live | State::Until(_) => "live",
                State::Expired(_) => "expired",
                State::Revoked(_) => "revoked",
            },
            created_us: micros(grant.created).0,
            expires_us: grant.expires.map(|at| micros(at).0),
            revoked_us: grant.revoked.map(|at| micros(at).0),
            servers: servers
                .map(|(server, policy)| (server.as_str(), policy.as_ref().map(PolicyName::as_str)))
                .collect(),
            lets_in: grant.identities.iter().map(ShownIdentity::of).collect(),
            token: None,
        }
    }

    pub(super) const fn with_token(mut self, token: &'g str) -> Self {
        self.token = Some(token);
        self
    }
}

/// Whether a grant lets anybody in.
#[derive(Debug, Clone, Copy)]
enum State {
    Live,
    Until(Micros),
    Expired(Micros),
    Revoked(Micros),
}

impl State {
    fn of(grant: &Grant, now: StoreTime) -> Self {
        match (grant.revoked, grant.expires) {
            (Some(at), _) => Self::Revoked(micros(at)),
            (None, None) => Self::Live,
            (None, Some(at)) if grant.is_live(now) => Self::Until(micros(at)),
            (None, Some(at)) => Self::Expired(micros(at)),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Live => "live".to_owned(),
            Self::Until(at) => format!("live until {at}"),
            Self::Expired(at) => format!("expired {at}"),
            Self::Revoked(at) => format!("revoked {at}"),
        }
    }
}

const fn micros(time: StoreTime) -> Micros {
    Micros(time.0 / 1_000)
}

fn named(grant: &Grant) -> String {
    format!("grant `{}` ({})", grant.label, grant.id)
}

fn under(policy: Option<&PolicyName>) -> String {
    match policy {
        Some(policy) => format!("under policy {policy}"),
        None => "under no policy: every call is denied".to_owned(),
    }
}

/// One line a server.
fn servers(grant: &Grant) -> impl Iterator<Item = String> {
    let width = grant.servers.keys().map(|server| server.as_str().len()).max();
    let width = width.unwrap_or_default();
    grant
        .servers
        .iter()
        .map(move |(server, policy)| format!("{:<width$}  {}", server.as_str(), under(policy.as_ref())))
}

pub(super) fn made(grant: &Grant) -> String {
    let mut text = format!("made the {}", named(grant));
    if let Some(at) = grant.expires {
        text.push_str(&format!(", which expires {}", micros(at)));
    }
    for server in servers(grant) {
        text.push_str(&format!("\n  {server}"));
    }
    if grant.servers.is_empty() {
        text.push_str(&format!(
            "\n  it may use no server yet: callgate grants attach {} SERVER --policy NAME",
            grant.id
        ));
    }
    text.push_str("\nits token is shown this once; clients send it as `Authorization: Bearer TOKEN`");
    text
}

pub(super) fn rotated(grant: &Grant) -> String {
    format!(
        "the {} has another token, shown this once; the one before lets nobody in any more",
        named(grant)
    )
}

pub(super) fn revoked(grant: &Grant) -> String {
    format!(
        "the {} is revoked; no call of it is let through any more",
        named(grant)
    )
}

pub(super) fn attached(grant: &Grant, server: &ServerName, policy: Option<&PolicyName>) -> String {
    format!("the {} may use {server} {}", named(grant), under(policy))
}

pub(super) fn detached(grant: &Grant, server: &ServerName) -> String {
    format!("the {} may not use {server} any more", named(grant))
}

pub(super) fn lets_in(grant: &Grant, identity: &Identity) -> String {
    format!("the {} lets in {identity}", named(grant))
}

pub(super) fn lets_in_no_more(grant: &Grant, identity: &Identity) -> String {
    format!("the {} does not let in {identity} any more", named(grant))
}

/// In place of an empty list, where there are `all` grants with the revoked ones.
pub(super) const fn none(all: usize) -> &'static str {
    match all {
        0 => "there are no grants; make one with `callgate grants create`",
        _ => "all grants are revoked; --all shows them",
    }
}

/// All of `grants`, a line each.
pub(super) fn list(grants: &[Grant], now: StoreTime, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    if json {
        for grant in grants {
            out.json(&Shown::of(grant, now))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if grants.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["GRANT", "LABEL", "STATE", "SERVERS"].map(str::to_owned);
    let rows: Vec<[String; 4]> = grants
        .iter()
        .map(|grant| {
            let servers = grant.servers.iter().map(|(server, policy)| match policy {
                Some(policy) => format!("{server}={policy}"),
                None => server.to_string(),
            });
            [
                grant.id.to_string(),
                grant.label.to_string(),
                State::of(grant, now).words(),
                servers.collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    let mut widths = [0; 4];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 4]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = out.paint().dim(&line(&head));
    out.line(&head)?;
    for row in &rows {
        out.line(&line(row))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is known of one grant.
pub(super) fn show(grant: &Grant, now: StoreTime, json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    if json {
        out.json(&Shown::of(grant, now))?;
        return Ok(ExitCode::SUCCESS);
    }
    out.line(&format!("grant    {}", grant.id))?;
    out.line(&format!("label    {}", grant.label))?;
    out.line(&format!("state    {}", State::of(grant, now).words()))?;
    out.line(&format!("created  {}", micros(grant.created)))?;
    let mut lines: Vec<String> = servers(grant).collect();
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    for (index, server) in lines.iter().enumerate() {
        let title = if index == 0 { "servers" } else { "" };
        out.line(&format!("{title:<7}  {server}"))?;
    }
    for (index, identity) in grant.identities.iter().enumerate() {
        let title = if index == 0 { "lets in" } else { "" };
        out.line(&format!("{title:<7}  {identity}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
