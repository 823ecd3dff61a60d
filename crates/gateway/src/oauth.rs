//! Access tokens of OAuth issuers: whether one is valid, was issued for what is called, and who holds it.
//!
//! Callgate is a protected resource (OAuth 2.1, RFC 9068): it judges tokens by the issuer's published keys, asks
//! nobody about them, and hands none on. Signatures are verified by `ring`, which TLS uses too; header and claims
//! are read as strictly as messages are, so that no token means one thing here and another elsewhere.

mod claims;
mod fetch;
mod jwk;
mod jws;
mod keys;

pub use fetch::{KeysSource, KeysSourceError};
pub use jws::Algorithm;

pub(crate) use claims::texts;

use callgate_core::json::Json;
use claims::Expected;
use jwk::KeySet;
use jws::Unverified;
use keys::{Keys, NoKey};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How far an issuer's clock may be ahead, in seconds: for `nbf` and `iat`. A token ends at its `exp`, whatever
/// the clocks say.
const LEEWAY: u64 = 30;

/// What tokens are accepted, and for which resources.
#[derive(Debug)]
pub struct OAuth {
    /// The gateway's own origin, as clients reach it, without a slash at its end.
    origin: Box<str>,
    scopes: Vec<Box<str>>,
    issuers: HashMap<Box<str>, Issuer>,
    /// The issuers in the order in which they are configured.
    names: Vec<Box<str>>,
}

/// An issuer whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// What the `iss` of its tokens says.
    pub issuer: Box<str>,
    /// Where its keys are.
    pub keys: KeysSource,
    /// How old the keys may be before they are fetched again, while calls go on.
    pub refresh: Duration,
    /// How old they may be at most; without newer ones no token is accepted any more.
    pub stale: Duration,
    /// What the `aud` of its tokens has to hold; the URI of the endpoint that is called where there is none.
    pub audience: Option<Box<str>>,
    /// The algorithms that its tokens may be signed by.
    pub algorithms: Vec<Algorithm>,
    /// What the `typ` of its tokens may be.
    pub types: Vec<Box<str>>,
    /// Claims that say nothing of who calls, and differ from token to token.
    pub ignored: Vec<Box<str>>,
}

#[derive(Debug)]
struct Issuer {
    name: Arc<str>,
    keys: Arc<Keys>,
    audience: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    types: Vec<Box<str>>,
    ignored: Vec<Box<str>>,
}

/// Who holds a token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The issuer.
    pub(crate) issuer: Arc<str>,
    /// The subject.
    pub(crate) subject: Arc<str>,
    /// Its claims, those left out that differ from token to token.
    pub(crate) claims: Json<'static>,
    /// What these claims hash to, whatever their order.
    pub(crate) digest: [u8; 32],
    /// When the token ends, in seconds since the Unix epoch.
    pub(crate) expires: u64,
}

/// Why a token is not accepted. Nothing of the token is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejected {
    TooLarge,
    Malformed,
    Type,
    Algorithm,
    Critical,
    Issuer,
    UnknownKey,
    Signature,
    Audience,
    Expired,
    NotYet,
    MissingClaim,
    Bound,
    /// The token is good, its scopes are not all that are needed.
    Scope(Box<Holder>),
    /// Whether it is good cannot be said now.
    KeysUnavailable,
}

impl Rejected {
    /// The reason code in the ledger.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "jwt_too_large",
            Self::Malformed => "jwt_malformed",
            Self::Type => "jwt_type",
            Self::Algorithm => "jwt_algorithm",
            Self::Critical => "jwt_critical",
            Self::Issuer => "jwt_issuer",
            Self::UnknownKey => "jwt_key",
            Self::Signature => "jwt_signature",
            Self::Audience => "jwt_audience",
            Self::Expired => "jwt_expired",
            Self::NotYet => "jwt_not_yet",
            Self::MissingClaim => "jwt_claims",
            Self::Bound => "jwt_bound",
            Self::Scope(_) => "insufficient_scope",
            Self::KeysUnavailable => "jwt_keys_unavailable",
        }
    }

    /// What the caller is told.
    pub(crate) const fn text(&self) -> &'static str {
        match self {
            Self::TooLarge => "the access token is larger than a token may be",
            Self::Malformed => "the access token is no well-formed JSON Web Token",
            Self::Type => "this type of token is not accepted here; an access token is needed",
            Self::Algorithm => "tokens signed by this algorithm are not accepted",
            Self::Critical => "the access token demands an extension that is not known here",
            Self::Issuer => "tokens of this issuer are not accepted",
            Self::UnknownKey => "the key of the access token is not one of its issuer's",
            Self::Signature => "the signature of the access token is wrong",
            Self::Audience => "the access token was not issued for this resource",
            Self::Expired => "the access token has expired",
            Self::NotYet => "the access token is not valid yet",
            Self::MissingClaim => "the access token lacks a claim that it has to have: iss, sub, aud, exp",
            Self::Bound => "the access token is bound to a key, which cannot be checked here",
            Self::Scope(_) => "the access token lacks a scope",
            Self::KeysUnavailable => "the keys of the issuer cannot be had; try again later",
        }
    }
}

impl OAuth {
    /// Accepts the tokens of these issuers, for the endpoints under `origin`, where they have all of `scopes`.
    #[must_use]
    pub fn new(origin: &str, scopes: Vec<Box<str>>, issuers: Vec<IssuerSettings>) -> Arc<Self> {
        let names = issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
        let issuers = issuers.into_iter().map(|settings| {
            let keys = Keys::new(&settings.issuer, settings.keys, settings.refresh, settings.stale);
            let issuer = Issuer {
                name: Arc::from(&*settings.issuer),
                keys,
                audience: settings.audience,
                algorithms: settings.algorithms,
                types: settings.types,
                ignored: settings.ignored,
            };
            (settings.issuer, issuer)
        });
        Arc::new(Self {
            origin: origin.trim_end_matches('/').into(),
            scopes,
            issuers: issuers.collect(),
            names,
        })
    }

    /// Fetches the keys of all issuers, so that the first caller need not wait for them.
    pub fn prepare(&self) {
        for issuer in self.issuers.values() {
            let keys = Arc::clone(&issuer.keys);
            tokio::spawn(async move { keys.usable().await });
        }
    }

    /// The URI of the endpoint at a path, by which tokens name it.
    pub(crate) fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The scopes that each token needs.
    pub(crate) fn scopes(&self) -> &[Box<str>] {
        &self.scopes
    }

    /// The issuers whose tokens are accepted.
    pub(crate) fn issuers(&self) -> &[Box<str>] {
        &self.names
    }

    /// Who holds a token, where it is valid at `now` for `resource`; `now` is in seconds since the Unix epoch.
    pub(crate) async fn holder(&self, token: &str, resource: &str, now: u64) -> Result<Holder, Rejected> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Rejected::TooLarge);
        }
        let token = Unverified::read(token)?;
        let payload = token.claims()?;
        let named = claims::issuer(&payload).ok_or(Rejected::MissingClaim)?;
        let issuer = self.issuers.get(named).ok_or(Rejected::Issuer)?;
        let algorithm = token.algorithm(&issuer.algorithms, &issuer.types)?;
        issuer.verify(&token, algorithm).await?;
        let expected = Expected {
            issuer: &issuer.name,
            audience: issuer.audience.as_deref().unwrap_or(resource),
            scopes: &self.scopes,
            ignored: &issuer.ignored,
            now,
        };
        expected.holder(&payload)
    }
}

impl Issuer {
    /// Checks the signature, with keys that are fetched anew where the token names one that is not known.
    async fn verify(&self, token: &Unverified<'_>, algorithm: Algorithm) -> Result<(), Rejected> {
        let mut held = self.keys.usable().await.ok_or(Rejected::KeysUnavailable)?;
        let found = match held.set.find(token.kid(), algorithm) {
            Err(NoKey::Unknown) => {
                held = self.keys.newer_than(&held).await.ok_or(Rejected::UnknownKey)?;
                held.set.find(token.kid(), algorithm)
            }
            found => found,
        };
        let candidates = found.map_err(|_| Rejected::UnknownKey)?;
        let is_good = candidates
            .iter()
            .any(|key| key.verifies(algorithm, token.signed(), token.signature()));
        is_good.then_some(()).ok_or(Rejected::Signature)
    }
}

/// Whether a document holds keys that signatures can be verified by; what is wrong with it where it does not.
///
/// # Errors
/// What is wrong with it.
pub fn check_keys(document: &[u8]) -> Result<(), String> {
    KeySet::read(document)
        .map(drop)
        .map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests;
