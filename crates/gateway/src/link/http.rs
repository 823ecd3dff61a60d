//! A server behind a URL: Streamable HTTP, each message a POST, answers as JSON or as a stream of events.

mod credentials;
mod exchange;
mod legacy;
mod passing;
mod pool;
mod standing;

pub use credentials::{Credentials, NoCredentials};
pub use legacy::LegacyLink;

use super::{Passage, PassageKind};
use crate::session::Session;
use callgate_wire::mcp::Version;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use pool::{Body, Pool, Reply, SendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Bytes of a body without meaning that are read all the same.
const READ_OUT_BYTES_MAX: usize = 4_096;
/// How long.
const READ_OUT_TIME: Duration = Duration::from_millis(500);

/// Where a server is, and what it is told with each request. The headers may hold credentials.
#[derive(Clone)]
pub struct Endpoint {
    pool: Arc<Pool>,
    /// Where connections go.
    uri: Uri,
    /// What requests ask for: the path and query (RFC 9112, section 3.2.1).
    target: Uri,
    host: HeaderValue,
    headers: HeaderMap,
    /// What changes from time to time, in place of a header.
    credentials: Option<Arc<dyn Credentials>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.uri.host())
            .finish_non_exhaustive()
    }
}

/// A URL that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("that is not a URL such as https://host/mcp")]
    NotAUrl,
    /// It is not HTTP.
    #[error("`{0}` is neither http nor https")]
    Scheme(String),
    /// It holds a name or password, which would end up in process lists and logs.
    #[error("the URL holds credentials; give them with --header-file")]
    Credentials,
}

impl Endpoint {
    /// Whether both are at the same URL, whatever they are told there.
    #[must_use]
    pub fn is_where(&self, other: &Self) -> bool {
        self.uri == other.uri
    }

    /// An endpoint; its connections are shared by all sessions made from it.
    ///
    /// # Errors
    /// [`EndpointError`] where the URL cannot be used.
    pub fn new(url: &str, headers: HeaderMap) -> Result<Self, EndpointError> {
        let parsed = url::Url::parse(url).map_err(|_| EndpointError::NotAUrl)?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme(parsed.scheme().to_owned()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        let uri: Uri = parsed.as_str().parse().map_err(|_| EndpointError::NotAUrl)?;
        let target: Uri = uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
            .parse()
            .map_err(|_| EndpointError::NotAUrl)?;
        // A port that is the scheme's own is no part of a parsed URL.
        let host = uri
            .authority()
            .map(http::uri::Authority::as_str)
            .unwrap_or_default();
        let host = HeaderValue::try_from(host).map_err(|_| EndpointError::NotAUrl)?;
        Ok(Self {
            pool: Pool::new(),
            uri,
            target,
            host,
            headers,
            credentials: None,
        })
    }

    /// The same endpoint, whose requests carry credentials that are made and renewed.
    #[must_use]
    pub fn with_credentials(self, credentials: Arc<dyn Credentials>) -> Self {
        Self {
            credentials: Some(credentials),
            ..self
        }
    }

    async fn request(&self, request: Request<Body>) -> Result<Reply, SendError> {
        match &self.credentials {
            None => self.pool.request(&self.uri, request).await,
            Some(credentials) => Box::pin(self.authorized(credentials, request)).await,
        }
    }

    /// A request that the server refuses is not sent again, as no call is: the next one has other credentials.
    async fn authorized(
        &self,
        credentials: &Arc<dyn Credentials>,
        mut request: Request<Body>,
    ) -> Result<Reply, SendError> {
        let authorization = credentials.authorization().await?;
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        let reply = self.pool.request(&self.uri, request).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            credentials.refused(&authorization);
        }
        Ok(reply)
    }

    /// A request for a path of this server's, with all that it is to be told.
    fn message(&self, method: Method, target: Uri, body: bytes::Bytes) -> Result<Request<Body>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .body(Full::new(body))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        self.configured(headers);
        Ok(request)
    }

    /// Puts the headers that are configured in place of others of their names.
    fn configured(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }

    /// What to ask for to reach a URL, absolute or relative to this one; `None` where it leads to another origin.
    fn within_origin(&self, named: &str) -> Option<Uri> {
        let own = url::Url::parse(&self.uri.to_string()).ok()?;
        let there = own.join(named).ok()?;
        let is_own =
            there.origin() == own.origin() && there.username().is_empty() && there.password().is_none();
        let query = there.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", there.path());
        is_own.then(|| target.parse().ok()).flatten()
    }
}

/// Reads what is left of a small body, so that its connection can be used again; one that is larger, or does not
/// end, closes it.
async fn read_out(mut reply: Reply) {
    let mut left = READ_OUT_BYTES_MAX;
    let read = async {
        while let Some(Ok(data)) = reply.data().await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(READ_OUT_TIME, read).await;
}

/// Held while `notifications/initialized` is under way: nothing may overtake it.
#[derive(Debug, Clone, Default)]
struct Turn(Arc<TurnMutex<()>>);

impl Turn {
    /// Waits until nothing is under way that a message must not overtake.
    async fn wait(&self) {
        drop(self.0.lock().await);
    }

    /// As [`Turn::wait`]; what comes back is to be held until a message of this kind has been taken.
    async fn of(&self, kind: PassageKind) -> Option<OwnedMutexGuard<()>> {
        if kind == PassageKind::Initialized {
            return Some(Arc::clone(&self.0).lock_owned().await);
        }
        self.wait().await;
        None
    }
}

/// One session's way to a server behind a URL.
#[derive(Debug)]
pub struct HttpLink {
    endpoint: Endpoint,
    state: Mutex<LinkState>,
    turn: Turn,
    standing: OnceLock<tokio::task::AbortHandle>,
}

#[derive(Debug, Default)]
struct LinkState {
    /// The server's own session id, which no client gets to see.
    session_id: Option<HeaderValue>,
    version: Option<Version>,
}

impl HttpLink {
    /// A way to this endpoint, without a session there yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            state: Mutex::new(LinkState::default()),
            turn: Turn::default(),
            standing: OnceLock::new(),
        }
    }

    pub(super) fn sibling(&self) -> Self {
        Self::new(self.endpoint.clone())
    }

    pub(super) async fn carry(&self, session: &Arc<Session>, passage: Passage) {
        self.turn.wait().await;
        exchange::run(Arc::clone(session), passage).await;
    }

    pub(super) async fn send(&self, session: &Arc<Session>, passage: Passage) {
        let turn = self.turn.of(passage.kind).await;
        let exchange = exchange::run(Arc::clone(session), passage);
        tokio::spawn(async move {
            exchange.await;
            drop(turn);
        });
    }

    /// Ends the session at the server, where there is one.
    pub async fn close(&self) {
        if let Some(standing) = self.standing.get() {
            standing.abort();
        }
        if self.lock().session_id.is_none() {
            return;
        }
        if let Ok(request) = self.request(Method::DELETE, bytes::Bytes::new(), &[]) {
            let ended = self.endpoint.request(request);
            let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        }
        self.lock().session_id = None;
    }

    /// A request with all that this server is to be told, and nothing that the client sent.
    fn request(
        &self,
        method: Method,
        body: bytes::Bytes,
        extra: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Body>, http::Error> {
        let mut request = self
            .endpoint
            .message(method, self.endpoint.target.clone(), body)?;
        let headers = request.headers_mut();
        {
            let state = self.lock();
            if let Some(id) = &state.session_id {
                headers.insert(SESSION_ID, id.clone());
            }
            if let Some(version) = state.version {
                headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
            }
        }
        for (name, value) in extra {
            headers.insert(name, value.clone());
        }
        self.endpoint.configured(headers);
        Ok(request)
    }

    /// Later requests carry the version that was agreed on.
    pub(crate) fn set_version(&self, version: Option<Version>) {
        self.lock().version = version;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
