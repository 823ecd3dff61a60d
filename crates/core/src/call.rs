//! What is judged: a call, who makes it, and what is known of the tool.

use crate::json::Json;
use crate::name::{GrantId, ServerName, SessionId, ToolName};
use std::sync::Arc;

/// Who calls: a grant, and what is known of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The grant. Under `run` it is `local`.
    pub grant: GrantId,
    /// The grant's label, `caller.label` in a policy.
    pub label: Arc<str>,
    /// The issuer of the OAuth token that let it in, where one did.
    pub issuer: Option<Arc<str>>,
    /// The subject of an OAuth token, `caller.subject`.
    pub subject: Option<Arc<str>>,
    /// The claims of an OAuth token, `caller.claims`; `Json::Null` where there is none.
    pub claims: Json<'static>,
}

/// A tool as the server's own list defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTool {
    /// Its name.
    pub name: ToolName,
    /// Its `inputSchema` as received, for checks by JSON Schema; `None` where the server sent none.
    pub input_schema: Option<Arc<str>>,
    /// The `required` members of the input schema.
    pub required: Vec<Box<str>>,
    /// Its `annotations`, which are the server's own claims; `Json::Null` where there are none.
    pub annotations: Json<'static>,
    /// Its risk class, where a catalogue knows it.
    pub class: Option<Arc<str>>,
}

/// Milliseconds since the Unix epoch, UTC: what `time.*` paths read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub u64);

/// What stands around a call whatever it asks: the server, the caller, the session, the time.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The server's configured name.
    pub server: &'a ServerName,
    /// Who calls.
    pub caller: &'a Caller,
    /// The session; `None` where the protocol has none, and then a session scope means the grant.
    pub session: Option<&'a SessionId>,
    /// Now, for `time.*`.
    pub now: WallTime,
}

/// What the server's list says of the tool that a call names.
#[derive(Debug, Clone, Copy)]
pub enum Listing<'a> {
    /// The server lists it.
    Listed(&'a ListedTool),
    /// The server's list was read, and the tool is not on it.
    NotListed,
    /// The list could not be had, so nothing is known to exist.
    Unknown,
}

/// One `tools/call`, as it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Everything around it.
    pub scene: Scene<'a>,
    /// The name it gives, exactly as the server will read it.
    pub tool: &'a str,
    /// What the server's list says of that name.
    pub listing: Listing<'a>,
    /// Its `arguments`; `None` where the call has none.
    pub arguments: Option<&'a Json<'a>>,
}

/// One request or notification that is not a `tools/call`, as `methods:` judges it.
#[derive(Debug, Clone, Copy)]
pub struct OtherCall<'a> {
    /// Everything around it.
    pub scene: Scene<'a>,
    /// Its method.
    pub method: &'a str,
    /// Its `params`; `uri` and `name` are paths into it.
    pub params: Option<&'a Json<'a>>,
}
