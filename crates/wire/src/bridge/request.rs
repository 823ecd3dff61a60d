//! Requests: what carries the client's introduction, and what does not.

use super::written;
use crate::bounds::Bounds;
use crate::envelope::Message;
use crate::id::IdKey;
use crate::json::quoted;
use crate::mcp::{
    META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION, Version,
};
use crate::splice::{Splice, SpliceError};

/// A client as its requests introduce it. Each part is JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Who it is, an object.
    pub info: Option<String>,
    /// What it can be asked for, an object.
    pub capabilities: String,
    /// From which level on it wants log messages, a string.
    pub log_level: Option<String>,
}

impl Speaker {
    /// The `_meta` that introduces it in the modern era, an object.
    #[must_use]
    pub fn meta_json(&self) -> String {
        let meta = self.meta();
        let members: Vec<(&str, &str)> = meta
            .iter()
            .filter_map(|(key, json)| Some((*key, json.as_deref()?)))
            .collect();
        written(&members)
    }

    /// The members of `_meta` that introduce it in the modern era.
    pub(super) fn meta(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            (META_PROTOCOL_VERSION, Some(quoted(Version::V2026_07_28.as_str()))),
            (META_CLIENT_INFO, self.info.clone()),
            (META_CLIENT_CAPABILITIES, Some(self.capabilities.clone())),
            (META_LOG_LEVEL, self.log_level.clone()),
        ]
    }
}

/// What a request brings along when it is made again, after its server wanted input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The client's answers by key, an object.
    pub responses: String,
    /// What the server wants back, a string as it came.
    pub state: Option<String>,
}

/// The parameters by which a request is made again.
const AGAIN: &[&str] = &["inputResponses", "requestState"];

/// A legacy request in the modern era: under another id, with its client's introduction.
///
/// # Errors
/// [`SpliceError`] where what comes out would not be what was judged.
pub fn request_for_modern(
    message: &Message<'_>,
    id: &IdKey,
    speaker: &Speaker,
    again: Option<&Again>,
    bounds: &Bounds,
) -> Result<Vec<u8>, SpliceError> {
    let mut splice = Splice::new(message).id(id)?;
    for (key, json) in speaker.meta() {
        splice = splice.meta(key, json)?;
    }
    match again {
        None => splice = splice.remove_params(AGAIN),
        Some(again) => {
            splice = splice.add_param("inputResponses", again.responses.clone())?;
            if let Some(state) = &again.state {
                splice = splice.add_param("requestState", state.clone())?;
            }
        }
    }
    splice.finish(bounds)
}

/// A modern request in the legacy era: under another id, without its client's introduction.
///
/// # Errors
/// [`SpliceError`] where what comes out would not be what was judged.
pub fn request_for_legacy(
    message: &Message<'_>,
    id: &IdKey,
    bounds: &Bounds,
) -> Result<Vec<u8>, SpliceError> {
    let mut splice = Splice::new(message).id(id)?.remove_params(AGAIN);
    for key in [
        META_PROTOCOL_VERSION,
        META_CLIENT_INFO,
        META_CLIENT_CAPABILITIES,
        META_LOG_LEVEL,
    ] {
        splice = splice.meta(key, None)?;
    }
    splice.finish(bounds)
}
