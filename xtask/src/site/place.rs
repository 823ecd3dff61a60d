//! Where each page stands, and writing it there.

use super::book::{Server, Tool};
use anyhow::{Context, bail};
use callgate_catalog::Class;
use callgate_catalog::attacks::Attack;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file that marks a folder as a site, which may be written over.
const MARK: &str = ".callgate-site";
/// So many characters of a name are kept in that of a file.
const NAME_CHARS_MAX: usize = 80;

pub(crate) fn server(server: &Server) -> String {
    format!("servers/{}.html", server.file)
}

pub(crate) fn policy(server: &Server) -> String {
    format!("policies/{}.yaml", server.file)
}

pub(crate) fn tests(server: &Server) -> String {
    format!("policies/{}.test.yaml", server.file)
}

pub(crate) fn tool(server: &Server, tool: &Tool) -> String {
    format!("tools/{}/{}.html", server.file, tool.file)
}

pub(crate) fn class(class: Class) -> String {
    format!("classes/{}.html", class.name().to_lowercase())
}

pub(crate) fn attack(attack: &Attack) -> String {
    format!("attacks/{}.html", attack.id)
}

/// What leads from the page at `place` back to the top: `../` for each folder above it.
pub(crate) fn up(place: &str) -> String {
    "../".repeat(place.matches('/').count())
}

/// The URL that the site's folder will have, for those who need whole addresses.
#[derive(Debug)]
pub(crate) struct Base(String);

impl Base {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let after = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
        let has_host = after.is_some_and(|after| !after.is_empty() && !after.starts_with('/'));
        if !has_host || !url.chars().all(is_plain) {
            bail!("--base takes the site's URL, such as https://example.com/catalogue, not {url}");
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// The address of a page, or of the folder where `place` is empty.
    pub(crate) fn of(&self, place: &str) -> String {
        format!("{}/{place}", self.0)
    }
}

/// Names of files for names of tools: any system takes them, and no two are the same on one that does not tell upper
/// case from lower.
#[derive(Debug, Default)]
pub(crate) struct FileNames(BTreeSet<String>);

impl FileNames {
    /// A name of its own for `name`.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let plain: String = name
            .chars()
            .take(NAME_CHARS_MAX)
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let lower = plain.to_lowercase();
        if plain == name && !is_device(&lower) && self.0.insert(lower) {
            return plain;
        }
        // A name can be listed twice, or be what another's became.
        let mut turn = 0_u32;
        loop {
            let hash: String = Sha256::new()
                .chain_update(name)
                .chain_update(turn.to_be_bytes())
                .finalize()
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let hashed = format!("{plain}-{hash}");
            if self.0.insert(hashed.to_lowercase()) {
                return hashed;
            }
            turn += 1;
        }
    }
}

/// Whether a system keeps the name for a device, whatever follows the dot.
fn is_device(name: &str) -> bool {
    let numbered = name
        .strip_prefix("com")
        .or_else(|| name.strip_prefix("lpt"))
        .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    numbered || matches!(name, "con" | "prn" | "aux" | "nul" | "")
}

/// The folder that the site is written to.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    written: usize,
}

impl Folder {
    /// Makes it, empty. A folder with anything in it that is no earlier site is left alone.
    pub(crate) fn clear(root: &Path) -> anyhow::Result<Self> {
        let is_there = root.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if is_there {
            if !root.join(MARK).is_file() {
                bail!(
                    "{} is not empty, and holds no site; name another folder with --out",
                    root.display()
                );
            }
            std::fs::remove_dir_all(root).with_context(|| format!("cannot clear {}", root.display()))?;
        }
        let mut folder = Self {
            root: root.to_owned(),
            written: 0,
        };
        folder.write(MARK, "")?;
        folder.written = 0;
        Ok(folder)
    }

    /// Writes one file.
    pub(crate) fn write(&mut self, place: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(place);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.written += 1;
        Ok(())
    }

    /// How many files there are.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_share_a_file_on_any_system() {
        let mut names = FileNames::default();
        let hashed = FileNames::default().take("a.b");
        let files: Vec<String> = [
            "get", "Get", "get", "a.b", "a/b", &hashed, "CON", "com1", "..", "", "a.b",
        ]
        .into_iter()
        .map(|name| names.take(name))
        .collect();
        let different: BTreeSet<String> = files.iter().map(|file| file.to_lowercase()).collect();
        assert_eq!(different.len(), files.len(), "{files:?}");
        assert_eq!(files[0], "get");
        for file in &files {
            assert!(
                file.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')),
                "{file}"
            );
            assert!(!is_device(&file.to_lowercase()), "{file}");
        }
    }
}
