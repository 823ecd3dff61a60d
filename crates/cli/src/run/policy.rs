//! Reading a policy file for `run`, with its warnings said.

use crate::words::{say, stderr_has_colour};
use anyhow::{Context, bail};
use callgate_policy::{LoadOptions, Loaded, Style};
use std::path::Path;

/// Reads and compiles a policy; what is wrong with it is the error.
pub(super) fn load(path: &Path) -> anyhow::Result<Loaded> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the policy {}", path.display()))?;
    load_text(path, &text)
}

/// Compiles the text of a policy; its warnings go to stderr.
pub(super) fn load_text(path: &Path, text: &str) -> anyhow::Result<Loaded> {
    let name = path.display().to_string();
    match callgate_policy::load(text, &LoadOptions::default()) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                say(&warning.render(&name, text, &style()));
            }
            Ok(loaded)
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics.0 {
                say(&diagnostic.render(&name, text, &style()));
            }
            bail!("the policy {name} is not valid, so no call would be judged as it says");
        }
    }
}

/// The colours of a terminal.
const COLOURED: Style = Style {
    error: "\u{1b}[1;31m",
    warning: "\u{1b}[1;33m",
    frame: "\u{1b}[34m",
    hint: "\u{1b}[36m",
    reset: "\u{1b}[0m",
};

fn style() -> Style {
    if stderr_has_colour() {
        COLOURED
    } else {
        Style::PLAIN
    }
}
