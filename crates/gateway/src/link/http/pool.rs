//! Connections to a server, each driven by the task whose exchange it carries: an answer is read where it is
//! waited for, without a hop to a task of the connection's own.

use super::credentials::NoCredentials;
use crate::gather::Gathered;
use crate::workers::PerWorker;
use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service as _;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections to a server that each thread keeps.
const IDLE_MAX: usize = 256;
/// How long an idle connection is kept. Servers tend to close theirs after 60 s or more.
const IDLE_TIME_MAX: Duration = Duration::from_secs(50);
/// How often idle connections are looked at.
const TIDY_PERIOD: Duration = Duration::from_secs(10);

/// A request's body: a message that is there as a whole.
pub(super) type Body = Full<Bytes>;
type Connector = HttpsConnector<HttpConnector>;

/// A request that got no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// Not one byte of it has left.
    #[error("no connection could be made: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was not sent, as there are no credentials for the server.
    #[error(transparent)]
    NoCredentials(#[from] NoCredentials),
    /// Some of it may have left.
    #[error("the connection broke: {0}")]
    Broke(#[source] hyper::Error),
}

/// The connections to one server.
pub(super) struct Pool {
    connector: Connector,
    /// Those that each thread has opened, so that what a server sends wakes the thread that waits for it.
    idle: PerWorker<Mutex<Vec<Idle>>>,
    tidying: OnceLock<()>,
}

struct Idle {
    line: Line,
    since: Instant,
}

impl Pool {
    pub(super) fn new() -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Arc::new(Self {
            connector,
            idle: PerWorker::default(),
            tidying: OnceLock::new(),
        })
    }

    /// Sends a request and waits for the head of its response. If the future is dropped, the connection is
    /// closed. A request is sent again only where not one byte of it has left.
    pub(super) async fn request(
        self: &Arc<Self>,
        uri: &Uri,
        mut request: Request<Body>,
    ) -> Result<Reply, SendError> {
        loop {
            let (mut line, age) = match self.take().await {
                Some(line) => (line, Age::Used),
                // Apart, as it is rare and large.
                None => (Box::pin(self.connect(uri)).await?, Age::New),
            };
            match line.send(request).await {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    return Ok(Reply {
                        status: parts.status,
                        headers: parts.headers,
                        body,
                        line: Some(line),
                        pool: Arc::clone(self),
                    });
                }
                Err(mut failed) => match (failed.take_message(), age) {
                    (Some(unsent), Age::Used) => request = unsent,
                    (Some(_), Age::New) => {
                        return Err(SendError::Unreachable(Box::new(failed.into_error())));
                    }
                    (None, _) => return Err(SendError::Broke(failed.into_error())),
                },
            }
        }
    }

    /// The connection that was used last, among those that are still open.
    async fn take(&self) -> Option<Line> {
        loop {
            let mut line = self.idle().pop()?.line;
            if line.is_usable().await {
                return Some(line);
            }
        }
    }

    fn give_back(self: &Arc<Self>, line: Line) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(Idle {
                line,
                since: Instant::now(),
            });
        }
        drop(idle);
        self.tidying.get_or_init(|| tidy(Arc::downgrade(self)));
    }

    async fn connect(&self, uri: &Uri) -> Result<Line, SendError> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context))
            .await
            .map_err(SendError::Unreachable)?;
        let stream = connector
            .call(uri.clone())
            .await
            .map_err(SendError::Unreachable)?;
        let (sender, driver) = handshake(Gathered(stream))
            .await
            .map_err(|cause| SendError::Unreachable(Box::new(cause)))?;
        Ok(Line {
            sender,
            driver: Driver::Running(Box::new(driver)),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(self.idle.own())
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what has been idle for long, for as long as the pool is there.
fn tidy(pool: Weak<Pool>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TIDY_PERIOD).await;
            let Some(pool) = pool.upgrade() else { return };
            let now = Instant::now();
            for idle in pool.idle.iter() {
                lock(idle).retain(|idle| now.duration_since(idle.since) < IDLE_TIME_MAX);
            }
        }
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// It may have been closed by the server meanwhile.
    Used,
    New,
}

/// One connection.
struct Line {
    sender: SendRequest<Body>,
    driver: Driver,
}

/// What moves a connection's bytes, whenever it is polled.
enum Driver {
    Running(Box<Connection<Gathered<MaybeHttpsStream<TokioIo<TcpStream>>>, Body>>),
    /// The connection has ended; whoever waits on it has been told.
    Ended,
}

impl Driver {
    fn drive(&mut self, context: &mut std::task::Context<'_>) {
        if let Self::Running(connection) = self
            && Pin::new(&mut **connection).poll(context).is_ready()
        {
            *self = Self::Ended;
        }
    }
}

impl Line {
    /// Whether a request may be sent: the server has not closed it, nor sent what nobody asked for.
    async fn is_usable(&mut self) -> bool {
        poll_fn(|context| {
            self.driver.drive(context);
            Poll::Ready(matches!(self.driver, Driver::Running(_)) && self.sender.is_ready())
        })
        .await
    }

    async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Body>>> {
        let Self { sender, driver } = self;
        let mut answer = pin!(sender.try_send_request(request));
        poll_fn(|context| {
            driver.drive(context);
            answer.as_mut().poll(context)
        })
        .await
    }
}

/// A response whose body is still to be read.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    /// Taken once the body has ended.
    line: Option<Line>,
    pool: Arc<Pool>,
}

/// The connection broke before the body ended.
#[derive(Debug)]
pub(super) struct Broke;

impl Reply {
    /// The next piece of the body; none at its end. Nothing is lost where the future is dropped.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, Broke>> {
        loop {
            let frame = poll_fn(|context| match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(frame),
                Poll::Pending => {
                    if let Some(line) = &mut self.line {
                        line.driver.drive(context);
                    }
                    Pin::new(&mut self.body).poll_frame(context)
                }
            });
            match frame.await {
                None => {
                    self.ended();
                    return None;
                }
                Some(Err(_)) => return Some(Err(Broke)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if self.body.is_end_stream() {
                            self.ended();
                        }
                        return Some(Ok(data));
                    }
                    // Trailers say nothing here.
                    Err(_) => continue,
                },
            }
        }
    }

    /// Whether all of the body has been read.
    pub(super) const fn is_over(&self) -> bool {
        self.line.is_none()
    }

    /// How many bytes are still to come at least, as far as the server has told.
    pub(super) fn bytes_to_come(&self) -> u64 {
        self.body.size_hint().lower()
    }

    /// The connection is free for the next request; whether the server keeps it open is seen then.
    fn ended(&mut self) {
        if let Some(line) = self.line.take() {
            self.pool.give_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers so many requests a connection with one byte, then closes it; counts connections.
    async fn server(answers: usize) -> (Uri, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    for _ in 0..answers {
                        if socket.read(&mut buffer).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
                        socket.write_all(reply).await.unwrap();
                    }
                });
            }
        });
        (uri.parse().unwrap(), count)
    }

    async fn ask(pool: &Arc<Pool>, uri: &Uri) -> Result<Bytes, SendError> {
        let request = Request::post("/").body(Full::from("x")).unwrap();
        let mut reply = pool.request(uri, request).await?;
        let data = reply.data().await.unwrap().unwrap();
        assert!(reply.data().await.is_none());
        Ok(data)
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let (uri, connections) = server(usize::MAX).await;
        let pool = Pool::new();
        for _ in 0..5 {
            assert_eq!(ask(&pool, &uri).await.unwrap().as_ref(), b"x");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_used() {
        let (uri, connections) = server(1).await;
        let pool = Pool::new();
        for _ in 0..3 {
            assert_eq!(ask(&pool, &uri).await.unwrap().as_ref(), b"x");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_told_from_what_broke_off() {
        let pool = Pool::new();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", closed.local_addr().unwrap())
            .parse()
            .unwrap();
        drop(closed);
        let unreachable = ask(&pool, &uri).await;
        assert!(matches!(unreachable, Err(SendError::Unreachable(_))));
        let (uri, _) = server(0).await;
        let broke = ask(&pool, &uri).await;
        assert!(matches!(broke, Err(SendError::Broke(_))), "{broke:?}");
    }

    /// Answers the request numbered so on each connection by these bytes, then what is asked with one byte.
    async fn odd_server(replies: &'static [&'static str]) -> (Uri, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let reply = replies.get(counted.fetch_add(1, Ordering::SeqCst));
                let reply = reply.unwrap_or(&"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx");
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while socket.read(&mut buffer).await.unwrap_or(0) > 0 {
                        for part in reply.split('|') {
                            socket.write_all(part.as_bytes()).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                });
            }
        });
        (uri.parse().unwrap(), count)
    }

    #[tokio::test]
    async fn what_a_server_sends_beyond_its_answer_answers_no_other_request() {
        let replies: &[&str] = &[
            // Twice in one go; twice with a pause; more than it said; an answer to the next one.
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ny",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx|HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ny",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxyz",
            "HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx|\r\n",
            // These end with their answer.
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
        ];
        let (uri, connections) = odd_server(replies).await;
        let pool = Pool::new();
        for round in 1..=replies.len() + 1 {
            assert_eq!(ask(&pool, &uri).await.unwrap().as_ref(), b"x");
            tokio::time::sleep(Duration::from_millis(80)).await;
            assert_eq!(connections.load(Ordering::SeqCst), round);
        }
        assert_eq!(ask(&pool, &uri).await.unwrap().as_ref(), b"x");
        assert_eq!(connections.load(Ordering::SeqCst), replies.len() + 1);
    }

    #[tokio::test]
    async fn a_connection_whose_request_was_given_up_or_answered_too_early_is_not_used() {
        let replies: &[&str] = &["", "HTTP/1.1 413 X\r\ncontent-length: 1\r\n\r\nx"];
        let (uri, connections) = odd_server(replies).await;
        let pool = Pool::new();
        let given_up = tokio::time::timeout(Duration::from_millis(100), ask(&pool, &uri)).await;
        assert!(given_up.is_err());
        // Larger than what fits between the two, and the server does not read on while it answers.
        let large = Full::from(vec![b'x'; 64 << 20]);
        let mut reply = pool
            .request(&uri, Request::post("/").body(large).unwrap())
            .await
            .unwrap();
        assert_eq!(reply.data().await.unwrap().unwrap().as_ref(), b"x");
        assert!(reply.data().await.is_none());
        assert_eq!(ask(&pool, &uri).await.unwrap().as_ref(), b"x");
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }
}
