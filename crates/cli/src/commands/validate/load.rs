//! Reading a policy file, and all that is found in it.

use crate::words::COLOURED;
use anyhow::{Context, bail};
use callgate_policy::bounds::DOCUMENT_BYTES_MAX;
use callgate_policy::{Diagnostic, LoadOptions, Loaded, Severity, Style};
use std::io::{IsTerminal, Read};
use std::path::Path;

/// A file's text, and what to call it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The path as it was given.
    pub(crate) name: String,
    /// The whole text.
    pub(crate) text: String,
}

/// What was found in a file.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) source: Source,
    /// Errors and warnings, by their place.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The policy, where there are no errors.
    pub(crate) loaded: Option<Loaded>,
}

impl Source {
    /// Reads a file, which has to be UTF-8 text and no longer than a policy may be.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let cannot = || format!("cannot read {name}");
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .with_context(cannot)?
            .take(u64::try_from(DOCUMENT_BYTES_MAX.saturating_add(1)).unwrap_or(u64::MAX))
            .read_to_end(&mut bytes)
            .with_context(cannot)?;
        if bytes.len() > DOCUMENT_BYTES_MAX {
            bail!("cannot read {name}: it has more than the {DOCUMENT_BYTES_MAX} bytes that are read");
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => bail!(
                "cannot read {name}: it is not UTF-8 from byte {} on",
                error.utf8_error().valid_up_to()
            ),
        }
    }

    /// Compiles it as a policy.
    pub(crate) fn check(self) -> Checked {
        match callgate_policy::load(&self.text, &LoadOptions::default()) {
            Ok(loaded) => Checked {
                source: self,
                diagnostics: loaded.warnings.clone(),
                loaded: Some(loaded),
            },
            Err(diagnostics) => Checked {
                source: self,
                diagnostics: diagnostics.0,
                loaded: None,
            },
        }
    }
}

impl Checked {
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    }
}

/// How findings look on stdout: <https://no-color.org>.
pub(crate) fn style_of_stdout() -> Style {
    let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if is_wanted && std::io::stdout().is_terminal() {
        COLOURED
    } else {
        Style::PLAIN
    }
}
