//! How a store is doing, in numbers for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Whether the last transaction was written.
    pub healthy: bool,
    /// The transactions that were written.
    pub transactions: u64,
    /// The records in them.
    pub records: u64,
    /// What waits for the next transaction.
    pub queued: usize,
}

/// How far the ledger of a folder is, whoever wrote and signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerSizes {
    /// How many records there are.
    pub size: u64,
    /// How many of them the last checkpoint covers.
    pub signed: u64,
}

/// Counts what the writer commits.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    transactions: AtomicU64,
    records: AtomicU64,
}

impl Committed {
    /// A transaction with so many records was written.
    pub(crate) fn add(&self, records: u64) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}
