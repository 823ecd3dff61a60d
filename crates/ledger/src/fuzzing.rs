//! What the fuzz target runs, kept here so that the corpus is replayed by an ordinary test as well.

use crate::export::{Trust, verify_export};
use crate::receipt::Receipt;
use crate::record::Record;

/// Reads `data` as a record, a receipt and an export; none may panic.
///
/// # Panics
/// If something that was accepted is written in another way than it was read.
pub fn fuzz_ledger(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data, "an accepted record has one encoding");
    }
    if let Ok(receipt) = Receipt::decode(data) {
        assert_eq!(
            receipt.encode(),
            data.strip_suffix(b"\n").unwrap_or(data),
            "so has a receipt"
        );
        let _ = receipt.verify(&[]);
    }
    if let Ok(report) = verify_export(data, Trust::default()) {
        assert!(report.first <= report.size, "an accepted export has its records");
    }
}
