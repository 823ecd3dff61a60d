//! What `status` knows, read from the state folder.

use super::super::ledger::time::Micros;
use super::super::ledger::{Progress, first_since};
use callgate_console::view::Server;
use callgate_core::limit::StoreTime;
use callgate_ledger::record::{Denial, Mode, ReloadEffect, Start, Status as Ended, SuppressedKind};
use callgate_ledger::{Body, RunId};
use callgate_store::{LimitInUse, ReadError, Reader, RunStatus, SystemClock, WindowInUse};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How long records may stay unsigned while a gate runs before that is worth a word.
const UNSIGNED_MAX: u64 = 10_000_000;

/// All of it. Times are microseconds since the Unix epoch.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) state_dir: PathBuf,
    pub(super) at_us: u64,
    pub(super) since_us: u64,
    pub(super) gates: Vec<Gate>,
    /// The servers of the gateway that runs on the folder, where it has an admin API.
    pub(super) servers: Vec<Server>,
    pub(super) calls: Calls,
    pub(super) denials: Vec<Denied>,
    pub(super) limits: Vec<Limit>,
    pub(super) ledger: Ledger,
    pub(super) warnings: Vec<String>,
}

/// A gate that runs, or that is gone without having said so.
#[derive(Debug, Serialize)]
pub(super) struct Gate {
    pub(super) run: String,
    pub(super) pid: u32,
    pub(super) label: String,
    pub(super) servers: Vec<String>,
    pub(super) version: Option<String>,
    pub(super) started_us: u64,
    pub(super) running: bool,
    pub(super) open_calls: u64,
}

/// Calls that were let through, by how they ended.
#[derive(Debug, Default, Serialize)]
pub(super) struct Calls {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) malformed: u64,
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) tools: Vec<Tool>,
}

/// Calls of one tool.
#[derive(Debug, Serialize)]
pub(super) struct Tool {
    pub(super) server: String,
    pub(super) tool: String,
    pub(super) allowed: u64,
    pub(super) denied: u64,
}

/// Denials by one rule.
#[derive(Debug, Serialize)]
pub(super) struct Denied {
    pub(super) server: String,
    pub(super) rule: Option<String>,
    pub(super) reason: String,
    pub(super) count: u64,
    /// Whether each has a record; else they came too fast, and only their number and reason are known.
    pub(super) recorded: bool,
}

/// A limit with something in its window, or with calls in flight. One with several windows is there for each.
#[derive(Debug, Serialize)]
pub(super) struct Limit {
    pub(super) server: Option<String>,
    pub(super) tool: String,
    pub(super) counter: String,
    pub(super) scope: String,
    pub(super) value: Option<String>,
    pub(super) used: Option<String>,
    /// How much may be used within the window, as far as a gate says.
    pub(super) max: Option<String>,
    pub(super) window_s: Option<f64>,
    pub(super) in_flight: u32,
    /// How many may be in flight.
    pub(super) places: Option<u32>,
}

/// The ledger's size and how far it is signed.
#[derive(Debug, Serialize)]
pub(super) struct Ledger {
    pub(super) origin: String,
    pub(super) first: u64,
    pub(super) size: u64,
    pub(super) bytes: u64,
    pub(super) signed: u64,
    pub(super) signed_at_us: Option<u64>,
}

const fn micros(time: StoreTime) -> u64 {
    time.0 / 1_000
}

pub(super) fn gather(
    reader: &Reader,
    dir: &Path,
    since: Micros,
    servers: Vec<Server>,
) -> anyhow::Result<Status> {
    let now = micros(reader.now(&SystemClock)?);
    let span = span(reader, since)?;
    let gates = gates(reader)?;
    let ledger = ledger(reader, dir)?;
    let mut warnings = span.warnings;
    warnings.extend(warn_of(&gates, &ledger, now));
    Ok(Status {
        state_dir: dir.to_owned(),
        at_us: now,
        since_us: since.0,
        gates,
        servers,
        calls: span.calls,
        denials: span.denials,
        limits: limits(reader)?,
        ledger,
        warnings,
    })
}

fn gates(reader: &Reader) -> Result<Vec<Gate>, ReadError> {
    let mut gates = Vec::new();
    for run in reader.runs()? {
        let running = match run.status {
            RunStatus::Lives => true,
            RunStatus::Gone => false,
            RunStatus::Ended { .. } => continue,
        };
        let started_us = micros(run.started);
        let start = start_of(run.run, started_us, reader)?;
        let servers = start.iter().flat_map(|start| &start.policies);
        gates.push(Gate {
            run: run.run.to_string(),
            pid: run.pid,
            label: run.label,
            servers: servers.map(|policy| policy.server.to_string()).collect(),
            version: start.as_ref().map(|start| start.version.to_string()),
            started_us,
            running,
            open_calls: run.open_calls,
        });
    }
    Ok(gates)
}

/// What a run said of itself when it began.
fn start_of(run: RunId, at: u64, reader: &Reader) -> Result<Option<Start>, ReadError> {
    for entry in reader.entries(first_since(Micros(at), reader)?) {
        let record = entry?.record()?;
        if record.at.get() > at {
            break;
        }
        if let (true, Body::Start(start)) = (record.run == run, record.body) {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// What the records of a span of time add up to.
#[derive(Default)]
struct Span {
    calls: Calls,
    denials: Vec<Denied>,
    warnings: Vec<String>,
}

#[derive(Default)]
struct Sums {
    tools: BTreeMap<(String, String), (u64, u64)>,
    denied: BTreeMap<(String, Option<String>, String), u64>,
    reloads: BTreeMap<String, Option<ReloadEffect>>,
    counted: BTreeMap<String, u64>,
    suppressed: u64,
    auth_failures: u64,
}

fn span(reader: &Reader, since: Micros) -> anyhow::Result<Span> {
    let first = first_since(since, reader)?;
    let mut span = Span::default();
    let mut sums = Sums::default();
    let mut progress = Progress::new("records", reader.range()?.end.saturating_sub(first));
    for entry in reader.entries(first) {
        progress.step();
        add(entry?.record()?.body, &mut span.calls, &mut sums);
    }
    let ended: u64 = span.calls.outcomes.values().sum();
    let open = span.calls.allowed.saturating_sub(ended);
    if open > 0 {
        span.calls.outcomes.insert("under way".to_owned(), open);
    }
    span.calls.tools = sums
        .tools
        .into_iter()
        .map(|((server, tool), (allowed, denied))| Tool {
            server,
            tool,
            allowed,
            denied,
        })
        .collect();
    span.calls
        .tools
        .sort_by_key(|tool| std::cmp::Reverse(tool.allowed + tool.denied));
    span.denials = sums
        .denied
        .into_iter()
        .map(|((server, rule, reason), count)| Denied {
            server,
            rule,
            reason,
            count,
            recorded: true,
        })
        .collect();
    span.denials
        .extend(sums.counted.into_iter().map(|(reason, count)| Denied {
            server: String::new(),
            rule: None,
            reason,
            count,
            recorded: false,
        }));
    span.denials.sort_by_key(|denied| std::cmp::Reverse(denied.count));
    for (server, effect) in sums.reloads {
        let (who, what) = if server.is_empty() {
            ("serve", "configuration")
        } else {
            (server.as_str(), "policy")
        };
        let words = match effect {
            Some(ReloadEffect::Rejected) => {
                format!("the {what} was changed and not put in force; the one before stays")
            }
            Some(ReloadEffect::Waiting) => {
                format!("a looser {what} waits for a restart; the one before stays in force")
            }
            Some(ReloadEffect::Looser) => format!("the {what} in force became looser by a reload"),
            Some(ReloadEffect::Tighter | ReloadEffect::Same) | None => continue,
        };
        span.warnings.push(format!("{who}: {words}"));
    }
    if sums.suppressed > 0 {
        span.warnings.push(format!(
            "{} refusals came too fast to be recorded one by one",
            sums.suppressed
        ));
    }
    if sums.auth_failures > 0 {
        span.warnings
            .push(format!("{} requests did not authenticate", sums.auth_failures));
    }
    Ok(span)
}

fn add(body: Body, calls: &mut Calls, sums: &mut Sums) {
    match body {
        Body::Intent(intent) => {
            calls.allowed += 1;
            let tool = intent.tool.unwrap_or(intent.method).to_string();
            sums.tools.entry((intent.server.to_string(), tool)).or_default().0 += 1;
        }
        Body::Outcome(outcome) => count_outcome(outcome.status, calls),
        Body::Denial(denial) => add_denial(denial, calls, sums),
        Body::Malformed(_) => calls.malformed += 1,
        Body::AuthFailure(_) => sums.auth_failures += 1,
        Body::Suppressed(body) => {
            sums.suppressed += body.count.get();
            if body.of == SuppressedKind::Denial {
                let reason = body.reason.map(|reason| reason.to_string()).unwrap_or_default();
                *sums.counted.entry(reason).or_default() += body.count.get();
                calls.denied += body.count.get();
            }
        }
        Body::Reload(reload) => {
            let server = reload.server.map(|server| server.to_string()).unwrap_or_default();
            sums.reloads.insert(server, Some(reload.effect));
        }
        Body::Start(start) => {
            if start.mode == Mode::Serve {
                sums.reloads.insert(String::new(), None);
            }
            for policy in start.policies {
                sums.reloads.insert(policy.server.to_string(), None);
            }
        }
        Body::Stop(_)
        | Body::Late(_)
        | Body::TaskEnd(_)
        | Body::Drop(_)
        | Body::List(_)
        | Body::GrantChange(_) => {}
    }
}

fn count_outcome(status: Ended, calls: &mut Calls) {
    *calls.outcomes.entry(status.to_string()).or_default() += 1;
}

fn add_denial(denial: Denial, calls: &mut Calls, sums: &mut Sums) {
    calls.denied += 1;
    let server = denial.server.map(|server| server.to_string()).unwrap_or_default();
    let tool = denial.tool.unwrap_or(denial.method).to_string();
    sums.tools.entry((server.clone(), tool)).or_default().1 += 1;
    let rule = denial.rule.map(|rule| rule.to_string());
    *sums
        .denied
        .entry((server, rule, denial.reason.to_string()))
        .or_default() += 1;
}

fn limits(reader: &Reader) -> Result<Vec<Limit>, ReadError> {
    let limits = reader.limits(&SystemClock)?;
    Ok(limits.iter().flat_map(by_window).collect())
}

fn by_window(limit: &LimitInUse) -> Vec<Limit> {
    let mut windows: Vec<Option<WindowInUse>> = limit.windows.iter().copied().map(Some).collect();
    if windows.is_empty() {
        windows.push(None);
    }
    let row = |window: Option<WindowInUse>| Limit {
        server: limit.server.clone(),
        tool: limit.tool.clone(),
        counter: limit.counter.clone(),
        scope: limit.scope.clone(),
        value: limit.value.clone(),
        used: window.map(|window| window.used.to_string()),
        max: window.and_then(|window| window.max).map(|max| max.to_string()),
        window_s: window.map(|window| window.window.length().as_secs_f64()),
        in_flight: limit.in_flight,
        places: limit.places,
    };
    windows.into_iter().map(row).collect()
}

fn ledger(reader: &Reader, dir: &Path) -> anyhow::Result<Ledger> {
    let range = reader.range()?;
    let signed = reader.last_checkpoint()?.map_or(0, |(size, _)| size);
    let last = reader
        .entries(signed.saturating_sub(1).max(range.start))
        .next()
        .transpose()?;
    let signed_at_us = match last {
        Some(entry) if entry.seq + 1 == signed => Some(entry.record()?.at.get()),
        Some(_) | None => None,
    };
    let files = std::fs::read_dir(dir)?.filter_map(Result::ok);
    let sizes = files
        .filter_map(|file| file.metadata().ok())
        .filter(std::fs::Metadata::is_file);
    Ok(Ledger {
        origin: reader.origin()?,
        first: range.start,
        size: range.end,
        bytes: sizes.map(|file| file.len()).sum(),
        signed,
        signed_at_us,
    })
}

fn warn_of(gates: &[Gate], ledger: &Ledger, now: u64) -> Vec<String> {
    let mut warnings: Vec<String> = gates
        .iter()
        .filter(|gate| !gate.running)
        .map(|gate| {
            format!(
                "the gate of {} (pid {}) ended without a word; {} of its calls will be closed as unknown when the next gate starts",
                gate.label, gate.pid, gate.open_calls
            )
        })
        .collect();
    let late = ledger
        .signed_at_us
        .is_none_or(|at| now.saturating_sub(at) > UNSIGNED_MAX);
    let runs = gates.iter().any(|gate| gate.running);
    let unsigned = ledger.size.saturating_sub(ledger.signed);
    if unsigned > 0 && late && !runs {
        warnings.push(format!(
            "{unsigned} records are not signed; the next gate that starts signs them"
        ));
    }
    warnings
}
