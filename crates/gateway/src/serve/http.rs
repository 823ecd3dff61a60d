//! Clients over HTTP: the one caller of `run`, or the callers of `serve`.

mod aggregate;
mod answer;
mod body;
mod flowing;
mod glance;
mod guard;
mod legacy;
mod listen;
mod probe;
mod resource;
mod room;
mod scrape;
mod sessions;
mod stall;
mod streams;
mod team;
mod tls;

pub use guard::{Guard, Token, TokenError, bearer};
pub use legacy::ALL_STREAM;
pub use listen::{Accepted, Address, ListenError, Listener, SocketFile, SocketMode, Whence};
pub use scrape::serve_metrics;
pub use sessions::Upstream;
pub use team::{
    Access, Change, Failed, Granted, Roll, ServerKind, ServerSeen, SessionSeen, Source, Team, Unready,
};
pub use tls::{Certificate, CertificateError};

use crate::gate::Gate;
use crate::gather::Gathered;
use crate::link::PassageKind;
use crate::link::child::{End, wanted};
use crate::recorder::{Peer, Recorder};
use crate::session::{Entry, Intake, Lineage, Session, Work};
use crate::sink::{self, Outbound, Sink};
use crate::traces::Tracer;
use crate::workers::Workers;
use aggregate::{Aggregates, AllVisit};
use answer::{Body, accepted, event_stream, json, later, plain, unauthorized};
use body::{Unread, read_body};
use bytes::Bytes;
use callgate_wire::mcp::Version;
use callgate_wire::{Malformed, decode, headers};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use glance::{Seen, glance};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use legacy::{Place, Way};
use probe::Phase;
use room::Room;
use sessions::{Children, OpenError, Opened, Sessions, Untold};
use stall::{Patience, Requests, Watched};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use streams::Streams;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages that may wait for one request's client to read them.
const QUEUE_MAX: usize = 64;
/// How long a client may take to send its headers, or be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a request's headers, and of what a connection has read ahead.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long open requests may go on once the end is wanted.
const DRAIN_GRACE: Duration = Duration::from_secs(5);
/// How long answers may take to leave once all sessions have ended.
const FLUSH_GRACE: Duration = Duration::from_millis(500);
/// Connections open at once.
const CONNECTIONS_MAX: usize = 4_096;
/// What the one that is too many is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
retry-after: 1\r\nconnection: close\r\ncontent-length: 32\r\n\r\ntoo many connections; try later\n";
/// How often sessions are looked through for those that nobody uses.
const TIDY_PERIOD: Duration = Duration::from_secs(30);
/// How long children may take to be gone, once each has had its own time to end.
const CHILDREN_GRACE: Duration = Duration::from_secs(5);

/// Whom requests are let in as, and where they lead.
#[derive(Debug)]
pub enum Doors {
    /// To one server, as the one caller of `run`.
    One(One),
    /// To the servers of a team, by grant.
    Team(Arc<Team>),
}

/// The way to one server, for one caller.
#[derive(Debug)]
pub struct One {
    sessions: Arc<Sessions>,
    children: Children,
    token: Option<Token>,
}

impl One {
    /// A way that is open to whoever has the token, to everyone where there is none.
    #[must_use]
    pub fn new(gate: Arc<Gate>, upstream: Upstream, token: Option<Token>) -> Self {
        let children = Children::new();
        Self {
            sessions: Sessions::new(gate, upstream, children.clone()),
            children,
            token,
        }
    }
}

/// How bytes travel between clients and the gateway.
#[derive(Debug)]
pub enum Wire {
    /// As they are.
    Plain,
    /// Under TLS.
    Tls(Certificate),
}

/// Serves clients until the end is wanted, then lets open requests finish.
///
/// # Errors
/// Where connections cannot be accepted.
pub async fn serve(
    listener: Listener,
    wire: Wire,
    doors: Doors,
    guard: Guard,
    mut end: watch::Receiver<End>,
) -> io::Result<()> {
    let desk = Arc::new(Desk {
        wire,
        bodies: Room::default(),
        patience: Patience {
            headers: HEADER_TIMEOUT,
            taking: doors.client_time(),
        },
        doors,
        guard,
        is_closing: AtomicBool::new(false),
    });
    let workers = Workers::start()?;
    let mut connections = JoinSet::new();
    let over = wanted(&mut end);
    tokio::pin!(over);
    let mut is_full = false;
    let mut tidying = tokio::time::interval(TIDY_PERIOD);
    loop {
        tokio::select! {
            () = &mut over => break,
            _ = tidying.tick() => {
                clear(&mut connections);
                desk.doors.close_idle();
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if clear(&mut connections) < CONNECTIONS_MAX => {
                    is_full = false;
                    workers.spawn(&mut connections, connection(stream, peer, Arc::clone(&desk)));
                }
                Ok((stream, _)) => {
                    // Once for all that come meanwhile: what is refused at no cost must not fill a log.
                    if !is_full {
                        tracing::warn!("too many connections are open; others are refused");
                    }
                    is_full = true;
                    desk.turn_away(&stream);
                }
                Err(cause) => {
                    // Out of descriptors, mostly: pausing lets some be given back.
                    tracing::warn!(%cause, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // Nothing new comes in, what is open is answered, and only then do the sessions end.
    drop(listener);
    desk.is_closing.store(true, Ordering::Release);
    let _ = tokio::time::timeout(DRAIN_GRACE, desk.doors.drained()).await;
    desk.doors.close_all().await;
    let _ = tokio::time::timeout(CHILDREN_GRACE, desk.doors.children().ended()).await;
    let flushed = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FLUSH_GRACE, flushed).await;
    Ok(())
}

/// Lets go of connections that have ended, and gives how many are left.
fn clear(connections: &mut JoinSet<()>) -> usize {
    while connections.try_join_next().is_some() {}
    connections.len()
}

#[derive(Debug)]
struct Desk {
    wire: Wire,
    doors: Doors,
    guard: Guard,
    bodies: Room,
    patience: Patience,
    is_closing: AtomicBool,
}

async fn connection(accepted: Accepted, peer: Whence, desk: Arc<Desk>) {
    match accepted.adopt() {
        Ok(Accepted::Net(stream)) => begin(stream, peer, desk).await,
        Ok(Accepted::Unix(stream)) => begin(stream, peer, desk).await,
        Err(cause) => tracing::warn!(%cause, "a connection could not be taken"),
    }
}

async fn begin<S>(stream: S, peer: Whence, desk: Arc<Desk>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let requests = Arc::<Requests>::default();
    let stream = Watched::new(stream, Arc::clone(&requests), desk.patience);
    match &desk.wire {
        Wire::Plain => converse(stream, requests, peer, desk).await,
        Wire::Tls(certificate) => match certificate.accept(stream).await {
            Ok(stream) => converse(stream, requests, peer, desk).await,
            Err(cause) => tracing::debug!(%cause, "a client did not shake hands"),
        },
    }
}

async fn converse<S>(stream: S, requests: Arc<Requests>, peer: Whence, desk: Arc<Desk>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request| {
        let (desk, open) = (Arc::clone(&desk), requests.begin());
        async move {
            let response = desk.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| open.until_end_of(body)))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(Gathered(TokioIo::new(stream)), service)
        .await;
    if let Err(cause) = served {
        tracing::debug!(%cause, "a connection ended early");
    }
}

impl Desk {
    /// Refuses a connection before anything of it is read.
    fn turn_away(&self, stream: &Accepted) {
        match &self.wire {
            Wire::Plain => stream.tell(TOO_MANY),
            // There is no answer before the handshake.
            Wire::Tls(_) => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: Whence) -> Response<Body> {
        let is_closing = self.is_closing.load(Ordering::Acquire);
        let phase = if is_closing { Phase::Ending } else { Phase::Serving };
        if let Some(probed) = self.doors.probe(request.method(), request.uri().path(), phase) {
            return probed;
        }
        if let Err(refused) = self.guard.check(request.headers()) {
            self.doors.record_failure(peer, refused.code());
            return plain(refused.status(), refused.text());
        }
        if is_closing {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the gate is ending");
        }
        if let Some(told) = self.doors.metadata(request.method(), request.uri().path()) {
            return told;
        }
        let entered = self.doors.enter(request.uri(), request.headers(), peer).await;
        let (entered, until) = match entered {
            Ok(entered) => entered,
            Err(refused) => return *refused,
        };
        let response = match entered {
            Entered::One(sessions, place) => self.serve(request, &sessions, place).await,
            Entered::All(all, place) => {
                let visit = AllVisit {
                    all: &all,
                    bodies: &self.bodies,
                };
                visit.answer(request, place).await
            }
        };
        match until {
            Some(until) => answer::ending_at(response, until),
            None => response,
        }
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        sessions: &Arc<Sessions>,
        place: Place,
    ) -> Response<Body> {
        let caller = Visit {
            sessions,
            bodies: &self.bodies,
        };
        match (place, request.method()) {
            (Place::Endpoint, &Method::POST) => caller.post(request).await,
            (Place::Endpoint, &Method::GET) => caller.get(request.headers()),
            (Place::Endpoint, &Method::DELETE) => caller.delete(request.headers()).await,
            (Place::Endpoint, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE"),
            (Place::Stream, &Method::GET) => caller.open_stream(request.uri().path()),
            (Place::Stream, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"),
            (Place::Messages, &Method::POST) => caller.take_message(request).await,
            (Place::Messages, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST"),
        }
    }
}

impl Doors {
    /// The sessions that a request may use, and what for.
    async fn enter(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        peer: Whence,
    ) -> Result<LetIn, Box<Response<Body>>> {
        let path = uri.path();
        let token = bearer(headers);
        match self {
            Self::One(one) => {
                if one
                    .token
                    .as_ref()
                    .is_some_and(|own| !token.is_some_and(|sent| own.matches(sent)))
                {
                    self.record_failure(peer, "token");
                    return Err(Box::new(unauthorized()));
                }
                let place = match path {
                    "/mcp" | "/" => Some(Place::Endpoint),
                    _ => path
                        .strip_prefix("/mcp")
                        .unwrap_or(path)
                        .strip_prefix('/')
                        .and_then(|part| Place::of(Some(part))),
                };
                match place {
                    Some(place) => Ok((Entered::One(Arc::clone(&one.sessions), place), None)),
                    None => Err(Box::new(plain(
                        StatusCode::NOT_FOUND,
                        "not found; the endpoint is /mcp",
                    ))),
                }
            }
            Self::Team(team) => {
                // What a request without a bearer token brings along is no token, and not nothing.
                let token = token.or_else(|| headers.contains_key(AUTHORIZATION).then_some(""));
                let endpoint = resource::endpoint(path);
                let who = match (token, team.oauth()) {
                    _ if resource::has_token(uri.query()) => Err(team.token_in_url(peer)),
                    // Tokens of grants have no dots, those of issuers have two.
                    (Some(token), Some(oauth)) if token.contains('.') => {
                        // Apart, as it is large: most requests have no need of it.
                        let by_jwt = Box::pin(team.by_jwt(oauth, endpoint, token, peer));
                        by_jwt.await.map(|(member, until)| (member, Some(until)))
                    }
                    (token, _) => team.by_token(token, peer).map(|member| (member, None)),
                };
                let entered = who.and_then(|(member, until)| {
                    let entered = match Way::of(path) {
                        Way::All(place) => Entered::All(team.enter_all(&member, peer)?, place),
                        Way::One(server, place) => Entered::One(team.enter(&member, server, peer)?, place),
                    };
                    Ok((entered, until))
                });
                entered.map_err(|denied| {
                    let oauth = team.oauth().map(|oauth| &**oauth);
                    Box::new(resource::refused(oauth, &denied, endpoint))
                })
            }
        }
    }

    fn record_failure(&self, peer: Whence, reason: &'static str) {
        match self {
            Self::One(one) => {
                let gate = one.sessions.gate();
                gate.recorder()
                    .auth_failure(Some(&gate.server), None, peer, reason);
            }
            Self::Team(team) => team.record_failure(peer, reason),
        }
    }

    /// How long a client may hold things up.
    fn client_time(&self) -> Duration {
        match self {
            Self::One(one) => one.sessions.gate().settings.client_time,
            Self::Team(team) => team.client_time(),
        }
    }

    fn close_idle(&self) {
        match self {
            Self::One(one) => one.sessions.close_idle(),
            Self::Team(team) => team.close_idle(),
        }
    }

    fn children(&self) -> &Children {
        match self {
            Self::One(one) => &one.children,
            Self::Team(team) => team.children(),
        }
    }

    async fn drained(&self) {
        match self {
            Self::One(one) => one.sessions.drained().await,
            Self::Team(team) => team.drained().await,
        }
    }

    async fn close_all(&self) {
        match self {
            Self::One(one) => one.sessions.close_all().await,
            Self::Team(team) => team.close_all().await,
        }
    }
}

/// What a request was let in to.
enum Entered {
    /// One server.
    One(Arc<Sessions>, Place),
    /// All servers of the caller.
    All(Arc<Aggregates>, Place),
}

/// What a request was let in to, and when its token ends, where that is said: the streams that it opens end then.
type LetIn = (Entered, Option<Instant>);

/// A request that was let in.
struct Visit<'a> {
    sessions: &'a Arc<Sessions>,
    bodies: &'a Room,
}

impl Visit<'_> {
    /// The whole body of a request, within bounds.
    async fn body(&self, request: Request<Incoming>) -> Result<(Parts, Bytes), Box<Response<Body>>> {
        let gate = self.sessions.gate();
        let bytes_max = gate.settings.bounds.message_bytes_max;
        read_body(request, self.bodies, &gate.settings)
            .await
            .map_err(|unread| match unread {
                Unread::Refused(refused) => refused,
                Unread::TooLarge(refused) => {
                    let cause = Malformed::TooLarge {
                        bytes: bytes_max.saturating_add(1),
                        bytes_max,
                    };
                    gate.recorder()
                        .malformed(gate, None, Peer::Client, &cause, bytes_max);
                    refused
                }
            })
    }

    async fn post(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = match self.body(request).await {
            Ok(whole) => whole,
            Err(refused) => return *refused,
        };
        let admitted = self.admit(&body, &parts.headers);
        // What is sent of it has a hold of it; while an answer is waited for, it takes no room from others.
        drop(body);
        let Admitted {
            opened,
            intake,
            receiver,
            is_new,
        } = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => return *refused,
        };
        let id = opened.session.id().filter(|_| is_new).cloned();
        let mut untold = Untold::new(Arc::clone(self.sessions), id);
        let mut response = exchange(&opened, intake, receiver).await;
        if response.status().is_success()
            && let Some(id) = untold.tell()
            && let Ok(value) = http::HeaderValue::try_from(id.as_str())
        {
            response.headers_mut().insert(SESSION_ID, value);
        }
        response
    }

    /// Decodes a body, finds its session, and has the session take it in.
    fn admit(&self, body: &Bytes, headers: &HeaderMap) -> Result<Admitted, Box<Response<Body>>> {
        let received = Instant::now();
        let decoded = decode(body, &self.sessions.gate().settings.bounds);
        let seen = glance(decoded.as_ref().ok(), headers)?;
        let opened = self.session_for(seen, headers)?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let entry = Entry {
            headers: Some(mirrored(headers)),
            received,
            lineage: lineage(self.sessions.gate().recorder(), headers),
        };
        let intake = opened
            .session
            .accept_decoded(body, decoded, &Sink::Alone(sender), &entry);
        Ok(Admitted {
            opened,
            intake,
            receiver,
            is_new: seen == Seen::Initialize,
        })
    }

    fn session_for(&self, seen: Seen, headers: &HeaderMap) -> Result<Opened, Box<Response<Body>>> {
        let refused = |status, text| Err(Box::new(plain(status, text)));
        match seen {
            Seen::Modern => self.sessions.stateless().map_err(|cause| not_opened(&cause)),
            Seen::Initialize => self.sessions.open().map_err(|cause| not_opened(&cause)),
            Seen::Legacy => match headers.get(SESSION_ID) {
                // Servers without sessions exist, and so do clients that were never given one.
                None if self.sessions.allows_no_session() => {
                    self.sessions.stateless().map_err(|cause| not_opened(&cause))
                }
                None => refused(
                    StatusCode::BAD_REQUEST,
                    "no Mcp-Session-Id; begin with `initialize`",
                ),
                Some(id) => match id.to_str().ok().and_then(|id| self.sessions.find(id)) {
                    Some(opened) => Ok(opened),
                    None => refused(
                        StatusCode::NOT_FOUND,
                        "no such session; begin anew with `initialize`",
                    ),
                },
            },
        }
    }

    fn get(&self, headers: &HeaderMap) -> Response<Body> {
        let id = headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        let Some(id) = id else {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "no Mcp-Session-Id: there is no stream without a session",
            );
        };
        let Some(opened) = self.sessions.find(id) else {
            return plain(
                StatusCode::NOT_FOUND,
                "no such session; begin anew with `initialize`",
            );
        };
        if let Some(last) = headers
            .get(LAST_EVENT_ID)
            .filter(|_| is_resumable(&opened.session))
        {
            let resumed = last.to_str().ok().and_then(|last| opened.streams.resume(last));
            // Not 404: that would say that the session is over.
            return resumed
                .unwrap_or_else(|| plain(StatusCode::BAD_REQUEST, "no stream of this event is kept"));
        }
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        opened.session.attach(Sink::Shared(sender));
        answer::standing_stream(receiver)
    }

    async fn delete(&self, headers: &HeaderMap) -> Response<Body> {
        let id = headers.get(SESSION_ID).and_then(|id| id.to_str().ok());
        match id {
            Some(id) if self.sessions.close(id).await => accepted(),
            Some(_) => plain(StatusCode::NOT_FOUND, "no such session"),
            None => plain(StatusCode::BAD_REQUEST, "no Mcp-Session-Id"),
        }
    }
}

/// Why there is no session for a request.
fn not_opened(cause: &OpenError) -> Box<Response<Body>> {
    let text = cause.to_string();
    Box::new(match cause {
        OpenError::TooMany | OpenError::TooFast => plain(StatusCode::TOO_MANY_REQUESTS, &text),
        OpenError::Failing(pause) => later(&text, *pause),
        OpenError::TooManyChildren | OpenError::Ended => plain(StatusCode::SERVICE_UNAVAILABLE, &text),
        OpenError::Spawn(_) => plain(StatusCode::BAD_GATEWAY, &text),
    })
}

/// A body that its session has taken in.
struct Admitted {
    opened: Opened,
    intake: Intake,
    receiver: mpsc::Receiver<Outbound>,
    is_new: bool,
}

/// Whether the streams of a session may be taken up again: before 2025-11-25, clients do not expect the event that
/// tells them where to go on.
fn is_resumable(session: &Session) -> bool {
    session.id().is_some()
        && session
            .version()
            .is_some_and(|version| version >= Version::V2025_11_25)
}

/// Sees a body through, and waits for the first of what comes back.
async fn exchange(opened: &Opened, intake: Intake, receiver: mpsc::Receiver<Outbound>) -> Response<Body> {
    let session = &opened.session;
    let due = intake.answers_due;
    let work = carry_out(Arc::clone(session), intake);
    let streams = || is_resumable(session).then(|| Arc::clone(&opened.streams));
    respond(work, due, receiver, streams).await
}

/// Does what is to be done, and waits for the first of what comes back: an answer alone goes out as JSON, all at once
/// or as it comes; anything before it opens a stream, which may be taken up again where there are streams to keep it among.
async fn respond(
    work: impl Future<Output = ()> + Send + 'static,
    due: usize,
    mut receiver: mpsc::Receiver<Outbound>,
    streams: impl FnOnce() -> Option<Arc<Streams>>,
) -> Response<Body> {
    let mut carried = Carried::new(work);
    if due == 0 {
        // What the client sends next must not overtake it.
        carried.await;
        return accepted();
    }
    let first = tokio::select! {
        // The work first: it is what a message comes from.
        biased;
        () = &mut carried => receiver.recv().await,
        first = receiver.recv() => first,
    };
    match first {
        None => plain(StatusCode::BAD_GATEWAY, "the request was given up"),
        Some(Outbound {
            bytes,
            end: sink::End::Last,
            status,
        }) => json(status, bytes),
        Some(Outbound {
            end: sink::End::Flowing(flow),
            status,
            ..
        }) => answer::flowing(status, &flow),
        Some(first) => match streams() {
            Some(streams) => streams.begin(first, receiver),
            None => event_stream(first, receiver),
        },
    }
}

/// Work that is done where it is waited for, and goes on by itself once nobody waits: a client that leaves must
/// not take with it what it has begun, as a request in the table is owed its end.
struct Carried(Option<BoxFuture<'static, ()>>);

impl Carried {
    fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.0 else {
            return Poll::Ready(());
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

/// Gives the answers that are due, sends what goes on, and releases each call as it is judged.
async fn carry_out(session: Arc<Session>, intake: Intake) {
    for due in intake.answers {
        due.give().await;
    }
    let mut passages = intake.passages;
    let last = passages.pop();
    for passage in passages {
        session.forward(passage).await;
    }
    if let Some(passage) = last {
        if intake.work.is_empty() && passage.kind == PassageKind::Request {
            return session.carry(passage).await;
        }
        session.forward(passage).await;
    }
    match <[Work; 1]>::try_from(intake.work) {
        Ok([only]) => session.see_through(only.0.await).await,
        // The calls of a batch do not wait for each other.
        Err(several) => {
            let calls = several
                .into_iter()
                .map(|work| async { session.see_through(work.0.await).await });
            calls.collect::<FuturesUnordered<_>>().collect::<()>().await;
        }
    }
}

const SESSION_ID: http::HeaderName = http::HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: http::HeaderName = http::HeaderName::from_static("last-event-id");

/// What the headers of a client's request say of a trace, where calls are traced.
fn lineage(recorder: &Recorder, sent: &HeaderMap) -> Lineage {
    Lineage::Client(recorder.tracer().map(|_| Tracer::heard(sent)))
}

/// The `Mcp-Param-*` headers, which are compared with the body and passed on.
fn mirrored(sent: &HeaderMap) -> Vec<(String, String)> {
    sent.iter()
        .filter(|(name, _)| name.as_str().starts_with(headers::PARAM_PREFIX))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}
