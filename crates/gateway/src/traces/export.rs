//! Handing spans over: a queue with an end, and a thread that empties it.
//!
//! Whoever makes spans never waits: what does not fit is dropped and counted. A collector that takes nothing costs a
//! line in the log now and then.

use super::Resource;
use super::otlp::encode;
use super::span::Record;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Requests that wait to be handed over.
const QUEUE_MAX: usize = 4_096;
/// Requests that are handed over at once; so many do not wait for others.
const BATCH_MAX: usize = 256;
/// How long others are waited for.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a batch is offered that was not taken for a reason that may pass.
const TRIES_MAX: u32 = 5;
/// How long the pause after the first try is; each one after is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often it is told that nothing is taken.
const TOLD_PERIOD: Duration = Duration::from_secs(60);
/// Bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where spans are sent.
#[derive(Clone)]
pub struct Destination {
    /// The whole address.
    pub uri: Uri,
    /// What is sent along, which may be secret.
    pub headers: HeaderMap,
    /// How long the collector may take.
    pub timeout: Duration,
}

/// Headers and query may hold secrets.
impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination")
            .field("host", &self.uri.host())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What became of spans.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpanCounts {
    pub(crate) exported: u64,
    pub(crate) dropped: u64,
}

/// What waits to be handed over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Box<Record>>>,
    /// Told when there is a whole batch.
    is_due: Notify,
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl Queue {
    /// Adds what was told of a request, or drops it where there is no room.
    pub(super) fn push(&self, record: Box<Record>) {
        let mut waiting = self.lock();
        if waiting.len() >= QUEUE_MAX {
            drop(waiting);
            self.dropped.fetch_add(record.spans(), Ordering::Relaxed);
            return;
        }
        waiting.push_back(record);
        let is_batch = waiting.len() == BATCH_MAX;
        drop(waiting);
        if is_batch {
            self.is_due.notify_one();
        }
    }

    /// The next batch; empty where nothing waits.
    fn batch(&self) -> VecDeque<Box<Record>> {
        let mut waiting = self.lock();
        let count = waiting.len().min(BATCH_MAX);
        waiting.drain(..count).collect()
    }

    pub(super) fn counts(&self) -> SpanCounts {
        SpanCounts {
            exported: self.exported.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Box<Record>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// What is there is handed over once, and no more.
    Closing,
}

/// The thread that hands over, as others see it.
#[derive(Debug)]
pub(super) struct Exporter {
    destination: Arc<ArcSwap<Destination>>,
    phase: watch::Sender<Phase>,
    /// Closed once the thread has ended.
    life: watch::Receiver<()>,
}

impl Exporter {
    pub(super) fn start(resource: Resource, destination: Destination, queue: Arc<Queue>) -> io::Result<Self> {
        let destination = Arc::new(ArcSwap::from_pointee(destination));
        let (phase, told) = watch::channel(Phase::Open);
        let (alive, life) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let carrier = Carrier {
            resource,
            destination: Arc::clone(&destination),
            queue,
            client: client(),
            phase: told,
            last_told: None,
        };
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                runtime.block_on(carrier.run());
                runtime.shutdown_background();
                drop(alive);
            })?;
        Ok(Self {
            destination,
            phase,
            life,
        })
    }

    pub(super) fn redirect(&self, destination: Destination) {
        self.destination.store(Arc::new(destination));
    }

    pub(super) async fn close(&self, within: Duration) {
        self.phase.send_replace(Phase::Closing);
        let mut life = self.life.clone();
        let ended = async { while life.changed().await.is_ok() {} };
        let _ = timeout(within, ended).await;
    }
}

type Sending = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client() -> Sending {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("it did not answer in time")]
    TimedOut,
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("its address or headers cannot be sent")]
    Unsendable,
    #[error("it answered with HTTP {0}")]
    Status(StatusCode),
}

impl NotTaken {
    /// Whether it may be taken later (OTLP 1.x, "Failures" of OTLP/HTTP).
    fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable(_) => true,
            Self::Unsendable => false,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

/// What hands over.
struct Carrier {
    resource: Resource,
    destination: Arc<ArcSwap<Destination>>,
    queue: Arc<Queue>,
    client: Sending,
    phase: watch::Receiver<Phase>,
    /// When it was told that nothing is taken; `None` while all is well.
    last_told: Option<Instant>,
}

impl Carrier {
    async fn run(mut self) {
        loop {
            let phase = self.wait_for_more().await;
            loop {
                let batch = self.queue.batch();
                if batch.is_empty() {
                    break;
                }
                self.hand_over(&batch).await;
            }
            if phase == Phase::Closing {
                return;
            }
        }
    }

    async fn wait_for_more(&mut self) -> Phase {
        let queue = Arc::clone(&self.queue);
        tokio::select! {
            () = sleep(INTERVAL) => Phase::Open,
            () = queue.is_due.notified() => Phase::Open,
            () = closing(&mut self.phase) => Phase::Closing,
        }
    }

    /// Offers a batch until it is taken, or it is no use to go on.
    async fn hand_over(&mut self, batch: &VecDeque<Box<Record>>) {
        let records = batch.iter().map(|record| &**record);
        let body = Bytes::from(encode(&self.resource, records));
        let spans = batch.iter().map(|record| record.spans()).sum();
        let mut pause = PAUSE;
        let mut tries_left = TRIES_MAX;
        while let Some(left) = tries_left.checked_sub(1) {
            match self.post(body.clone()).await {
                Ok(()) => {
                    self.queue.exported.fetch_add(spans, Ordering::Relaxed);
                    if self.last_told.take().is_some() {
                        tracing::info!("the collector takes traces again");
                    }
                    return;
                }
                Err(cause) => {
                    self.tell(&cause);
                    if !cause.may_pass() {
                        break;
                    }
                }
            }
            tries_left = tokio::select! {
                biased;
                // Once more, as the collector may be back.
                () = closing(&mut self.phase) => left.min(1),
                () = sleep(pause) => left,
            };
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
        self.queue.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    /// Says that nothing is taken, now and then.
    fn tell(&mut self, cause: &NotTaken) {
        if self.last_told.is_none_or(|last| last.elapsed() >= TOLD_PERIOD) {
            self.last_told = Some(Instant::now());
            tracing::warn!(%cause, "the collector does not take traces; calls go on without");
        }
    }

    async fn post(&self, body: Bytes) -> Result<(), NotTaken> {
        let destination = self.destination.load_full();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(destination.uri.clone())
            .body(Full::new(body))
            .map_err(|_| NotTaken::Unsendable)?;
        request.headers_mut().extend(destination.headers.clone());
        let kind = HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let sent = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            // So that the connection can be used again; what it says is of no use here.
            let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            if status.is_success() {
                Ok(())
            } else {
                Err(NotTaken::Status(status))
            }
        };
        timeout(destination.timeout, sent)
            .await
            .map_err(|_| NotTaken::TimedOut)?
    }
}

/// Resolves once nothing more is to come.
async fn closing(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
}
