//! Putting Callgate in front of servers: one new text a file, written once it is known to be right.

use super::Machine;
use super::entry::edit::{Placed, apply};
use super::entry::{self, Entry, Gate, Server, Site};
use super::files::{self, Held, digest};
use super::found::{Found, Item, Job, Status};
use super::record::{Changed, Layer, Record};
use super::secrets::{shown, shown_value};
use crate::commands::tree::{self, Node};
use std::path::PathBuf;

/// What was changed in a file, or would be.
#[derive(Debug)]
pub(super) struct Change {
    /// The index of the file among those found.
    pub(super) file: usize,
    /// The indices of the servers whose entries are changed.
    pub(super) jobs: Vec<usize>,
    /// Each entry with its members before and after, secrets masked.
    pub(super) entries: Vec<(String, Vec<Line>)>,
}

/// A member that an entry has lost or gained.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Lost(String),
    Gained(String),
}

/// A file with its new text.
struct Draft {
    held: Held,
    text: String,
    entries: Vec<Changed>,
    change: Change,
}

/// What would be changed. Nothing is written.
pub(super) fn rehearse(machine: &Machine, found: &[Found], jobs: &mut [Job]) -> Vec<Change> {
    let drafts = drafts(machine, found, jobs, |status| {
        matches!(status, Status::Ready | Status::Unscanned)
    });
    drafts.into_iter().map(|draft| draft.change).collect()
}

/// Changes the files.
pub(super) fn all(
    machine: &Machine,
    found: &[Found],
    jobs: &mut [Job],
    record: &mut Record,
) -> anyhow::Result<Vec<Change>> {
    let drafts = drafts(machine, found, jobs, |status| *status == Status::Ready);
    let mut changes = Vec::new();
    for draft in drafts {
        let index = draft.change.file;
        let Some(file) = found.get(index) else { continue };
        match write(machine, file, &draft, record) {
            Ok(()) => changes.push(draft.change),
            Err(error) => {
                let reason = shown(&format!("{}: {error:#}", file.place.path.display()));
                fail(jobs, index, &reason);
            }
        }
    }
    // The names that servers have got, though nothing may have come of some.
    machine.archive.write(record)?;
    for job in jobs.iter_mut().filter(|job| job.status == Status::Ready) {
        job.status = Status::Guarded;
    }
    Ok(changes)
}

fn fail(jobs: &mut [Job], file: usize, reason: &str) {
    for job in jobs
        .iter_mut()
        .filter(|job| job.sites.iter().any(|site| site.0 == file))
    {
        job.settle(Status::Failed(reason.to_owned()));
    }
}

fn drafts(
    machine: &Machine,
    found: &[Found],
    jobs: &mut [Job],
    is_wanted: impl Fn(&Status) -> bool,
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (index, file) in found.iter().enumerate() {
        let sites: Vec<(usize, &Item)> = jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| is_wanted(&job.status))
            .flat_map(|(job_index, job)| {
                let here = job.sites.iter().filter(|site| site.0 == index);
                here.filter_map(move |site| Some((job_index, file.items().get(site.1)?)))
            })
            .collect();
        if sites.is_empty() {
            continue;
        }
        let (draft, refused) = match draft(machine, index, file, jobs, &sites) {
            Ok(drafted) => drafted,
            Err(reason) => (
                None,
                sites.iter().map(|(job, _)| (*job, reason.clone())).collect(),
            ),
        };
        for (job, reason) in refused {
            if let Some(job) = jobs.get_mut(job) {
                let reason = format!("{}: {reason}", shown(&file.place.path.display().to_string()));
                job.settle(Status::Failed(reason));
            }
        }
        drafts.extend(draft);
    }
    drafts
}

/// The new text of a file, and the servers whose entries cannot be changed, with the reason.
type Drafted = (Option<Draft>, Vec<(usize, String)>);

fn draft(
    machine: &Machine,
    index: usize,
    file: &Found,
    jobs: &[Job],
    sites: &[(usize, &Item)],
) -> Result<Drafted, String> {
    // It is read again: a scan takes its time, and clients write their files.
    let held = files::read(&file.place.path).map_err(|error| format!("{error:#}"))?;
    let held = held.ok_or("it is gone")?;
    let format = file.place.format();
    let root = tree::read(format, &held.text).map_err(|fault| fault.to_string())?;
    let mut placed: Vec<Placed> = Vec::new();
    let mut entries = Vec::new();
    let mut changed = Vec::new();
    let mut refused = Vec::new();
    for (job_index, item) in sites {
        let Some(job) = jobs.get(*job_index) else { continue };
        match wrapped(machine, file, &held, &root, job, item) {
            Ok(edits) => {
                entries.push(Changed {
                    path: item.path.clone(),
                    edits: edits.iter().map(|placed| placed.edit.clone()).collect(),
                    says: String::new(),
                });
                placed.extend(edits);
                changed.push(*job_index);
            }
            Err(reason) => refused.push((*job_index, reason)),
        }
    }
    if placed.is_empty() {
        return Ok((None, refused));
    }
    let text = apply(&held.text, &placed).ok_or("its entries overlap")?;
    let after =
        tree::read(format, &text).map_err(|fault| format!("the new text would not be valid: {fault}"))?;
    let own = |program: &str| machine.is_own(program);
    for entry in &mut entries {
        let node = after.at(&entry.path).ok_or("an entry would be lost")?;
        if !matches!(entry::read(file.place.client, node, &own), Entry::Guarded(_)) {
            return Err("an entry would not be what it has to be".to_owned());
        }
        entry.says = digest(&node.says(&text));
    }
    let shown = entries.iter().filter_map(|entry| {
        let lines = lines(root.at(&entry.path)?, after.at(&entry.path)?);
        Some((entry.path.last()?.clone(), lines))
    });
    let change = Change {
        file: index,
        jobs: changed,
        entries: shown.collect(),
    };
    let draft = Draft {
        held,
        text,
        entries,
        change,
    };
    Ok((Some(draft), refused))
}

/// The changes of one entry, if it is still the one that was looked at.
fn wrapped(
    machine: &Machine,
    file: &Found,
    held: &Held,
    root: &Node,
    job: &Job,
    item: &Item,
) -> Result<Vec<Placed>, String> {
    let node = root.at(&item.path).ok_or("its entry is gone")?;
    let own = |program: &str| machine.is_own(program);
    let server: Box<Server> = match entry::read(file.place.client, node, &own) {
        Entry::Open(server) if server.identity() == job.server.identity() => server,
        Entry::Open(_) | Entry::Guarded(_) | Entry::Left(_) => {
            return Err("its entry has changed meanwhile; run this again".to_owned());
        }
    };
    let policy = job.policy.to_str().ok_or("the path of its policy is no text")?;
    let site = Site {
        client: file.place.client,
        format: file.place.format(),
        text: &held.text,
    };
    let gate = Gate {
        program: &machine.program,
        policy,
        server: &job.stem,
    };
    entry::wrap(site, node, &server, gate)
}

/// The members that differ.
fn lines(before: &Node, after: &Node) -> Vec<Line> {
    let shown = |node: &Node| -> Vec<String> {
        let members = node.members().iter();
        members
            .map(|member| {
                format!(
                    "{}: {}",
                    super::secrets::shown(&member.name),
                    shown_value(&member.name, &member.value)
                )
            })
            .collect()
    };
    let (before, after) = (shown(before), shown(after));
    let lost = before.iter().filter(|line| !after.contains(line));
    let gained = after.iter().filter(|line| !before.contains(line));
    lost.cloned()
        .map(Line::Lost)
        .chain(gained.cloned().map(Line::Gained))
        .collect()
}

/// Writes a file. What it was is kept and recorded first, so that a crash leaves nothing that cannot be taken back.
fn write(machine: &Machine, file: &Found, draft: &Draft, record: &mut Record) -> anyhow::Result<()> {
    let path: PathBuf = draft.held.path.clone();
    let before = digest(&draft.held.text);
    // One that a run began and did not end: the file is as it was before it.
    record
        .layers
        .retain(|layer| !(layer.path == path && layer.before == before));
    record.layers.push(Layer {
        backup: machine.archive.keep(&path, &draft.held.text)?,
        path,
        client: file.place.client,
        format: file.place.format(),
        before,
        after: digest(&draft.text),
        entries: draft.entries.clone(),
    });
    machine.archive.write(record)?;
    let written = files::replace(&draft.held, &draft.text);
    if written.is_err()
        && let Some(layer) = record.layers.pop()
    {
        machine.archive.forget(&layer);
        machine.archive.write(record)?;
    }
    written
}
