//! What is shown and taken: one struct for each schema of the document. Times are microseconds since the Unix epoch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Whether calls can be judged and recorded.
    pub state: HealthState,
    /// The program's version.
    pub version: String,
    /// When it began to serve.
    pub started_us: u64,
    /// How often grants were changed, as far as it has heard.
    pub grants_generation: u64,
}

/// Whether calls can be judged and recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// They can.
    Ready,
    /// The store cannot be written.
    Store,
    /// The grants cannot be read.
    Grants,
}

/// A server behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name.
    pub server: String,
    /// How it is reached.
    pub kind: ServerKind,
    /// Sessions that are open.
    pub sessions: u64,
    /// Requests that wait for its answer.
    pub pending: u64,
    /// Callers for whom it is left alone, as it kept failing; at most 1 for one with a URL.
    pub breakers_open: u64,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerKind {
    /// As a child process.
    Command,
    /// Over Streamable HTTP.
    Url,
    /// Over the HTTP transport of 2024-11-05.
    Sse,
}

/// A caller's right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its id.
    pub grant: String,
    /// What people call it.
    pub label: String,
    /// Whether it lets anybody in.
    pub state: GrantState,
    /// When it was made.
    pub created_us: u64,
    /// When it ends by itself.
    pub expires_us: Option<u64>,
    /// When it was revoked.
    pub revoked_us: Option<u64>,
    /// The servers that it may use, and by which policy its calls are judged.
    pub servers: BTreeMap<String, Option<String>>,
    /// The holders of OAuth tokens that it lets in.
    pub lets_in: Vec<Identity>,
}

/// Holders of OAuth tokens: those of an issuer that have a value in a claim, alone or in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The issuer, as the `iss` of its tokens has it.
    pub issuer: String,
    /// The claim; `sub` names one subject.
    pub claim: String,
    /// Its value.
    pub value: String,
}

/// Whether a grant lets anybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// It does.
    Live,
    /// It has ended by itself.
    Expired,
    /// It was ended.
    Revoked,
}

/// A grant to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// What people call it.
    pub label: String,
    /// The servers that it may use, and by which policy its calls are judged.
    #[serde(default)]
    pub servers: BTreeMap<String, Option<String>>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<u64>,
    /// How long after it is made it ends by itself, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// By which policy a grant's calls to a server are judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The policy; without one every call is denied.
    #[serde(default)]
    pub policy: Option<String>,
}

/// A grant with its new token, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// The grant.
    pub grant: Grant,
    /// Its token.
    pub token: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// A client's session with a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Its id.
    pub session: String,
    /// The server.
    pub server: String,
    /// The grant that it belongs to; `local` for callers on this machine without one.
    pub grant: String,
    /// What people call that grant.
    pub label: String,
    /// The protocol version, once it is agreed on.
    pub version: Option<String>,
    /// Requests that wait for an answer.
    pub pending: u64,
    /// Seconds since its client last asked anything.
    pub idle_s: u64,
}

/// A policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name.
    pub policy: String,
    /// SHA-256 of its text in hex, as intents and denials name it.
    pub digest: String,
}

/// What came of reading the configuration anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reloaded {
    /// `looser`, `tighter` or `same`.
    pub effect: String,
    /// The line of the log.
    pub message: String,
}

/// How far the ledger is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Its origin, as checkpoints name it.
    pub origin: String,
    /// The number of the oldest record that is kept.
    pub first: u64,
    /// How many records were written.
    pub size: u64,
    /// How many are under the last signed checkpoint.
    pub signed: u64,
}

/// Records of the ledger, the newest last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// Each as the ledger holds it.
    pub records: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What happened, for programs.
    pub code: String,
    /// What happened, for people.
    pub message: String,
}
