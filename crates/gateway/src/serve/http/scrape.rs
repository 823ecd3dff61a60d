//! Metrics, on an address of their own.

use super::answer::{Body, full, plain};
use super::guard::Guard;
use super::listen::{Accepted, Listener};
use super::stall::{Patience, Requests, Watched};
use crate::metrics::Exposition;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::prometheus_text;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

/// Connections open at once: some scrapers, and people who look.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's headers.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// How long a client may be idle, or take to send its headers, and take nothing of what is written to it.
const PATIENCE: Patience = Patience {
    headers: Duration::from_secs(90),
    taking: Duration::from_secs(60),
};

/// Tells whoever asks, for as long as the process lives.
pub async fn serve_metrics(listener: Listener, exposition: Arc<Exposition>, guard: Guard) {
    let guard = Arc::new(guard);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, mostly: pausing lets some be given back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("too many connections for metrics, one was closed");
            continue;
        };
        let (exposition, guard) = (Arc::clone(&exposition), Arc::clone(&guard));
        tokio::spawn(async move {
            match stream {
                Accepted::Net(stream) => connection(stream, exposition, guard).await,
                Accepted::Unix(stream) => connection(stream, exposition, guard).await,
            }
            drop(place);
        });
    }
}

async fn connection<S>(stream: S, exposition: Arc<Exposition>, guard: Arc<Guard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let requests = Arc::<Requests>::default();
    let stream = Watched::new(stream, Arc::clone(&requests), PATIENCE);
    let service = service_fn(move |request| {
        let (exposition, guard, open) = (Arc::clone(&exposition), Arc::clone(&guard), requests.begin());
        async move {
            let response = answer(&request, exposition, &guard).await;
            Ok::<_, Infallible>(response.map(|body| open.until_end_of(body)))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(cause) = served {
        tracing::debug!(%cause, "a connection for metrics ended early");
    }
}

async fn answer(request: &Request<Incoming>, exposition: Arc<Exposition>, guard: &Guard) -> Response<Body> {
    // Without it a page in a browser could read what is told here, under a name that leads to this address.
    if let Err(refused) = guard.check(request.headers()) {
        return plain(refused.status(), refused.text());
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "not found; metrics are at /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "use GET");
    }
    // It looks into the database.
    let told = tokio::task::spawn_blocking(move || exposition.text()).await;
    let Ok(Ok(text)) = told else {
        return plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics could not be gathered",
        );
    };
    let mut response = Response::new(full(Bytes::from(text)));
    let kind = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
