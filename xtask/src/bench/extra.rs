//! What is no matter of load: memory at rest, the start, lists, and many processes on one state folder.

use super::load::{histogram, nanos};
use super::message::Call;
use super::open::{Schedule, exchange};
use super::stdio::{Piped, before_echo, direct};
use super::subject::{Kind, Programs, Subject, gate, gate_command, server, yardsticks};
use super::team::Grounds;
use super::{Plan, serving};
use crate::process::Running;
use anyhow::Context;
use hdrhistogram::Histogram;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Processes that share one state folder.
const SHARING: usize = 8;
/// Calls a second that each of them makes.
const SHARED_RATE: u64 = 50;

/// One number, and what it ought to be.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) goal: &'static str,
}

impl Fact {
    pub(super) fn new(name: &str, value: f64, unit: &'static str, goal: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            goal,
        }
    }
}

/// Measures all of it that is wanted.
pub(super) fn measure(plan: &Plan, programs: &Programs, grounds: &mut Grounds) -> anyhow::Result<Vec<Fact>> {
    let is_quick = plan.is_quick;
    let times = if is_quick { 5 } else { 20 };
    let mut facts = Vec::new();
    if plan.wants("at rest") {
        facts.extend(at_rest_and_start(programs, times)?);
    }
    if plan.wants("lists") {
        facts.extend(lists(programs, times)?);
    }
    if plan.wants("sharing") {
        let time = Duration::from_secs(if is_quick { 2 } else { 10 });
        facts.extend(shared(programs, time)?);
    }
    if plan.wants("idle sessions") {
        facts.extend(serving::idle_sessions(programs, grounds, is_quick)?);
    }
    if plan.wants("reloads") {
        facts.extend(serving::reloads(programs, grounds, is_quick)?);
    }
    Ok(facts)
}

fn at_rest_and_start(programs: &Programs, times: usize) -> anyhow::Result<Vec<Fact>> {
    let room = tempfile::tempdir()?;
    let server = server(programs)?;
    let mut starts = histogram()?;
    let mut again = histogram()?;
    let mut rss_kib = 0;
    for time in 0..times {
        let mut command = gate_command(programs, room.path(), Kind::NoRules)?;
        command.args(["--transport", "http", "--port", "0", "--upstream", &server.url]);
        // The second start finds the state folder that the first has made.
        for latency in [&mut starts, &mut again] {
            let began = Instant::now();
            let (running, _) = Running::announced(&mut command)?;
            latency.record(nanos(began.elapsed()))?;
            if time == 0 {
                std::thread::sleep(Duration::from_millis(300));
                rss_kib = running.watched().rss_kib();
            }
        }
    }
    let bare = bare_start(programs, times)?;
    Ok(vec![
        Fact::new("idle memory", kib_as_mib(rss_kib), "MiB", "< 20"),
        Fact::new(
            "start until it listens, new state folder (p50)",
            millis(&starts, 0.5),
            "ms",
            "< 20",
        ),
        Fact::new(
            "start until it listens, old state folder (p50)",
            millis(&again, 0.5),
            "ms",
            "< 20",
        ),
        Fact::new("callgate --version (p50)", millis(&bare, 0.5), "ms", ""),
    ])
}

fn bare_start(programs: &Programs, times: usize) -> anyhow::Result<Histogram<u64>> {
    let mut latency = histogram()?;
    for _ in 0..times {
        let began = Instant::now();
        let status = Command::new(&programs.callgate)
            .arg("--version")
            .stdout(Stdio::null())
            .status()?;
        anyhow::ensure!(status.success(), "callgate --version fails");
        latency.record(nanos(began.elapsed()))?;
    }
    Ok(latency)
}

/// How much later a list of 1,000 tools comes through a gate with a rule for each.
fn lists(programs: &Programs, times: usize) -> anyhow::Result<Vec<Fact>> {
    let room = tempfile::tempdir()?;
    let server = server(programs)?;
    let mut subjects = yardsticks(&server, room.path())?;
    subjects.push(gate(programs, &server, room.path(), Kind::ThousandRules)?);
    let mut medians = Vec::new();
    for subject in &subjects {
        medians.push(millis(
            &listed(subject, times).with_context(|| subject.name.clone())?,
            0.5,
        ));
    }
    let [direct, nginx, gate] = medians.as_slice() else {
        anyhow::bail!("three subjects list");
    };
    Ok(vec![
        Fact::new("tools/list of 1,000 tools, direct (p50)", *direct, "ms", ""),
        Fact::new(
            "tools/list of 1,000 tools, added by nginx",
            nginx - direct,
            "ms",
            "",
        ),
        Fact::new(
            "tools/list of 1,000 tools, added by callgate",
            gate - direct,
            "ms",
            "<= 30",
        ),
    ])
}

fn listed(subject: &Subject, times: usize) -> anyhow::Result<Histogram<u64>> {
    let mut call: Call = subject.request("tools/list");
    let mut socket = TcpStream::connect(call.authority())?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut received = Vec::new();
    let mut latency = histogram()?;
    for time in 0..=times {
        let began = Instant::now();
        exchange(&mut socket, &mut call, &mut received)?;
        if time > 0 {
            latency.record(nanos(began.elapsed()))?;
        }
    }
    Ok(latency)
}

/// Gates over stdio that share limits and ledger, each called at a fixed rate.
fn shared(programs: &Programs, time: Duration) -> anyhow::Result<Vec<Fact>> {
    let room = tempfile::tempdir()?;
    let mut servers: Vec<Piped> = (0..SHARING)
        .map(|_| direct(programs))
        .collect::<anyhow::Result<_>>()?;
    let bare = at_once(&mut servers, time)?;
    drop(servers);
    let mut alone = start_sharing(programs, room.path(), "alone", 1)?;
    let one = at_once(&mut alone, time)?;
    drop(alone);
    let mut together = start_sharing(programs, room.path(), "together", SHARING)?;
    let all = at_once(&mut together, time)?;
    let name = |count: usize| format!("{count} stdio gates, one state folder, limits, {SHARED_RATE}/s each");
    let without = format!("{SHARING} stdio servers directly, {SHARED_RATE}/s each: p99");
    Ok(vec![
        Fact::new(&without, millis(&bare, 0.99), "ms", ""),
        Fact::new(&format!("{}: p50", name(1)), millis(&one, 0.5), "ms", ""),
        Fact::new(&format!("{}: p99", name(1)), millis(&one, 0.99), "ms", ""),
        Fact::new(&format!("{}: p50", name(SHARING)), millis(&all, 0.5), "ms", ""),
        Fact::new(
            &format!("{}: p99", name(SHARING)),
            millis(&all, 0.99),
            "ms",
            "< 5",
        ),
    ])
}

fn start_sharing(programs: &Programs, room: &Path, folder: &str, count: usize) -> anyhow::Result<Vec<Piped>> {
    let state = room.join(folder);
    let policy = room.join("policy.yaml");
    std::fs::write(&policy, Kind::Limits.policy())?;
    let start = |_| {
        let mut command = Command::new(&programs.callgate);
        command
            .arg("run")
            .arg("-c")
            .arg(&policy)
            .arg("--state-dir")
            .arg(&state)
            .args(["--log-level", "error"]);
        Piped::start("sharing", before_echo(&mut command, programs))
    };
    (0..count).map(start).collect()
}

fn at_once(gates: &mut [Piped], time: Duration) -> anyhow::Result<Histogram<u64>> {
    // The first calls of a gate wait for its list of tools.
    for gate in &mut *gates {
        gate.warm_up(200)?;
    }
    let began = Instant::now();
    let calls = SHARED_RATE * nanos(time) / 1_000_000_000;
    std::thread::scope(|scope| {
        let callers: Vec<_> = gates
            .iter_mut()
            .enumerate()
            .map(|(place, gate)| {
                // Not all in the same instant: that would measure the burst, not the sharing.
                let stagger =
                    Duration::from_nanos(1_000_000_000 / SHARED_RATE) * u32::try_from(place).unwrap_or(0);
                let began = began + stagger / u32::try_from(SHARING).unwrap_or(1);
                scope.spawn(move || {
                    gate.open(
                        200,
                        &Schedule {
                            rate: SHARED_RATE,
                            calls,
                            began,
                            next: &AtomicU64::new(0),
                        },
                    )
                })
            })
            .collect();
        let mut latency = histogram()?;
        for caller in callers {
            latency.add(caller.join().ok().context("a caller panicked")??.latency)?;
        }
        Ok(latency)
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn millis(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(super) fn kib_as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
