//! Asking a person, before a server is started and before a file is changed.

use super::InitArgs;
use super::clients::Scope;
use super::found::{Found, Job, Status};
use super::known::known;
use super::secrets::shown;
use crate::words::say;
use anyhow::Context;
use std::io::{BufRead, IsTerminal, Write};

/// Who says whether a server may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// A person at a terminal.
    Person,
    /// `--yes`, for what is the person's own.
    Own,
    /// `--yes --trust-project`.
    All,
    Nobody,
}

impl Consent {
    pub(super) fn of(args: &InitArgs) -> Self {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        match (args.yes, args.trust_project, is_terminal) {
            (true, true, _) => Self::All,
            (true, false, _) => Self::Own,
            (false, _, true) => Self::Person,
            (false, _, false) => Self::Nobody,
        }
    }
}

/// A person's answer.
enum Answer {
    Yes,
    No,
    /// Yes to this and to all that follow.
    All,
}

/// Settles which of the servers may be started.
pub(super) fn all(jobs: &mut [Job], found: &[Found], consent: Consent) -> anyhow::Result<()> {
    // The file of a project is changed as its server is started: only where that was said.
    if consent == Consent::Own {
        for job in jobs.iter_mut().filter(|job| job.scope == Scope::Project) {
            job.settle(Status::Unasked);
        }
    }
    let mut to_all = false;
    for job in jobs.iter_mut().filter(|job| job.status == Status::Unscanned) {
        let answer = match (consent, job.scope) {
            (Consent::All, _) | (Consent::Own, Scope::User) => Answer::Yes,
            (Consent::Person, Scope::User) if to_all => Answer::Yes,
            (Consent::Person, Scope::User) if !is_in_project(job, found) && known(&job.server).is_some() => {
                say(&format!(
                    "{}\nThe catalogue knows it ({}), so it is started.",
                    about(job, found),
                    known(&job.server).unwrap_or_default()
                ));
                Answer::Yes
            }
            (Consent::Person, _) => {
                say(&about(job, found));
                ask(match job.scope {
                    Scope::User => "Start it, to see its tools? [y]es, [N]o, yes to [a]ll of your own:",
                    Scope::Project => "It comes with this project. Start it, to see its tools? [y]es, [N]o:",
                })?
            }
            (Consent::Own | Consent::Nobody, _) => {
                job.status = Status::Unasked;
                continue;
            }
        };
        to_all |= matches!(answer, Answer::All) && job.scope == Scope::User;
        job.status = match answer {
            Answer::Yes | Answer::All => Status::Agreed,
            Answer::No => Status::Declined,
        };
    }
    Ok(())
}

/// Whether a server is started in a project's folder, whose files can have `npx` and `uvx` start something else.
fn is_in_project(job: &Job, found: &[Found]) -> bool {
    job.first(found)
        .is_none_or(|(file, item)| file.project(item).is_some())
}

/// What a server is, as a person has to know it before it is started.
fn about(job: &Job, found: &[Found]) -> String {
    let mut lines = vec![format!(
        "\n{} ({}) runs\n  {}",
        shown(&job.name),
        job.clients(found),
        job.server.shown()
    )];
    lines.extend(
        job.server
            .surroundings()
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    for place in job.places(found) {
        lines.push(format!(
            "  named in {}",
            shown(&place.place.path.display().to_string())
        ));
    }
    lines.join("\n")
}

/// Asks once before files are changed.
pub(super) fn to_write(jobs: &mut [Job], consent: Consent) -> anyhow::Result<()> {
    let count = jobs.iter().filter(|job| job.status == Status::Ready).count();
    if consent != Consent::Person || count == 0 {
        return Ok(());
    }
    let question = format!(
        "\nPut Callgate in front of {count} server{}? [y]es, [N]o:",
        if count == 1 { "" } else { "s" }
    );
    if matches!(ask(&question)?, Answer::No) {
        jobs.iter_mut().for_each(|job| job.settle(Status::Declined));
    }
    Ok(())
}

fn ask(question: &str) -> anyhow::Result<Answer> {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    Ok(match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        "a" | "all" => Answer::All,
        _ => Answer::No,
    })
}
