//! A server's part in a conversation that is written down: what it says after which message, byte for byte.

use crate::protocol::{Params, Received};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What a server says after which request.
#[derive(Debug, Default)]
pub struct Part {
    cues: Vec<Cue>,
    by_id: HashMap<String, usize>,
    /// Those of the same content in their order, for requests that come under other ids than they were written with.
    by_content: Mutex<HashMap<String, VecDeque<usize>>>,
}

/// A request as it is written, and what is said after it.
#[derive(Debug)]
struct Cue {
    names: Names,
    said: Vec<String>,
}

/// By what a message is told from others, as it is spelt; not what it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its id.
    pub id: Option<String>,
    /// The token under which progress is told.
    pub token: Option<String>,
}

impl Names {
    /// Those of a message.
    #[must_use]
    pub fn of(message: &str) -> Self {
        serde_json::from_str(message).map_or_else(|_| Self::default(), |received| Self::in_parts(&received))
    }

    fn in_parts(received: &Received<'_>) -> Self {
        let params = received
            .params
            .and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok());
        let token = params.and_then(|params| params.progress_token());
        Self {
            id: received.id.map(|id| id.get().to_owned()),
            token: token.map(|token| token.get().to_owned()),
        }
    }

    /// A message in which other names stand in place of these.
    #[must_use]
    pub fn replaced(&self, message: &str, by: &Self) -> String {
        let mut message = message.to_owned();
        let places = [
            ("\"id\":", &self.id, &by.id),
            ("/subscriptionId\":", &self.id, &by.id),
            ("\"progressToken\":", &self.token, &by.token),
        ];
        for (key, old, new) in places {
            if let (Some(old), Some(new)) = (old, new) {
                message = message.replacen(&format!("{key}{old}"), &format!("{key}{new}"), 1);
            }
        }
        message
    }
}

impl Part {
    /// Reads a file in which lines that begin with `>` are what comes, and those with `<` what is said then. An
    /// answer of the client's does not end what is said after its request.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut part = Self::default();
        let mut is_said = false;
        for line in std::fs::read_to_string(path)?.lines() {
            if let Some(message) = line.strip_prefix("> ") {
                let received: Received<'_> = serde_json::from_str(message).map_err(io::Error::other)?;
                if received.method.is_some() {
                    is_said = received.id.is_some();
                    part.cue(&received);
                }
            } else if let (Some(message), Some(cue), true) =
                (line.strip_prefix("< "), part.cues.last_mut(), is_said)
            {
                cue.said.push(message.to_owned());
            }
        }
        Ok(part)
    }

    fn cue(&mut self, received: &Received<'_>) {
        let Some(id) = received.id else { return };
        let place = self.cues.len();
        self.by_id.insert(plain(id.get()), place);
        let by_content = self.by_content.get_mut().unwrap_or_else(PoisonError::into_inner);
        by_content.entry(content(received)).or_default().push_back(place);
        self.cues.push(Cue {
            names: Names::in_parts(received),
            said: Vec::new(),
        });
    }

    /// What is said after a request: of its id, however that is spelt, or else of its content, with its own names.
    pub(crate) fn after(&self, received: &Received<'_>) -> Option<Vec<String>> {
        let id = received.id?;
        if let Some(cue) = self
            .by_id
            .get(&plain(id.get()))
            .and_then(|place| self.cues.get(*place))
        {
            return Some(cue.said.clone());
        }
        let mut by_content = self.by_content.lock().unwrap_or_else(PoisonError::into_inner);
        let place = by_content.get_mut(&content(received))?.pop_front()?;
        let cue = self.cues.get(place)?;
        let names = Names::in_parts(received);
        let said = cue.said.iter();
        Some(said.map(|message| cue.names.replaced(message, &names)).collect())
    }
}

/// JSON without needless escapes and white space.
fn plain(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |json| json.to_string())
}

/// What a request says, without its names.
fn content(received: &Received<'_>) -> String {
    let params = received.params.map_or("null", |params| params.get());
    let mut params: Value = serde_json::from_str(params).unwrap_or_default();
    if let Some(meta) = params.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.remove("progressToken");
    }
    format!("{:?} {params}", received.method)
}

/// The id of a message that asks, as it is spelt.
#[must_use]
pub fn asks(message: &str) -> Option<String> {
    let received: Received<'_> = serde_json::from_str(message).ok()?;
    received.method?;
    received.id.map(|id| id.get().to_owned())
}
