//! How a store is opened.

use crate::in_force::PolicyInForce;
use callgate_ledger::record;
use std::path::PathBuf;

/// What the store survives, for invariants 3 and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Crashes of processes.
    #[default]
    Process,
    /// Loss of power too: fsynced before a call is forwarded.
    Disk,
}

impl Durability {
    pub(crate) const fn recorded(self) -> record::Durability {
        match self {
            Self::Process => record::Durability::Process,
            Self::Disk => record::Durability::Disk,
        }
    }

    pub(crate) const fn synchronous(self) -> &'static str {
        match self {
            Self::Process => "NORMAL",
            Self::Disk => "FULL",
        }
    }
}

/// What a run says of itself in its `start` record and in `status`.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// What a person knows it by, such as the command behind the gate. It must hold no secret.
    pub label: String,
    /// How the process serves.
    pub mode: record::Mode,
    /// The policies in force.
    pub policies: Vec<PolicyInForce>,
    /// The program's version.
    pub version: String,
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The state folder. It is made where it is missing.
    pub dir: PathBuf,
    /// What the store survives.
    pub durability: Durability,
    /// The file of the key that signs checkpoints; `None` for `ledger.key` in the folder, which is made once.
    pub ledger_key: Option<PathBuf>,
    /// A file to which each checkpoint is appended, to be kept elsewhere.
    pub checkpoint_out: Option<PathBuf>,
    /// What this run says of itself.
    pub run: RunInfo,
}

/// Why a run ended in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// There was nothing more to do.
    Exit,
    /// A signal asked for it.
    Signal,
    /// The server's process ended.
    ChildExit,
}

impl StopReason {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::ChildExit => "child_exit",
        }
    }
}
