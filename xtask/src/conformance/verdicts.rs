//! What the suite found, check by check.

use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What follows a scenario's name in the name of its folder: a time to the millisecond.
const TIME_LENGTH: usize = "-2026-07-28T00-00-00-000Z".len();

/// The id of the check whether a client that the suite has run has called a tool.
const CALL: &str = "call";

/// A run of the suite.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) verdicts: Verdicts,
    /// What the suite itself says of its run.
    pub(super) is_success: bool,
}

/// A check: its scenario, its id, and the how manieth of that id it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Check {
    scenario: String,
    id: String,
    occurrence: usize,
}

impl Check {
    /// Its scenario and its id.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.scenario, self.id)
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.scenario, self.id)?;
        if self.occurrence > 0 {
            write!(f, " ({})", self.occurrence.saturating_add(1))?;
        }
        Ok(())
    }
}

/// What came of a check, and why, where it says so.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    status: String,
    reason: String,
}

impl Verdict {
    /// Whether something is wanting, be it what has to be or what should be.
    pub(super) fn is_wanting(&self) -> bool {
        matches!(&*self.status, "FAILURE" | "WARNING")
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.status)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        Ok(())
    }
}

/// All verdicts of a run.
#[derive(Debug, Default)]
pub(super) struct Verdicts(BTreeMap<Check, Verdict>);

impl Verdicts {
    /// Reads what the suite has written: a folder for each scenario, with its checks.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut verdicts = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let scenario = name
                .len()
                .checked_sub(TIME_LENGTH)
                .and_then(|length| name.get(..length))
                .with_context(|| format!("`{name}` is no folder of a scenario"))?;
            let scenario = scenario.strip_prefix("server-").unwrap_or(scenario);
            // A scenario that a revision does not have leaves its folder empty.
            let checks = path.join("checks.json");
            if !checks.exists() {
                continue;
            }
            let text = std::fs::read_to_string(checks)?;
            let checks: Vec<Value> = serde_json::from_str(&text)?;
            for check in &checks {
                verdicts.add(scenario, check);
            }
            // Where the suite has run a client, what that said of itself.
            if let Ok(said) = std::fs::read_to_string(path.join("stdout.txt")) {
                let status = if said.starts_with("called\n") {
                    "SUCCESS"
                } else {
                    "FAILURE"
                };
                verdicts.add(
                    scenario,
                    &json!({"id": CALL, "status": status, "errorMessage": said.trim()}),
                );
            }
        }
        Ok(verdicts)
    }

    fn add(&mut self, scenario: &str, check: &Value) {
        let word = |key: &str| {
            check
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut key = Check {
            scenario: scenario.to_owned(),
            id: word("id"),
            occurrence: 0,
        };
        while self.0.contains_key(&key) {
            key.occurrence = key.occurrence.saturating_add(1);
        }
        let verdict = Verdict {
            status: word("status"),
            reason: word("errorMessage"),
        };
        self.0.insert(key, verdict);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many have this status.
    pub(super) fn count(&self, status: &str) -> usize {
        self.0.values().filter(|verdict| verdict.status == status).count()
    }

    /// All checks, and what came of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Check, &Verdict)> {
        self.0.iter()
    }

    /// The checks that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&Check, &Verdict)> {
        self.0.iter().filter(|(_, verdict)| verdict.status == "FAILURE")
    }

    /// What is another verdict in `other`, or is in one of the two alone, in words.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        self.differences(other)
            .into_iter()
            .map(|(_, words)| words)
            .collect()
    }

    /// What is another verdict in `other`, or is in one of the two alone: the check as it is named, and in words.
    pub(super) fn differences(&self, other: &Self) -> Vec<(String, String)> {
        let mut keys: Vec<&Check> = self.0.keys().chain(other.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let said =
            |verdict: Option<&Verdict>| verdict.map_or_else(|| "not run".to_owned(), Verdict::to_string);
        keys.into_iter()
            .filter_map(|key| {
                let (alone, through) = (self.0.get(key), other.0.get(key));
                let is_same = alone.map(|verdict| &verdict.status) == through.map(|verdict| &verdict.status);
                (!is_same).then(|| {
                    let words = format!("{key}: {} alone, {} through", said(alone), said(through));
                    (key.to_string(), words)
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(checks: &[(&str, &str)]) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for (id, status) in checks {
            verdicts.add("ping", &json!({"id": id, "status": status}));
        }
        verdicts
    }

    #[test]
    fn checks_are_compared_one_by_one() {
        let alone = verdicts(&[("a", "SUCCESS"), ("a", "SUCCESS"), ("b", "INFO")]);
        assert!(
            alone
                .differing(&verdicts(&[("a", "SUCCESS"), ("b", "INFO"), ("a", "SUCCESS")]))
                .is_empty()
        );
        let through = verdicts(&[("a", "SUCCESS"), ("a", "FAILURE"), ("c", "SUCCESS")]);
        assert_eq!(
            alone.differing(&through),
            [
                "ping a (2): SUCCESS alone, FAILURE through",
                "ping b: INFO alone, not run through",
                "ping c: not run alone, SUCCESS through",
            ]
        );
        assert_eq!(through.failed().count(), 1);
    }
}
