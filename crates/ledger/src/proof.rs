//! Inclusion and consistency proofs: RFC 6962 section 2.1.1 and 2.1.2, checked as RFC 9162 section 2.1.3.2
//! and 2.1.4.2 say.

use crate::tree::{Frontier, Hash, NodeId, empty_root, fold_right, node_hash};

/// Longest proof: one hash a level, and one.
pub const PROOF_HASHES_MAX: usize = 65;

/// Where the nodes of complete subtrees are kept.
pub trait TreeReader {
    /// Why a node cannot be read.
    type Error;

    /// The hash of the complete subtree at `id`.
    ///
    /// # Errors
    /// If the node cannot be read or is not kept.
    fn node(&self, id: NodeId) -> Result<Hash, Self::Error>;
}

/// Why no proof could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError<E> {
    /// The leaf, or the older tree, is not inside the tree.
    #[error("{inner} does not lie inside a tree of size {size}")]
    Outside {
        /// The leaf's index or the older size.
        inner: u64,
        /// The tree's size.
        size: u64,
    },
    /// A node could not be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// A proof that does not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf, or the older tree, is not inside the tree.
    #[error("the proof is for something outside the tree")]
    Outside,
    /// It has more or fewer hashes than such a proof has.
    #[error("the proof has a wrong number of hashes")]
    Length,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The root of the first `size` leaves.
///
/// # Errors
/// If a node cannot be read.
pub fn root_at<R: TreeReader>(size: u64, reader: &R) -> Result<Hash, R::Error> {
    let nodes = Frontier::node_ids(size)
        .map(|id| reader.node(id))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(fold_right(&nodes).unwrap_or_else(empty_root))
}

/// The proof that leaf `index` is in the tree of the first `size` leaves.
///
/// # Errors
/// If the leaf is outside the tree, or a node cannot be read.
pub fn inclusion_proof<R: TreeReader>(
    index: u64,
    size: u64,
    reader: &R,
) -> Result<Vec<Hash>, RangeError<R::Error>> {
    if index >= size {
        return Err(RangeError::Outside { inner: index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range_root(middle, high, reader)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, reader)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `old` leaves is a prefix of that of the first `new`.
/// It is empty where `old` is 0 or equals `new`.
///
/// # Errors
/// If `old` is greater than `new`, or a node cannot be read.
pub fn consistency_proof<R: TreeReader>(
    old: u64,
    new: u64,
    reader: &R,
) -> Result<Vec<Hash>, RangeError<R::Error>> {
    if old > new {
        return Err(RangeError::Outside {
            inner: old,
            size: new,
        });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut proof = Vec::new();
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range_root(middle, high, reader)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, reader)?);
            low = middle;
        }
    }
    if low != 0 {
        proof.push(range_root(low, high, reader)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The greatest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root over leaves `low..high`, where `low` is a multiple of the greatest complete subtree inside.
fn range_root<R: TreeReader>(low: u64, high: u64, reader: &R) -> Result<Hash, R::Error> {
    let nodes = Frontier::node_ids(high - low)
        .map(|id| {
            reader.node(NodeId {
                level: id.level,
                index: id.index + (low >> id.level),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(fold_right(&nodes).unwrap_or_else(empty_root))
}

/// Checks that `leaf` stands at `index` in the tree of `size` leaves and root `root`.
///
/// # Errors
/// If the proof does not show it.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Outside);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Checks that the tree of `old` leaves and root `old_root` is a prefix of that of `new` and `new_root`.
///
/// # Errors
/// If the proof does not show it.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Outside);
    }
    if old == new || old == 0 {
        let agrees = if old == 0 {
            *old_root == empty_root()
        } else {
            old_root == new_root
        };
        let agrees = agrees && (old != new || old_root == new_root);
        return match (proof.is_empty(), agrees) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() {
        old_root
    } else {
        hashes.next().ok_or(ProofError::Length)?
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}
