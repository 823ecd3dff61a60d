//! A configuration that changes while the gateway runs: all of it is put in force, or nothing.
//!
//! What is read anew is the configuration with its policies and secrets. It is in force for every caller before the
//! log says so; one that does not load, or that takes a restart, leaves what was in force, whole.

use super::certificate::Followed;
use super::difference::{Difference, PolicyChange, joined};
use super::files::Files;
use super::grants::{Slots, StoreGrants, nothing};
use super::{guard, in_force, local, names, refuse_without_grants, say_findings, upstream};
use crate::args::Reload;
use crate::config::{Config, Loading};
use crate::traces::Traces;
use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use callgate_core::name::ServerName;
use callgate_gateway::gate::PolicySlot;
use callgate_gateway::metrics::Metrics;
use callgate_gateway::serve::http::{Access, Address, Certificate, Change, Guard, Team, Token, Upstream};
use callgate_gateway::traces::{Destination, Tracer};
use callgate_ledger::record::{self, ReloadEffect};
use callgate_ledger::{Digest, Text};
use callgate_store::{Event, PolicyName, Store, StoreError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a store that cannot be written is left alone.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

/// What is in force, and all that it takes to put another configuration in its place.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    pub(super) mode: Reload,
    pub(super) config: Config,
    pub(super) files: Files,
    pub(super) slots: Arc<ArcSwap<Slots>>,
    pub(super) store: Arc<Store>,
    pub(super) team: Arc<Team>,
    pub(super) metrics: Option<Arc<Metrics>>,
    /// What looks at the `Host` of requests, by the address that they come in on.
    pub(super) guards: Vec<(Address, Guard)>,
    /// Where clients are shown one.
    pub(super) certificate: Option<Followed>,
    /// The token of the admin API, where there is one.
    pub(super) admin: Option<Arc<ArcSwap<Token>>>,
    /// What traces calls, where the configuration says so.
    pub(super) tracer: Option<Arc<Tracer>>,
    /// The state folder.
    pub(super) dir: PathBuf,
}

/// Whoever asks for the configuration to be read anew, and waits for what comes of it.
pub(super) type Asked = oneshot::Sender<Outcome>;

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) effect: ReloadEffect,
    /// As the log says it.
    pub(super) message: String,
}

/// All that is made of a configuration before any of it is in force.
struct Ready {
    config: Config,
    slots: Arc<Slots>,
    servers: BTreeMap<ServerName, Upstream>,
    local: Access,
    certificate: Option<Certificate>,
    admin: Option<Token>,
    /// Where traces go.
    destination: Option<Destination>,
}

impl Reloader {
    /// Follows the files for as long as the program runs, unless that was turned off, and reads them when asked.
    pub(super) fn follow(mut self, mut asked: mpsc::Receiver<Asked>) {
        tokio::spawn(async move {
            loop {
                let asked = tokio::select! {
                    () = self.files.changed(), if self.mode != Reload::Off => None,
                    Some(asked) = asked.recv() => Some(asked),
                    else => return,
                };
                let outcome = if self.mode == Reload::Off {
                    Outcome {
                        effect: ReloadEffect::Rejected,
                        message: "--reload off keeps what was in force until a restart".to_owned(),
                    }
                } else {
                    let Some(outcome) = self.take().await else {
                        return;
                    };
                    outcome
                };
                if let Some(asked) = asked {
                    drop(asked.send(outcome));
                }
            }
        });
    }

    /// Reads the configuration and puts it in force, or leaves what is; either is said, recorded and counted.
    /// `None` where the gateway ends before that.
    async fn take(&mut self) -> Option<Outcome> {
        let (config, difference) = match self.read().await {
            Ok(read) => read,
            Err(error) => return Some(self.rejected(&error, "does not load")),
        };
        let (ready, difference) = match self.ready(config, difference) {
            Ok(ready) => ready,
            Err(error) => return Some(self.rejected(&error, &error.to_string())),
        };
        let effect = difference.effect();
        if effect == ReloadEffect::Looser && self.mode == Reload::Tighten {
            return Some(self.waiting(&difference));
        }
        self.put_in_force(ready, &difference).await?;
        self.count(effect);
        Some(Outcome {
            effect,
            message: tell(&difference),
        })
    }

    async fn read(&mut self) -> anyhow::Result<(Config, Difference)> {
        let path = self.path.clone();
        let (loading, files) = tokio::task::spawn_blocking(move || Files::load(&path)).await??;
        self.files = files;
        say_findings(&loading);
        let Loading { name, config, .. } = loading;
        let config = config.with_context(|| format!("the configuration {name} is not valid"))?;
        let difference = Difference::between(&self.config, &config);
        Ok((config, difference))
    }

    /// All that can fail of a change is done here.
    fn ready(&self, config: Config, difference: Difference) -> anyhow::Result<(Ready, Difference)> {
        match difference.fixed.as_slice() {
            [] => {}
            [key] => bail!("`{key}` has changed, which takes a restart"),
            keys => bail!("`{}` have changed, which takes a restart", keys.join("`, `")),
        }
        if !self.team.has_grants() {
            refuse_without_grants(&config)?;
        }
        let slots = Arc::new(self.slots_of(&config)?);
        let local = local(&config, &slots)?;
        let mut servers = BTreeMap::new();
        for (name, server) in &config.servers {
            if !difference.kept.contains(name) {
                servers.insert(name.core().clone(), upstream(name, server, &self.dir)?);
            }
        }
        let certificate = match &config.tls {
            Some(tls) if config.tls != self.config.tls => Some(tls.load()?),
            Some(_) | None => None,
        };
        let token = config.admin.as_ref().map(|admin| &admin.token);
        let admin = token.map(|token| Token::new(token.reveal())).transpose()?;
        let destination = config.traces.as_ref().map(Traces::destination).transpose()?;
        let ready = Ready {
            destination,
            config,
            slots,
            servers,
            local,
            certificate,
            admin,
        };
        Ok((ready, difference))
    }

    /// A policy that judges as before stays where it is.
    fn slots_of(&self, config: &Config) -> anyhow::Result<Slots> {
        let mut slots = Slots::new();
        let before = self.slots.load();
        for (name, policy) in &config.policies {
            let name = PolicyName::new(name.as_str())?;
            let stays = before.get(&name);
            let stays = stays.filter(|slot| slot.program().digest == policy.program.digest);
            let slot = stays.map_or_else(|| PolicySlot::new(Arc::clone(&policy.program)), Arc::clone);
            slots.insert(name, slot);
        }
        Ok(slots)
    }

    async fn put_in_force(&mut self, ready: Ready, difference: &Difference) -> Option<()> {
        let records = records(difference);
        loop {
            let policies = in_force(&ready.config);
            match self.store.reload(policies, records.clone()).await {
                Ok(()) => break,
                Err(StoreError::Closed) => return None,
                // Until the store can be written again every call is denied, so nothing passes by what was before.
                Err(StoreError::Unavailable(_) | StoreError::Unreadable(_)) => {
                    tokio::time::sleep(RETRY_PERIOD).await;
                }
            }
        }
        if let Some(metrics) = &self.metrics {
            metrics.count_also(names(&ready.config));
        }
        while let Err(cause) = self.team.change(self.change(&ready, difference)).await {
            if matches!(cause, StoreError::Closed) {
                return None;
            }
            tracing::error!(%cause, "the grants cannot be read, so the configuration is not in force yet");
            tokio::time::sleep(RETRY_PERIOD).await;
        }
        if let Some(metrics) = &self.metrics {
            metrics.count_alone(&names(&ready.config).collect());
        }
        for (address, own) in &self.guards {
            own.replace(&guard(&ready.config, address));
        }
        if let (Some(followed), Some(certificate), Some(tls)) =
            (&self.certificate, &ready.certificate, &ready.config.tls)
        {
            followed.replace(tls.clone(), certificate);
        }
        if let (Some(token), Some(new)) = (&self.admin, ready.admin) {
            token.store(Arc::new(new));
        }
        if let (Some(tracer), Some(destination)) = (&self.tracer, ready.destination) {
            tracer.redirect(destination);
        }
        self.slots.store(ready.slots);
        self.config = ready.config;
        Some(())
    }

    fn change(&self, ready: &Ready, difference: &Difference) -> Change {
        Change {
            kept: difference.kept.iter().map(|name| name.core().clone()).collect(),
            servers: ready.servers.clone(),
            local: ready.local.clone(),
            source: Box::new(StoreGrants {
                store: Arc::clone(&self.store),
                slots: Arc::clone(&ready.slots),
                nothing: nothing(),
            }),
        }
    }

    fn rejected(&self, error: &anyhow::Error, reason: &str) -> Outcome {
        let message = format!("the configuration was not reloaded: {error:#}; what was in force stays");
        tracing::error!("{message}");
        self.leave(ReloadEffect::Rejected, reason, message)
    }

    fn waiting(&self, difference: &Difference) -> Outcome {
        let words = difference.looser();
        let message = format!(
            "the configuration was changed and is looser ({words}); --reload tighten keeps what was in force, restart to put it in force"
        );
        tracing::warn!("{message}");
        self.leave(ReloadEffect::Waiting, &words, message)
    }

    fn leave(&self, effect: ReloadEffect, reason: &str, message: String) -> Outcome {
        self.store.record(Event::Reload(whole(effect, reason)));
        self.count(effect);
        Outcome { effect, message }
    }

    fn count(&self, effect: ReloadEffect) {
        if let Some(metrics) = &self.metrics {
            metrics.reloaded(effect);
        }
    }
}

/// Says what is in force now, and gives the last line of it.
fn tell(difference: &Difference) -> String {
    for policy in &difference.policies {
        let name = &policy.name;
        if policy.looser.is_empty() {
            tracing::info!("the policy `{name}` was reloaded; nothing is allowed that was not");
        } else {
            let looser = joined(&policy.looser);
            tracing::warn!("the policy `{name}` was reloaded and is looser: {looser}");
        }
    }
    let changes = difference.changes();
    if difference.effect() == ReloadEffect::Looser {
        let looser = difference.looser();
        let message = format!("the configuration was reloaded ({changes}) and is looser: {looser}");
        tracing::warn!("{message}");
        message
    } else {
        let message = format!("the configuration was reloaded ({changes}); nothing is allowed that was not");
        tracing::info!("{message}");
        message
    }
}

/// The records of a change: one for each policy that judges otherwise, and one for the whole, which is the last.
fn records(difference: &Difference) -> Vec<record::Reload> {
    let of_policy = |policy: &PolicyChange| record::Reload {
        effect: policy.effect(),
        from: Some(Digest(policy.before.digest)),
        reason: (!policy.looser.is_empty()).then(|| Text::new(&joined(&policy.looser))),
        server: None,
        to: Some(Digest(policy.after.digest)),
    };
    let effect = difference.effect();
    let reason = match effect {
        ReloadEffect::Looser => difference.looser(),
        ReloadEffect::Tighter | ReloadEffect::Same | ReloadEffect::Waiting | ReloadEffect::Rejected => {
            difference.changes()
        }
    };
    let mut records: Vec<record::Reload> = difference.policies.iter().map(of_policy).collect();
    records.push(whole(effect, &reason));
    records
}

fn whole(effect: ReloadEffect, reason: &str) -> record::Reload {
    record::Reload {
        effect,
        from: None,
        reason: Some(Text::new(reason)),
        server: None,
        to: None,
    }
}
