//! What is asked, as the arguments of each tool.

use anyhow::bail;
use rmcp::model::JsonObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// So many characters a name or a search may have.
const TEXT_CHARS_MAX: usize = 1_000;
/// So many characters an answer that is to be explained may have.
const DENIAL_CHARS_MAX: usize = 100_000;
/// 64 KiB: the most that a policy may have here. Each pattern in it is compiled, which costs far more than its bytes.
const POLICY_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) class: Vec<String>,
    pub(super) severity: Option<String>,
    #[serde(default)]
    pub(super) signal: Vec<String>,
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckServer {
    pub(super) server: Option<String>,
    pub(super) tools: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckTool {
    pub(super) server: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) definition: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckPolicy {
    pub(super) policy: String,
    pub(super) call: Option<PolicyCall>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyCall {
    pub(super) tool: String,
    pub(super) arguments: Option<Map<String, Value>>,
    pub(super) definition: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainDenial {
    pub(super) reason: Option<String>,
    pub(super) text: Option<String>,
}

/// Reads arguments; what is wrong with them is told by name.
pub(super) fn read<T: DeserializeOwned>(arguments: JsonObject) -> anyhow::Result<T> {
    Ok(serde_json::from_value(Value::Object(arguments))?)
}

fn bounded(what: &str, text: &str, chars_max: usize) -> anyhow::Result<()> {
    if text.chars().count() > chars_max {
        bail!("`{what}` has more than the {chars_max} characters that are read");
    }
    Ok(())
}

impl Search {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        bounded("text", &self.text, TEXT_CHARS_MAX)
    }
}

impl CheckServer {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        bounded(
            "server",
            self.server.as_deref().unwrap_or_default(),
            TEXT_CHARS_MAX,
        )
    }
}

impl CheckTool {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        bounded(
            "server",
            self.server.as_deref().unwrap_or_default(),
            TEXT_CHARS_MAX,
        )?;
        bounded("tool", self.tool.as_deref().unwrap_or_default(), TEXT_CHARS_MAX)
    }
}

impl CheckPolicy {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.policy.len() > POLICY_BYTES_MAX {
            bail!("`policy` has more than the {POLICY_BYTES_MAX} bytes that are read");
        }
        let tool = self.call.as_ref().map(|call| call.tool.as_str());
        bounded("call.tool", tool.unwrap_or_default(), TEXT_CHARS_MAX)
    }
}

impl ExplainDenial {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        bounded(
            "reason",
            self.reason.as_deref().unwrap_or_default(),
            TEXT_CHARS_MAX,
        )?;
        bounded("text", self.text.as_deref().unwrap_or_default(), DENIAL_CHARS_MAX)
    }
}
