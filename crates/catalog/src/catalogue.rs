//! The catalogue: what is known of published servers, packed small and read only where it is asked for.
//!
//! [`pack`] makes of the data files, when the program is built, an index with what is searched and counted, the classes
//! among it, and beside it the definitions of each server by themselves. [`Catalogue::open`] reads the index alone.

mod bytes;
mod pack;
mod search;

pub use pack::{PackCause, PackError, pack};
pub use search::{Filter, Hit};

use crate::{Class, Confidence, Definition, Severity, Verdict, classify_among, classify_list};
use bytes::Source;
use callgate_wire::{Bounds, RawJson};
use std::borrow::Cow;
use std::ops::Range;

/// 256 MiB: more than any catalogue unpacks to.
const UNPACKED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Packed bytes that are no catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue in this program cannot be read: it was not packed by the same version")]
pub struct Damaged;

/// Where a server is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Registry {
    /// npm's.
    Npm,
    /// Python's.
    Pypi,
    /// None: it was started from its repository.
    Source,
    /// None: it runs at an address.
    Remote,
}

impl Registry {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Npm, Self::Pypi, Self::Source, Self::Remote];

    /// The registry as the data files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Source => "source",
            Self::Remote => "remote",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|registry| registry.name() == name)
    }
}

/// What was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Where it is published.
    pub registry: Registry,
    /// Its name there; a repository or an address where it is in none.
    pub name: String,
    /// Its version; a commit or a day where it has none.
    pub version: String,
}

/// A server as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name in the catalogue.
    pub name: String,
    /// What it calls itself, if anything.
    pub title: Option<String>,
    /// What it says of itself, if anything.
    pub about: Option<String>,
    /// What was scanned.
    pub package: Package,
    /// The licence that the package states.
    pub licence: String,
    /// The repository or page that the package states, if any.
    pub source: Option<String>,
    /// The day of the scan, as `2026-11-26`.
    pub date: String,
    /// How its list was obtained.
    pub obtained: String,
    /// Its tools, in its order.
    pub tools: Vec<Tool>,
    /// Where its definitions are.
    at: Range<usize>,
}

impl Server {
    /// What a person knows it by.
    #[must_use]
    pub fn shown_title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// The tool of this name, the first of several.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// How many tools are of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.tools.iter().filter(|tool| tool.class == class).count()
    }

    /// The tools whose worst is High or Critical, the most severe first, else in its order.
    #[must_use]
    pub fn high_risk(&self) -> Vec<&Tool> {
        let mut tools: Vec<&Tool> = self.tools.iter().filter(|tool| tool.is_high_risk()).collect();
        tools.sort_by_key(|tool| std::cmp::Reverse((tool.severity, tool.class)));
        tools
    }
}

/// A tool as the index has it: what the classifier said of it when the program was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The name by which it is called.
    pub name: String,
    /// A name for people; empty where it has none.
    pub title: String,
    /// What the server says that it does.
    pub description: String,
    /// What it can do at worst.
    pub class: Class,
    /// How much that matters.
    pub severity: Severity,
    /// How sure the class is.
    pub confidence: Confidence,
    /// The codes of its signals, in a fixed order.
    pub signals: Vec<&'static str>,
}

impl Tool {
    /// Whether the worst is High or Critical.
    #[must_use]
    pub fn is_high_risk(&self) -> bool {
        self.severity >= Severity::High
    }
}

/// A tool as its server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The definition's JSON text.
    pub raw: String,
    /// What the classifier reads of it.
    pub definition: Definition,
}

/// The definitions of a server, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    /// The tools.
    pub tools: Vec<Listed>,
}

impl Definitions {
    /// What the classifier says of each, beside the others.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let tools: Vec<Definition> = self.tools.iter().map(|tool| tool.definition.clone()).collect();
        classify_list(&tools)
    }
}

/// All that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    servers: Vec<Server>,
    packed: Cow<'static, [u8]>,
}

impl Catalogue {
    /// Reads the index of what [`pack`] made.
    ///
    /// # Errors
    /// [`Damaged`] where it is something else.
    pub fn open(packed: impl Into<Cow<'static, [u8]>>) -> Result<Self, Damaged> {
        let packed = packed.into();
        let mut head = Source::new(&packed);
        if head.text()? != pack::MARK {
            return Err(Damaged);
        }
        let length = head.number()?;
        let from = head.position();
        let index = part(&packed, &(from..from.saturating_add(length)))?;
        let base = from.saturating_add(length);
        let mut source = Source::new(&index);
        let mut servers = Vec::new();
        for _ in 0..source.number()? {
            servers.push(pack::server(&mut source, base)?);
        }
        Ok(Self { servers, packed })
    }

    /// All servers, by name.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of this name, or of this package where the name is none.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        let by_name = self.servers.iter().find(|server| server.name == name);
        by_name.or_else(|| self.servers.iter().find(|server| server.package.name == name))
    }

    /// The definition of one tool of a server, and what the classifier says of it beside the others; `None` where the
    /// server has no such tool. The others are not read.
    ///
    /// # Errors
    /// [`Damaged`] where it cannot be read.
    pub fn verdict(&self, server: &Server, tool: &str) -> Result<Option<(Listed, Verdict)>, Damaged> {
        let Some(index) = server.tools.iter().position(|other| other.name == tool) else {
            return Ok(None);
        };
        let unpacked = part(&self.packed, &server.at)?;
        let mut source = Source::new(&unpacked);
        source.number()?;
        for _ in 0..index {
            source.text()?;
        }
        let listed = listed(source.text()?)?;
        // Beside others, names alone matter.
        let mut list: Vec<Definition> = server.tools.iter().map(named).collect();
        *list.get_mut(index).ok_or(Damaged)? = listed.definition.clone();
        Ok(classify_among(&list, index).map(|verdict| (listed, verdict)))
    }

    /// The definitions of one of its servers.
    ///
    /// # Errors
    /// [`Damaged`] where they cannot be read.
    pub fn definitions(&self, server: &Server) -> Result<Definitions, Damaged> {
        let unpacked = part(&self.packed, &server.at)?;
        let mut source = Source::new(&unpacked);
        let mut tools = Vec::new();
        for _ in 0..source.number()? {
            tools.push(listed(source.text()?)?);
        }
        Ok(Definitions { tools })
    }

    /// The tools of all servers, with theirs.
    pub fn tools(&self) -> impl Iterator<Item = (&Server, &Tool)> {
        self.servers
            .iter()
            .flat_map(|server| server.tools.iter().map(move |tool| (server, tool)))
    }

    /// The servers and tools that have each word of a text, the best first.
    #[must_use]
    pub fn search(&self, text: &str) -> Vec<Hit<'_>> {
        search::search(self, text, &Filter::default())
    }

    /// As [`Self::search`], of the tools that a filter lets through; of all of these where the text is empty.
    #[must_use]
    pub fn search_by(&self, text: &str, filter: &Filter) -> Vec<Hit<'_>> {
        search::search(self, text, filter)
    }
}

fn listed(raw: &str) -> Result<Listed, Damaged> {
    let json = RawJson::read(raw.as_bytes(), &Bounds::default()).map_err(|_| Damaged)?;
    Ok(Listed {
        definition: Definition::read(&json.parse()),
        raw: raw.to_owned(),
    })
}

fn named(tool: &Tool) -> Definition {
    Definition {
        name: tool.name.clone(),
        ..Definition::default()
    }
}

fn part(packed: &[u8], at: &Range<usize>) -> Result<Vec<u8>, Damaged> {
    let part = packed.get(at.clone()).ok_or(Damaged)?;
    miniz_oxide::inflate::decompress_to_vec_with_limit(part, UNPACKED_BYTES_MAX).map_err(|_| Damaged)
}
