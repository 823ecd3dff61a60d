//! The configuration of the team gateway: one file, with the policies and secrets that it refers to.
//!
//! What is wrong with it is told as with policies: where, why, and what to write instead. Values of secrets are
//! in no finding, and lines that are quoted are shown without them.

mod admin;
mod client;
mod name;
mod oauth;
mod policies;
mod read;
mod secret;
mod server;
#[cfg(test)]
mod tests;
mod traces;
mod veil;
mod vocabulary;

pub(crate) use client::{Client, Flow, Identity};
pub(crate) use name::{HostName, PolicyName, ServerName};
pub(crate) use oauth::OAuth;
pub(crate) use policies::LoadedPolicy;
pub(crate) use server::{Command, RemoteTransport, Server, Sharing};
pub(crate) use vocabulary::json_schema;

use crate::args::{LogFormat, LogLevel};
use crate::commands::validate::load::{Checked, Source};
use crate::reference::Variables;
use crate::traces::Traces;
use anyhow::Context;
use callgate_gateway::serve::http::{Address, Certificate, SocketMode};
use callgate_policy::document::Findings;
use callgate_policy::{Diagnostic, Severity, Style, read_document};
use read::Reader;
use secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use veil::Veil;

/// Where the gateway listens unless the file says otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8700);

/// Where metrics are told in examples.
const METRICS_EXAMPLE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// Where the admin API listens unless the file says otherwise.
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8701);

/// Keys at top level that no policy has.
const MARKS: [&str; 2] = ["servers", "listen"];

/// A configuration without errors, its secrets resolved and its policies compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen; port 0 picks one.
    pub(crate) listen: Address,
    /// Who may connect, where that is a Unix socket.
    pub(crate) socket_mode: SocketMode,
    /// Where metrics are told; nowhere where there is none.
    pub(crate) metrics: Option<Address>,
    /// Where those who run the gateway ask it; nowhere where there is none.
    pub(crate) admin: Option<Admin>,
    /// What is told on stderr, and how.
    pub(crate) log: Log,
    /// Further names under which clients reach the gateway.
    pub(crate) hosts: BTreeSet<HostName>,
    /// The certificate that clients are shown; none where bytes travel as they are.
    pub(crate) tls: Option<Tls>,
    /// Whose access tokens let callers in; none where only those of grants do.
    pub(crate) oauth: Option<OAuth>,
    /// Where traces go; where the environment says, if at all, where there is none.
    pub(crate) traces: Option<Traces>,
    /// Where limits and ledger are kept.
    pub(crate) state: StateFolder,
    /// The servers behind the gateway.
    pub(crate) servers: BTreeMap<ServerName, Server>,
    /// The policies.
    pub(crate) policies: BTreeMap<PolicyName, LoadedPolicy>,
    /// What callers on this machine may use until the first grant is made. Each of the policies is declared.
    pub(crate) local: BTreeMap<ServerName, PolicyName>,
}

/// Files of a certificate and its key, which can be used together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The chain of certificates, in PEM.
    pub(crate) certificate: PathBuf,
    /// The private key, in PEM.
    pub(crate) key: PathBuf,
}

impl Tls {
    /// The texts of both files.
    pub(crate) fn read(&self) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let read =
            |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    /// The certificate with its key.
    pub(crate) fn load(&self) -> anyhow::Result<Certificate> {
        let (chain, key) = self.read()?;
        Certificate::new(&chain, &key).with_context(|| match self.certificate.file_name() {
            Some(name) => format!("{} cannot be used", name.to_string_lossy()),
            None => "the certificate cannot be used".to_owned(),
        })
    }
}

/// Where those who run the gateway ask it, and by which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admin {
    /// Where it listens.
    pub(crate) listen: Address,
    /// What lets a request in; it can be one.
    pub(crate) token: Secret,
}

/// What is told on stderr, and how, where the configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Log {
    /// How it is written.
    pub(crate) format: Option<LogFormat>,
    /// What is told.
    pub(crate) level: Option<LogLevel>,
}

/// Where limits and ledger are kept, and what they survive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StateFolder {
    /// The folder; the user's own where there is none.
    pub(crate) dir: Option<PathBuf>,
    /// What they survive.
    pub(crate) durability: Durability,
}

/// What limits and ledger survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Durability {
    /// Crashes of processes.
    #[default]
    Process,
    /// Loss of power too.
    Disk,
}

/// What came of reading a configuration.
pub(crate) struct Loading {
    /// The path as it was given.
    pub(crate) name: String,
    text: String,
    veil: Veil,
    /// What was found in the file itself, by its place.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The policy files that it names and that could be read, with what was found in them.
    pub(crate) policies: Vec<Checked>,
    /// All files that were read or looked for, this one among them. A change of any may change the outcome.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Those of them that hold the certificate and its key.
    pub(crate) certificate: BTreeSet<PathBuf>,
    /// The configuration, where there are no errors anywhere.
    pub(crate) config: Option<Config>,
}

/// The text may hold secrets.
impl std::fmt::Debug for Loading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loading")
            .field("name", &self.name)
            .field("diagnostics", &self.diagnostics)
            .field("policies", &self.policies)
            .field("files", &self.files)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Whether a text is a configuration rather than a policy, or was meant to be.
pub(crate) fn is_config(text: &str) -> bool {
    match read_document(text, &vocabulary::CONFIGURATION) {
        Ok(document) => MARKS.iter().any(|key| document.root.get(key).is_some()),
        Err(_) => text.lines().any(|line| {
            let line = line.trim_start_matches('{');
            MARKS.iter().any(|key| {
                let is_key = |rest: &str| rest.trim_start().starts_with(':');
                line.strip_prefix(key).is_some_and(is_key) || line.contains(&format!("\"{key}\""))
            })
        }),
    }
}

/// Reads a configuration and all that it refers to.
///
/// # Errors
/// Where the file itself cannot be read. All else is a finding.
pub(crate) fn load(path: &Path) -> anyhow::Result<Loading> {
    Ok(Loading::of(Source::read(path)?, path, &|name| {
        std::env::var_os(name)
    }))
}

impl Loading {
    /// Reads the text of the file at `path`, and all that it refers to.
    pub(crate) fn of(source: Source, path: &Path, variables: Variables<'_>) -> Self {
        let Source { name, text } = source;
        let mut reader = Reader {
            findings: Findings::default(),
            source: &text,
            base: path.parent().unwrap_or(Path::new("")),
            variables,
            files: BTreeSet::from([path.to_owned()]),
            certificate: BTreeSet::new(),
            policies: Vec::new(),
        };
        let (veil, diagnostics, config) = match read_document(&text, &vocabulary::CONFIGURATION) {
            Ok(document) => {
                let config = reader.config(&document.root);
                let findings = std::mem::take(&mut reader.findings);
                (Veil::of(&text, &document.root), findings.finish(), config)
            }
            Err(found) => (Veil::of_unread(&text), found.0, None),
        };
        let (policies, files, certificate) = (reader.policies, reader.files, reader.certificate);
        Self {
            name,
            text,
            veil,
            diagnostics,
            policies,
            files,
            certificate,
            config,
        }
    }

    /// How many findings of the file itself are so grave.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        let found = self.diagnostics.iter();
        found.filter(|found| found.severity == severity).count()
    }

    /// What was found in the file itself, as a person reads it, and without secrets.
    pub(crate) fn shown(&self, style: &Style) -> Vec<String> {
        let found = self.diagnostics.iter();
        found.map(|found| self.render(found, style)).collect()
    }

    /// One of these findings.
    pub(crate) fn render(&self, found: &Diagnostic, style: &Style) -> String {
        let hides = |at| self.veil.hides(at);
        found.render_hiding(&self.name, &self.text, style, &hides)
    }
}
