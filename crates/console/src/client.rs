//! A client of the admin API, for the command line.

use crate::view;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a gateway may take to answer; a reload may wait for the store.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where a gateway's admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At an address and port.
    Net(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

/// A client with its token.
pub struct Client {
    place: Place,
    authorization: HeaderValue,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer, or none that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("the gateway's admin API cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The token cannot be sent.
    #[error("the token holds characters that cannot be sent")]
    Token,
    /// It did not answer as HTTP has it, or not in time.
    #[error("the gateway's admin API did not answer")]
    NoAnswer,
    /// The gateway says why not.
    #[error("{}", .0.message)]
    Failed(view::Failure),
    /// The answer is of another version.
    #[error("the gateway's admin API answered with what this version does not know")]
    Unreadable,
}

impl Client {
    /// A client of the API at `place`.
    ///
    /// # Errors
    /// [`ClientError::Token`].
    pub fn new(place: Place, token: &str) -> Result<Self, ClientError> {
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { place, authorization })
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|_| ClientError::Unreadable)?,
            None => Vec::new(),
        };
        let host = match &self.place {
            Place::Net(address) => address.to_string(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| ClientError::Unreadable)?;
        let headers = request.headers_mut();
        headers.insert(
            HOST,
            HeaderValue::try_from(host).map_err(|_| ClientError::Unreadable)?,
        );
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answered = async {
            match &self.place {
                Place::Net(address) => {
                    let stream = TcpStream::connect(address).await;
                    exchange(stream.map_err(ClientError::Unreachable)?, request).await
                }
                Place::Unix(path) => {
                    let stream = UnixStream::connect(path).await;
                    exchange(stream.map_err(ClientError::Unreachable)?, request).await
                }
            }
        };
        let (status, bytes) = tokio::time::timeout(ANSWER_TIMEOUT, answered)
            .await
            .map_err(|_| ClientError::NoAnswer)??;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| ClientError::Unreadable);
        }
        match serde_json::from_slice(&bytes) {
            Ok(failure) => Err(ClientError::Failed(failure)),
            Err(_) => Err(ClientError::Unreadable),
        }
    }
}

/// A text as one part of a path.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(http::StatusCode, Bytes), ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_: hyper::Error| ClientError::NoAnswer;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let driven = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let bytes = body
        .collect()
        .await
        .map_err(|_| ClientError::NoAnswer)?
        .to_bytes();
    drop(sender);
    driven.abort();
    Ok((status, bytes))
}
