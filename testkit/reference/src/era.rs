//! One era alone: what a server says to requests of the other.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;

/// The eras that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eras {
    /// Both.
    Both,
    /// That of versions up to 2025-11-25.
    Legacy,
    /// That of 2026-07-28.
    Modern,
}

impl Eras {
    /// Reads the arguments.
    ///
    /// # Panics
    /// Where they name none.
    pub(crate) fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        match (arguments.next().as_deref(), arguments.next().as_deref()) {
            (None, _) => Self::Both,
            (Some("--era"), Some("legacy")) => Self::Legacy,
            (Some("--era"), Some("modern")) => Self::Modern,
            other => panic!("no arguments, or `--era legacy` or `--era modern`: {other:?}"),
        }
    }

    /// The answer to a request of an era that is not served, as servers of the other give it.
    pub(crate) fn refuse<B>(self, request: &Request<B>) -> Option<Response<BoxBody<Bytes, Infallible>>> {
        let version = request.headers().get("mcp-protocol-version");
        let is_modern = version.is_some_and(|version| version == "2026-07-28");
        match (self, is_modern) {
            (Self::Legacy, true) => Some(error(
                StatusCode::BAD_REQUEST,
                -32000,
                "Bad Request: Unsupported protocol version",
            )),
            (Self::Modern, false) if request.method() == Method::POST => Some(error(
                StatusCode::BAD_REQUEST,
                -32020,
                "Bad Request: MCP-Protocol-Version is missing or not 2026-07-28",
            )),
            (Self::Modern, false) => Some(error(
                StatusCode::METHOD_NOT_ALLOWED,
                -32600,
                "Method Not Allowed",
            )),
            (Self::Both | Self::Legacy | Self::Modern, _) => None,
        }
    }
}

fn error(status: StatusCode, code: i32, message: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{message}"}}}}"#);
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}
