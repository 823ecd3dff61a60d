//! The servers that the client knows, as its configuration names them.

use crate::commands::check::entries::{self, Entry, Kind, expanded};
use crate::commands::check::gate::{self, Way};
use crate::commands::tree::Format;
use anyhow::{Context, bail};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// So many folders are gone up.
const FOLDERS_MAX: usize = 32;

/// 64 MiB: the client keeps much beside its servers in the same file.
const CONFIG_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A server, and the folder from which its relative paths begin.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entry: Entry,
    folder: PathBuf,
}

impl Known {
    /// Where it is started, and where its relative paths begin.
    pub(super) fn folder(&self) -> PathBuf {
        match &self.entry.kind {
            Kind::Command { dir: Some(dir), .. } => self.folder.join(dir),
            Kind::Command { .. } | Kind::Url { .. } | Kind::Unknown => self.folder.clone(),
        }
    }

    /// The policy that guards it, where it leads.
    pub(super) fn policy(&self) -> Option<PathBuf> {
        let Way::Guarded(guard) = gate::of(&self.entry.kind) else {
            return None;
        };
        let path = self.folder().join(expanded(&guard.policy?.text).ok()?);
        Some(path.canonicalize().unwrap_or(path))
    }
}

/// All servers for calls from a folder: of the project, of the person, and of the person in this project.
pub(super) fn servers(cwd: &Path) -> anyhow::Result<Vec<Known>> {
    let mut known = Vec::new();
    let project = std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from);
    let mut folders: Vec<&Path> = cwd.ancestors().take(FOLDERS_MAX).collect();
    folders.extend(project.as_deref().filter(|project| !cwd.starts_with(project)));
    for folder in &folders {
        if let Some(text) = read(&folder.join(".mcp.json"))? {
            add(&mut known, &text, folder)?;
        }
    }
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    let home = std::env::var_os("CLAUDE_CONFIG_DIR").or(home);
    let Some(path) = home.map(|home| Path::new(&home).join(".claude.json")) else {
        return Ok(known);
    };
    if let Some(text) = read(&path)? {
        let all: Value =
            serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut parts = vec![all.get("mcpServers")];
        let projects = all.get("projects");
        for folder in &folders {
            let own = folder.to_str().and_then(|folder| projects?.get(folder));
            parts.push(own.and_then(|own| own.get("mcpServers")));
        }
        for part in parts.into_iter().flatten() {
            let text = serde_json::json!({ "mcpServers": part }).to_string();
            add(&mut known, &text, project.as_deref().unwrap_or(cwd))?;
        }
    }
    Ok(known)
}

fn add(known: &mut Vec<Known>, text: &str, folder: &Path) -> anyhow::Result<()> {
    match entries::read(Format::Json, text) {
        Ok(found) => known.extend(found.into_iter().map(|entry| Known {
            entry,
            folder: folder.to_owned(),
        })),
        Err(_) => bail!("the servers configured for {} cannot be read", folder.display()),
    }
    Ok(())
}

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::metadata(path) {
        // Whoever opens a pipe waits for its other end, and a hook that gives no answer lets the call go on.
        Ok(meta) if !meta.is_file() => bail!("{} is no file", path.display()),
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX.saturating_add(1))
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > CONFIG_BYTES_MAX {
        bail!(
            "{} has more than the {CONFIG_BYTES_MAX} bytes that are read",
            path.display()
        );
    }
    Ok(Some(text))
}
