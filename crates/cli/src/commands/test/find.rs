//! Which test files are meant.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Folders may nest so deep.
const FOLDER_DEPTH_MAX: usize = 32;

/// The test files that paths name, sorted, each once.
pub(super) fn test_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let here = [PathBuf::from(".")];
    let mut found = Vec::new();
    for path in if paths.is_empty() { &here[..] } else { paths } {
        let meta = path
            .metadata()
            .with_context(|| format!("cannot read {}", path.display()))?;
        if meta.is_dir() {
            walk(path, 0, &mut found)?;
        } else if is_test_file(path) {
            found.push(path.clone());
        } else {
            match beside(path) {
                Some(tests) => found.push(tests),
                None => bail!(
                    "{} has no test file beside it; {} is looked for",
                    path.display(),
                    path.with_extension("test.yaml").display()
                ),
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

const ENDINGS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| {
        ENDINGS
            .iter()
            .any(|ending| name.len() > ending.len() && name.ends_with(ending))
    })
}

fn beside(policy: &Path) -> Option<PathBuf> {
    ["test.yaml", "test.yml", "test.json"]
        .iter()
        .map(|ending| policy.with_extension(ending))
        .find(|path| path.is_file())
}

/// The policy that a test file is named after.
pub(super) fn policy_of(tests: &Path) -> PathBuf {
    let name = tests
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let stem = ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(&name);
    let policies = ["yaml", "yml", "json"].map(|ending| tests.with_file_name(format!("{stem}.{ending}")));
    let [first, ..] = &policies;
    policies
        .iter()
        .find(|path| path.is_file())
        .unwrap_or(first)
        .clone()
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > FOLDER_DEPTH_MAX {
        bail!("{} lies too deep", folder.display());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let path = match folder.to_str() {
            Some(".") => PathBuf::from(&name),
            _ => folder.join(&name),
        };
        if kind.is_dir() {
            if !name.starts_with('.') && name != "node_modules" && name != "target" {
                walk(&path, depth.saturating_add(1), found)?;
            }
        } else if is_test_file(&path) {
            found.push(path);
        }
    }
    Ok(())
}
