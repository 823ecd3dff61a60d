//! Where an issuer's keys are, and how they are fetched: over HTTPS, without following anywhere.

use super::jwk::DOCUMENT_BYTES_MAX;
use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long a fetch may take, from the first packet to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysSource(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Url(Uri),
    File(PathBuf),
}

/// Keys cannot be had from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysSourceError {
    /// It is no URL.
    #[error("this is no URL")]
    NotAUrl,
    /// Whoever is in between could put in keys of their own.
    #[error("keys are fetched over https, or over http from this machine")]
    Insecure,
    /// It holds a user or password.
    #[error("the URL holds credentials, which would end up in logs")]
    Credentials,
}

/// Keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it did not answer within {} s", FETCH_TIMEOUT.as_secs())]
    TimedOut,
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("it answered with HTTP {0}")]
    Status(StatusCode),
    #[error("what it sent is larger than {DOCUMENT_BYTES_MAX} bytes, or broke off")]
    Body,
    #[error("it cannot be read: {0}")]
    File(#[from] std::io::Error),
}

impl KeysSource {
    /// Whether they are in a file on this machine.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.0, Place::File(_))
    }

    /// Keys at a URL: `https`, or `http` on a loopback address.
    ///
    /// # Errors
    /// [`KeysSourceError`] where it is not such a URL.
    pub fn url(text: &str) -> Result<Self, KeysSourceError> {
        let url = url::Url::parse(text).map_err(|_| KeysSourceError::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(KeysSourceError::Credentials);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(KeysSourceError::Insecure),
        }
        let uri = url.as_str().parse().map_err(|_| KeysSourceError::NotAUrl)?;
        Ok(Self(Place::Url(uri)))
    }

    /// Keys in a file.
    #[must_use]
    pub const fn file(path: PathBuf) -> Self {
        Self(Place::File(path))
    }

    /// The document as it is there now.
    pub(super) async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        match &self.0 {
            Place::Url(uri) => tokio::time::timeout(FETCH_TIMEOUT, get(uri))
                .await
                .map_err(|_| FetchError::TimedOut)?,
            Place::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read(&path))
                    .await
                    .map_err(std::io::Error::other)?
            }
        }
    }
}

/// Whether a URL leads to this machine itself.
fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

async fn get(uri: &Uri) -> Result<Vec<u8>, FetchError> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .build();
    // Keys are fetched seldom: no connection is kept. Redirects are not followed.
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri.clone();
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accept);
    let response = client.request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX);
    let body = body.collect().await.map_err(|_| FetchError::Body)?;
    Ok(body.to_bytes().into())
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, FetchError> {
    let bytes_max = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut document = Vec::new();
    std::fs::File::open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut document)?;
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(FetchError::Body);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for good in [
            "https://login.example.com/keys",
            "http://127.0.0.1:8080/keys",
            "http://localhost/keys",
            "http://[::1]:1/keys",
        ] {
            assert!(KeysSource::url(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("http://login.example.com/keys", KeysSourceError::Insecure),
            ("http://127.0.0.1.example.com/keys", KeysSourceError::Insecure),
            ("http://10.0.0.1/keys", KeysSourceError::Insecure),
            ("file:///etc/keys", KeysSourceError::Insecure),
            (
                "https://me:secret@login.example.com/keys",
                KeysSourceError::Credentials,
            ),
            ("keys.json", KeysSourceError::NotAUrl),
        ] {
            assert_eq!(KeysSource::url(bad), Err(error), "{bad}");
        }
    }
}
