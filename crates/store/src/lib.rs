//! What must last: limits and the ledger, on SQLite.
