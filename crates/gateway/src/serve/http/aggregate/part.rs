//! One server's part in the whole.

use super::asking::{ask, own_request};
use super::names::Names;
use super::offer::Offer;
use super::whole::Whole;
use crate::serve::http::QUEUE_MAX;
use crate::serve::http::carry_out;
use crate::serve::http::sessions::Sessions;
use crate::session::{Entry, Session};
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_core::name::{ServerName, SessionId};
use callgate_wire::aggregate::{ListOf, Prefix, Shape};
use callgate_wire::mcp::method;
use callgate_wire::{Decoded, Kind, Payload, decode, quoted};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

/// How long a server may take to start and to answer `initialize`.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a server that could not be had is left alone, within one session.
const RETRY: Duration = Duration::from_secs(5);

/// One server of the whole.
#[derive(Debug)]
pub(super) struct Part {
    prefix: Prefix,
    mount: Arc<Sessions>,
    tenure: Tenure,
    tools: Mutex<Option<Arc<LongNames>>>,
    prompts: Mutex<Option<Arc<LongNames>>>,
}

/// How a part comes by its session.
#[derive(Debug)]
enum Tenure {
    /// It has one of its own.
    Own(watch::Sender<Stage>),
    /// It shares the one of all stateless requests.
    Shared,
}

/// How far a session of its own is.
#[derive(Debug)]
enum Stage {
    Starting,
    Ready(Seat),
    /// It could not be had.
    Absent {
        since: Instant,
        why: Arc<str>,
    },
    /// The whole has ended, or the server is no part of it any more.
    Ended,
}

/// A part that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) session: Arc<Session>,
    /// What its server said that it can do; nothing is known of one that stateless requests share.
    pub(super) offer: Arc<Offer>,
}

/// Names as long as cut ones are, by which one list knows its items; `None` where two meet in one.
#[derive(Debug)]
pub(super) struct LongNames {
    pub(super) by_name: HashMap<Box<str>, Option<Box<str>>>,
    pub(super) read: Instant,
}

impl Part {
    /// A part of a session; [`Part::start`] begins its own. `None` where the server's name cannot be told apart
    /// from what it names.
    pub(super) fn with_own(server: &ServerName, mount: Arc<Sessions>) -> Option<Self> {
        let tenure = Tenure::Own(watch::Sender::new(Stage::Starting));
        Self::new(server, mount, tenure)
    }

    /// A part of what stateless requests share.
    pub(super) fn shared(server: &ServerName, mount: Arc<Sessions>) -> Option<Self> {
        Self::new(server, mount, Tenure::Shared)
    }

    fn new(server: &ServerName, mount: Arc<Sessions>, tenure: Tenure) -> Option<Self> {
        Some(Self {
            prefix: Prefix::new(server.as_str())?,
            mount,
            tenure,
            tools: Mutex::default(),
            prompts: Mutex::default(),
        })
    }

    pub(super) const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(super) const fn mount(&self) -> &Arc<Sessions> {
        &self.mount
    }

    /// Its session, where it can be used at once.
    pub(super) fn at_hand(&self) -> Option<Arc<Session>> {
        match &self.tenure {
            Tenure::Own(stage) => match &*stage.borrow() {
                Stage::Ready(seat) if !seat.session.is_closed() => Some(Arc::clone(&seat.session)),
                Stage::Ready(_) | Stage::Starting | Stage::Absent { .. } | Stage::Ended => None,
            },
            Tenure::Shared => self.mount.stateless().ok().map(|opened| opened.session),
        }
    }

    /// Its session, begun again where its server has ended; else why it cannot be had.
    pub(super) async fn seat(self: &Arc<Self>, whole: &Arc<Whole>) -> Result<Seat, Arc<str>> {
        let Tenure::Own(stage) = &self.tenure else {
            let shared = self.mount.stateless();
            return shared
                .map(|opened| Seat {
                    session: opened.session,
                    offer: Arc::default(),
                })
                .map_err(|cause| cause.to_string().into());
        };
        let is_due = stage.send_if_modified(|stage| {
            let is_due = match stage {
                Stage::Ready(seat) => seat.session.is_closed(),
                Stage::Absent { since, .. } => since.elapsed() >= RETRY,
                Stage::Starting | Stage::Ended => false,
            };
            if is_due {
                *stage = Stage::Starting;
            }
            is_due
        });
        if is_due {
            self.start(whole);
        }
        let mut stages = stage.subscribe();
        let settled = stages.wait_for(|stage| !matches!(stage, Stage::Starting)).await;
        match settled.as_deref() {
            Ok(Stage::Ready(seat)) => Ok(seat.clone()),
            Ok(Stage::Absent { why, .. }) => Err(Arc::clone(why)),
            Ok(Stage::Starting | Stage::Ended) | Err(_) => Err("it has ended".into()),
        }
    }

    /// Begins its session.
    pub(super) fn start(self: &Arc<Self>, whole: &Arc<Whole>) {
        let (part, whole) = (Arc::clone(self), Arc::clone(whole));
        tokio::spawn(async move {
            let Some((id, hello)) = whole.hello() else { return };
            let why: Arc<str> = match timeout(START_MAX, part.greet(&id, &hello)).await {
                Ok(Ok(seat)) => return part.settle(&whole, &id, seat).await,
                Ok(Err(why)) => why.into(),
                Err(_) => format!("it did not answer within {} s", START_MAX.as_secs()).into(),
            };
            let server = part.prefix.server();
            // What it says of itself is its client's to know, and may hold what it was told.
            tracing::warn!(server, "a server is missing in a session at /mcp");
            tracing::debug!(server, why = &*why, "it gave a reason");
            part.mount.leave(&id).await;
            let since = Instant::now();
            part.advance(|| Stage::Absent { since, why });
        });
    }

    async fn greet(&self, id: &SessionId, hello: &Bytes) -> Result<Seat, String> {
        let session = self.mount.join(id).map_err(|cause| cause.to_string())?;
        // Before it has answered there is nobody whom it could ask.
        let (nobody, _) = mpsc::channel(QUEUE_MAX);
        let answer = ask(&session, &self.prefix, hello, &Sink::Shared(nobody)).await;
        let answer = answer.ok_or("it ended before it answered")?;
        let bounds = &session.gate().settings.bounds;
        let decoded = decode(&answer, bounds).map_err(|cause| cause.to_string())?;
        let Decoded::Single(message) = &decoded else {
            return Err("it answered with a batch".to_owned());
        };
        let Kind::Response(response) = message.kind() else {
            return Err("it did not answer".to_owned());
        };
        match &response.payload {
            Payload::Result(result) => {
                let result = result.as_object().ok_or("its answer has no single meaning")?;
                let offer = Arc::new(Offer::of(self.prefix.server(), &result));
                Ok(Seat { session, offer })
            }
            Payload::Error(error) => {
                let text = error
                    .as_object()
                    .and_then(|error| error.get("message")?.as_str().map(|text| text.into_owned()));
                Err(text.unwrap_or_else(|| "it answered with an error".to_owned()))
            }
        }
    }

    /// Takes its place in the whole: it is told what the client has told the others before.
    async fn settle(self: &Arc<Self>, whole: &Arc<Whole>, id: &SessionId, seat: Seat) {
        let session = Arc::clone(&seat.session);
        let mut is_told = false;
        loop {
            match whole.take_seat(self, is_told, || self.advance(|| Stage::Ready(seat.clone()))) {
                Taken::No => {
                    self.tell(&session, &initialized()).await;
                    is_told = true;
                }
                Taken::Yes { level } => {
                    if let Some(level) = level {
                        let meant = set_level(&session, &level);
                        let (nobody, _) = mpsc::channel(QUEUE_MAX);
                        ask(&session, &self.prefix, &meant, &Sink::Shared(nobody)).await;
                    }
                    whole.has_joined(self).await;
                    return;
                }
                Taken::Over => return self.mount.leave(id).await,
            }
        }
    }

    /// Goes from the start on; false where it has ended meanwhile.
    fn advance(&self, next: impl FnOnce() -> Stage) -> bool {
        let Tenure::Own(stage) = &self.tenure else {
            return false;
        };
        stage.send_if_modified(|stage| {
            let is_starting = matches!(stage, Stage::Starting);
            if is_starting {
                *stage = next();
            }
            is_starting
        })
    }

    /// Has its server's own messages go to the client's stream, where it is there.
    pub(super) fn attach(&self, standing: Sink) {
        if let (Some(session), Tenure::Own(_)) = (self.at_hand(), &self.tenure) {
            let bounds = session.gate().settings.bounds;
            let names = Names::new(self.prefix.clone(), Shape::Other, bounds);
            session.attach(names.to(standing));
        }
    }

    pub(super) fn detach(&self) {
        if let (Some(session), Tenure::Own(_)) = (self.at_hand(), &self.tenure) {
            session.detach();
        }
    }

    /// Tells its server something that has no answer.
    pub(super) async fn tell(&self, session: &Arc<Session>, message: &Bytes) {
        let (nobody, _) = mpsc::channel(1);
        let decoded = decode(message, &session.gate().settings.bounds);
        let sink = Sink::Shared(nobody);
        let intake = session.accept_decoded(message, decoded, &sink, &Entry::own());
        carry_out(Arc::clone(session), intake).await;
    }

    /// Ends its session once what was asked of it is answered, and within `grace`.
    pub(super) async fn see_off(&self, id: &SessionId, grace: Duration) {
        if let Some(session) = self.at_hand() {
            let _ = timeout(grace, session.drained()).await;
        }
        self.close(id).await;
    }

    /// Ends its session.
    pub(super) async fn close(&self, id: &SessionId) {
        if let Tenure::Own(stage) = &self.tenure {
            stage.send_replace(Stage::Ended);
            self.mount.leave(id).await;
        }
    }

    /// The names of a list that are as long as cut ones, as they were read last.
    pub(super) fn long_names(&self, list: ListOf) -> Option<Arc<LongNames>> {
        self.names_of(list)?
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn keep_long_names(&self, list: ListOf, names: LongNames) {
        if let Some(place) = self.names_of(list) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(names));
        }
    }

    const fn names_of(&self, list: ListOf) -> Option<&Mutex<Option<Arc<LongNames>>>> {
        match list {
            ListOf::Tools => Some(&self.tools),
            ListOf::Prompts => Some(&self.prompts),
            ListOf::Resources | ListOf::Templates | ListOf::Tasks => None,
        }
    }
}

/// Whether a part has taken its seat.
#[derive(Debug)]
pub(super) enum Taken {
    /// Not before it is told that the client has begun.
    No,
    Yes {
        /// Which log messages the client wants, raw JSON.
        level: Option<Arc<str>>,
    },
    /// The whole has ended.
    Over,
}

/// What a client says once it has the answer to `initialize`.
fn initialized() -> Bytes {
    object(&[
        ("jsonrpc", "\"2.0\""),
        ("method", &quoted(method::NOTIFICATIONS_INITIALIZED)),
    ])
    .into()
}

/// A request for log messages of a level, which is raw JSON.
pub(super) fn set_level(session: &Session, level: &str) -> Bytes {
    object(&[
        ("jsonrpc", "\"2.0\""),
        ("id", &quoted(&session.mint())),
        ("method", &quoted(method::LOGGING_SET_LEVEL)),
        ("params", &object(&[("level", level)])),
    ])
    .into()
}

/// A request for a page of a list.
pub(super) fn page_request(
    session: &Session,
    list: ListOf,
    cursor: Option<&str>,
    meta: Option<&str>,
) -> Bytes {
    own_request(session, list.method(), cursor, meta)
}
