//! The files that a configuration is made of, watched by their content.
//!
//! Editors replace files, and Kubernetes swaps a link above them; neither reliably tells a watcher. So all of them
//! are looked at twice a second.

use crate::config::{self, Loading};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// How long they have to stay as they are before they are read.
const SETTLING: Duration = Duration::from_millis(100);
/// Bytes of a file that are looked at: more than any of them may have.
const SUMMED_BYTES_MAX: u64 = 8 << 20;
/// How often reading is begun anew where a file changes meanwhile.
const READS_MAX: u32 = 20;

/// The SHA-256 of a file's content; none where it cannot be read.
type Sums = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Files and what was last seen in them.
#[derive(Debug)]
pub(super) struct Files(Sums);

impl Files {
    /// Reads a configuration with all its files, none of which has changed meanwhile.
    ///
    /// # Errors
    /// Where the configuration itself cannot be read, or its files change all the time.
    pub(super) fn load(path: &Path) -> anyhow::Result<(Loading, Self)> {
        let mut before = sums([path.to_owned()]);
        for _ in 0..READS_MAX {
            let loading = config::load(path)?;
            let after = sums(watched(&loading));
            if after == before {
                return Ok((loading, Self(after)));
            }
            before = after;
        }
        anyhow::bail!("the files of the configuration change all the time");
    }

    /// Waits until one of them holds something else than was last seen, and all have settled; what is in them now is
    /// seen from then on.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = self.look().await;
            if now == self.0 {
                continue;
            }
            tokio::time::sleep(SETTLING).await;
            if self.look().await == now {
                self.0 = now;
                return;
            }
        }
    }

    /// What is in the files. One that is away for a moment, as while it is being replaced, is as it was.
    async fn look(&self) -> Sums {
        let paths: Vec<PathBuf> = self.0.keys().cloned().collect();
        let Ok(mut now) = tokio::task::spawn_blocking(move || sums(paths)).await else {
            return self.0.clone();
        };
        for (path, sum) in &mut now {
            *sum = sum.or_else(|| self.0.get(path).copied().flatten());
        }
        now
    }
}

/// All files but those of the certificate, which is followed by itself.
fn watched(loading: &Loading) -> BTreeSet<PathBuf> {
    let mut files = loading.files.clone();
    for path in &loading.certificate {
        files.remove(path);
    }
    files
}

/// The SHA-256 of what a file begins with; none where it cannot be read. A device may have no end.
fn sum(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(SUMMED_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

fn sums(paths: impl IntoIterator<Item = PathBuf>) -> Sums {
    paths
        .into_iter()
        .map(|path| {
            let sum = sum(&path);
            (path, sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &Path) -> Files {
        Files(sums([path.to_owned()]))
    }

    #[tokio::test]
    async fn a_file_that_is_away_for_a_moment_has_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        std::fs::write(&path, "one").unwrap();
        let files = seen(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.look().await, files.0);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(files.look().await, files.0);
    }

    #[test]
    fn a_file_without_end_is_looked_at_in_part() {
        assert!(sum(Path::new("/dev/zero")).is_some());
        assert!(sum(Path::new("/nonexistent")).is_none());
    }

    #[tokio::test]
    async fn a_file_that_was_looked_for_in_vain_has_changed_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        let mut files = seen(&path);
        std::fs::write(&path, "one").unwrap();
        files.changed().await;
        assert_eq!(files.0, sums([path]));
    }
}
