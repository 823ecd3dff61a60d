//! What the admin API stands on.

use crate::view;
use futures_util::future::BoxFuture;
use http::HeaderMap;

/// A gateway that runs. What is no future may block for as long as a read of a local database, or a synced write, takes.
pub trait Gateway: std::fmt::Debug + Send + Sync + 'static {
    /// Where a request came from.
    type Peer: Copy + Send + Sync + 'static;

    /// Lets a request in, by its `Host` and its token, or records that it was not.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, headers: &HeaderMap, peer: Self::Peer) -> Result<(), Refused>;

    /// How it is.
    fn health(&self) -> view::Health;

    /// The servers behind it.
    fn servers(&self) -> Vec<view::Server>;

    /// The policies in force.
    fn policies(&self) -> Vec<view::Policy>;

    /// The sessions that are open.
    fn sessions(&self) -> Vec<view::Session>;

    /// Ends a session; false where there is none of this id.
    fn end_session<'a>(&'a self, id: &'a str) -> BoxFuture<'a, bool>;

    /// The grants: all of them, or those that are not revoked.
    ///
    /// # Errors
    /// [`Fault`] where they cannot be read.
    fn grants(&self, whole: Whole) -> Result<Vec<view::Grant>, Fault>;

    /// One grant, by its id or label.
    ///
    /// # Errors
    /// [`Fault`] where there is none, or it cannot be read.
    fn grant(&self, which: &str) -> Result<view::Grant, Fault>;

    /// Makes a grant.
    ///
    /// # Errors
    /// [`Fault`] where nothing was made.
    fn create_grant(&self, new: view::NewGrant) -> Result<view::Issued, Fault>;

    /// Gives a grant another token.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn rotate_grant(&self, which: &str) -> Result<view::Issued, Fault>;

    /// Ends a grant for good.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn revoke_grant(&self, which: &str) -> Result<view::Grant, Fault>;

    /// Lets a grant use a server under a policy.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn attach(&self, which: &str, server: &str, policy: Option<&str>) -> Result<view::Grant, Fault>;

    /// Takes a server from a grant.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn detach(&self, which: &str, server: &str) -> Result<view::Grant, Fault>;

    /// Lets holders of OAuth tokens in as a grant.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn attach_identity(&self, which: &str, whose: &view::Identity) -> Result<view::Grant, Fault>;

    /// Lets them in no more.
    ///
    /// # Errors
    /// [`Fault`] where nothing was changed.
    fn detach_identity(&self, which: &str, whose: &view::Identity) -> Result<view::Grant, Fault>;

    /// Puts changed grants in force.
    fn refresh(&self) -> BoxFuture<'_, ()>;

    /// Reads the configuration anew.
    ///
    /// # Errors
    /// [`Fault`] where what was in force stays.
    fn reload(&self) -> BoxFuture<'_, Result<view::Reloaded, Fault>>;

    /// How far the ledger is.
    ///
    /// # Errors
    /// [`Fault`] where it cannot be read.
    fn ledger(&self) -> Result<view::Ledger, Fault>;

    /// Up to `limit` records with numbers below `before`, the newest where it is `None`.
    ///
    /// # Errors
    /// [`Fault`] where they cannot be read.
    fn records(&self, before: Option<u64>, limit: u64) -> Result<view::Records, Fault>;
}

/// Which grants are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// All.
    All,
    /// Those that are not revoked.
    NotRevoked,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is addressed to another host.
    Host,
    /// It has no valid token.
    Token,
    /// Its address has sent many such.
    TooMany,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What was asked is not right.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be, as things are.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}
