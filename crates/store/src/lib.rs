//! What must last: limits and the ledger, on SQLite in a state folder.
//!
//! Many processes on one machine share one folder exactly. [`Store`] is the writing side: [`Store::admit`]
//! takes a call's reservations and writes its intent in one transaction, [`Store::settle`] writes what became
//! of it, [`Store::record`] everything else. [`Reader`] is the reading side, for which no gate has to run. [`Grants`] says who may call.
//!
//! One thread a process writes. It gathers what is asked into one transaction, and the writers of several
//! processes queue on a lock file beside the database. What could not be committed is never answered with yes.

mod admission;
mod clock;
mod counters;
mod engine;
mod error;
mod event;
mod folder;
mod grants;
mod in_force;
mod keeper;
mod options;
mod prune;
mod reader;
mod refusals;
mod schema;
mod sealed;
mod secrets;
mod stats;
mod store;
mod writer;

pub use admission::{Admission, AdmitRequest, Admitted, Holder, Refund, Settlement};
pub use clock::{Clock, SystemClock};
pub use error::{Cause, OpenError, ReadError, StoreError};
pub use event::Event;
pub use grants::{
    Expiry, Grant, GrantError, GrantLabel, GrantNameError, Grants, GrantsSnapshot, Identity, IdentityError,
    Issued, LiveGrant, NewGrant, PolicyName, Token, TokenHash,
};
pub use in_force::PolicyInForce;
pub use options::{Durability, RunInfo, StopReason, StoreOptions};
pub use prune::{Archive, PruneError, prune};
pub use reader::{CallRecords, DenialCount, Entry, LimitInUse, Reader, RunState, RunStatus, WindowInUse};
pub use sealed::{Sealed, SealedError, SealedTurn};
pub use secrets::{Fingerprint, keyed_hash};
pub use stats::{LedgerSizes, Stats};
pub use store::Store;
