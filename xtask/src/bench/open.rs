//! The open loop: calls go out at a fixed rate, and each is measured from the moment it was to be sent, so that a
//! stall counts for every call that it held up.

use super::load::{NUMBERS, Sample, accept, histogram, nanos};
use super::message::{Call, Reply};
use crate::process::Watched;
use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Threads, each with a connection, that take turns.
const SENDERS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(100);

/// Measures an open loop over HTTP.
pub(super) fn at_rate(call: &Call, rate: u64, time: Duration, watched: &Watched) -> anyhow::Result<Sample> {
    let next = AtomicU64::new(0);
    let began = Instant::now() + WARM_UP;
    let calls = rate * nanos(time) / 1_000_000_000;
    let (latency, cpu) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| {
                    send(
                        call.clone(),
                        &Schedule {
                            rate,
                            calls,
                            began,
                            next: &next,
                        },
                    )
                })
            })
            .collect();
        std::thread::sleep(began.saturating_duration_since(Instant::now()));
        let cpu = watched.cpu();
        let mut latency = histogram()?;
        for sender in senders {
            let of_one = sender.join().ok().context("a sender panicked")??;
            latency.add(of_one)?;
        }
        Ok((latency, watched.cpu().saturating_sub(cpu)))
    })?;
    Ok(Sample {
        latency,
        time: began.elapsed(),
        cpu,
    })
}

/// When each call is to be sent.
pub(super) struct Schedule<'a> {
    pub(super) rate: u64,
    pub(super) calls: u64,
    pub(super) began: Instant,
    pub(super) next: &'a AtomicU64,
}

impl Schedule<'_> {
    /// Waits for the moment of the next call, and gives it; `None` when all have been sent.
    pub(super) fn next(&self) -> Option<Instant> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if turn >= self.calls {
            return None;
        }
        let due = self.began + Duration::from_nanos(turn * 1_000_000_000 / self.rate.max(1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        Some(due)
    }
}

/// Sleeps end on time: the kernel's usual slack is 50 µs, as much as what is measured.
pub(super) fn wake_on_time() -> anyhow::Result<()> {
    Ok(rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?)
}

fn send(mut call: Call, schedule: &Schedule<'_>) -> anyhow::Result<Histogram<u64>> {
    wake_on_time()?;
    let mut latency = histogram()?;
    let mut socket = TcpStream::connect(call.authority())?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut received = Vec::new();
    exchange(&mut socket, &mut call, &mut received)?;
    while let Some(due) = schedule.next() {
        exchange(&mut socket, &mut call, &mut received)?;
        latency.record(nanos(due.elapsed()))?;
    }
    Ok(latency)
}

/// Sends a call and waits for its answer.
pub(super) fn exchange(
    socket: &mut TcpStream,
    call: &mut Call,
    received: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    socket.write_all(call.numbered(number))?;
    let reply = read_reply(socket, received)?;
    accept(&reply, call, number, received)
}

/// Reads one answer into a buffer that is emptied first.
pub(super) fn read_reply(socket: &mut TcpStream, received: &mut Vec<u8>) -> anyhow::Result<Reply> {
    received.clear();
    let mut buffer = [0; 1 << 16];
    loop {
        let read = match socket.read(&mut buffer) {
            // The bench was stopped for a while, and goes on.
            Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            bail!("the connection was closed after {} bytes", received.len());
        }
        received.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if let Some(reply) = Reply::read(received)? {
            return Ok(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::message::Address;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Mutex;

    const STALL: Duration = Duration::from_millis(300);

    /// Answers every request at once, but for one that holds all others up.
    fn serve(mut socket: TcpStream, turns: &Mutex<u32>) {
        let mut request = [0; 4096];
        while socket.read(&mut request).is_ok_and(|read| read > 0) {
            let mut turn = turns.lock().expect("no panic");
            *turn += 1;
            if *turn == 120 {
                std::thread::sleep(STALL);
            }
            let at = memchr::memmem::find(&request, br#""id":"#).expect("an id") + 5;
            let id = String::from_utf8_lossy(&request[at..at + 10]).into_owned();
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = socket.write_all(reply.as_bytes());
        }
    }

    #[test]
    fn a_stall_counts_for_every_call_that_it_holds_up() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let authority = listener.local_addr().expect("its address").to_string();
        std::thread::spawn(move || {
            let turns: &'static Mutex<u32> = Box::leak(Box::default());
            for socket in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || serve(socket, turns));
            }
        });
        let (message, id_at) = super::super::message::Asked::Tool.message(10);
        let address = Address::of(&format!("http://{authority}/mcp"));
        let call = Call::post(&address, None, &message, id_at, 10);
        let nobody = Watched::default();
        let sample = at_rate(&call, 400, Duration::from_secs(1), &nobody).expect("it is served");
        assert_eq!(sample.latency.len(), 400);
        // 400 a second fall due while 300 ms pass: 120, of which the last ones hardly wait.
        let held_up = sample.latency.count_between(nanos(STALL / 6), u64::MAX);
        assert!((80..200).contains(&held_up), "{held_up} calls were held up");
    }
}
