//! What a gateway of a team does beside calls: it keeps sessions that nobody uses, and is reloaded while everybody
//! calls.

use super::extra::{Fact, kib_as_mib};
use super::message::{Asked, Call};
use super::open::exchange;
use super::subject::{Kind, Programs, handshake, server};
use super::team::{Gateway, Grounds, Size};
use anyhow::Context;
use serde_json::json;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Callers while a configuration is reloaded, half of them of all servers as one.
const CALLERS: usize = 8;
/// How long a reload may take to be in force.
const PATIENCE: Duration = Duration::from_secs(20);

/// What many sessions cost that nobody uses.
pub(super) fn idle_sessions(
    programs: &Programs,
    grounds: &mut Grounds,
    is_quick: bool,
) -> anyhow::Result<Vec<Fact>> {
    let (sessions, time) = if is_quick {
        (1_000_usize, Duration::from_secs(2))
    } else {
        (10_000, Duration::from_secs(10))
    };
    let room = tempfile::tempdir()?;
    let server = server(programs)?;
    let size = Size {
        servers: 1,
        grants: 100,
    };
    let policy = Kind::Limits.policy();
    let flags = ["--log-level", "error", "--sessions-per-minute", "10000"];
    let gateway = Gateway::start(programs, &server, room.path(), grounds, (size, &policy), &flags)?;
    let watched = gateway.running.watched();
    let before = watched.rss_kib();
    for (number, token) in gateway.tokens.iter().cycle().take(sessions).enumerate() {
        let session = handshake(&gateway.one(0, token)).with_context(|| format!("session {number}"))?;
        session.context("a session has an id")?;
    }
    // What was done to open them is over.
    std::thread::sleep(Duration::from_secs(1));
    let cpu = watched.cpu();
    std::thread::sleep(time);
    let cpu = watched.cpu().saturating_sub(cpu);
    let name = |what: &str| format!("{sessions} idle sessions of 100 grants under serve: {what}");
    Ok(vec![
        Fact::new(&name("memory before"), kib_as_mib(before), "MiB", ""),
        Fact::new(&name("memory"), kib_as_mib(watched.rss_kib()), "MiB", "< 400"),
        Fact::new(
            &name("CPU a second"),
            cpu.as_secs_f64() * 1e3 / time.as_secs_f64(),
            "ms",
            "",
        ),
    ])
}

/// What callers have seen.
#[derive(Debug, Default)]
struct Seen {
    is_over: AtomicBool,
    calls: AtomicU64,
    errors: AtomicU64,
}

/// Whether reloads cost those a call who are calling.
pub(super) fn reloads(
    programs: &Programs,
    grounds: &mut Grounds,
    is_quick: bool,
) -> anyhow::Result<Vec<Fact>> {
    let times = if is_quick { 3_u32 } else { 15 };
    let room = tempfile::tempdir()?;
    let server = server(programs)?;
    let policy = Kind::Limits.policy();
    let plan = (Size::MIDDLE, policy.as_str());
    let mut gateway = Gateway::start(programs, &server, room.path(), grounds, plan, &[])?;
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        let token = gateway.tokens.get(number).context("a team has grants")?;
        let (address, asked) = if number % 2 == 0 {
            (gateway.one(number, token), Asked::Tool)
        } else {
            (gateway.all(token), Asked::ToolOfLast)
        };
        let session = handshake(&address)?;
        let (message, id_at) = asked.message(200);
        callers.push(Call::post(&address, session.as_deref(), &message, id_at, 200));
    }
    let seen = Seen::default();
    let in_force = std::thread::scope(|scope| {
        for call in callers {
            scope.spawn(|| keep_calling(call, &seen));
        }
        let reloaded = (0..times).try_for_each(|turn| reload(&mut gateway, turn, &server.url));
        seen.is_over.store(true, Ordering::Release);
        reloaded
    });
    in_force?;
    let name = |what: &str| format!("{times} reloads while {CALLERS} callers call: {what}");
    let count =
        |counter: &AtomicU64| f64::from(u32::try_from(counter.load(Ordering::Acquire)).unwrap_or(u32::MAX));
    Ok(vec![
        Fact::new(&name("calls"), count(&seen.calls), "", ""),
        Fact::new(&name("errors"), count(&seen.errors), "", "0"),
    ])
}

/// Adds a server or removes it again, changes another one, and waits until that is in force.
fn reload(gateway: &mut Gateway, turn: u32, url: &str) -> anyhow::Result<()> {
    let servers = gateway
        .config
        .get_mut("servers")
        .and_then(|servers| servers.as_object_mut())
        .context("the configuration has servers")?;
    if servers.remove("further").is_none() {
        servers.insert("further".to_owned(), json!({"url": url}));
    }
    servers.insert(
        "server-9".to_owned(),
        json!({"url": url, "headers": {"X-Turn": turn.to_string()}}),
    );
    gateway.replace()?;
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let line = gateway
            .heard
            .recv_timeout(left)
            .context("the reload is not told")?;
        if line.contains("the configuration was reloaded") {
            return Ok(());
        }
    }
}

/// Calls without a pause until it is over, and counts what is not the right answer.
fn keep_calling(mut call: Call, seen: &Seen) {
    let mut socket = None;
    let mut received = Vec::new();
    while !seen.is_over.load(Ordering::Acquire) {
        let exchanged = match &mut socket {
            Some(socket) => exchange(socket, &mut call, &mut received),
            None => TcpStream::connect(call.authority())
                .map(|connected| socket = Some(connected))
                .map_err(anyhow::Error::from),
        };
        match (exchanged, received.is_empty()) {
            (Ok(()), true) => {}
            (Ok(()), false) => drop(seen.calls.fetch_add(1, Ordering::AcqRel)),
            (Err(_), _) => {
                socket = None;
                seen.errors.fetch_add(1, Ordering::AcqRel);
            }
        }
        received.clear();
    }
}
