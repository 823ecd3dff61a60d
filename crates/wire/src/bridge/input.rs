//! What a server wants of a client in the middle of a request: a result in the modern era, requests of its own in the
//! legacy one.

use super::{BridgeError, Change, changed_value, object_text, written};
use crate::envelope::{Payload, Request, Response};
use crate::id::IdKey;
use crate::json::{JsonKind, Object, RawJson, quoted};
use crate::mcp::{Version, method};

/// One thing that a server wants of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `elicitation/create`
    Elicitation,
    /// `sampling/createMessage`
    Sampling,
    /// `roots/list`
    Roots,
}

impl Input {
    /// What a method asks for, if it is one of the three.
    #[must_use]
    pub fn of_method(name: &str) -> Option<Self> {
        match name {
            method::ELICITATION_CREATE => Some(Self::Elicitation),
            method::SAMPLING_CREATE_MESSAGE => Some(Self::Sampling),
            method::ROOTS_LIST => Some(Self::Roots),
            _ => None,
        }
    }

    /// The method that asks for it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Elicitation => method::ELICITATION_CREATE,
            Self::Sampling => method::SAMPLING_CREATE_MESSAGE,
            Self::Roots => method::ROOTS_LIST,
        }
    }
}

/// One thing that a server wants, and how it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it wants.
    pub input: Input,
    /// The parameters, a JSON object.
    pub params: Option<String>,
}

/// What a result of the modern era wants before its request is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// What is wanted, by the key that it is answered under.
    pub wanted: Vec<(String, Wanted)>,
    /// What the server wants back, a JSON string as it came.
    pub state: Option<String>,
}

impl Wanted {
    /// What a legacy server's request asks for.
    #[must_use]
    pub fn of_request(request: &Request<'_>) -> Option<Self> {
        Some(Self {
            input: Input::of_method(&request.method)?,
            params: request
                .params
                .as_ref()
                .map(|params| params.raw().text().to_owned()),
        })
    }

    fn of_value(value: RawJson<'_>) -> Option<Self> {
        let object = value.as_object()?;
        Some(Self {
            input: Input::of_method(&object.get("method")?.as_str()?)?,
            params: object_text(object.get("params")).map(str::to_owned),
        })
    }

    /// What a result of the modern era wants.
    ///
    /// # Errors
    /// [`BridgeError`] where it asks for what is not known.
    pub fn of_result(result: &Object<'_>) -> Result<Wants, BridgeError> {
        const SHAPE: BridgeError = BridgeError::Shape("what the server wants of the client");
        let mut wanted = Vec::new();
        if let Some(requests) = result.get("inputRequests") {
            for (key, value) in requests.as_object().ok_or(SHAPE)?.iter() {
                wanted.push((key.to_owned(), Self::of_value(value).ok_or(SHAPE)?));
            }
        }
        let state = result.get("requestState");
        if state.is_some_and(|state| state.kind() != JsonKind::String) {
            return Err(SHAPE);
        }
        Ok(Wants {
            wanted,
            state: state.map(|state| state.text().to_owned()),
        })
    }

    /// Whether a client that declares these capabilities may be asked.
    #[must_use]
    pub fn is_declared(&self, capabilities: &str) -> bool {
        let capabilities = RawJson::new(capabilities, 0).as_object();
        let Some(capabilities) = capabilities else {
            return false;
        };
        let key = match self.input {
            Input::Elicitation => "elicitation",
            Input::Sampling => "sampling",
            Input::Roots => "roots",
        };
        let Some(declared) = capabilities.get(key) else {
            return false;
        };
        if self.input != Input::Elicitation {
            return declared.kind() == JsonKind::Object;
        }
        let Some(modes) = declared.as_object() else {
            return false;
        };
        match self.mode().as_deref() {
            Some("url") => modes.get("url").is_some(),
            // Clients that name no mode can show forms.
            Some(_) | None => modes.is_empty() || modes.get("form").is_some() || modes.get("url").is_none(),
        }
    }

    fn mode(&self) -> Option<String> {
        let params = RawJson::new(self.params.as_deref()?, 0).as_object()?;
        Some(params.get("mode")?.as_str()?.into_owned())
    }

    /// As an entry of `inputRequests`.
    fn entry(&self) -> Option<String> {
        let name = quoted(self.input.method());
        let mut members = vec![("method", name.as_str())];
        let params = match &self.params {
            None => None,
            Some(params) => Some(changed_value(
                RawJson::new(params, 0),
                &[("elicitationId", Change::Drop), ("task", Change::Drop)],
            )?),
        };
        members.extend(params.as_deref().map(|params| ("params", params)));
        Some(written(&members))
    }
}

/// The request by which a legacy client is asked; `id` names it, and the elicitation where it is one by URL. The
/// version has no URLs before 2025-11-25.
///
/// # Errors
/// [`BridgeError`] where the version cannot ask for it.
pub fn ask_client(id: &IdKey, wanted: &Wanted, version: Version) -> Result<Vec<u8>, BridgeError> {
    let is_url = wanted.mode().as_deref() == Some("url");
    if is_url && version < Version::V2025_11_25 {
        return Err(BridgeError::Shape(
            "an elicitation by URL, which the client's version has not",
        ));
    }
    let method = quoted(wanted.input.method());
    let written_id = id.to_json();
    let mut members = vec![
        ("jsonrpc", "\"2.0\""),
        ("id", written_id.as_str()),
        ("method", method.as_str()),
    ];
    let params = match &wanted.params {
        Some(params) => {
            let mut changes = Vec::new();
            if is_url {
                changes.push(("elicitationId", Change::Set(quoted_id(id))));
            } else if wanted.input == Input::Elicitation && version < Version::V2025_11_25 {
                changes.push(("mode", Change::Drop));
            }
            changed_value(RawJson::new(params, 0), &changes)
        }
        None => None,
    };
    members.extend(params.as_deref().map(|params| ("params", params)));
    Ok(written(&members).into_bytes())
}

/// An id as a string, whatever it is.
fn quoted_id(id: &IdKey) -> String {
    let id = id.to_json();
    if id.starts_with('"') { id } else { quoted(&id) }
}

/// What a client has answered, as `inputResponses` holds it; `None` where it refused by an error.
#[must_use]
pub fn response_of(response: &Response<'_>) -> Option<String> {
    match response.payload {
        Payload::Result(result) => Some(result.text().to_owned()),
        Payload::Error(_) => None,
    }
}

/// The result that asks a modern client. `state` is what it brings back.
///
/// # Errors
/// [`BridgeError`] where a question has no single meaning.
pub fn input_required(
    id: &IdKey,
    wanted: &[(String, Wanted)],
    state: Option<&str>,
) -> Result<Vec<u8>, BridgeError> {
    let mut entries = Vec::new();
    for (key, wanted) in wanted {
        let entry = wanted
            .entry()
            .ok_or(BridgeError::Shape("what the server wants of the client"))?;
        entries.push(format!("{}:{entry}", quoted(key)));
    }
    let requests = format!("{{{}}}", entries.join(","));
    let state = state.map(quoted);
    let mut members = vec![
        ("resultType", "\"input_required\""),
        ("inputRequests", requests.as_str()),
    ];
    members.extend(state.as_deref().map(|state| ("requestState", state)));
    let id = id.to_json();
    Ok(written(&[
        ("jsonrpc", "\"2.0\""),
        ("id", &id),
        ("result", &written(&members)),
    ])
    .into_bytes())
}

/// The answer to a legacy server's own request: `id` as it came, and the client's answer as it came.
#[must_use]
pub fn answer_to_server(id: &str, answer: &str) -> Vec<u8> {
    written(&[("jsonrpc", "\"2.0\""), ("id", id), ("result", answer)]).into_bytes()
}
