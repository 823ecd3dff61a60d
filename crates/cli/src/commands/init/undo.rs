//! `--undo`: each file becomes what it was. A file that has changed since loses Callgate's own changes alone.

use super::entry;
use super::entry::edit::{found, replace};
use super::files::{self, digest};
use super::record::{Changed, Layer, Record};
use super::secrets::shown;
use super::{InitArgs, Machine, code};
use crate::commands::tree::{self, Kind, Member, Node, Shape};
use crate::words::say;
use anyhow::Context;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What became of a file.
#[derive(Debug, Serialize)]
struct Undone {
    path: PathBuf,
    #[serde(flatten)]
    how: How,
    /// What could not be taken back, each with the reason.
    left: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "reason")]
enum How {
    /// It is what it was, byte for byte.
    Restored,
    /// It has other changes, which it keeps.
    Merged,
    /// There was nothing to take back.
    Unchanged,
    Failed(String),
}

/// The outcome for one file, before it is written.
struct Plan {
    text: String,
    how: How,
    left: Vec<String>,
    /// The layers that stay, each with the entries that stay in it.
    stay: Vec<Layer>,
    done: Vec<Layer>,
}

/// Takes back what was done, the latest first.
pub(super) fn run(args: &InitArgs, machine: &Machine) -> anyhow::Result<ExitCode> {
    let mut record = machine.archive.read()?;
    let named: Vec<PathBuf> = args
        .config
        .iter()
        .map(|path| {
            path.canonicalize()
                .with_context(|| format!("there is no {}", path.display()))
        })
        .collect::<Result<_, _>>()?;
    let wanted = |layer: &Layer| {
        (args.client.is_empty() || args.client.contains(&layer.client))
            && (named.is_empty() || named.contains(&layer.path))
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for layer in record.layers.iter().filter(|layer| wanted(layer)) {
        if !paths.contains(&layer.path) {
            paths.push(layer.path.clone());
        }
    }
    let mut undone = Vec::new();
    for path in paths {
        undone.push(file(args, machine, &mut record, &path)?);
    }
    tell(args, machine, &undone)?;
    let is_whole = undone
        .iter()
        .all(|one| one.left.is_empty() && !matches!(one.how, How::Failed(_)));
    Ok(code(is_whole))
}

fn file(args: &InitArgs, machine: &Machine, record: &mut Record, path: &Path) -> anyhow::Result<Undone> {
    let layers: Vec<Layer> = record
        .layers
        .iter()
        .filter(|layer| layer.path == path)
        .cloned()
        .collect();
    let failed = |error: anyhow::Error| Undone {
        path: path.to_owned(),
        how: How::Failed(format!("{error:#}")),
        left: Vec::new(),
    };
    let held = match files::read(path) {
        Ok(Some(held)) => held,
        Ok(None) => {
            let backups = layers.iter().map(|layer| machine.archive.backup(layer));
            let backup = backups
                .map(|path| path.display().to_string())
                .next()
                .unwrap_or_default();
            return Ok(failed(anyhow::anyhow!(
                "it is gone; what it was is kept in {backup}"
            )));
        }
        Err(error) => return Ok(failed(error)),
    };
    let plan = match plan(args, machine, &held.text, layers) {
        Ok(plan) => plan,
        Err(error) => return Ok(failed(error)),
    };
    if !args.dry_run {
        if plan.text != held.text
            && let Err(error) = files::replace(&held, &plan.text)
        {
            return Ok(failed(error));
        }
        record.layers.retain(|layer| layer.path != path);
        record.layers.extend(plan.stay);
        machine.archive.write(record)?;
        let is_kept = |done: &Layer| record.layers.iter().any(|layer| layer.backup == done.backup);
        for layer in plan.done.iter().filter(|layer| !is_kept(layer)) {
            machine.archive.forget(layer);
        }
    }
    Ok(Undone {
        path: path.to_owned(),
        how: plan.how,
        left: plan.left,
    })
}

fn plan(args: &InitArgs, machine: &Machine, text: &str, layers: Vec<Layer>) -> anyhow::Result<Plan> {
    let mut plan = Plan {
        text: text.to_owned(),
        how: How::Unchanged,
        left: Vec::new(),
        stay: Vec::new(),
        done: Vec::new(),
    };
    let wanted = |entry: &Changed| {
        args.server.is_empty() || entry.path.last().is_some_and(|name| args.server.contains(name))
    };
    for layer in layers.into_iter().rev() {
        if layer.entries.iter().all(wanted) && digest(&plan.text) == layer.after {
            plan.text = machine.archive.kept(&layer)?;
            if !matches!(plan.how, How::Merged) {
                plan.how = How::Restored;
            }
            plan.done.push(layer);
            continue;
        }
        let (chosen, mut stay): (Vec<Changed>, Vec<Changed>) =
            layer.entries.iter().cloned().partition(|entry| wanted(entry));
        for entry in chosen {
            match unwrapped(machine, &layer, &plan.text, &entry)? {
                Taken::Back(text) => {
                    plan.text = text;
                    plan.how = How::Merged;
                }
                Taken::Gone => {}
                Taken::Not(reason) => {
                    plan.left.push(reason);
                    stay.push(entry);
                }
            }
        }
        if stay.is_empty() {
            plan.done.push(layer);
        } else {
            plan.stay.push(Layer {
                entries: stay,
                ..layer
            });
        }
    }
    // The oldest first, as they were.
    plan.stay.reverse();
    Ok(plan)
}

/// What became of an entry.
enum Taken {
    /// The file's text without the gate.
    Back(String),
    /// There is no gate in front of it any more.
    Gone,
    Not(String),
}

fn unwrapped(machine: &Machine, layer: &Layer, text: &str, entry: &Changed) -> anyhow::Result<Taken> {
    let root = tree::read(layer.format, text)
        .map_err(|fault| anyhow::anyhow!("{fault}; mend it, and run this again"))?;
    let Some((name, above)) = entry.path.split_last() else {
        return Ok(Taken::Gone);
    };
    let Some(table) = root.at(above) else {
        return Ok(Taken::Gone);
    };
    let back = |node: &Node| {
        let places = found(text, node, &entry.edits)?;
        replace(text, &places)
    };
    // It may go by another name now, and its own name be that of another; its changes name its policy, as no other's
    // do.
    let here = table.member(name);
    let members = || here.into_iter().chain(table.members());
    if let Some(text) = members().find_map(|member| back(&member.value)) {
        return Ok(Taken::Back(text));
    }
    if let Some(member) = members().find(|member| entry.is_meant_by(text, &member.value)) {
        let before = machine.archive.kept(layer)?;
        if let Some(text) = as_before(layer, entry, &before, text, &member.value) {
            return Ok(Taken::Back(text));
        }
    }
    let own = |program: &str| machine.is_own(program);
    let has_gate = |member: &&Member| {
        entry::gate(layer.client, &member.value, &own)
            .is_some_and(|policy| member.name == *name || entry.names(&policy))
    };
    Ok(members().find(has_gate).map_or(Taken::Gone, |member| {
        Taken::Not(format!(
            "{} has changed since; take Callgate's words out of it by hand (line {})",
            shown(&member.name),
            tree::line_of(text, member.value.span.start)
        ))
    }))
}

/// The text with an entry as it was, where its client has only laid it out anew. `None` where it is not in braces,
/// which alone hold all of it.
fn as_before(layer: &Layer, entry: &Changed, before: &str, text: &str, node: &Node) -> Option<String> {
    let root = tree::read(layer.format, before).ok()?;
    let was = root.at(&entry.path)?;
    let is_braced = |node: &Node| matches!(node.kind, Kind::Table(Shape::Braced, _));
    if !is_braced(was) || !is_braced(node) {
        return None;
    }
    replace(text, &[(node.span.clone(), before.get(was.span.clone())?)])
}

fn tell(args: &InitArgs, machine: &Machine, undone: &[Undone]) -> anyhow::Result<()> {
    if args.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({
            "dry_run": args.dry_run,
            "files": undone,
        }))?;
        return writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout");
    }
    if undone.is_empty() {
        say("callgate: there is nothing to take back");
    }
    for one in undone {
        let how = match (&one.how, args.dry_run) {
            (How::Restored, false) => "is as it was, byte for byte",
            (How::Restored, true) => "would be as it was, byte for byte",
            (How::Merged, false) => "has changed since; Callgate's changes are taken out, the others stay",
            (How::Merged, true) => {
                "has changed since; Callgate's changes would be taken out, the others stay"
            }
            (How::Unchanged, _) => "has none of Callgate's changes that can be taken out",
            (How::Failed(reason), _) => reason,
        };
        say(&format!("{} {how}", shown(&one.path.display().to_string())));
        for left in &one.left {
            say(&format!("  {left}"));
        }
    }
    if machine.policies.is_dir() && !undone.is_empty() {
        say(&format!(
            "callgate: the policies stay in {}; start the clients anew",
            machine.policies.display()
        ));
    }
    Ok(())
}
