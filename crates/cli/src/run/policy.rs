//! Reading a policy file for `run`, with its warnings said.

use crate::words::say_finding;
use anyhow::{Context, bail};
use callgate_core::call::ListedTool;
use callgate_policy::{Diagnostic, LoadOptions, Loaded};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A policy and the text it was compiled from.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) loaded: Loaded,
}

impl PolicyFile {
    /// Reads and compiles a policy; what is wrong with it is said, and is the error.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the policy {}", path.display()))?;
        Self::compile(path, text)
    }

    /// Compiles the text of a policy; its warnings are said.
    pub(crate) fn compile(path: &Path, text: String) -> anyhow::Result<Self> {
        match callgate_policy::load(&text, &LoadOptions::default()) {
            Ok(loaded) => {
                let file = Self {
                    path: path.to_owned(),
                    text,
                    loaded,
                };
                file.tell(&file.loaded.warnings);
                Ok(file)
            }
            Err(diagnostics) => {
                let name = path.display().to_string();
                for diagnostic in diagnostics.0 {
                    say_finding(&name, &diagnostic, |style| diagnostic.render(&name, &text, style));
                }
                bail!("the policy {name} is not valid, so no call would be judged as it says");
            }
        }
    }

    /// Says where the policy and the server's tools do not meet.
    pub(crate) fn compare(&self, tools: &[Arc<ListedTool>]) {
        let tools: Vec<ListedTool> = tools.iter().map(|tool| ListedTool::clone(tool)).collect();
        self.tell(&callgate_policy::check_against_tools(&self.loaded, &tools));
    }

    fn tell(&self, findings: &[Diagnostic]) {
        let name = self.path.display().to_string();
        for finding in findings {
            say_finding(&name, finding, |style| finding.render(&name, &self.text, style));
        }
    }
}
