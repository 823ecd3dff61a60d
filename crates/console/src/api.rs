//! The admin API over HTTP.

use crate::gateway::{Fault, Gateway, Refused, Whole};
use crate::routes::{DOCUMENT, Found, Route, find};
use crate::view;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a connection may be idle, or take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's headers, and of what a connection has read ahead.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Records that are shown at once, and unless somebody asks for another number.
const RECORDS_MAX: u64 = 1_000;
const RECORDS_DEFAULT: u64 = 100;

type Body = Full<Bytes>;
type Answered = Result<Response<Body>, Fault>;

/// Answers the requests of one connection.
pub async fn converse<S, G>(stream: S, peer: G::Peer, gateway: Arc<G>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Gateway,
{
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(answer(request, peer, gateway).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(cause) = served {
        tracing::debug!(%cause, "a connection of the admin API ended early");
    }
}

async fn answer<G: Gateway>(request: Request<Incoming>, peer: G::Peer, gateway: Arc<G>) -> Response<Body> {
    if let Err(refused) = gateway.admit(request.headers(), peer) {
        return not_let_in(refused);
    }
    let (route, parts) = match find(request.method(), request.uri().path()) {
        Found::Route(route, parts) => (route, parts),
        Found::OtherMethod => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return failure(status, "method", "this path is there for other methods");
        }
        Found::Nothing => {
            let text = "there is no such path; /v1/openapi.json describes all";
            return failure(StatusCode::NOT_FOUND, "not_found", text);
        }
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let answered = match body(request).await {
        Ok(body) => act(route, parts, query, body, gateway).await,
        Err(refused) => return refused,
    };
    answered.unwrap_or_else(|fault| {
        let (status, code) = match &fault {
            Fault::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Fault::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Fault::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Fault::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        failure(status, code, &fault.to_string())
    })
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Response<Body>> {
    let collected = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => {
            let text = "the body is too large, or did not arrive whole";
            Err(failure(StatusCode::PAYLOAD_TOO_LARGE, "body", text))
        }
        Err(_) => {
            let text = "the body did not arrive in time";
            Err(failure(StatusCode::REQUEST_TIMEOUT, "body", text))
        }
    }
}

async fn act(
    route: Route,
    parts: Vec<String>,
    query: String,
    body: Bytes,
    gateway: Arc<impl Gateway>,
) -> Answered {
    match route {
        Route::EndSession => {
            let id = parts.into_iter().next().unwrap_or_default();
            if gateway.end_session(&id).await {
                return shown(StatusCode::NO_CONTENT, Bytes::new());
            }
            Err(Fault::NotFound("there is no such session".to_owned()))
        }
        Route::Reload => {
            let reloaded = gateway.reload().await?;
            told(StatusCode::OK, &reloaded)
        }
        Route::CreateGrant
        | Route::RotateGrant
        | Route::RevokeGrant
        | Route::Attach
        | Route::Detach
        | Route::AttachIdentity
        | Route::DetachIdentity => {
            let blocking = Arc::clone(&gateway);
            let changed = off(move || change(route, &parts, &body, &*blocking)).await;
            // Whatever came of it, what is in the store is in force once it is answered.
            gateway.refresh().await;
            changed
        }
        Route::Document
        | Route::Health
        | Route::Servers
        | Route::Policies
        | Route::Sessions
        | Route::Grants
        | Route::Grant
        | Route::Ledger
        | Route::Records => off(move || look(route, &parts, &query, &*gateway)).await,
    }
}

/// Does what blocks on a thread for that.
async fn off(work: impl FnOnce() -> Answered + Send + 'static) -> Answered {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Fault::Unavailable("it could not be finished".to_owned())))
}

fn look(route: Route, parts: &[String], query: &str, gateway: &impl Gateway) -> Answered {
    let which = parts.first().map(String::as_str).unwrap_or_default();
    match route {
        Route::Document => shown(StatusCode::OK, Bytes::from_static(DOCUMENT.as_bytes())),
        Route::Health => told(StatusCode::OK, &gateway.health()),
        Route::Servers => told(StatusCode::OK, &gateway.servers()),
        Route::Policies => told(StatusCode::OK, &gateway.policies()),
        Route::Sessions => told(StatusCode::OK, &gateway.sessions()),
        Route::Grants => {
            let [all] = asked(query, ["all"])?;
            let whole = match all.as_deref() {
                None | Some("false") => Whole::NotRevoked,
                Some("true") => Whole::All,
                Some(_) => return Err(Fault::Invalid("`all` is `true` or `false`".to_owned())),
            };
            told(StatusCode::OK, &gateway.grants(whole)?)
        }
        Route::Grant => told(StatusCode::OK, &gateway.grant(which)?),
        Route::Ledger => told(StatusCode::OK, &gateway.ledger()?),
        Route::Records => {
            let [before, limit] = asked(query, ["before", "limit"])?;
            let limit = number("limit", limit)?.unwrap_or(RECORDS_DEFAULT);
            if !(1..=RECORDS_MAX).contains(&limit) {
                return Err(Fault::Invalid(format!("`limit` is 1 to {RECORDS_MAX}")));
            }
            told(
                StatusCode::OK,
                &gateway.records(number("before", before)?, limit)?,
            )
        }
        Route::EndSession
        | Route::Reload
        | Route::CreateGrant
        | Route::RotateGrant
        | Route::RevokeGrant
        | Route::Attach
        | Route::Detach
        | Route::AttachIdentity
        | Route::DetachIdentity => Err(Fault::Invalid("this changes something".to_owned())),
    }
}

fn change(route: Route, parts: &[String], body: &Bytes, gateway: &impl Gateway) -> Answered {
    let mut parts = parts.iter().map(String::as_str);
    let which = parts.next().unwrap_or_default();
    let server = parts.next().unwrap_or_default();
    match route {
        Route::CreateGrant => told(StatusCode::CREATED, &gateway.create_grant(taken(body)?)?),
        Route::RotateGrant => told(StatusCode::OK, &gateway.rotate_grant(which)?),
        Route::RevokeGrant => told(StatusCode::OK, &gateway.revoke_grant(which)?),
        Route::Attach => {
            let attachment: view::Attachment = taken(body)?;
            let policy = attachment.policy.as_deref();
            told(StatusCode::OK, &gateway.attach(which, server, policy)?)
        }
        Route::Detach => told(StatusCode::OK, &gateway.detach(which, server)?),
        Route::AttachIdentity => told(StatusCode::OK, &gateway.attach_identity(which, &taken(body)?)?),
        Route::DetachIdentity => told(StatusCode::OK, &gateway.detach_identity(which, &taken(body)?)?),
        Route::Document
        | Route::Health
        | Route::Servers
        | Route::Policies
        | Route::Sessions
        | Route::EndSession
        | Route::Grants
        | Route::Grant
        | Route::Reload
        | Route::Ledger
        | Route::Records => Err(Fault::Invalid("this changes nothing".to_owned())),
    }
}

/// The values of a query, which has no other names and none twice.
fn asked<const N: usize>(query: &str, names: [&str; N]) -> Result<[Option<String>; N], Fault> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = names.iter().position(|one| *one == name);
        match slot.and_then(|at| values.get_mut(at)) {
            Some(slot @ None) => *slot = Some(value.to_owned()),
            Some(Some(_)) | None => {
                return Err(Fault::Invalid(format!(
                    "the query may have each of `{}` once, and nothing else",
                    names.join("`, `")
                )));
            }
        }
    }
    Ok(values)
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, Fault> {
    let read = |value: String| value.parse::<u64>();
    let read = value.map(read).transpose();
    read.map_err(|_| Fault::Invalid(format!("`{name}` is a number")))
}

/// A body as JSON. What is wrong with it is said without repeating any of it.
fn taken<T: DeserializeOwned>(body: &Bytes) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|cause| {
        Fault::Invalid(format!(
            "the body is not what the document describes, at line {}, column {}",
            cause.line(),
            cause.column()
        ))
    })
}

fn told(status: StatusCode, value: &impl Serialize) -> Answered {
    let bytes = serde_json::to_vec(value).map_err(|_| Fault::Unavailable("it cannot be shown".to_owned()))?;
    shown(status, bytes.into())
}

fn shown(status: StatusCode, bytes: Bytes) -> Answered {
    Ok(response(status, bytes))
}

fn response(status: StatusCode, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Answers may hold a token, once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

fn failure(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let failure = view::Failure {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    response(status, serde_json::to_vec(&failure).unwrap_or_default().into())
}

fn not_let_in(refused: Refused) -> Response<Body> {
    match refused {
        Refused::Host => failure(StatusCode::FORBIDDEN, "host", "this Host is not served here"),
        Refused::Token => {
            let text = "a valid bearer token is needed";
            let mut response = failure(StatusCode::UNAUTHORIZED, "token", text);
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            response
        }
        Refused::TooMany => {
            let text = "too many requests without a valid token came from this address; wait a minute";
            failure(StatusCode::TOO_MANY_REQUESTS, "too_many", text)
        }
    }
}
