//! How the two sides meet: `initialize` in one era, `server/discover` in the other.

use super::request::Speaker;
use super::{BridgeError, bridged_capabilities, object_text, written};
use crate::envelope::{Payload, Request, Response};
use crate::id::IdKey;
use crate::json::{JsonKind, RawJson, quoted};
use crate::mcp::{
    Era, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_SERVER_INFO, Version,
};

/// What a server says of itself, in either era.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What it offers, a JSON object, without what does not reach across the bridge.
    pub capabilities: String,
    /// Who it is, a JSON object.
    pub info: Option<String>,
    /// How to use it, a JSON string.
    pub instructions: Option<String>,
    /// The legacy version that was agreed on, where it is known.
    pub version: Option<Version>,
}

/// What the answer to `server/discover` tells of a server's era.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// It speaks 2026-07-28, and says this of itself where it does.
    Modern(Option<Server>),
    /// It does not.
    Legacy,
}

impl Spoken {
    /// Reads the answer. Only a result, or an error that the modern era alone has, tells of a modern server.
    #[must_use]
    pub fn of(response: &Response<'_>) -> Self {
        match &response.payload {
            Payload::Result(result) => {
                Self::discovered(*result).map_or(Self::Legacy, |server| Self::Modern(Some(server)))
            }
            Payload::Error(error) => Self::failed(*error),
        }
    }

    fn discovered(result: RawJson<'_>) -> Option<Server> {
        let object = result.as_object()?;
        let speaks = object.get("supportedVersions").is_some_and(names_modern);
        let meta = object.get("_meta").and_then(|meta| meta.as_object());
        speaks.then_some(())?;
        Some(Server {
            capabilities: capabilities(object.get("capabilities")),
            info: meta.and_then(|meta| object_text(meta.get(META_SERVER_INFO)).map(str::to_owned)),
            instructions: string_text(object.get("instructions")),
            version: None,
        })
    }

    fn failed(error: RawJson<'_>) -> Self {
        let object = error.as_object();
        let member = |key| object.as_ref().and_then(|object| object.get(key));
        let code: Option<i32> = member("code").and_then(|code| code.text().parse().ok());
        let supported = member("data").and_then(|data| data.as_object()?.get("supported"));
        match code {
            Some(-32_020 | -32_021) => Self::Modern(None),
            Some(-32_022) if supported.is_none_or(names_modern) => Self::Modern(None),
            Some(_) | None => Self::Legacy,
        }
    }
}

fn names_modern(versions: RawJson<'_>) -> bool {
    let versions = versions.as_array().unwrap_or_default();
    versions
        .iter()
        .filter_map(|version| version.as_str()?.parse::<Version>().ok())
        .any(|version| version.era() == Era::Modern)
}

fn capabilities(sent: Option<RawJson<'_>>) -> String {
    sent.filter(|sent| sent.kind() == JsonKind::Object)
        .and_then(bridged_capabilities)
        .unwrap_or_else(|| "{}".to_owned())
}

fn string_text(value: Option<RawJson<'_>>) -> Option<String> {
    value
        .filter(|value| value.kind() == JsonKind::String)
        .map(|value| value.text().to_owned())
}

impl Server {
    /// Reads the result of `initialize`.
    ///
    /// # Errors
    /// [`BridgeError`] where it is no such result.
    pub fn of_initialize(response: &Response<'_>) -> Result<Self, BridgeError> {
        const SHAPE: BridgeError = BridgeError::Shape("the result of `initialize`");
        let Payload::Result(result) = response.payload else {
            return Err(SHAPE);
        };
        let object = result.as_object().ok_or(SHAPE)?;
        let version = object.get("protocolVersion").and_then(|version| version.as_str());
        Ok(Self {
            capabilities: capabilities(object.get("capabilities")),
            info: object_text(object.get("serverInfo")).map(str::to_owned),
            instructions: string_text(object.get("instructions")),
            version: version.and_then(|version| version.parse().ok()),
        })
    }

    /// Whether it offers something, named by the keys that lead there.
    #[must_use]
    pub fn offers(&self, path: &[&str]) -> bool {
        let mut at = Some(RawJson::new(&self.capabilities, 0));
        for key in path {
            at = at.and_then(|value| value.as_object()?.get(key));
        }
        at.is_some_and(|value| value.as_bool() != Some(false) && value.kind() != JsonKind::Null)
    }
}

/// A client as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The legacy version to agree on: the one that it asks for where it is known, else the newest.
    pub version: Version,
    /// Who it is and what it can be asked for.
    pub speaker: Speaker,
}

impl Hello {
    /// Reads `initialize`.
    #[must_use]
    pub fn of_initialize(request: &Request<'_>) -> Self {
        let value = |key| request.params.as_ref().and_then(|params| params.get(key));
        let asked = value("protocolVersion").and_then(|version: RawJson<'_>| version.as_str());
        let asked = asked.and_then(|version| version.parse::<Version>().ok());
        Self {
            version: asked
                .filter(|version| version.era() == Era::Legacy)
                .unwrap_or(Version::V2025_11_25),
            speaker: Speaker {
                info: object_text(value("clientInfo")).map(str::to_owned),
                capabilities: capabilities(value("capabilities")),
                log_level: None,
            },
        }
    }

    /// Reads the introduction that a modern request carries.
    #[must_use]
    pub fn of_modern(request: &Request<'_>) -> Self {
        let meta = request
            .params
            .as_ref()
            .and_then(|params| params.get("_meta")?.as_object());
        let value = |key| meta.as_ref().and_then(|meta| meta.get(key));
        Self {
            version: Version::V2025_11_25,
            speaker: Speaker {
                info: object_text(value(META_CLIENT_INFO)).map(str::to_owned),
                capabilities: capabilities(value(META_CLIENT_CAPABILITIES)),
                log_level: string_text(value(META_LOG_LEVEL)),
            },
        }
    }
}

/// `server/discover` in a client's name.
#[must_use]
pub fn discover_request(id: &IdKey, speaker: &Speaker) -> Vec<u8> {
    let params = written(&[("_meta", &speaker.meta_json())]);
    written(&[
        ("jsonrpc", "\"2.0\""),
        ("id", &id.to_json()),
        ("method", "\"server/discover\""),
        ("params", &params),
    ])
    .into_bytes()
}

/// `initialize` in a client's name.
#[must_use]
pub fn initialize_request(id: &IdKey, hello: &Hello) -> Vec<u8> {
    let unnamed = r#"{"name":"unnamed","version":"0"}"#;
    let params = written(&[
        ("protocolVersion", &quoted(hello.version.as_str())),
        ("capabilities", &hello.speaker.capabilities),
        ("clientInfo", hello.speaker.info.as_deref().unwrap_or(unnamed)),
    ]);
    written(&[
        ("jsonrpc", "\"2.0\""),
        ("id", &id.to_json()),
        ("method", "\"initialize\""),
        ("params", &params),
    ])
    .into_bytes()
}

/// The answer to `initialize`, from what a modern server says of itself.
#[must_use]
pub fn initialize_result(id: &IdKey, server: &Server, version: Version) -> Vec<u8> {
    let unnamed = r#"{"name":"unnamed","version":"0"}"#;
    let version = quoted(version.as_str());
    let mut members = vec![
        ("protocolVersion", version.as_str()),
        ("capabilities", server.capabilities.as_str()),
        ("serverInfo", server.info.as_deref().unwrap_or(unnamed)),
    ];
    members.extend(server.instructions.as_deref().map(|text| ("instructions", text)));
    result(id, &written(&members))
}

/// The answer to `server/discover`, from what a legacy server says of itself.
#[must_use]
pub fn discover_result(id: &IdKey, server: &Server) -> Vec<u8> {
    let versions = format!("[{}]", quoted(Version::V2026_07_28.as_str()));
    let meta = server
        .info
        .as_ref()
        .map(|info| written(&[(META_SERVER_INFO, info)]));
    let mut members = vec![
        ("resultType", "\"complete\""),
        ("supportedVersions", versions.as_str()),
        ("capabilities", server.capabilities.as_str()),
    ];
    members.extend(server.instructions.as_deref().map(|text| ("instructions", text)));
    members.extend([("ttlMs", "0"), ("cacheScope", "\"private\"")]);
    members.extend(meta.as_deref().map(|meta| ("_meta", meta)));
    result(id, &written(&members))
}

fn result(id: &IdKey, result: &str) -> Vec<u8> {
    written(&[("jsonrpc", "\"2.0\""), ("id", &id.to_json()), ("result", result)]).into_bytes()
}
