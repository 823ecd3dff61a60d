//! Receipts: what they prove, and what no tampering with them proves.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test that cannot be set up has failed; the support is shared"
)]

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;

use callgate_ledger::receipt::Entry;
use callgate_ledger::*;
use proptest::prelude::*;
use support::Log;

struct Nodes(BTreeMap<NodeId, Hash>);

impl TreeReader for Nodes {
    type Error = Infallible;

    fn node(&self, id: NodeId) -> Result<Hash, Infallible> {
        Ok(self.0[&id])
    }
}

/// The receipt of some records of a log of `size`.
fn receipt(size: u64, of: &[usize]) -> (Receipt, VerifierKey) {
    let log = Log::new(size);
    let (mut nodes, mut frontier) = (BTreeMap::new(), Frontier::new());
    for record in &log.records {
        frontier.push_with(leaf_hash(&record.encode()), |id, hash| {
            nodes.insert(id, hash);
        });
    }
    let nodes = Nodes(nodes);
    let entries = of
        .iter()
        .map(|index| Entry {
            record: String::from_utf8(log.records[*index].encode()).unwrap(),
            proof: inclusion_proof(*index as u64, size, &nodes).unwrap(),
        })
        .collect();
    (
        Receipt {
            checkpoint: log.note(size),
            entries,
        },
        log.signer().verifier().clone(),
    )
}

#[test]
fn a_receipt_shows_a_call_from_intent_to_outcome() {
    // Records 2, 5, 7 and 8 are a call's intent, outcome, late answer and end of task.
    let (receipt, key) = receipt(30, &[2, 5, 7, 8]);
    let read = Receipt::decode(&receipt.encode()).unwrap();
    assert_eq!(read, receipt);
    let (checkpoint, records) = read.verify(&[key]).unwrap();
    assert_eq!(checkpoint.size.get(), 30);
    assert_eq!(
        records.iter().map(|record| record.kind()).collect::<Vec<_>>(),
        [Kind::Intent, Kind::Outcome, Kind::Late, Kind::TaskEnd]
    );
}

#[test]
fn the_only_record_of_a_log_needs_no_hashes() {
    let (receipt, key) = receipt(1, &[0]);
    assert!(receipt.entries[0].proof.is_empty());
    assert!(Receipt::decode(&receipt.encode()).unwrap().verify(&[key]).is_ok());
}

#[test]
fn what_is_not_one_call_is_no_receipt() {
    for of in [&[2, 3][..], &[5, 2], &[2, 2], &[0, 1], &[]] {
        let (receipt, key) = receipt(30, of);
        assert_eq!(receipt.verify(&[key]), Err(ReceiptError::NotOneCall), "{of:?}");
    }
}

#[test]
fn a_receipt_by_another_key_or_for_another_place_is_refused() {
    let (receipt, key) = receipt(30, &[2]);
    let other = Signer::from_seed(support::ORIGIN, &[5; 32]).unwrap();
    let refused = receipt.verify(&[other.verifier().clone()]);
    assert_eq!(refused, Err(ReceiptError::Checkpoint(NoteError::Unsigned.into())));
    let mut moved = receipt;
    moved.entries[0].record = moved.entries[0].record.replace("\"seq\":2", "\"seq\":3");
    let error = ProofError::Root;
    assert_eq!(
        moved.verify(&[key]),
        Err(ReceiptError::Proof {
            seq: 3_u32.into(),
            error
        })
    );
}

proptest! {
    #[test]
    fn any_changed_byte_of_a_receipt_is_found(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let (receipt, key) = receipt(11, &[2, 5]);
        let mut bytes = receipt.encode();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let read = Receipt::decode(&bytes).and_then(|receipt| receipt.verify(&[key]));
        prop_assert!(read.is_err(), "byte {at}");
    }
}
