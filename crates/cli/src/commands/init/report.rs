//! What is told: what was found, the tools by risk, and what was done.

use super::entry::Entry;
use super::found::{Found, Item, Job, Status, file_words};
use super::secrets::shown;
use super::write::{Change, Line};
use super::{InitArgs, code};
use crate::commands::scan::comment::one_line;
use crate::commands::scan::tools::{Described, Summary};
use crate::words::say;
use anyhow::Context;
use callgate_core::program::{Default, Program};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// So many characters of tool names stand on a line.
const NAMES_CHARS_MAX: usize = 90;

/// The files and what they name, on stderr.
pub(super) fn overview(found: &[Found], jobs: &[Job]) {
    if found.is_empty() {
        say("callgate: no configuration of a client was found; --config names one");
    }
    for (index, file) in found.iter().enumerate() {
        let place = file_words(file.place.client, &file.place.path);
        match &file.read {
            Err(reason) => say(&format!("{place}\n  left alone: {reason}")),
            Ok(items) if items.is_empty() => {}
            Ok(items) => {
                let mut lines = vec![place];
                for (number, item) in items.iter().enumerate() {
                    let job = jobs.iter().find(|job| job.sites.contains(&(index, number)));
                    lines.push(format!("  {}: {}", name(item), state(item, job)));
                }
                say(&lines.join("\n"));
            }
        }
    }
}

/// An entry's name, with the project that Claude Code has it for.
fn name(item: &Item) -> String {
    match item.path.as_slice() {
        [projects, project, ..] if projects == "projects" => {
            format!("{} (for {})", shown(&item.name), shown(project))
        }
        _ => shown(&item.name),
    }
}

fn state(item: &Item, job: Option<&Job>) -> String {
    match (&item.entry, job) {
        (Entry::Guarded(policy), _) => format!("behind Callgate, under {}", shown(policy)),
        (Entry::Left(reason), _) => format!("left as it is: {reason}"),
        (Entry::Open(server), Some(job)) => match &job.status {
            Status::Ready => format!("{} (its policy is there)", server.shown()),
            Status::Failed(reason) => reason.clone(),
            Status::Unscanned | Status::Agreed | Status::Guarded | Status::Declined | Status::Unasked => {
                server.shown()
            }
        },
        (Entry::Open(server), None) => server.shown(),
    }
}

/// The tools of each server that was scanned, by risk, on stdout.
pub(super) fn tools(jobs: &[Job]) -> anyhow::Result<()> {
    let mut out = String::new();
    for job in jobs
        .iter()
        .filter(|job| job.status == Status::Ready && !job.tools.is_empty())
    {
        table(&mut out, job);
    }
    print(&out)
}

fn table(out: &mut String, job: &Job) {
    let loaded = std::fs::read_to_string(&job.policy)
        .ok()
        .and_then(|text| callgate_policy::load(&text, &callgate_policy::LoadOptions::default()).ok());
    // One that cannot be read any more lets nothing pass.
    let program = loaded.map_or_else(Program::deny_all, |loaded| loaded.program);
    let row = |tool: &Described| (tool.verdict.severity, word(&program, tool.listed.name.as_str()));
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "\n{}: {} tools", shown(&job.name), job.tools.len());
    let _ = writeln!(out, "  RISK      POLICY   TOOLS");
    let mut rows: Vec<_> = job.tools.iter().map(row).collect();
    rows.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
    rows.dedup();
    for (severity, policy) in rows {
        let of_row = job.tools.iter().filter(|tool| row(tool) == (severity, policy));
        let mut names: Vec<String> = of_row.map(|tool| one_line(tool.listed.name.as_str())).collect();
        names.sort();
        let _ = writeln!(
            out,
            "  {:9} {policy:8} {:3}  {}",
            severity.name(),
            names.len(),
            listed(&names)
        );
    }
}

/// What a policy makes of a tool: what it says of it at all, not of its arguments.
fn word(program: &Program, tool: &str) -> &'static str {
    if program.hide.set.is_match(tool) {
        return "denied";
    }
    match program.rules_for(tool) {
        None if program.default == Default::Deny => "denied",
        None => "allowed",
        // Nobody can approve a call yet.
        Some(rules) if rules.approvals.iter().any(|approval| approval.when.is_none()) => "held",
        Some(rules) if rules.limits.is_empty() && rules.rules.is_empty() => "allowed",
        Some(_) => "limited",
    }
}

/// As many names as a line takes.
fn listed(names: &[String]) -> String {
    let mut out = String::new();
    for (index, name) in names.iter().enumerate() {
        let length = out.chars().count().saturating_add(name.chars().count());
        if index > 0 && length > NAMES_CHARS_MAX {
            let _ = write!(out, " … and {} more", names.len().saturating_sub(index));
            break;
        }
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
    }
    out
}

/// What was done, and the exit code.
pub(super) fn end(
    args: &InitArgs,
    found: &[Found],
    jobs: &[Job],
    changes: &[Change],
) -> anyhow::Result<ExitCode> {
    if args.json {
        let report = report(args, found, jobs, changes);
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else if args.dry_run {
        print(&diff(found, changes))?;
        outcome(found, jobs, &[]);
    } else {
        outcome(found, jobs, changes);
    }
    let is_read = found.iter().all(|file| file.read.is_ok());
    let is_done = |job: &Job| job.status == Status::Guarded || (args.dry_run && job.is_open());
    Ok(code(is_read && jobs.iter().all(is_done)))
}

fn outcome(found: &[Found], jobs: &[Job], changes: &[Change]) {
    for change in changes {
        if let Some(file) = found.get(change.file) {
            say(&format!(
                "callgate: changed {}",
                shown(&file.place.path.display().to_string())
            ));
        }
    }
    for (index, job) in jobs.iter().enumerate() {
        let name = shown(&job.name);
        match &job.status {
            Status::Guarded => say(&format!("callgate: {name} is behind Callgate; {}", policy(job))),
            Status::Failed(reason) => {
                let changed: Vec<String> = touched(changes, index)
                    .filter_map(|file| Some(shown(&found.get(file)?.place.path.display().to_string())))
                    .collect();
                if changed.is_empty() {
                    say(&format!("callgate: {name} was left as it is: {reason}"));
                } else {
                    say(&format!(
                        "callgate: {name} is behind Callgate in {}; {}",
                        changed.join(", "),
                        policy(job)
                    ));
                    say(&format!("callgate: {name} was left as it is elsewhere: {reason}"));
                }
            }
            Status::Declined => say(&format!("callgate: {name} was left as it is")),
            Status::Unasked => say(&format!(
                "callgate: {name} was not started, as nobody was asked{}",
                match job.scope {
                    super::Scope::User => "",
                    super::Scope::Project =>
                        "; it comes with the project: --trust-project says yes to it as well",
                }
            )),
            Status::Unscanned | Status::Agreed | Status::Ready => {}
        }
    }
    if !changes.is_empty() {
        say("callgate: start the clients anew; `callgate init --undo` takes it all back");
    } else if jobs.is_empty() && found.iter().any(|file| !file.items().is_empty()) {
        say("callgate: nothing to do");
    }
}

/// Where a server's policy is, and what a person has to do in it.
fn policy(job: &Job) -> String {
    let lists = match job.open_lists {
        0 => String::new(),
        1 => ", where one list denies until you fill it in (FILL IN)".to_owned(),
        count => format!(", where {count} lists deny until you fill them in (FILL IN)"),
    };
    format!("its policy is {}{lists}", job.policy.display())
}

/// The indices of the files in which a server was changed, or would be.
fn touched(changes: &[Change], job: usize) -> impl Iterator<Item = usize> {
    let changes = changes.iter().filter(move |change| change.jobs.contains(&job));
    changes.map(|change| change.file)
}

/// What would be changed, entry by entry, without secrets.
fn diff(found: &[Found], changes: &[Change]) -> String {
    let mut out = String::new();
    for change in changes {
        let Some(file) = found.get(change.file) else {
            continue;
        };
        let _ = writeln!(out, "\n{}", shown(&file.place.path.display().to_string()));
        for (name, lines) in &change.entries {
            let _ = writeln!(out, "  {}", shown(name));
            for line in lines {
                let _ = match line {
                    Line::Lost(text) => writeln!(out, "  - {text}"),
                    Line::Gained(text) => writeln!(out, "  + {text}"),
                };
            }
        }
    }
    out
}

/// For `--json`.
#[derive(Debug, Serialize)]
struct Report<'r> {
    dry_run: bool,
    files: Vec<FileReport<'r>>,
    servers: Vec<ServerReport<'r>>,
}

#[derive(Debug, Serialize)]
struct FileReport<'r> {
    client: super::clients::Client,
    scope: super::Scope,
    path: &'r Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'r str>,
    /// Entries that are behind Callgate already.
    guarded: Vec<GuardedReport<'r>>,
    /// Entries that cannot be.
    left: Vec<LeftReport<'r>>,
}

#[derive(Debug, Serialize)]
struct GuardedReport<'r> {
    name: &'r str,
    policy: &'r str,
}

#[derive(Debug, Serialize)]
struct LeftReport<'r> {
    name: &'r str,
    reason: &'r str,
}

#[derive(Debug, Serialize)]
struct ServerReport<'r> {
    name: &'r str,
    /// What it starts or reaches, secrets masked.
    runs: String,
    /// What it is called in limits and ledger.
    server: &'r str,
    files: Vec<&'r Path>,
    /// Those of them that were changed, or would be.
    changed: Vec<&'r Path>,
    policy: &'r Path,
    #[serde(flatten)]
    status: &'r Status,
    /// Lists of its policy that deny until they are filled in.
    open_lists: usize,
    tools: Vec<Summary<'r>>,
}

fn report<'r>(args: &InitArgs, found: &'r [Found], jobs: &'r [Job], changes: &[Change]) -> Report<'r> {
    let file = |file: &'r Found| FileReport {
        client: file.place.client,
        scope: file.place.scope,
        path: &file.place.path,
        problem: file.read.as_ref().err().map(String::as_str),
        guarded: file
            .items()
            .iter()
            .filter_map(|item| match &item.entry {
                Entry::Guarded(policy) => Some(GuardedReport {
                    name: &item.name,
                    policy,
                }),
                Entry::Open(_) | Entry::Left(_) => None,
            })
            .collect(),
        left: file
            .items()
            .iter()
            .filter_map(|item| match &item.entry {
                Entry::Left(reason) => Some(LeftReport {
                    name: &item.name,
                    reason,
                }),
                Entry::Open(_) | Entry::Guarded(_) => None,
            })
            .collect(),
    };
    let path = |file: usize| Some(found.get(file)?.place.path.as_path());
    let server = |(index, job): (usize, &'r Job)| ServerReport {
        name: &job.name,
        runs: job.server.shown(),
        server: &job.stem,
        files: job.places(found).map(|file| file.place.path.as_path()).collect(),
        changed: touched(changes, index).filter_map(path).collect(),
        policy: &job.policy,
        status: &job.status,
        open_lists: job.open_lists,
        tools: job.tools.iter().map(|tool| tool.summary(None)).collect(),
    };
    Report {
        dry_run: args.dry_run,
        files: found.iter().map(file).collect(),
        servers: jobs.iter().enumerate().map(server).collect(),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")
}
