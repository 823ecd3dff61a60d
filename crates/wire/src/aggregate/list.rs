//! Pages of a server's lists, each item under the names of the whole.

use super::Prefix;
use super::rename::Edits;
use crate::json::{Object, RawJson};
use crate::mcp::method;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListOf {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
    /// `tasks/list`
    Tasks,
}

impl ListOf {
    /// What a method lists, if it lists something.
    #[must_use]
    pub fn of(asked: &str) -> Option<Self> {
        match asked {
            method::TOOLS_LIST => Some(Self::Tools),
            method::PROMPTS_LIST => Some(Self::Prompts),
            method::RESOURCES_LIST => Some(Self::Resources),
            method::RESOURCES_TEMPLATES_LIST => Some(Self::Templates),
            method::TASKS_LIST => Some(Self::Tasks),
            _ => None,
        }
    }

    /// The method that lists it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => method::TOOLS_LIST,
            Self::Prompts => method::PROMPTS_LIST,
            Self::Resources => method::RESOURCES_LIST,
            Self::Templates => method::RESOURCES_TEMPLATES_LIST,
            Self::Tasks => method::TASKS_LIST,
        }
    }

    /// The member of a result that holds it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Tasks => "tasks",
        }
    }

    fn rename(self, item: &Object<'_>, edits: &mut Edits<'_>) {
        match self {
            Self::Tools => {
                edits.name(item.get("name"));
                // What a tool shows its results in (MCP Apps), in both places where it is told.
                let meta = item.get("_meta").and_then(|meta| meta.as_object());
                if let Some(meta) = meta {
                    let ui = meta.get("ui").and_then(|ui| ui.as_object());
                    edits.uri(ui.and_then(|ui| ui.get("resourceUri")));
                    edits.uri(meta.get("ui/resourceUri"));
                }
            }
            Self::Prompts => edits.name(item.get("name")),
            Self::Resources => edits.uri(item.get("uri")),
            Self::Templates => edits.uri(item.get("uriTemplate")),
            Self::Tasks => edits.task(item.get("taskId")),
        }
    }

    /// The member by which an item is asked for.
    const fn handle(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
            Self::Tasks => "taskId",
        }
    }
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What the server itself knows it by.
    pub own: Box<str>,
    /// Its JSON, under the names of the whole; every other byte is as it came.
    pub json: Box<str>,
}

/// One page of a server's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items that can be asked for. One that is no object with a single meaning is left out.
    pub items: Vec<Item>,
    /// Where the next page begins. An empty cursor is a cursor.
    pub next_cursor: Option<Box<str>>,
    /// How long it may be kept, in milliseconds (2026-07-28).
    pub ttl_ms: Option<u64>,
}

/// Reads the result of a list. `None` where it has no single meaning.
#[must_use]
pub fn page(list: ListOf, result: RawJson<'_>, prefix: &Prefix) -> Option<Page> {
    let result = result.as_object()?;
    let elements = result.get(list.key())?.as_array()?;
    let items = elements
        .iter()
        .filter_map(|raw| {
            let item = raw.as_object()?;
            let own = item.get(list.handle())?.as_str()?;
            let mut edits = Edits::new(prefix);
            list.rename(&item, &mut edits);
            Some(Item {
                own: own.as_ref().into(),
                json: edits.applied(raw.text(), raw.span().start)?.into(),
            })
        })
        .collect();
    let cursor = result.get("nextCursor").and_then(|cursor| cursor.as_str());
    Some(Page {
        items,
        next_cursor: cursor.map(|cursor| cursor.as_ref().into()),
        ttl_ms: result.get("ttlMs").and_then(|ttl| ttl.text().parse().ok()),
    })
}
