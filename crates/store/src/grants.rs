//! Grants: who may use which servers, each under a policy, by a token that is shown once.
//!
//! They are changed by short-lived processes and followed by gateways. Each change raises a generation in the
//! transaction that makes it and records it, and a call is admitted only under the generation that it was
//! judged by: what was revoked lets no further call pass, whatever a gateway has in memory.

mod change;
mod identity;
mod name;
mod read;
mod token;

pub use change::{Expiry, Grants, Issued, NewGrant};
pub use identity::{Identity, IdentityError};
pub use name::{GrantLabel, GrantNameError, PolicyName};
pub use read::{Grant, GrantsSnapshot, LiveGrant};
pub use token::{Token, TokenHash};

pub(crate) use read::{View, generation};

use crate::error::{Cause, OpenError, ReadError};
use callgate_core::name::{GrantId, ServerName};

/// Why grants could not be read or changed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be written now.
    #[error("the grants cannot be changed: {0}")]
    Unavailable(Cause),
    /// No grant has that id, and none that is not revoked has that label.
    #[error("no grant is called `{0}`; `callgate grants list` shows those that there are")]
    Unknown(String),
    /// A token stands where a grant's name belongs. It is not repeated.
    #[error("a grant is named by its id or its label, not by its token")]
    NamedByToken,
    /// Another grant has the label.
    #[error("the grant {id} is called `{label}` already; revoke it, or choose another label")]
    Taken {
        /// The label.
        label: GrantLabel,
        /// Whose it is.
        id: GrantId,
    },
    /// Two of those that were to be made at once have one label.
    #[error("two of the grants that were to be made are called `{0}`")]
    Twice(GrantLabel),
    /// The grant was revoked, which is for good.
    #[error("the grant {0} was revoked; make another with `callgate grants create`")]
    Revoked(GrantId),
    /// The grant has no such server.
    #[error("the grant {id} has no server `{server}`")]
    NotAttached {
        /// The grant.
        id: GrantId,
        /// The server.
        server: ServerName,
    },
    /// Another grant lets the same tokens in.
    #[error("{identity} is let in by the grant {id} already; detach it there first")]
    Claimed {
        /// Whose tokens.
        identity: Identity,
        /// The other grant.
        id: GrantId,
    },
    /// The grant lets no such tokens in.
    #[error("the grant {id} does not let in {identity}")]
    NotClaimed {
        /// The grant.
        id: GrantId,
        /// Whose tokens.
        identity: Identity,
    },
    /// There are as many subjects and claims as there may be.
    #[error("there are {max} subjects and claims that are let in, and may not be more; detach some", max = change::IDENTITIES_MAX)]
    TooManyIdentities,
    /// There are as many grants as there may be.
    #[error("there are {max} grants that are not revoked, and may not be more; revoke some", max = change::GRANTS_MAX)]
    TooMany,
    /// It would have expired before it was made.
    #[error("a grant has to expire later than now")]
    Expired,
}
