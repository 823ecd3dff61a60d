//! Several servers behind one address: how what they name is told apart, and the edits that this takes.
//!
//! Tools and prompts of a server become `SERVER__name`, URIs `mcp+SERVER:` plus the original, ids of tasks,
//! of the server's own requests and of their progress `SERVER:` plus the original. Edits replace whole JSON
//! strings (or the number that an id is) by their byte ranges, and what comes out is decoded again.

mod list;
mod rename;

pub use list::{Item, ListOf, Page, page};
pub use rename::{RenameError, Shape, answer, from_server, may_hold_names};

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::bounds::Bounds;
use crate::envelope::Request;
use crate::id::IdKey;
use crate::json::{Object, RawJson};
use crate::mcp::method;

/// What stands between a server's name and the name of its tool or prompt: the first one in a name.
pub const SEPARATOR: &str = "__";
/// The longest name that is shown, in characters: hosts refuse longer ones.
pub const NAME_CHARS_MAX: usize = 64;
/// So many characters of a longer name are kept.
const NAME_CHARS_KEPT: usize = 55;
/// So many bytes of its hash follow, in hex.
const HASH_BYTES: usize = 4;
/// What the scheme of each URI begins with.
const SCHEME: &str = "mcp+";
/// The longest name of a server, in characters.
const SERVER_CHARS_MAX: usize = 24;

/// The name of a server, as far as it can stand before what the server names: `[a-z0-9-]{1,24}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// A server's name; `None` where it could be taken for a part of what follows it.
    #[must_use]
    pub fn new(server: &str) -> Option<Self> {
        let fits = (1..=SERVER_CHARS_MAX).contains(&server.len())
            && server
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        fits.then(|| Self(server.into()))
    }

    /// The server's name.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0
    }

    /// The name of a tool or prompt. One that comes out too long is cut, and ends with a hash of the whole.
    #[must_use]
    pub fn name(&self, own: &str) -> String {
        let whole = format!("{}{SEPARATOR}{own}", self.0);
        if !is_too_long(&whole) {
            return whole;
        }
        let hash = Sha256::digest(whole.as_bytes());
        let hash: String = hash
            .iter()
            .take(HASH_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let kept: String = whole.chars().take(NAME_CHARS_KEPT).collect();
        format!("{kept}_{hash}")
    }

    /// A URI, or a template of URIs.
    #[must_use]
    pub fn uri(&self, own: &str) -> String {
        format!("{SCHEME}{}:{own}", self.0)
    }

    /// The id of a task.
    #[must_use]
    pub fn task(&self, own: &str) -> String {
        format!("{}:{own}", self.0)
    }

    /// The id of a request that the server makes, or the token that it wants progress of it under.
    #[must_use]
    pub fn id(&self, own: &IdKey) -> IdKey {
        IdKey::from(format!("{}:{}", self.0, own.to_json()).as_str())
    }
}

fn is_too_long(name: &str) -> bool {
    name.len() > NAME_CHARS_MAX && name.chars().count() > NAME_CHARS_MAX
}

/// How the name of a tool or prompt leads to the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'n> {
    /// It is the server's own name behind that of the server.
    Plain {
        /// The server.
        server: &'n str,
        /// The server's own name.
        own: &'n str,
    },
    /// It is as long as a cut name is, so the server's list has to tell.
    Perhaps {
        /// The server.
        server: &'n str,
        /// What follows the separator.
        rest: &'n str,
    },
    /// No list has such a name.
    Nobody,
}

/// Reads the name of a tool or prompt.
#[must_use]
pub fn read_name(name: &str) -> Named<'_> {
    let Some((server, rest)) = name.split_once(SEPARATOR).filter(|(_, rest)| !rest.is_empty()) else {
        return Named::Nobody;
    };
    if name.len() < NAME_CHARS_MAX {
        return Named::Plain { server, own: rest };
    }
    match name.chars().count() {
        ..NAME_CHARS_MAX => Named::Plain { server, own: rest },
        NAME_CHARS_MAX => Named::Perhaps { server, rest },
        _ => Named::Nobody,
    }
}

/// The server of a URI, and the server's own URI.
#[must_use]
pub fn read_uri(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix(SCHEME)?.split_once(':')
}

/// The server of a task, and the server's own id of it.
#[must_use]
pub fn read_task(task: &str) -> Option<(&str, &str)> {
    task.split_once(':')
}

/// The server that made a request, and its own id of it; likewise for a token of progress.
#[must_use]
pub fn read_id(id: &IdKey) -> Option<(&str, IdKey)> {
    let (server, own) = id.as_text()?.split_once(':')?;
    let own = RawJson::read(own.as_bytes(), &Bounds::default()).ok()?;
    Some((server, IdKey::of(own)?))
}

/// What a request of a client is about, by which its server is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A tool, or a prompt.
    Name(Cow<'a, str>),
    /// A resource.
    Uri(Cow<'a, str>),
    /// A task.
    Task(Cow<'a, str>),
    /// The prompt whose arguments are to be completed.
    PromptRef(Cow<'a, str>),
    /// The template whose variables are to be completed.
    ResourceRef(Cow<'a, str>),
}

/// A request that has to say what it is about, and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request does not say what it is about: `{missing}` is missing or of another type")]
pub struct NoSubject {
    /// What it lacks.
    pub missing: &'static str,
}

impl<'a> Subject<'a> {
    /// What a request is about; `None` where its method is about no one thing.
    ///
    /// # Errors
    /// [`NoSubject`] where the request lacks what its method is about.
    pub fn of(request: &Request<'a>) -> Result<Option<Self>, NoSubject> {
        let text = |missing: &'static str| {
            let value = request.params.as_ref().and_then(|params| params.get(missing));
            value
                .and_then(|value| value.as_str())
                .ok_or(NoSubject { missing })
        };
        match request.method.as_ref() {
            method::TOOLS_CALL | method::PROMPTS_GET => {
                let name = text("name")?;
                if name.is_empty() {
                    return Err(NoSubject { missing: "name" });
                }
                Ok(Some(Self::Name(name)))
            }
            method::RESOURCES_READ
            | method::RESOURCES_DIRECTORY_READ
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE => text("uri").map(Self::Uri).map(Some),
            method::TASKS_GET | method::TASKS_RESULT | method::TASKS_CANCEL | method::TASKS_UPDATE => {
                text("taskId").map(Self::Task).map(Some)
            }
            method::COMPLETION_COMPLETE => {
                let referred = request.params.as_ref().and_then(|params| params.get("ref"));
                let subject = referred.and_then(|referred| Self::referred(&referred.as_object()?));
                subject.map(Some).ok_or(NoSubject { missing: "ref" })
            }
            _ => Ok(None),
        }
    }

    fn referred(reference: &Object<'a>) -> Option<Self> {
        match reference.get("type")?.as_str()?.as_ref() {
            "ref/prompt" => reference.get("name")?.as_str().map(Self::PromptRef),
            "ref/resource" => reference.get("uri")?.as_str().map(Self::ResourceRef),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Prefix, read_id, read_name, read_task, read_uri};
    use crate::id::IdKey;

    fn prefix(server: &str) -> Prefix {
        Prefix::new(server).unwrap()
    }

    #[test]
    fn a_server_s_name_cannot_be_taken_for_a_part_of_what_follows() {
        for fits in ["a", "notes-2", "abcdefghijklmnopqrstuvwx"] {
            assert!(Prefix::new(fits).is_some(), "{fits}");
        }
        for wrong in ["", "a_b", "A", "a:b", "a b", "ä", "abcdefghijklmnopqrstuvwxy"] {
            assert!(Prefix::new(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_first_separator_tells_server_and_name_apart() {
        let notes = prefix("notes");
        for own in ["list", "_list", "__list", "a__b", "a:b", "ä"] {
            let name = notes.name(own);
            let expected = Named::Plain { server: "notes", own };
            // A name of the server's that begins with an underscore moves the first separator by none.
            assert_eq!(read_name(&name), expected, "{name}");
        }
        for nobody in ["list", "notes_list", "notes__", "", "__"] {
            assert_eq!(read_name(nobody), Named::Nobody, "{nobody}");
        }
        assert_eq!(
            read_name("__list"),
            Named::Plain {
                server: "",
                own: "list"
            }
        );
    }

    #[test]
    fn a_name_of_more_than_64_characters_is_cut_and_ends_with_a_hash_of_the_whole() {
        let notes = prefix("notes");
        let fits = "x".repeat(57);
        assert_eq!(notes.name(&fits), format!("notes__{fits}"));
        let long = "x".repeat(58);
        let cut = notes.name(&long);
        assert_eq!(cut.chars().count(), 64);
        // By `printf notes__xx… | sha256sum`.
        assert_eq!(cut, format!("notes__{}_d9d0de42", "x".repeat(48)));
        assert_ne!(notes.name(&"x".repeat(59)), cut);
        for name in [notes.name(&fits), cut] {
            assert!(matches!(read_name(&name), Named::Perhaps { server: "notes", .. }));
        }
        assert_eq!(read_name(&format!("notes__{long}")), Named::Nobody);
        // Characters count, not bytes.
        let wide = "ä".repeat(57);
        assert_eq!(notes.name(&wide), format!("notes__{wide}"));
    }

    #[test]
    fn uris_tasks_and_ids_lead_back_to_their_server() {
        let notes = prefix("notes");
        for own in ["file:///a?b#c", "a:b", "", "mcp+other:x", "ui://{x}"] {
            assert_eq!(read_uri(&notes.uri(own)), Some(("notes", own)));
            assert_eq!(read_task(&notes.task(own)), Some(("notes", own)));
        }
        for wrong in ["file:///a", "mcp+notes", "notes:x", ""] {
            assert_eq!(read_uri(wrong), None, "{wrong}");
        }
        for own in [
            IdKey::from(1),
            IdKey::from("1"),
            IdKey::from("a:\"b"),
            IdKey::from(-7),
        ] {
            assert_eq!(read_id(&notes.id(&own)), Some(("notes", own)));
        }
        // Two servers, and a number and its text, never meet.
        assert_ne!(notes.id(&IdKey::from(1)), notes.id(&IdKey::from("1")));
        assert_ne!(notes.id(&IdKey::from(1)), prefix("mail").id(&IdKey::from(1)));
        for wrong in ["notes", "notes:", "notes:x", "notes:1 2", "notes:[1]"] {
            assert_eq!(read_id(&IdKey::from(wrong)), None, "{wrong}");
        }
    }
}
