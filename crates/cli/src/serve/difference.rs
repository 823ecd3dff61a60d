//! What a configuration that was read anew changes, and whether it allows more than the one before.
//!
//! Where it cannot be told whether a change is looser, it counts as looser: a server that is another may do more
//! under the same policy.

use crate::config::{Admin, Config, LoadedPolicy, PolicyName, ServerName, Tls};
use crate::traces::Traces;
use callgate_core::looser::{Loosening, looser};
use callgate_core::program::Program;
use callgate_gateway::serve::http::Address;
use callgate_ledger::record::ReloadEffect;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

/// What is between two configurations.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Keys whose change takes a restart.
    pub(super) fixed: Vec<&'static str>,
    /// Servers that stay as they are.
    pub(super) kept: BTreeSet<ServerName>,
    /// Policies that judge otherwise, under the same name.
    pub(super) policies: Vec<PolicyChange>,
    /// All that is another, in words.
    changes: Vec<String>,
    /// What may be allowed now that was not, in words.
    looser: Vec<String>,
}

/// A policy that judges otherwise.
#[derive(Debug)]
pub(super) struct PolicyChange {
    pub(super) name: PolicyName,
    pub(super) before: Arc<Program>,
    pub(super) after: Arc<Program>,
    pub(super) looser: Vec<Loosening>,
}

impl Difference {
    pub(super) fn between(before: &Config, after: &Config) -> Self {
        // Whole, so that a new key has to be thought of here.
        let Config {
            listen,
            socket_mode,
            metrics,
            admin,
            log,
            hosts,
            tls,
            oauth,
            traces,
            state,
            servers,
            policies,
            local,
        } = after;
        let mut difference = Self::default();
        let fixed = [
            ("listen", *listen != before.listen),
            ("socket_mode", *socket_mode != before.socket_mode),
            ("metrics", *metrics != before.metrics),
            ("admin.listen", listen_of(admin) != listen_of(&before.admin)),
            ("log", *log != before.log),
            ("state", *state != before.state),
            ("oauth", *oauth != before.oauth),
            ("traces", !is_told_alike(before.traces.as_ref(), traces.as_ref())),
            ("tls", tls.is_some() != before.tls.is_some()),
        ];
        let fixed = fixed.into_iter().filter(|(_, changed)| *changed);
        difference.fixed = fixed.map(|(key, _)| key).collect();
        difference.servers(&before.servers, servers);
        difference.policies(&before.policies, policies);
        difference.local(before, local);
        difference.tls(before.tls.as_ref(), tls.as_ref());
        if *traces != before.traces {
            difference.changes.push("`traces` changed".to_owned());
        }
        for host in hosts.difference(&before.hosts) {
            difference.looser.push(format!("the host `{host}` is let in"));
        }
        if *admin != before.admin {
            difference.changes.push("`admin` changed".to_owned());
            // Whoever has its token can make grants.
            difference
                .looser
                .push("`admin` lets in by another token".to_owned());
        }
        if *hosts != before.hosts {
            difference.changes.push("`hosts` changed".to_owned());
        }
        difference
    }

    fn servers<S: PartialEq>(&mut self, before: &BTreeMap<ServerName, S>, after: &BTreeMap<ServerName, S>) {
        for (name, server) in after {
            match before.get(name) {
                Some(one) if one == server => {
                    self.kept.insert(name.clone());
                }
                Some(_) => {
                    self.changes.push(format!("the server `{name}` changed"));
                    self.looser.push(format!("the server `{name}` is another"));
                }
                None => {
                    self.changes.push(format!("the server `{name}` was added"));
                    self.looser.push(format!("the server `{name}` is new"));
                }
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.changes.push(format!("the server `{name}` was removed"));
        }
    }

    fn policies(
        &mut self,
        before: &BTreeMap<PolicyName, LoadedPolicy>,
        after: &BTreeMap<PolicyName, LoadedPolicy>,
    ) {
        for (name, policy) in after {
            let Some(one) = before.get(name) else {
                self.changes.push(format!("the policy `{name}` was added"));
                self.looser.push(format!("the policy `{name}` is new"));
                continue;
            };
            if one.program.digest == policy.program.digest {
                continue;
            }
            let looser = looser(&one.program, &policy.program);
            self.changes.push(format!("the policy `{name}` changed"));
            if !looser.is_empty() {
                self.looser
                    .push(format!("the policy `{name}`: {}", joined(&looser)));
            }
            self.policies.push(PolicyChange {
                name: name.clone(),
                before: Arc::clone(&one.program),
                after: Arc::clone(&policy.program),
                looser,
            });
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.changes.push(format!("the policy `{name}` was removed"));
        }
    }

    fn local(&mut self, before: &Config, after: &BTreeMap<ServerName, PolicyName>) {
        for (server, policy) in after {
            if before.local.get(server) != Some(policy) {
                self.looser.push(format!(
                    "callers on this machine use the server `{server}` under the policy `{policy}`"
                ));
            }
        }
        if *after != before.local {
            self.changes.push("`local` changed".to_owned());
        }
    }

    fn tls(&mut self, before: Option<&Tls>, after: Option<&Tls>) {
        if before != after {
            self.changes.push("`tls` changed".to_owned());
        }
    }

    /// What it comes to once it is in force.
    pub(super) fn effect(&self) -> ReloadEffect {
        match (self.changes.is_empty(), self.looser.is_empty()) {
            (true, _) => ReloadEffect::Same,
            (false, true) => ReloadEffect::Tighter,
            (false, false) => ReloadEffect::Looser,
        }
    }

    /// What is another, as people are told.
    pub(super) fn changes(&self) -> String {
        if self.changes.is_empty() {
            return "nothing that it says has changed".to_owned();
        }
        joined(&self.changes)
    }

    /// What may be allowed now that was not, as people are told.
    pub(super) fn looser(&self) -> String {
        joined(&self.looser)
    }
}

impl PolicyChange {
    /// What it comes to once it is in force.
    pub(super) fn effect(&self) -> ReloadEffect {
        if self.looser.is_empty() {
            ReloadEffect::Tighter
        } else {
            ReloadEffect::Looser
        }
    }
}

fn listen_of(admin: &Option<Admin>) -> Option<&Address> {
    admin.as_ref().map(|admin| &admin.listen)
}

/// Whether traces are told as before, whatever is sent along with them.
fn is_told_alike(before: Option<&Traces>, after: Option<&Traces>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.tells_as(after),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Several things in one sentence.
pub(super) fn joined(things: &[impl Display]) -> String {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::validate::load::Source;
    use crate::config::Loading;
    use std::path::Path;

    const BASE: &str = "{version: 1, servers: {a: {url: 'http://a/'}, b: {command: [b]}}}";

    fn config(text: &str) -> Config {
        config_in(text, "no variable is asked for")
    }

    /// A configuration where every variable has this value.
    fn config_in(text: &str, value: &str) -> Config {
        let source = Source {
            name: "callgate.yaml".to_owned(),
            text: text.to_owned(),
        };
        let loading = Loading::of(source, Path::new("callgate.yaml"), &|_| Some(value.into()));
        loading.config.expect("a configuration without errors")
    }

    fn told(after: &str) -> String {
        let difference = Difference::between(&config(BASE), &config(after));
        format!(
            "{} | {} | {:?} | {}",
            difference.changes(),
            difference.looser(),
            difference.fixed,
            difference.effect()
        )
    }

    #[test]
    fn each_change_is_named_and_what_may_allow_more_counts_as_looser() {
        let said = [
            (BASE, "nothing that it says has changed |  | [] | same"),
            (
                "{version: 1, servers: {a: {url: 'http://a/'}}}",
                "the server `b` was removed |  | [] | tighter",
            ),
            (
                "{version: 1, servers: {a: {url: 'http://a/'}, b: {command: [b, c]}}}",
                "the server `b` changed | the server `b` is another | [] | looser",
            ),
            (
                "{version: 1, servers: {a: {url: 'http://a/', headers: {X-Key: k}}, b: {command: [b]}}}",
                "the server `a` changed | the server `a` is another | [] | looser",
            ),
            (
                "{version: 1, servers: {a: {url: 'http://a/'}, b: {command: [b]}, c: {command: [c]}}}",
                "the server `c` was added | the server `c` is new | [] | looser",
            ),
            (
                "{version: 1, hosts: [x.example], servers: {a: {url: 'http://a/'}, b: {command: [b]}}}",
                "`hosts` changed | the host `x.example` is let in | [] | looser",
            ),
        ];
        for (after, expected) in said {
            assert_eq!(told(after), expected, "{after}");
        }
    }

    #[test]
    fn another_token_of_the_admin_api_counts_as_looser() {
        let text = "{version: 1, admin: {token: '${env:T}'}, servers: {a: {url: 'http://a/'}}}";
        let [one, other] = ["token-one-token-one", "token-two-token-two"].map(|token| config_in(text, token));
        let difference = Difference::between(&one, &other);
        assert_eq!(difference.looser(), "`admin` lets in by another token");
        assert_eq!(difference.effect(), ReloadEffect::Looser);
        assert_eq!(Difference::between(&one, &one).effect(), ReloadEffect::Same);
    }

    #[test]
    fn other_headers_for_traces_are_a_change_that_allows_no_more() {
        let text = "{version: 1, traces: {endpoint: 'http://c/', headers: {K: '${env:T}'}}, servers: {a: {url: 'http://a/'}}}";
        let [one, other] = ["one", "two"].map(|value| config_in(text, value));
        let difference = Difference::between(&one, &other);
        assert_eq!(difference.changes(), "`traces` changed");
        assert!(difference.fixed.is_empty(), "{:?}", difference.fixed);
        assert_eq!(difference.effect(), ReloadEffect::Tighter);
    }

    #[test]
    fn what_takes_a_restart_is_named() {
        for (key, value) in [
            ("listen", "'127.0.0.1:1'"),
            ("metrics", "'127.0.0.1:2'"),
            ("log", "{format: json}"),
            ("traces", "{endpoint: 'http://c/v1/traces'}"),
            ("state", "{durability: disk}"),
        ] {
            let after = BASE.replacen("version: 1", &format!("version: 1, {key}: {value}"), 1);
            let difference = Difference::between(&config(BASE), &config(&after));
            assert_eq!(difference.fixed, [key]);
        }
    }
}
