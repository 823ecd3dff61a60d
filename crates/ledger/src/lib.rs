//! The Merkle log as arithmetic: records, hashing, checkpoints, proofs.
