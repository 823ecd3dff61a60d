//! What proves to a server who asks, where it is no fixed header: an access token that is made and renewed by
//! whoever knows how.

use futures_util::future::BoxFuture;
use http::HeaderValue;
use std::fmt;

/// Credentials for one server, shared by all callers. They are never shown.
pub trait Credentials: fmt::Debug + Send + Sync {
    /// What requests carry now as `Authorization`. Many may ask at once: it is made or renewed once for all.
    fn authorization(&self) -> BoxFuture<'_, Result<HeaderValue, NoCredentials>>;

    /// Told that the server has not accepted this.
    fn refused(&self, authorization: &HeaderValue);
}

/// There are no credentials now. What is said holds nothing secret, and callers read it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NoCredentials(pub &'static str);
