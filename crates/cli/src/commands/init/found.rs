//! What was found: files, their entries, and the servers that these name, each once.

use super::clients::{Client, Place, Scope};
use super::entry::{self, Entry, Server};
use super::files::{self, Held};
use super::record::{Record, Stems};
use super::secrets::shown;
use crate::commands::scan::tools::Described;
use crate::commands::tree::{self, Node};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// So many servers of a file are looked at.
const SERVERS_MAX: usize = 500;

/// A file that exists, and what it names.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// Its entries, or why they cannot be read.
    pub(super) read: Result<Vec<Item>, String>,
}

/// One entry of a file.
#[derive(Debug)]
pub(super) struct Item {
    /// The keys that lead to it.
    pub(super) path: Vec<String>,
    pub(super) name: String,
    pub(super) entry: Entry,
}

impl Found {
    /// Reads a place; `None` where there is no file.
    pub(super) fn read(
        place: &Place,
        own: &dyn Fn(&str) -> bool,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Option<Self> {
        let read = match files::read(&place.path) {
            Ok(None) => return None,
            Ok(Some(held)) => items(place, &held, own, wanted),
            Err(error) => Err(format!("{error:#}")),
        };
        Some(Self {
            place: place.clone(),
            read,
        })
    }

    pub(super) fn items(&self) -> &[Item] {
        self.read.as_deref().unwrap_or_default()
    }

    /// The folder that an entry is for: its project's.
    pub(super) fn project(&self, item: &Item) -> Option<PathBuf> {
        // Claude Code keeps entries of projects in the person's file, under the project's path.
        if let [projects, project, ..] = item.path.as_slice()
            && projects == "projects"
        {
            return Some(PathBuf::from(project));
        }
        let folder = self.place.path.parent()?;
        let is_hidden = folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match self.place.scope {
            Scope::User => None,
            Scope::Project if is_hidden => folder.parent().map(Path::to_owned),
            Scope::Project => Some(folder.to_owned()),
        }
    }
}

fn items(
    place: &Place,
    held: &Held,
    own: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Item>, String> {
    // A file that a client has made and not yet filled.
    if held.text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Ok(Vec::new());
    }
    let root = tree::read(place.format(), &held.text).map_err(|fault| fault.to_string())?;
    let mut items = Vec::new();
    for path in place.tables(&root) {
        once(&held.text, &root, &path)?;
        let Some(table) = root.at(&path) else { continue };
        for member in table.members().iter().filter(|member| wanted(&member.name)) {
            if items.len() >= SERVERS_MAX {
                return Err(format!(
                    "it names more than the {SERVERS_MAX} servers that are looked at"
                ));
            }
            items.push(Item {
                path: path.iter().cloned().chain([member.name.clone()]).collect(),
                name: member.name.clone(),
                entry: entry::read(place.client, &member.value, own),
            });
        }
    }
    Ok(items)
}

/// Refuses a file in which a key stands twice on the way to its servers, or the name of a server does: a client may
/// take the other one.
fn once(text: &str, root: &Node, path: &[String]) -> Result<(), String> {
    let mut node = root;
    for key in path.iter().map(Some).chain([None]) {
        let twice = match key {
            Some(key) => node.members().iter().filter(|member| member.name == *key).nth(1),
            None => node.twice(),
        };
        if let Some(member) = twice {
            return Err(format!(
                "line {}: the key `{}` stands here for the second time, and clients may take either",
                tree::line_of(text, member.key.start),
                shown(&member.name)
            ));
        }
        let Some(next) = key.and_then(|key| node.member(key)) else {
            break;
        };
        node = &next.value;
    }
    Ok(())
}

/// A server to be put behind Callgate, wherever it is named.
#[derive(Debug)]
pub(super) struct Job {
    /// Its name in the first configuration that names it.
    pub(super) name: String,
    pub(super) server: Server,
    /// The index of each file and of each entry in it.
    pub(super) sites: Vec<(usize, usize)>,
    /// What it is called in limits and ledger.
    pub(super) stem: String,
    pub(super) policy: PathBuf,
    pub(super) scope: Scope,
    pub(super) status: Status,
    /// Its tools, where it was scanned.
    pub(super) tools: Vec<Described>,
    /// How many lists of its policy are empty, and deny until a person fills them in.
    pub(super) open_lists: usize,
}

/// How far a server has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "reason")]
pub(super) enum Status {
    /// It has to be scanned.
    Unscanned,
    /// It may be scanned.
    Agreed,
    /// Its policy is there.
    Ready,
    /// Callgate is in front of it.
    Guarded,
    /// A person said no.
    Declined,
    /// There was nobody to ask.
    Unasked,
    /// It could not be done; why.
    Failed(String),
}

impl Job {
    /// Whether something is still to be done.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, Status::Unscanned | Status::Agreed | Status::Ready)
    }

    /// Ends what is still open.
    pub(super) fn settle(&mut self, status: Status) {
        if self.is_open() {
            self.status = status;
        }
    }

    /// The clients that name it, in words.
    pub(super) fn clients(&self, found: &[Found]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in self.places(found).map(|found| found.place.client.name()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    pub(super) fn places<'f>(&self, found: &'f [Found]) -> impl Iterator<Item = &'f Found> {
        self.sites.iter().filter_map(|(file, _)| found.get(*file))
    }

    /// The file and the entry that it was first seen in.
    pub(super) fn first<'f>(&self, found: &'f [Found]) -> Option<(&'f Found, &'f Item)> {
        let (file, item) = self.sites.first()?;
        let file = found.get(*file)?;
        Some((file, file.items().get(*item)?))
    }
}

/// The servers that are not behind Callgate, each once for all clients that start it by the same command.
pub(super) fn jobs(found: &[Found], record: &mut Record, policies: &Path) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut stems = Stems::of(record);
    let file = |stem: &str| policies.join(format!("{stem}.yaml"));
    for (file_index, one) in found.iter().enumerate() {
        for (item_index, item) in one.items().iter().enumerate() {
            let Entry::Open(server) = &item.entry else {
                continue;
            };
            let site = (file_index, item_index);
            let same = |job: &&mut Job| {
                job.name == item.name
                    && job.server.identity() == server.identity()
                    && job.scope == one.place.scope
            };
            if let Some(job) = jobs.iter_mut().find(same) {
                job.sites.push(site);
                continue;
            }
            let stem = stems.stem(&item.name, &server.identity(), &|stem| file(stem).exists());
            let policy = file(&stem);
            jobs.push(Job {
                name: item.name.clone(),
                server: Server::clone(server),
                sites: vec![site],
                status: if policy.symlink_metadata().is_ok() {
                    existing(&policy)
                } else {
                    Status::Unscanned
                },
                stem,
                policy,
                scope: one.place.scope,
                tools: Vec::new(),
                open_lists: 0,
            });
        }
    }
    jobs
}

/// A policy that is there is used as it is, whoever wrote it; one that is not valid would keep the server from
/// starting.
fn existing(policy: &Path) -> Status {
    let text = match std::fs::read_to_string(policy) {
        Ok(text) => text,
        Err(error) => return Status::Failed(format!("cannot read its policy {}: {error}", policy.display())),
    };
    match callgate_policy::load(&text, &callgate_policy::LoadOptions::default()) {
        Ok(_) => Status::Ready,
        Err(_) => Status::Failed(format!(
            "its policy is not valid; see: callgate validate {}",
            policy.display()
        )),
    }
}

/// A client's name with the file.
pub(super) fn file_words(client: Client, path: &Path) -> String {
    format!("{}  {}", client.name(), shown(&path.display().to_string()))
}
