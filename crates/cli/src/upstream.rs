//! Access tokens for servers: Callgate as an OAuth client, by client credentials, or by a person who has let it in.
//!
//! A token is fetched when the first request needs one, and anew shortly before its end, or once the server refuses
//! it: once for all requests that wait.

mod exchange;
pub(crate) mod login;

use crate::config::Client;
use callgate_core::name::ServerName;
use callgate_gateway::link::http::{Credentials, NoCredentials};
use callgate_store::{Sealed, SealedError};
use exchange::{BySecret, Exchange, Issued};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use login::Login;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};
use tokio::time::Instant;
use url::Url;

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(30);
/// How soon after a failure the authorization server is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How soon a token is replaced again because the server has refused it: one that refuses each of them must not
/// have Callgate ask for ever more.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// How long a call waits for a token.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a token may take to come: more than what is asked for it may take together.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(120);

/// What the caller is told.
const UNAVAILABLE: &str = "Callgate has no access token for this server, so the call has not run; its operator finds the reason in the log";

/// The tokens for one server.
pub(crate) struct Tokens {
    /// The server's name.
    name: Box<str>,
    state: Mutex<State>,
    /// Held while a token is fetched: those who want one wait for it, and find it there.
    turn: Arc<TurnMutex<Turn>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The token that was given up last because the server had refused it, and when.
    refused: Option<(HeaderValue, Instant)>,
}

#[derive(Clone)]
struct Held {
    authorization: HeaderValue,
    /// From when on it is not used, where that was said.
    until: Option<Instant>,
}

struct Turn {
    exchange: Exchange,
    failed: Option<Instant>,
}

/// It holds tokens and secrets.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Those for a server of this name, at this URL; what a person has left is in the state folder at `dir`.
    ///
    /// # Errors
    /// [`SealedError`] where that folder cannot be used.
    pub(crate) fn new(
        server: &ServerName,
        url: &Url,
        client: &Client,
        dir: &Path,
    ) -> Result<Arc<Self>, SealedError> {
        let exchange = match BySecret::new(url, client) {
            Some(secret) => Exchange::Secret(Box::new(secret)),
            None => {
                let sealed = Sealed::of(dir, server)?;
                Exchange::Login(Box::new(Login::new(server.as_str(), url, client, sealed)))
            }
        };
        Ok(Arc::new(Self {
            name: server.as_str().into(),
            state: Mutex::default(),
            turn: Arc::new(TurnMutex::new(Turn {
                exchange,
                failed: None,
            })),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<HeaderValue> {
        let state = self.state();
        let held = state.held.as_ref()?;
        let is_good = held.until.is_none_or(|until| Instant::now() < until);
        is_good.then(|| held.authorization.clone())
    }

    /// Waits for a token, which goes on being fetched where nobody waits any more.
    async fn wait_for_one(self: &Arc<Self>) -> Result<HeaderValue, NoCredentials> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever held the turn before may have fetched one.
        if let Some(authorization) = self.usable() {
            return Ok(authorization);
        }
        if turn.failed.is_some_and(|failed| failed.elapsed() < RETRY_PAUSE) {
            return Err(NoCredentials(UNAVAILABLE));
        }
        let fetched = tokio::spawn(Arc::clone(self).fetched(turn)).await;
        fetched.unwrap_or(Err(NoCredentials(UNAVAILABLE)))
    }

    async fn fetched(self: Arc<Self>, mut turn: OwnedMutexGuard<Turn>) -> Result<HeaderValue, NoCredentials> {
        let asked = Instant::now();
        let refused = self.state().refused.clone();
        let refused = refused
            .as_ref()
            .and_then(|(authorization, _)| authorization.to_str().ok()?.strip_prefix("Bearer "));
        // An exchange that is cut off may lose a token that has taken the place of the one that is kept.
        let issued = tokio::time::timeout(EXCHANGE_TIMEOUT, turn.exchange.token(refused)).await;
        let issued = issued.unwrap_or_else(|_| Err(anyhow::anyhow!("it did not come within two minutes")));
        match issued.and_then(|issued| Held::of(&issued, asked)) {
            Ok(held) => {
                turn.failed = None;
                let authorization = held.authorization.clone();
                self.state().held = Some(held);
                tracing::info!(server = %self.name, "an access token was fetched");
                Ok(authorization)
            }
            Err(cause) => {
                turn.failed = Some(Instant::now());
                tracing::error!(server = %self.name, "no access token was had: {cause:#}");
                Err(NoCredentials(UNAVAILABLE))
            }
        }
    }
}

impl Held {
    fn of(issued: &Issued, asked: Instant) -> anyhow::Result<Self> {
        // The error would hold the token.
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", issued.token))
            .map_err(|_| anyhow::anyhow!("the token that came cannot be sent"))?;
        authorization.set_sensitive(true);
        let until = issued.lasts.and_then(|lasts| {
            // One that lives shorter than twice that is used for half of its time.
            let early = EARLY.min(lasts / 2);
            // An end that lies beyond all clocks is none.
            asked.checked_add(lasts.saturating_sub(early))
        });
        Ok(Self { authorization, until })
    }
}

/// Shared, so that a fetch goes on where nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Tokens>);

impl Credentials for Shared {
    fn authorization(&self) -> BoxFuture<'_, Result<HeaderValue, NoCredentials>> {
        Box::pin(async move {
            if let Some(authorization) = self.0.usable() {
                return Ok(authorization);
            }
            let waited = tokio::time::timeout(FETCH_TIMEOUT, self.0.wait_for_one()).await;
            waited.unwrap_or(Err(NoCredentials(UNAVAILABLE)))
        })
    }

    fn refused(&self, authorization: &HeaderValue) {
        let mut state = self.0.state();
        let is_held = state
            .held
            .as_ref()
            .is_some_and(|held| held.authorization == authorization);
        let may_replace = state
            .refused
            .as_ref()
            .is_none_or(|(_, refused)| refused.elapsed() >= REFUSED_PAUSE);
        if is_held && may_replace {
            state.held = None;
            state.refused = Some((authorization.clone(), Instant::now()));
        }
    }
}
