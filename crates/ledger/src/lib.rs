//! The Merkle log as arithmetic: records, hashing, checkpoints, proofs.
//!
//! A ledger is a gapless list of [`Record`]s. Each is encoded as RFC 8785 canonical JSON, hashed as a leaf
//! of an RFC 6962 tree, and the tree's root is signed in C2SP checkpoints. Whoever keeps one checkpoint
//! outside can show later, offline, that nothing up to its size was changed, dropped or inserted.
//!
//! Nothing here reads a clock, a file, a database or a source of randomness: those belong to the store.
//! The formats are described in `docs/ledger-format.md`.

pub mod canonical;
pub mod checkpoint;
mod encoding;
pub mod export;
#[doc(hidden)]
pub mod fuzzing;
pub mod note;
pub mod proof;
pub mod receipt;
pub mod record;
pub mod tree;
pub mod value;
pub mod verify;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use note::{KeyError, NoteError, Signer, VerifierKey};
pub use proof::{
    ProofError, RangeError, TreeReader, consistency_proof, inclusion_proof, root_at, verify_consistency,
    verify_inclusion,
};
pub use receipt::{Receipt, ReceiptError};
pub use record::{Body, DecodeError, FORMAT_VERSION, Kind, Record};
pub use tree::{Frontier, FrontierError, Hash, NodeId, leaf_hash, node_hash, nodes_completed_by};
pub use value::{Amount, CallId, Code, Digest, RunId, Text, Uint53};
pub use verify::{Fault, FaultKind, Outside, Prefix, Report, Verifier};
