//! Callgate as an OAuth client before the suite's authorization servers. What it does not do is listed with the reason,
//! which `docs/oauth.md` says to users. The list is exact: what is not in it is a finding, and so is what does not
//! happen.

use super::suite::{Suite, Trial};
use super::verdicts::Verdicts;
use std::collections::BTreeSet;
use std::path::Path;

/// What the names of these scenarios begin with.
const FOLDER: &str = "auth/";

/// What the suite has for clients that want access tokens.
const TRIALS: [Trial<'static>; 6] = [
    Trial {
        suite: "backcompat",
        revision: Some("2025-03-26"),
    },
    Trial {
        suite: "auth",
        revision: Some("2025-06-18"),
    },
    Trial {
        suite: "auth",
        revision: Some("2025-11-25"),
    },
    Trial {
        suite: "auth",
        revision: Some("2026-07-28"),
    },
    Trial {
        suite: "draft",
        revision: Some("2026-07-28"),
    },
    Trial {
        suite: "extensions",
        revision: None,
    },
];

/// Checks in which something is wanting, and why.
struct Expected {
    why: &'static str,
    checks: &'static [&'static str],
}

/// A scenario is named without the `auth/` before it; `call` is whether the tool was called in the end.
const EXPECTED: [Expected; 9] = [
    Expected {
        why: "a person registers Callgate, or a document describes it",
        checks: &[
            "2025-03-26-oauth-metadata-backcompat client-registration",
            "metadata-default client-registration",
            "metadata-var1 client-registration",
            "metadata-var2 client-registration",
            "metadata-var3 client-registration",
        ],
    },
    Expected {
        why: "an issuer that does not describe itself is told nothing",
        checks: &[
            "2025-03-26-oauth-endpoint-fallback authorization-request",
            "2025-03-26-oauth-endpoint-fallback call",
            "2025-03-26-oauth-endpoint-fallback client-registration",
            "2025-03-26-oauth-endpoint-fallback token-request",
        ],
    },
    Expected {
        why: "tokens are asked for the URL that is configured, whatever the server calls itself",
        checks: &[
            "metadata-var2 resource-parameter-matches-prm",
            "resource-mismatch resource-mismatch-rejected",
        ],
    },
    Expected {
        why: "the issuer is the one that is configured, whatever the server names",
        checks: &[
            "authorization-server-migration call",
            "authorization-server-migration sep-2352-reregister-on-as-change",
        ],
    },
    Expected {
        why: "a person says once what Callgate may do; no call asks for more",
        checks: &[
            "scope-step-up call",
            "scope-step-up scope-step-up-escalation",
            "scope-step-up sep-2350-scope-union-on-reauth",
        ],
    },
    Expected {
        why: "the scenario is that nothing may come of it",
        checks: &[
            "iss-normalized call",
            "iss-supported-missing call",
            "iss-unexpected call",
            "iss-wrong-issuer call",
            "metadata-issuer-mismatch call",
            "scope-retry-limit call",
        ],
    },
    Expected {
        why: "Callgate proves itself by a secret, not by a key",
        checks: &[
            "client-credentials-jwt call",
            "client-credentials-jwt client-credentials-grant-type",
            "client-credentials-jwt client-credentials-jwt-verified",
        ],
    },
    Expected {
        why: "tokens are bearer tokens",
        checks: &[
            "dpop sep-1932-client-dpop-auth-scheme",
            "dpop sep-1932-client-fresh-proof",
            "dpop sep-1932-client-token-request-proof",
            "dpop-nonce sep-1932-client-as-nonce",
            "dpop-nonce sep-1932-client-dpop-auth-scheme",
            "dpop-nonce sep-1932-client-fresh-proof",
            "dpop-nonce sep-1932-client-rs-nonce",
            "dpop-nonce sep-1932-client-token-request-proof",
        ],
    },
    Expected {
        why: "tokens are had by client credentials, or by a person, and by no other token",
        checks: &[
            "enterprise-managed-authorization call",
            "enterprise-managed-authorization complete-flow-jwt-bearer",
            "enterprise-managed-authorization complete-flow-token-exchange",
            "wif-jwt-bearer call",
            "wif-jwt-bearer wif-grant-type",
        ],
    },
];

/// Whether a scenario is one of these.
pub(super) fn is_one(scenario: &str) -> bool {
    scenario.starts_with(FOLDER)
}

/// What came of a trial.
pub(super) struct Tried {
    pub(super) trial: Trial<'static>,
    pub(super) verdicts: Verdicts,
}

/// Runs the trials: all, or those of the newest revision.
pub(super) fn run(suite: &Suite, client: &Path, folder: &Path, is_quick: bool) -> anyhow::Result<Vec<Tried>> {
    let newest = |trial: &Trial<'_>| trial.revision == Some("2026-07-28");
    let trials = TRIALS.into_iter().filter(|trial| !is_quick || newest(trial));
    trials
        .enumerate()
        .map(|(number, trial)| {
            let verdicts = suite.authorize(client, &trial, &folder.join(number.to_string()))?;
            Ok(Tried { trial, verdicts })
        })
        .collect()
}

impl Tried {
    /// Whether it had this scenario.
    pub(super) fn has(&self, scenario: &str) -> bool {
        let scenario = scenario.strip_prefix(FOLDER).unwrap_or(scenario);
        let mut checks = self.verdicts.iter();
        checks.any(|(check, _)| check.name().split(' ').next() == Some(scenario))
    }
}

/// How many checks are wanting as they are listed to be, and what is not as it is listed.
pub(super) fn findings(tried: &[Tried], only: Option<&str>) -> (usize, Vec<String>) {
    let only = only.and_then(|only| only.strip_prefix(FOLDER));
    let is_asked = |check: &str| only.is_none_or(|only| check.split(' ').next() == Some(only));
    let (mut seen, mut findings) = (BTreeSet::new(), Vec::new());
    let mut listed = 0_usize;
    for one in tried {
        let way = one.trial.revision.unwrap_or("extension");
        for (check, verdict) in one.verdicts.iter() {
            let name = check.name();
            if !is_asked(&name) {
                continue;
            }
            match (why(&name), verdict.is_wanting()) {
                (None, true) => findings.push(format!("{way}: {check}: {verdict}")),
                (Some(why), false) => findings.push(format!(
                    "{way}: {check}: {verdict}, where it is listed that {why}; take it from the list"
                )),
                (Some(_), true) => listed = listed.saturating_add(1),
                (None, false) => {}
            }
            seen.insert(name);
        }
    }
    let scenarios: BTreeSet<&str> = seen.iter().filter_map(|name| name.split(' ').next()).collect();
    for expected in EXPECTED.iter().flat_map(|expected| expected.checks) {
        let scenario = expected.split(' ').next().unwrap_or_default();
        // A part of the suite has a part of the scenarios.
        if scenarios.contains(scenario) && !seen.contains(*expected) {
            findings.push(format!(
                "{expected}: it is listed, and there is no such check any more"
            ));
        }
    }
    (listed, findings)
}

fn why(check: &str) -> Option<&'static str> {
    let listing = EXPECTED.iter().find(|expected| expected.checks.contains(&check));
    listing.map(|expected| expected.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What the suite would write of one scenario of which these checks came out so.
    fn tried(scenario: &str, checks: &[(&str, &str)], said: &str) -> Tried {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join(format!("{scenario}-2026-07-28T00-00-00-000Z"));
        std::fs::create_dir(&folder).unwrap();
        let check = |(id, status): &(&str, &str)| json!({"id": id, "status": status});
        let checks: Vec<Value> = checks.iter().map(check).collect();
        std::fs::write(folder.join("checks.json"), Value::from(checks).to_string()).unwrap();
        std::fs::write(folder.join("stdout.txt"), said).unwrap();
        Tried {
            trial: TRIALS[3],
            verdicts: Verdicts::read(room.path()).unwrap(),
        }
    }

    fn of_default(registration: &str, token: &str, said: &str) -> (usize, Vec<String>) {
        let checks = [("client-registration", registration), ("token-request", token)];
        findings(&[tried("metadata-default", &checks, said)], None)
    }

    #[test]
    fn the_list_is_exact() {
        assert_eq!(of_default("FAILURE", "SUCCESS", "called\n"), (1, Vec::new()));
        // What is not listed, be it a check of the suite's or that the tool was called.
        for (token, said) in [
            ("FAILURE", "called\n"),
            ("WARNING", "called\n"),
            ("SUCCESS", "not called: x\n"),
            ("SUCCESS", ""),
        ] {
            let (_, found) = of_default("FAILURE", token, said);
            assert_eq!(found.len(), 1, "{token} {said}: {found:?}");
        }
        // What is listed and passes, and what is listed and is no more.
        let (listed, found) = of_default("SUCCESS", "SUCCESS", "called\n");
        assert_eq!((listed, found.len()), (0, 1));
        assert!(found[0].contains("take it from the list"), "{found:?}");
        let checks = [("token-request", "SUCCESS")];
        let (_, found) = findings(&[tried("metadata-default", &checks, "called\n")], None);
        assert!(found[0].contains("no such check"), "{found:?}");
        // Only what was asked for.
        let other = tried("metadata-default", &[("token-request", "FAILURE")], "called\n");
        assert!(other.has("auth/metadata-default") && !other.has("auth/metadata-var1"));
        assert_eq!(findings(&[other], Some("auth/metadata-var1")), (0, Vec::new()));
    }
}
