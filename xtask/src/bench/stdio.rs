//! The same calls over pipes: one thread writes, one reads.

use super::Load;
use super::load::{NUMBERS, Sample, histogram, nanos};
use super::message::{Asked, check, number_in, put_id};
use super::open::{Schedule, wake_on_time};
use super::subject::{Kind, Programs, TOOLS, gate_command};
use crate::process::{Running, Watched};
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Calls made before the clock starts.
const WARM_UP: u64 = 50;
/// The calls after which no call of before can still be in flight.
const SLOTS: u64 = 1 << 14;

/// A server, or a gate before it, on pipes.
#[derive(Debug)]
pub(super) struct Piped {
    name: String,
    running: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// The server alone, and gates before it.
pub(super) fn subjects(programs: &Programs, room: &Path, only: Option<&str>) -> anyhow::Result<Vec<Piped>> {
    let mut subjects = vec![direct(programs)?];
    for kind in [Kind::NoRules, Kind::Limits, Kind::Disk] {
        if only.is_none_or(|word| kind.name().contains(word)) {
            subjects.push(gate(programs, room, kind)?);
        }
    }
    Ok(subjects)
}

/// The server alone.
pub(super) fn direct(programs: &Programs) -> anyhow::Result<Piped> {
    Piped::start(
        "direct",
        Command::new(&programs.echo).args(["--tools", &TOOLS.to_string()]),
    )
}

/// One gate before a server of its own.
pub(super) fn gate(programs: &Programs, room: &Path, kind: Kind) -> anyhow::Result<Piped> {
    Piped::start(
        &kind.name(),
        before_echo(&mut gate_command(programs, room, kind)?, programs),
    )
}

/// Puts a gate's command before the server.
pub(super) fn before_echo<'a>(command: &'a mut Command, programs: &Programs) -> &'a mut Command {
    command
        .arg("--")
        .arg(&programs.echo)
        .args(["--tools", &TOOLS.to_string()])
}

impl Piped {
    /// Starts it and shakes hands.
    pub(super) fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let (running, stdin, stdout) = Running::piped(command)?;
        let mut piped = Self {
            name: name.to_owned(),
            running,
            stdin,
            stdout: BufReader::with_capacity(1 << 17, stdout),
        };
        let hello = r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        writeln!(piped.stdin, "{hello}")?;
        let mut line = String::new();
        while !line.contains(r#""hello""#) {
            line.clear();
            if piped.stdout.read_line(&mut line)? == 0 {
                bail!("{name} ends before it has shaken hands");
            }
        }
        writeln!(
            piped.stdin,
            r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#
        )?;
        Ok(piped)
    }

    /// Its name in the table.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its process, without those it has started.
    pub(super) fn watched(&self) -> Watched {
        self.running.watched()
    }

    /// Makes some calls that are not counted.
    pub(super) fn warm_up(&mut self, size: usize) -> anyhow::Result<()> {
        let next = AtomicU64::new(0);
        let schedule = Schedule {
            rate: 2_000,
            calls: WARM_UP,
            began: Instant::now(),
            next: &next,
        };
        self.open(size, &schedule).map(drop)
    }

    /// Measures once.
    pub(super) fn sample(&mut self, load: Load, size: usize, time: Duration) -> anyhow::Result<Sample> {
        self.warm_up(size)?;
        match load {
            Load::Closed(window) => self.closed(size, window, time),
            Load::Open(rate) => {
                let calls = rate * nanos(time) / 1_000_000_000;
                self.open(
                    size,
                    &Schedule {
                        rate,
                        calls,
                        began: Instant::now(),
                        next: &AtomicU64::new(0),
                    },
                )
            }
        }
    }

    fn closed(&mut self, size: usize, window: usize, time: Duration) -> anyhow::Result<Sample> {
        let (give, take) = mpsc::sync_channel(window);
        for _ in 0..window {
            give.send(())?;
        }
        let end = Instant::now() + time;
        self.exchange(
            size,
            // A turn comes with each answer; the last answers find nobody who wants theirs.
            move || take.recv().ok().map(|()| Instant::now()).filter(|now| *now < end),
            move || {
                let _ = give.try_send(());
            },
        )
    }

    /// Measures an open loop.
    pub(super) fn open(&mut self, size: usize, schedule: &Schedule<'_>) -> anyhow::Result<Sample> {
        wake_on_time()?;
        self.exchange(size, || schedule.next(), || {})
    }

    /// Sends a call whenever `due` gives the moment from which it counts, until it gives none; `answered` is told
    /// of each answer.
    fn exchange(
        &mut self,
        size: usize,
        mut due: impl FnMut() -> Option<Instant>,
        mut answered: impl FnMut() + Send,
    ) -> anyhow::Result<Sample> {
        let (mut message, id_at) = Asked::Tool.message(size);
        message.push(b'\n');
        let sent: Vec<AtomicU64> = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        let slot = |number: u64| sent.get(usize::try_from(number % SLOTS).unwrap_or(0));
        let total = AtomicU64::new(u64::MAX);
        let watched = self.running.watched();
        let (cpu, began) = (watched.cpu(), Instant::now());
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let latency = std::thread::scope(|scope| -> anyhow::Result<_> {
            let reader = scope.spawn(|| -> anyhow::Result<_> {
                let mut latency = histogram()?;
                let mut line = Vec::new();
                while latency.len() < total.load(Ordering::Acquire) {
                    line.clear();
                    if stdout.read_until(b'\n', &mut line)? == 0 {
                        bail!("the answers end");
                    }
                    let now = nanos(began.elapsed());
                    let Some(number) = number_in(&line) else {
                        continue;
                    };
                    check(number, &line, size)?;
                    let then = slot(number).map_or(0, |slot| slot.load(Ordering::Acquire));
                    latency.record(now.saturating_sub(then).max(1))?;
                    answered();
                }
                Ok(latency)
            });
            let mut count = 0;
            while let Some(moment) = due() {
                let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
                put_id(&mut message, id_at, number);
                if let Some(slot) = slot(number) {
                    slot.store(nanos(moment.saturating_duration_since(began)), Ordering::Release);
                }
                stdin.write_all(&message)?;
                count += 1;
            }
            total.store(count, Ordering::Release);
            // One more answer wakes the reader, should it have read the last before it knew that.
            writeln!(stdin, r#"{{"jsonrpc":"2.0","id":"end","method":"ping"}}"#)?;
            reader.join().ok().context("the reader panicked")?
        })?;
        Ok(Sample {
            latency,
            time: began.elapsed(),
            cpu: watched.cpu().saturating_sub(cpu),
        })
    }
}
