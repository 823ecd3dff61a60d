//! The tree against the reference tree of Certificate Transparency, and its proofs against each other.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
use std::collections::BTreeMap;

use callgate_ledger::tree::empty_root;
use callgate_ledger::{
    Frontier, Hash, NodeId, ProofError, RangeError, TreeReader, consistency_proof, inclusion_proof,
    leaf_hash, node_hash, nodes_completed_by, root_at, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"PQRSTUVW",
    b"`abcdefghijklmno",
];

/// The roots of the reference tree of 0 to 8 leaves.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// A table of nodes, as a store keeps it.
#[derive(Default)]
struct Nodes(BTreeMap<NodeId, Hash>);

impl TreeReader for Nodes {
    type Error = NotKept;

    fn node(&self, id: NodeId) -> Result<Hash, NotKept> {
        self.0.get(&id).copied().ok_or(NotKept(id))
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not kept")]
struct NotKept(NodeId);

fn tree(leaves: impl IntoIterator<Item = Hash>) -> (Nodes, Frontier) {
    let (mut nodes, mut frontier) = (Nodes::default(), Frontier::new());
    for leaf in leaves {
        frontier.push_with(leaf, |id, hash| {
            assert_eq!(nodes.0.insert(id, hash), None, "{id:?} twice")
        });
    }
    (nodes, frontier)
}

/// The root as RFC 6962 section 2.1 defines it.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        leaves => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| Hash::from_hex(text).unwrap()).collect()
}

#[test]
fn roots_are_those_of_the_reference_tree() {
    let mut frontier = Frontier::new();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(frontier.root().to_string(), *root, "size {size}");
        if let Some(leaf) = LEAVES.get(size) {
            frontier.push(leaf_hash(leaf));
        }
    }
}

#[test]
fn proofs_are_those_of_the_reference_tree() {
    let (nodes, _) = tree(LEAVES.iter().map(|leaf| leaf_hash(leaf)));
    let of_first = hashes(&[
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    assert_eq!(inclusion_proof(0, 8, &nodes).unwrap(), of_first);
    assert_eq!(consistency_proof(1, 8, &nodes).unwrap(), of_first);
    let of_six = hashes(&[
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(consistency_proof(6, 8, &nodes).unwrap(), of_six);
}

#[test]
fn every_proof_up_to_70_leaves_verifies_and_no_other_place_does() {
    const SIZE: u64 = 70;
    let leaves = leaves(SIZE);
    let (nodes, _) = tree(leaves.iter().copied());
    let root = |size: u64| naive_root(&leaves[..usize::try_from(size).unwrap()]);
    for size in 1..=SIZE {
        assert_eq!(root_at(size, &nodes).unwrap(), root(size));
        for index in 0..size {
            let proof = inclusion_proof(index, size, &nodes).unwrap();
            let leaf = leaves[usize::try_from(index).unwrap()];
            assert_eq!(
                verify_inclusion(&leaf, index, size, &proof, &root(size)),
                Ok(()),
                "{index} of {size}"
            );
            assert!(
                verify_inclusion(&leaf, (index + 1) % size, size, &proof, &root(size)).is_err() || size == 1
            );
            let other = leaf_hash(b"other");
            assert_eq!(
                verify_inclusion(&other, index, size, &proof, &root(size)),
                Err(ProofError::Root)
            );
        }
        for old in 0..=size {
            let proof = consistency_proof(old, size, &nodes).unwrap();
            assert_eq!(
                verify_consistency(old, size, &proof, &root(old), &root(size)),
                Ok(()),
                "{old} of {size}"
            );
            let other = leaf_hash(b"other");
            assert!(verify_consistency(old, size, &proof, &other, &root(size)).is_err());
            if old > 0 {
                assert!(verify_consistency(old, size, &proof, &root(old), &other).is_err());
            }
        }
    }
}

#[test]
fn proofs_outside_the_tree_are_refused() {
    let (nodes, frontier) = tree(leaves(5));
    assert_eq!(
        inclusion_proof(5, 5, &nodes),
        Err(RangeError::Outside { inner: 5, size: 5 })
    );
    assert_eq!(
        consistency_proof(6, 5, &nodes),
        Err(RangeError::Outside { inner: 6, size: 5 })
    );
    let missing = NodeId { level: 0, index: 5 };
    assert_eq!(
        inclusion_proof(4, 6, &nodes),
        Err(RangeError::Read(NotKept(missing)))
    );
    assert_eq!(
        verify_inclusion(&leaf_hash(b""), 5, 5, &[], &frontier.root()),
        Err(ProofError::Outside)
    );
    assert_eq!(
        verify_consistency(6, 5, &[], &frontier.root(), &frontier.root()),
        Err(ProofError::Outside)
    );
    let long = vec![frontier.root(); 4];
    assert_eq!(
        verify_inclusion(&leaf_hash(b""), 0, 1, &long, &frontier.root()),
        Err(ProofError::Length)
    );
    assert_eq!(
        verify_consistency(0, 5, &long, &empty_root(), &frontier.root()),
        Err(ProofError::Length)
    );
}

#[test]
fn completed_nodes_are_named() {
    let named = |leaf| {
        nodes_completed_by(leaf)
            .map(|id| (id.level, id.index))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(0), [(0, 0)]);
    assert_eq!(named(1), [(0, 1), (1, 0)]);
    assert_eq!(named(6), [(0, 6)]);
    assert_eq!(named(7), [(0, 7), (1, 3), (2, 1), (3, 0)]);
}

#[test]
fn a_frontier_needs_its_nodes() {
    assert!(Frontier::from_parts(3, hashes(&ROOTS[..1])).is_err());
    assert!(Frontier::from_parts(1 << 53, hashes(&ROOTS[..1])).is_err());
    assert!(Frontier::from_parts(3, hashes(&ROOTS[..2])).is_ok());
}

proptest! {
    #[test]
    fn a_frontier_kept_and_read_back_grows_the_same(size in 0_u64..300, more in 0_u64..50) {
        let all = leaves(size + more);
        let (first, rest) = all.split_at(usize::try_from(size).unwrap());
        let (nodes, frontier) = tree(first.iter().copied());
        let kept = Frontier::node_ids(size).map(|id| nodes.node(id).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(frontier.to_parts(), (size, &*kept));
        let mut frontier = Frontier::from_parts(size, kept).unwrap();
        for leaf in rest {
            frontier.push(*leaf);
        }
        prop_assert_eq!(frontier.root(), naive_root(&all));
    }

    #[test]
    fn no_proof_survives_a_changed_bit(size in 2_u64..200, index in 0_u64..200, bit in any::<u64>()) {
        let index = index % size;
        let (nodes, frontier) = tree(leaves(size));
        let mut proof = inclusion_proof(index, size, &nodes).unwrap();
        let at = usize::try_from(bit).unwrap() % (proof.len() * 256);
        proof[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
        let leaf = leaf_hash(&index.to_be_bytes());
        let verdict = verify_inclusion(&leaf, index, size, &proof, &frontier.root());
        prop_assert_eq!(verdict, Err(ProofError::Root));
    }
}
