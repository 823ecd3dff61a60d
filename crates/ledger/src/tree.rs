//! The tree of RFC 6962 section 2.1: its hashes, its growth by one leaf, and the addresses of its nodes.

use sha2::{Digest as _, Sha256};

use crate::value::hex_type;

hex_type! {
    /// A node of the tree.
    Hash, 32
}

/// The highest level of a node: a tree holds fewer than 2^53 leaves.
pub const LEVEL_MAX: u8 = 53;

/// The hash of a leaf: SHA-256 of 0x00 and its bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([0])
            .chain_update(bytes)
            .finalize()
            .into(),
    )
}

/// The hash of an inner node: SHA-256 of 0x01 and both children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest(b"").into())
}

/// The address of a complete subtree: the one over the leaves from `index << level`, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// 0 for a leaf.
    pub level: u8,
    /// Its place among the nodes of its level.
    pub index: u64,
}

/// The nodes that are complete for the first time once leaf `leaf` is in the tree, from the leaf up.
pub fn nodes_completed_by(leaf: u64) -> impl Iterator<Item = NodeId> {
    (0..=LEVEL_MAX)
        .take_while(move |level| leaf.trailing_ones() >= u32::from(*level))
        .map(move |level| NodeId {
            level,
            index: leaf >> level,
        })
}

/// The complete subtrees that cover a tree of some size: all that is needed to grow it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One a set bit of `size`, greatest subtree first.
    nodes: Vec<Hash>,
}

/// Parts that make no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// A tree of that size is covered by another number of subtrees.
    #[error("a tree of size {size} has {} frontier nodes, not {nodes}", size.count_ones())]
    Count {
        /// The size.
        size: u64,
        /// How many nodes were given.
        nodes: usize,
    },
    /// 2^53 leaves or more.
    #[error("a tree of size {0} is too large")]
    Size(u64),
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            nodes: Vec::new(),
        }
    }

    /// The frontier of a tree of `size` leaves from the hashes of its complete subtrees, greatest first:
    /// the nodes that [`Frontier::node_ids`] names.
    ///
    /// # Errors
    /// If their number does not fit the size, or the size is 2^53 or more.
    pub fn from_parts(size: u64, nodes: Vec<Hash>) -> Result<Self, FrontierError> {
        if size >= 1 << LEVEL_MAX {
            return Err(FrontierError::Size(size));
        }
        if u32::try_from(nodes.len()) != Ok(size.count_ones()) {
            return Err(FrontierError::Count {
                size,
                nodes: nodes.len(),
            });
        }
        Ok(Self { size, nodes })
    }

    /// The size and the nodes, as [`Frontier::from_parts`] takes them.
    #[must_use]
    pub fn to_parts(&self) -> (u64, &[Hash]) {
        (self.size, &self.nodes)
    }

    /// The addresses of the nodes that cover a tree of `size` leaves, greatest subtree first.
    pub fn node_ids(size: u64) -> impl Iterator<Item = NodeId> {
        (0..=LEVEL_MAX)
            .rev()
            .filter(move |level| (size >> level) & 1 == 1)
            .map(move |level| NodeId {
                level,
                index: (size >> level) - 1,
            })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| {});
    }

    /// Adds a leaf and hands each node that it completes to `completed`, from the leaf up: the nodes of
    /// [`nodes_completed_by`].
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(NodeId, Hash)) {
        let mut node = leaf;
        for id in nodes_completed_by(self.size) {
            if id.level > 0 {
                let Some(left) = self.nodes.pop() else { break };
                node = node_hash(&left, &node);
            }
            completed(id, node);
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.nodes).unwrap_or_else(empty_root)
    }
}

/// The root over adjacent subtrees, greatest first.
pub(crate) fn fold_right(nodes: &[Hash]) -> Option<Hash> {
    let (last, rest) = nodes.split_last()?;
    Some(
        rest.iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}
