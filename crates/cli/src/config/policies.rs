//! The policies that a configuration names, compiled as `run` compiles its own.

use callgate_core::program::Program;
use std::path::PathBuf;
use std::sync::Arc;

/// A policy that was read and compiled.
#[derive(Debug, Clone)]
pub(crate) struct LoadedPolicy {
    /// The file, as it can be opened.
    pub(crate) path: PathBuf,
    /// What judges calls.
    pub(crate) program: Arc<Program>,
}

/// Two policies are the same where their files are and say the same.
impl PartialEq for LoadedPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.program.digest == other.program.digest
    }
}

impl Eq for LoadedPolicy {}
