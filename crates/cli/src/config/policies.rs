//! The policies that a configuration names, compiled as `run` compiles its own.

use callgate_core::program::Program;
use callgate_policy::{Diagnostic, Loaded};
use std::path::PathBuf;
use std::sync::Arc;

/// A policy that was read and compiled.
#[derive(Debug, Clone)]
pub(crate) struct LoadedPolicy {
    /// The file, as it can be opened.
    pub(crate) path: PathBuf,
    /// What judges calls.
    pub(crate) program: Arc<Program>,
    /// What else is known of it, for comparing it with a server's tools.
    pub(crate) loaded: Arc<Loaded>,
}

impl LoadedPolicy {
    pub(super) fn new(path: PathBuf, loaded: Loaded) -> Self {
        Self {
            path,
            program: Arc::new(loaded.program.clone()),
            loaded: Arc::new(loaded),
        }
    }

    /// The SHA-256 of the file's text.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the gateway that judges by it"))]
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.program.digest
    }

    /// What the policy's author should know.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the gateway that judges by it"))]
    pub(crate) fn warnings(&self) -> &[Diagnostic] {
        &self.loaded.warnings
    }
}

/// Two policies are the same where their files are and say the same.
impl PartialEq for LoadedPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.program.digest == other.program.digest
    }
}

impl Eq for LoadedPolicy {}
