//! The closed loop over HTTP: so many connections, each with one call in flight.

use super::message::{Call, Reply};
use crate::process::Watched;
use anyhow::bail;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

/// Calls a connection makes before the clock starts.
const WARM_UP: u64 = 20;
const READ_AT_ONCE: usize = 1 << 17;

/// What was measured once.
#[derive(Debug)]
pub(super) struct Sample {
    /// Nanoseconds from the moment a call was, or was to be, sent until its answer was read.
    pub(super) latency: Histogram<u64>,
    /// How long calls were sent.
    pub(super) time: Duration,
    /// Processor time of the watched.
    pub(super) cpu: Duration,
}

/// Counts nanoseconds to three digits.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

/// Numbers calls over all connections, samples and subjects, so that no id comes twice in a session.
pub(super) static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Measures a closed loop.
pub(super) fn closed(
    call: &Call,
    connections: usize,
    time: Duration,
    watched: &Watched,
) -> anyhow::Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ready = Arc::new(Barrier::new(connections + 1));
        let start = Arc::new(Barrier::new(connections + 1));
        let workers: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(worker(call.clone(), time, Arc::clone(&ready), Arc::clone(&start))))
            .collect();
        if tokio::time::timeout(Duration::from_secs(20), ready.wait())
            .await
            .is_err()
        {
            // A worker that failed early left the others waiting; its error tells why.
            for worker in workers.into_iter().filter(tokio::task::JoinHandle::is_finished) {
                worker.await??;
            }
            bail!("a connection is not served");
        }
        let cpu = watched.cpu();
        let began = Instant::now();
        start.wait().await;
        let mut latency = histogram()?;
        for worker in workers {
            latency.add(worker.await??)?;
        }
        Ok(Sample {
            latency,
            time: began.elapsed(),
            cpu: watched.cpu().saturating_sub(cpu),
        })
    })
}

async fn worker(
    mut call: Call,
    time: Duration,
    ready: Arc<Barrier>,
    start: Arc<Barrier>,
) -> anyhow::Result<Histogram<u64>> {
    let mut latency = histogram()?;
    let mut socket = TcpStream::connect(call.authority()).await?;
    socket.set_nodelay(true)?;
    let mut received = Vec::with_capacity(READ_AT_ONCE);
    for _ in 0..WARM_UP {
        exchange(&mut socket, &mut call, &mut received).await?;
    }
    ready.wait().await;
    start.wait().await;
    let end = Instant::now() + time;
    let mut sent = Instant::now();
    while sent < end {
        exchange(&mut socket, &mut call, &mut received).await?;
        let now = Instant::now();
        latency.record(nanos(now - sent))?;
        sent = now;
    }
    Ok(latency)
}

async fn exchange(socket: &mut TcpStream, call: &mut Call, received: &mut Vec<u8>) -> anyhow::Result<()> {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    socket.write_all(call.numbered(number)).await?;
    received.clear();
    loop {
        received.reserve(READ_AT_ONCE / 2);
        if socket.read_buf(received).await? == 0 {
            bail!("the connection was closed after {} bytes", received.len());
        }
        if let Some(reply) = Reply::read(received)? {
            return accept(&reply, call, number, received);
        }
    }
}

/// Takes an answer only if it is the right one.
pub(super) fn accept(reply: &Reply, call: &Call, number: u64, received: &[u8]) -> anyhow::Result<()> {
    if reply.status != 200 {
        bail!("{}", String::from_utf8_lossy(received));
    }
    call.check(number, reply.body(received))
}

/// Nanoseconds, as histograms count them.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}
