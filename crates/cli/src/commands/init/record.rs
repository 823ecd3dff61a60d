//! What `init` has changed, kept in the state folder so that it can be taken back: each changed file as it was, and
//! each change.

use super::clients::Client;
use super::entry::edit::Edit;
use super::files::{self, digest, make_folder, write_private};
use crate::commands::tree::{Format, Node, literal};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The form of the record.
const VERSION: u32 = 1;

/// All that `init` has done on this machine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    /// The changes of files, the oldest first.
    pub(super) layers: Vec<Layer>,
    pub(super) policies: Vec<Policy>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            layers: Vec::new(),
            policies: Vec::new(),
        }
    }
}

/// One change of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer {
    pub(super) path: PathBuf,
    pub(super) client: Client,
    pub(super) format: Format,
    /// SHA-256 of the file before and after.
    pub(super) before: String,
    pub(super) after: String,
    /// The file as it was, by its name among the backups.
    pub(super) backup: String,
    pub(super) entries: Vec<Changed>,
}

/// An entry that a gate was put in front of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    /// The keys that lead to it.
    pub(super) path: Vec<String>,
    pub(super) edits: Vec<Edit>,
    /// SHA-256 of what it says since, however it is laid out.
    pub(super) says: String,
}

impl Changed {
    /// Whether a value says what the entry has said since it was changed: a client may have laid it out anew.
    pub(super) fn is_meant_by(&self, text: &str, node: &Node) -> bool {
        digest(&node.says(text)) == self.says
    }

    /// Whether its changes name a policy.
    pub(super) fn names(&self, policy: &str) -> bool {
        let policy = literal(policy);
        self.edits.iter().any(|edit| edit.is.contains(&policy))
    }
}

/// The policy of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// What its file is called, without its ending; the server's name in limits and ledger.
    pub(super) stem: String,
    /// The server's name in configurations.
    pub(super) name: String,
    /// SHA-256 of what it starts or reaches.
    pub(super) identity: String,
}

/// Where the record is.
#[derive(Debug, Clone)]
pub(super) struct Archive(PathBuf);

impl Archive {
    /// That of a state folder.
    pub(super) fn of(state: &Path) -> Self {
        Self(state.join("init"))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    pub(super) fn backup(&self, layer: &Layer) -> PathBuf {
        self.0.join("backups").join(&layer.backup)
    }

    pub(super) fn read(&self) -> anyhow::Result<Record> {
        let path = self.record();
        let context = || format!("the record of earlier changes, {}", path.display());
        let Some(held) = files::read(&path).with_context(context)? else {
            return Ok(Record::default());
        };
        // An error of the reader could quote what it has read.
        let Ok(record) = serde_json::from_str::<Record>(&held.text) else {
            return Err(anyhow::anyhow!("it cannot be understood")).with_context(context);
        };
        if record.version != VERSION {
            return Err(anyhow::anyhow!("it is of another version of Callgate")).with_context(context);
        }
        Ok(record)
    }

    pub(super) fn write(&self, record: &Record) -> anyhow::Result<()> {
        make_folder(&self.0)?;
        let text = serde_json::to_string_pretty(record)?;
        write_private(&self.record(), &format!("{text}\n"))
    }

    /// Keeps a file as it is, and gives its name among the backups.
    pub(super) fn keep(&self, path: &Path, text: &str) -> anyhow::Result<String> {
        let folder = self.0.join("backups");
        make_folder(&folder)?;
        let of_path = digest(&path.to_string_lossy());
        let name = format!(
            "{}-{}",
            of_path.get(..12).unwrap_or_default(),
            digest(text).get(..12).unwrap_or_default()
        );
        write_private(&folder.join(&name), text)?;
        Ok(name)
    }

    /// A file as it was before a change.
    pub(super) fn kept(&self, layer: &Layer) -> anyhow::Result<String> {
        let path = self.backup(layer);
        let held = files::read(&path)?.with_context(|| format!("its backup {} is gone", path.display()))?;
        if digest(&held.text) != layer.before {
            bail!("its backup {} is not as it was kept", path.display());
        }
        Ok(held.text)
    }

    /// Forgets a file as it was, which may hold secrets.
    pub(super) fn forget(&self, layer: &Layer) {
        // One that cannot be removed is still for its owner alone.
        let _ = std::fs::remove_file(self.backup(layer));
    }
}

/// Gives each server the name of its policy's file.
#[derive(Debug)]
pub(super) struct Stems<'r> {
    record: &'r mut Record,
    /// The stems of servers by name and identity.
    own: BTreeMap<(String, String), String>,
    /// The stems of all of them, in small letters.
    taken: BTreeSet<String>,
    /// The number that is next behind a stem: those before it were tried, and will not be free again.
    next: BTreeMap<String, u32>,
}

impl<'r> Stems<'r> {
    pub(super) fn of(record: &'r mut Record) -> Self {
        let policies = record.policies.iter();
        let key = |policy: &Policy| (policy.name.clone(), policy.identity.clone());
        let mut own = BTreeMap::new();
        for policy in policies.clone() {
            own.entry(key(policy)).or_insert_with(|| policy.stem.clone());
        }
        Self {
            taken: policies.map(|policy| policy.stem.to_ascii_lowercase()).collect(),
            own,
            next: BTreeMap::new(),
            record,
        }
    }

    /// The policy's file of a server, without its ending: the one it has, or one that no other server has.
    /// `is_there` says whether a file of that name exists.
    pub(super) fn stem(
        &mut self,
        name: &str,
        identity: &[String],
        is_there: &dyn Fn(&str) -> bool,
    ) -> String {
        let identity = digest(&identity.join("\0"));
        let key = (name.to_owned(), identity.clone());
        if let Some(own) = self.own.get(&key) {
            return own.clone();
        }
        let safe = safe_stem(name);
        // A file that this program has not written is a person's, for the server of exactly this name.
        let is_free = |stem: &str| {
            !self.taken.contains(&stem.to_ascii_lowercase()) && (stem == name || !is_there(stem))
        };
        let stem = if is_free(&safe) {
            safe
        } else {
            let next = self.next.entry(safe.to_ascii_lowercase()).or_insert(2);
            loop {
                let stem = format!("{safe}-{next}");
                *next = next.saturating_add(1);
                if is_free(&stem) {
                    break stem;
                }
            }
        };
        self.taken.insert(stem.to_ascii_lowercase());
        self.own.insert(key, stem.clone());
        self.record.policies.push(Policy {
            stem: stem.clone(),
            name: name.to_owned(),
            identity,
        });
        stem
    }
}

/// A name as that of a file: letters, digits, `-` and `_`. A dot would meet the tests of another: `a.test.yaml`.
fn safe_stem(name: &str) -> String {
    const CHARS_MAX: usize = 64;
    let mut stem = String::new();
    for c in name.chars().take(CHARS_MAX) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            stem.push(c);
        } else if !stem.ends_with('-') {
            stem.push('-');
        }
    }
    let stem = stem.trim_matches('-');
    if stem.is_empty() {
        "server".to_owned()
    } else {
        stem.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_a_file_of_its_own_with_a_safe_name() {
        let mut record = Record::default();
        let there = |stem: &str| stem == "mine" || stem == "a-b";
        let mut stems = Stems::of(&mut record);
        let mut stem = |name: &str, command: &str| stems.stem(name, &[command.to_owned()], &there);
        assert_eq!(stem("github", "npx a"), "github");
        assert_eq!(stem("github", "npx b"), "github-2");
        assert_eq!(stem("GitHub", "npx a"), "GitHub-3");
        assert_eq!(stem("github", "npx a"), "github");
        assert_eq!(stem("../../etc/passwd", "x"), "etc-passwd");
        assert_eq!(stem("..", "x"), "server");
        assert_eq!(stem("", "x"), "server-2");
        assert_eq!(stem("a\nb", "x"), "a-b-2");
        assert_eq!(stem("mine", "x"), "mine");
        assert_eq!(stem("名前", "x"), "server-3");
        assert_eq!(stem(".hidden", "x"), "hidden");
        assert_eq!(stem("github.test", "x"), "github-test");
        assert_eq!(stem(&"x".repeat(500), "x").len(), 64);
        // The parts of a command are no other command's.
        assert_ne!(
            stems.stem("s", &["a".into(), "b".into()], &there),
            stems.stem("s", &["a b".into()], &there)
        );
        // Another run finds each where it was.
        let mut stems = Stems::of(&mut record);
        assert_eq!(stems.stem("GitHub", &["npx a".to_owned()], &there), "GitHub-3");
        assert_eq!(stems.stem("github", &["npx c".to_owned()], &there), "github-4");
    }

    #[test]
    fn many_servers_of_one_stem_look_for_each_file_once() {
        let mut record = Record::default();
        let mut stems = Stems::of(&mut record);
        let looked = std::cell::Cell::new(0);
        // Files of a person, by all names that would come first.
        let there = |stem: &str| {
            looked.set(looked.get() + 1);
            let number = stem
                .strip_prefix("server-")
                .map_or(1, |number| number.parse().unwrap());
            number <= 1_000
        };
        for number in 1_001..1_201 {
            let stem = stems.stem("名", &[number.to_string()], &there);
            assert_eq!(stem, format!("server-{number}"));
        }
        assert!(looked.get() < 1_500, "{}", looked.get());
    }
}
