//! `cargo xtask bench`: what a call costs, beside the server alone and nginx as a plain reverse proxy.
//!
//! All subjects run at once before one server and take turns, so that what else the machine does strikes each
//! alike; only ratios within a run carry over to another machine.

mod extra;
mod load;
mod message;
mod open;
mod serving;
mod stdio;
mod subject;
mod table;
mod team;

use crate::shell;
use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use subject::{Programs, Subject};
use table::{Row, Table};
use team::Grounds;

/// How long and how often is measured.
#[derive(Debug, Clone)]
struct Plan {
    is_quick: bool,
    rounds: usize,
    sample: Duration,
    json: Option<PathBuf>,
    only: Option<String>,
    case: Option<String>,
}

impl Plan {
    /// Whether a case is wanted; its name is as the table prints it.
    fn wants(&self, case: &str) -> bool {
        self.case.as_deref().is_none_or(|word| case.contains(word))
    }
}

/// How calls are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// So many at once, each next one when the one before is answered.
    Closed(usize),
    /// So many a second, whatever becomes of them.
    Open(u64),
}

impl Load {
    fn name(self) -> String {
        match self {
            Self::Closed(connections) => format!("c={connections}"),
            Self::Open(rate) => format!("{rate}/s"),
        }
    }
}

/// Sizes of the text that a call carries, and that comes back.
const SIZES: [(usize, &str); 2] = [(200, "200 B"), (65_536, "64 KiB")];

/// Runs the bench as its flags say.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<ExitCode> {
    if !flags.contains(&"--built") {
        return build_and_run(flags);
    }
    let plan = plan(flags)?;
    let programs = Programs::built()?;
    let mut table = Table::default();
    let mut grounds = Grounds::new()?;
    http(&plan, &programs, &mut grounds, &mut table)?;
    over_stdio(&plan, &programs, &mut table)?;
    let facts = extra::measure(&plan, &programs, &mut grounds)?;
    table.print(&facts)?;
    if let Some(path) = &plan.json {
        let text = serde_json::to_string_pretty(&table.json(&facts))?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The bench itself has to be a release build too: it is the load.
fn build_and_run(flags: &[&str]) -> anyhow::Result<ExitCode> {
    // Apart, so that what the load is made of adds no features to what is measured.
    shell::run(&[
        "cargo",
        "build",
        "--release",
        "--quiet",
        "-p",
        "callgate",
        "-p",
        "callgate-testkit",
    ])?;
    shell::run(&["cargo", "build", "--release", "--quiet", "-p", "xtask"])?;
    let program = Programs::folder()?.join("xtask");
    let status = Command::new(program)
        .arg("bench")
        .args(flags)
        .arg("--built")
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn plan(flags: &[&str]) -> anyhow::Result<Plan> {
    let is_quick = flags.contains(&"--quick");
    let mut plan = Plan {
        is_quick,
        rounds: if is_quick { 1 } else { 3 },
        sample: Duration::from_millis(if is_quick { 400 } else { 1_500 }),
        json: None,
        only: None,
        case: None,
    };
    let mut flags = flags.iter().copied();
    while let Some(flag) = flags.next() {
        match flag {
            "--quick" | "--built" => {}
            "--json" => plan.json = Some(flags.next().context("--json names a file")?.into()),
            "--only" => plan.only = Some(flags.next().context("--only names a word")?.to_owned()),
            "--case" => plan.case = Some(flags.next().context("--case names a word")?.to_owned()),
            other => bail!("bench does not know {other}"),
        }
    }
    Ok(plan)
}

/// The cases that are wanted of these loads, by size, load and name.
fn cases(plan: &Plan, how: &str, loads: &[Load]) -> Vec<(usize, Load, String)> {
    SIZES
        .into_iter()
        .flat_map(|(size, size_name)| loads.iter().map(move |&load| (size, size_name, load)))
        .map(|(size, size_name, load)| (size, load, format!("{how} {size_name} {}", load.name())))
        .filter(|(_, _, case)| plan.wants(case))
        .collect()
}

fn http(plan: &Plan, programs: &Programs, grounds: &mut Grounds, table: &mut Table) -> anyhow::Result<()> {
    let loads: &[Load] = if plan.is_quick {
        &[Load::Closed(1), Load::Closed(64), Load::Open(2_000)]
    } else {
        &[
            Load::Closed(1),
            Load::Closed(16),
            Load::Closed(64),
            Load::Open(500),
            Load::Open(2_000),
        ]
    };
    let cases = cases(plan, "HTTP", loads);
    if cases.is_empty() {
        return Ok(());
    }
    let room = tempfile::tempdir()?;
    let server = subject::server(programs)?;
    let mut subjects = subject::yardsticks(&server, room.path())?;
    let only = plan.only.as_deref();
    subjects.extend(subject::gates(programs, &server, room.path(), grounds, only)?);
    for (size, load, case) in cases {
        shell::say(&case);
        let mut rows: Vec<Row> = subjects
            .iter()
            .map(|subject| Row::new(&case, &subject.name))
            .collect();
        for _ in 0..plan.rounds {
            for (subject, row) in subjects.iter_mut().zip(&mut rows) {
                row.add(&sample(subject, load, size, plan.sample).with_context(|| subject.name.clone())?);
            }
        }
        for (subject, row) in subjects.iter().zip(&mut rows) {
            row.rss_kib = subject.watched.rss_kib();
        }
        table.extend(rows, load);
    }
    Ok(())
}

fn sample(subject: &mut Subject, load: Load, size: usize, time: Duration) -> anyhow::Result<load::Sample> {
    let call = subject.call(size);
    match load {
        Load::Closed(connections) => load::closed(&call, connections, time, &subject.watched),
        Load::Open(rate) => open::at_rate(&call, rate, time, &subject.watched),
    }
}

fn over_stdio(plan: &Plan, programs: &Programs, table: &mut Table) -> anyhow::Result<()> {
    let loads: &[Load] = if plan.is_quick {
        &[Load::Closed(1), Load::Closed(64)]
    } else {
        &[
            Load::Closed(1),
            Load::Closed(16),
            Load::Closed(64),
            Load::Open(2_000),
        ]
    };
    let cases = cases(plan, "stdio", loads);
    if cases.is_empty() {
        return Ok(());
    }
    let room = tempfile::tempdir()?;
    let mut subjects = stdio::subjects(programs, room.path(), plan.only.as_deref())?;
    for (size, load, case) in cases {
        shell::say(&case);
        let mut rows: Vec<Row> = subjects
            .iter()
            .map(|subject| Row::new(&case, subject.name()))
            .collect();
        for _ in 0..plan.rounds {
            for (subject, row) in subjects.iter_mut().zip(&mut rows) {
                let sample = subject.sample(load, size, plan.sample);
                row.add(&sample.with_context(|| subject.name().to_owned())?);
            }
        }
        for (subject, row) in subjects.iter().zip(&mut rows) {
            row.rss_kib = subject.watched().rss_kib();
        }
        table.extend(rows, load);
    }
    Ok(())
}
