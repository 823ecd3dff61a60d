//! The call to explain, as the command line gives it.

use super::ExplainArgs;
use super::clock;
use super::story::{Asked, Story};
use crate::commands::scan::tools::{self, Described};
use anyhow::{Context, bail};
use callgate_core::call::{Caller, ListedTool, WallTime};
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, SessionId, ToolName};
use callgate_wire::{Bounds, RawJson};
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

/// All that is known of the call.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) server: ServerName,
    pub(super) caller: Caller,
    pub(super) session: SessionId,
    pub(super) now: WallTime,
    pub(super) tool: Option<String>,
    pub(super) arguments: Option<Json<'static>>,
    /// What the server lists, where that was given.
    pub(super) tools: Option<Vec<Described>>,
    /// The tool as it is taken for listed, where no list was given.
    pub(super) assumed: Option<ListedTool>,
}

impl Input {
    pub(super) fn read(args: &ExplainArgs, server: Option<&str>) -> anyhow::Result<Self> {
        let server = args.server.as_deref().or(server).unwrap_or("server");
        let tools = match &args.tools {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Some(tools::read(&text).with_context(|| path.display().to_string())?)
            }
            None => None,
        };
        let assumed = match (&args.tool, &tools) {
            (Some(name), None) => Some(assumed(name)?),
            (Some(_), Some(_)) | (None, _) => None,
        };
        Ok(Self {
            server: ServerName::new(server).context("--server")?,
            caller: Caller {
                grant: GrantId::new(&args.grant).context("--grant")?,
                label: args.grant.as_str().into(),
                issuer: None,
                subject: args.subject.as_deref().map(Into::into),
                claims: match &args.claims {
                    Some(text) => json(text.as_bytes()).context("--claims")?,
                    None => Json::Null,
                },
            },
            session: SessionId::new(args.session.as_deref().unwrap_or("new-session")).context("--session")?,
            now: match &args.time {
                Some(text) => clock::parse(text).context("--time")?,
                None => present(),
            },
            tool: args.tool.clone(),
            arguments: match &args.args {
                Some(text) => Some(arguments(text).context("--args")?),
                None => None,
            },
            tools,
            assumed,
        })
    }

    /// A call in a new session of the only caller, now.
    pub(super) fn of_call(
        tool: &str,
        given: Option<&str>,
        listed: Option<ListedTool>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            server: ServerName::new("server")?,
            caller: Caller {
                grant: GrantId::new("local")?,
                label: "local".into(),
                issuer: None,
                subject: None,
                claims: Json::Null,
            },
            session: SessionId::new("new-session")?,
            now: present(),
            tool: Some(tool.to_owned()),
            arguments: given.map(|text| json(text.as_bytes())).transpose()?,
            tools: None,
            assumed: Some(match listed {
                Some(listed) => listed,
                None => assumed(tool)?,
            }),
        })
    }

    /// What was assumed and could matter.
    pub(super) fn notes(&self, story: &Story) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(assumed) = &self.assumed
            && story.rules.iter().any(|rule| rule.asked == Asked::Validate)
        {
            notes.push(format!(
                "the input schema of `{}` is not known, so `validate` was not tried; give the server's list with --tools",
                assumed.name
            ));
        }
        notes
    }
}

/// A tool of which nothing is known but that the server lists it: any arguments fit.
fn assumed(name: &str) -> anyhow::Result<ListedTool> {
    Ok(ListedTool {
        name: ToolName::new(name)?,
        input_schema: Some("{}".into()),
        required: Vec::new(),
        annotations: Json::Null,
        class: None,
    })
}

fn arguments(given: &str) -> anyhow::Result<Json<'static>> {
    let bytes = match given {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("cannot read stdin")?;
            bytes
        }
        _ => match given.strip_prefix('@') {
            Some(path) => std::fs::read(Path::new(path)).with_context(|| format!("cannot read {path}"))?,
            None => given.as_bytes().to_vec(),
        },
    };
    let value = json(&bytes)?;
    if !matches!(value, Json::Object(_)) {
        bail!(
            "arguments are an object such as {{\"amount\": 5}}, this is {}",
            value.type_name()
        );
    }
    Ok(value)
}

/// A value held to what a message is held to: what is refused here never reaches a policy.
fn json(bytes: &[u8]) -> anyhow::Result<Json<'static>> {
    match RawJson::read(bytes, &Bounds::default()) {
        Ok(raw) => Ok(raw.parse().into_owned()),
        Err(cause) => bail!("{cause}; such a call is refused before any policy"),
    }
}

fn present() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
