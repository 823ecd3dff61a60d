//! `callgate serve`: one address before all servers of a team, each caller with a grant of its own.

use crate::args::{self, Reload};
use crate::config::{self, Config, HostName, RemoteTransport, Server, Tls};
use crate::run::policy::PolicyFile;
use crate::run::reload::{self, Target};
use crate::run::{self, Ended};
use crate::upstream::{self, Tokens};
use crate::words::{COLOURED, say, stderr_has_colour};
use anyhow::{Context, bail};
use callgate_core::name::ServerName;
use callgate_core::program::Program;
use callgate_gateway::Settings;
use callgate_gateway::gate::PolicySlot;
use callgate_gateway::link::child::{End, Environment, ServerCommand};
use callgate_gateway::link::http::Endpoint;
use callgate_gateway::metrics::{Exposition, Metrics};
use callgate_gateway::recorder::Recorder;
use callgate_gateway::serve::http::{
    self, Access, Certificate, Doors, Granted, Guard, Roll, Source, Team, Upstream, Wire,
};
use callgate_ledger::record;
use callgate_policy::Style;
use callgate_store::{
    Durability, PolicyInForce, PolicyName, RunInfo, StopReason, Store, StoreError, StoreOptions,
};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const EXAMPLES: &str = "\
Examples:
  Check the configuration, make a grant, and serve:
    callgate validate callgate.yaml
    callgate grants create ana --server mistral=mistral-readers
    callgate serve -c callgate.yaml

  A client reaches each server under a path of its own, with its grant's token:
    http://127.0.0.1:8700/mcp/mistral";

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration: servers, policies, address
    #[arg(short, long, value_name = "FILE", default_value = "callgate.yaml")]
    config: PathBuf,
    /// The state folder, in place of the configuration's
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// What an edited policy may do: any, tighten (a looser one waits for a restart), off
    #[arg(long, value_enum, default_value_t = Reload::Any)]
    reload: Reload,
    /// Sessions that a grant may open within a minute with each server
    #[arg(long, value_name = "N", default_value_t = Settings::SESSIONS_PER_MINUTE, value_parser = clap::value_parser!(u32).range(1..))]
    sessions_per_minute: u32,
    /// Seconds that a client may take to answer what its server asks, where they are of different eras
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::ANSWER_SECONDS, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    answer_time: u32,
    /// What is told on stderr
    #[arg(long, value_enum, default_value_t = args::LogLevel::Info)]
    log_level: args::LogLevel,
}

/// How often the files of a certificate are looked at.
const CERTIFICATE_PERIOD: Duration = Duration::from_millis(500);

/// The policies by name, each where it can be replaced.
type Slots = BTreeMap<PolicyName, Arc<PolicySlot>>;

/// All that the gateway is made of.
struct Plan {
    config: Config,
    policies: BTreeMap<PolicyName, PolicyFile>,
    slots: Arc<Slots>,
    servers: Arc<[ServerName]>,
    store: Arc<Store>,
}

/// Serves until a signal asks for the end.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    run::log_to_stderr(args.log_level);
    raise_descriptors_max();
    let plan = plan(args)?;
    let store = Arc::clone(&plan.store);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(args, plan));
    runtime.shutdown_background();
    run::close(
        store,
        ended.as_ref().map_or(StopReason::Exit, |ended| ended.reason),
    );
    Ok(ended?.code)
}

/// Connections and children take more descriptors than processes usually may have open.
fn raise_descriptors_max() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(cause) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%cause, "not more than {:?} files and connections can be open at once", limit.current);
    }
}

fn plan(args: &ServeArgs) -> anyhow::Result<Plan> {
    let config = read(&args.config)?;
    let mut policies = BTreeMap::new();
    for (name, policy) in &config.policies {
        policies.insert(PolicyName::new(name.as_str())?, PolicyFile::read(&policy.path)?);
    }
    let slots: Arc<Slots> = Arc::new(
        policies
            .iter()
            .map(|(name, file)| {
                (
                    name.clone(),
                    PolicySlot::new(Arc::new(file.loaded.program.clone())),
                )
            })
            .collect(),
    );
    let servers: Arc<[ServerName]> = config.servers.keys().map(|name| name.core().clone()).collect();
    let in_force = in_force(&servers, slots.values().map(|slot| slot.program()));
    let store = Arc::new(open(args, &config, in_force)?);
    Ok(Plan {
        config,
        policies,
        slots,
        servers,
        store,
    })
}

/// Reads the configuration; what is wrong with it is said, and is the error.
pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
    let loading = config::load(path)?;
    let style = if stderr_has_colour() {
        COLOURED
    } else {
        Style::PLAIN
    };
    for finding in loading.shown(&style) {
        say(&finding);
    }
    let name = loading.name.clone();
    loading.config.with_context(|| {
        format!(
            "the configuration {name} is not valid; `callgate validate {name}` says all that is wrong with it"
        )
    })
}

fn state_dir(args: &ServeArgs, config: &Config) -> anyhow::Result<PathBuf> {
    run::state_dir(args.state_dir.as_deref().or(config.state.dir.as_deref()))
}

fn open(args: &ServeArgs, config: &Config, policies: Vec<PolicyInForce>) -> anyhow::Result<Store> {
    Ok(Store::open(StoreOptions {
        dir: state_dir(args, config)?,
        durability: match config.state.durability {
            config::Durability::Process => Durability::Process,
            config::Durability::Disk => Durability::Disk,
        },
        ledger_key: None,
        checkpoint_out: None,
        run: RunInfo {
            label: args
                .config
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            mode: record::Mode::Serve,
            policies,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })?)
}

/// What the store has to know: which policy a server's calls are judged by changes with the grants, so each
/// server's histories are kept for the limits of all.
fn in_force(servers: &[ServerName], programs: impl Iterator<Item = Arc<Program>>) -> Vec<PolicyInForce> {
    let mut digest = Sha256::new();
    let mut limits = Vec::new();
    for program in programs {
        digest.update(program.digest);
        limits.extend(program.limits_in_force());
    }
    let digest: [u8; 32] = digest.finalize().into();
    servers
        .iter()
        .map(|server| PolicyInForce {
            server: server.clone(),
            digest,
            limits: limits.clone(),
        })
        .collect()
}

async fn serve(args: &ServeArgs, plan: Plan) -> anyhow::Result<Ended> {
    let (end, wanted) = watch::channel(End::NotYet);
    let signalled = tokio::spawn(async move {
        let signal = run::until_signal().await;
        end.send_replace(End::Urgent);
        signal
    });
    let metrics = plan
        .config
        .metrics
        .map(|_| Metrics::new(plan.servers.iter().cloned()));
    let team = team(args, &plan, metrics.as_ref())?;
    let config = &plan.config;
    if !team.has_grants() && !config.listen.ip().is_loopback() {
        bail!(
            "no grant was made yet, and {} can be reached from other machines; make one with `callgate grants create`, or listen on 127.0.0.1",
            config.listen
        );
    }
    let is_behind_proxy =
        !config.hosts.is_empty() || config.oauth.as_ref().is_some_and(|oauth| !oauth.is_local());
    if !team.has_grants() && is_behind_proxy && !config.local.is_empty() {
        bail!(
            "no grant was made yet, and `hosts` or `oauth.url` says that callers come through a proxy, which looks like a caller on this machine; make one with `callgate grants create`, or take `local` away"
        );
    }
    let listener = bind(config.listen).await?;
    let address = listener.local_addr()?;
    if !team.has_grants() {
        say(
            "callgate: no grant was made yet, so callers on this machine are let in without a token, as `local`; `callgate grants create` makes the first grant",
        );
    }
    team.watch();
    if let Some(oauth) = team.oauth() {
        oauth.prepare();
    }
    if let Some(metrics) = &metrics {
        tell_metrics(config, metrics, &team).await?;
    }
    let guard = guard(config, address);
    let (wire, scheme) = match &config.tls {
        None => (Wire::Plain, "http"),
        Some(tls) => {
            let certificate = tls.load()?;
            follow_certificate(tls.clone(), certificate.clone());
            (Wire::Tls(certificate), "https")
        }
    };
    follow(args, plan);
    say(&format!("callgate: listening on {scheme}://{address}/mcp/SERVER"));
    http::serve(listener, wire, Doors::Team(team), guard, wanted).await?;
    Ok(run::by_signal(signalled.await.unwrap_or(15)))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener
        .with_context(|| format!("cannot listen on {address}; is the port taken? port 0 picks a free one"))
}

/// Tells metrics where the configuration says, for as long as the process lives.
async fn tell_metrics(config: &Config, metrics: &Metrics, team: &Arc<Team>) -> anyhow::Result<()> {
    let Some(address) = config.metrics else {
        return Ok(());
    };
    let listener = bind(address).await.context("metrics")?;
    let address = listener.local_addr()?;
    let exposition = Arc::new(Exposition::new(metrics, team, env!("CARGO_PKG_VERSION")));
    tokio::spawn(http::serve_metrics(listener, exposition, guard(config, address)));
    say(&format!("callgate: metrics on http://{address}/metrics"));
    Ok(())
}

/// Lets in what is addressed to `address`, or to a host of the configuration.
fn guard(config: &Config, address: SocketAddr) -> Guard {
    let own = config.oauth.as_ref().map(|oauth| oauth.authority().to_owned());
    let hosts = config.hosts.iter();
    Guard::new(address)
        .also(hosts.flat_map(|host| spellings(host, address.port())))
        .also(own)
}

/// How a `Host` header may put a name: with the port that is listened on, or with none behind a proxy; only
/// with its own port where it was given one.
fn spellings(host: &HostName, port: u16) -> Vec<String> {
    match host.port() {
        Some(_) => vec![host.to_string()],
        None => vec![host.name().to_owned(), format!("{}:{port}", host.name())],
    }
}

fn team(args: &ServeArgs, plan: &Plan, metrics: Option<&Arc<Metrics>>) -> anyhow::Result<Arc<Team>> {
    let dir = state_dir(args, &plan.config)?;
    let mut servers = BTreeMap::new();
    for (name, server) in &plan.config.servers {
        let upstream = upstream(name, server, &dir).with_context(|| format!("the server `{name}`"))?;
        servers.insert(name.core().clone(), upstream);
    }
    let nothing = PolicySlot::new(Arc::new(Program::deny_all()));
    let mut local = Access::new();
    for (server, policy) in &plan.config.local {
        let slot = plan.slots.get(&PolicyName::new(policy.as_str())?);
        local.insert(server.core().clone(), Arc::clone(slot.unwrap_or(&nothing)));
    }
    let source = StoreGrants {
        store: Arc::clone(&plan.store),
        slots: Arc::clone(&plan.slots),
        nothing,
    };
    let mut recorder = Recorder::new(Arc::clone(&plan.store));
    if let Some(metrics) = metrics {
        recorder = recorder.watched(Arc::clone(metrics));
    }
    let local = (run::local()?, local);
    let settings = Settings {
        sessions_per_minute_max: args.sessions_per_minute,
        answer_time: Duration::from_secs(u64::from(args.answer_time)),
        ..Settings::default()
    };
    let oauth = plan.config.oauth.as_ref().map(config::OAuth::accept);
    Ok(Team::new(
        servers,
        local,
        Box::new(source),
        recorder,
        settings,
        oauth,
    )?)
}

fn upstream(name: &config::ServerName, server: &Server, dir: &Path) -> anyhow::Result<Upstream> {
    Ok(match server {
        Server::Command(command) => Upstream::Command(Box::new(ServerCommand {
            words: std::iter::once(&command.program)
                .chain(&command.arguments)
                .map(OsString::from)
                .collect(),
            environment: Environment::Only(
                command
                    .env
                    .iter()
                    .map(|(name, value)| (name.into(), value.reveal().into()))
                    .collect(),
            ),
            dir: command.dir.clone(),
        })),
        Server::Remote(remote) => {
            let mut endpoint = Endpoint::new(remote.url.as_str(), remote.headers.clone())?;
            if let Some(client) = &remote.oauth {
                let tokens = Tokens::new(name.core(), &remote.url, client, dir)?;
                endpoint = endpoint.with_credentials(Arc::new(upstream::Shared(tokens)));
            }
            let endpoint = Box::new(endpoint);
            match remote.transport {
                RemoteTransport::Streamable => Upstream::Url(endpoint),
                RemoteTransport::Sse => Upstream::Legacy(endpoint),
            }
        }
    })
}

/// Shows another certificate once its files have changed; one that cannot be used leaves the one before.
fn follow_certificate(tls: Tls, certificate: Certificate) {
    tokio::spawn(async move {
        let read = || tls.read().ok();
        let mut shown = read();
        loop {
            tokio::time::sleep(CERTIFICATE_PERIOD).await;
            let now = read();
            if now == shown {
                continue;
            }
            // Two files are not replaced at once: they have to read the same twice.
            tokio::time::sleep(CERTIFICATE_PERIOD).await;
            if read() != now {
                continue;
            }
            if let Some((chain, key)) = &now {
                match certificate.replace(chain, key) {
                    Ok(()) => tracing::info!("the certificate was reloaded"),
                    Err(cause) => {
                        tracing::error!("the certificate was not reloaded: {cause}; the one before stays")
                    }
                }
            }
            shown = now;
        }
    });
}

/// Follows the files of all policies.
fn follow(args: &ServeArgs, plan: Plan) {
    let turn = Arc::default();
    for (name, policy) in plan.policies {
        let Some(slot) = plan.slots.get(&name) else {
            continue;
        };
        let (slots, servers, own) = (Arc::clone(&plan.slots), Arc::clone(&plan.servers), name.clone());
        let target = Target {
            slot: Arc::clone(slot),
            store: Arc::clone(&plan.store),
            mode: args.reload,
            name: format!("the policy `{name}`"),
            server: None,
            in_force: Box::new(move |program| {
                let programs = slots.iter().map(|(name, slot)| {
                    if *name == own {
                        Arc::new(program.clone())
                    } else {
                        slot.program()
                    }
                });
                in_force(&servers, programs)
            }),
            turn: Arc::clone(&turn),
        };
        reload::follow(target, policy);
    }
}

/// The grants of the state folder, under the configuration's policies.
#[derive(Debug)]
struct StoreGrants {
    store: Arc<Store>,
    slots: Arc<Slots>,
    /// Denies everything: for servers that a grant names without a policy, or with one that there is not.
    nothing: Arc<PolicySlot>,
}

impl Source for StoreGrants {
    fn generation(&self) -> Result<u64, StoreError> {
        self.store.grants_generation()
    }

    fn roll(&self) -> Result<Roll, StoreError> {
        let snapshot = self.store.grants()?;
        // Of many grants that name a policy in vain, one is told of.
        let mut missing = BTreeMap::new();
        let mut grants = Vec::with_capacity(snapshot.grants.len());
        for live in snapshot.grants {
            let mut servers = Access::new();
            for (server, policy) in live.grant.servers {
                let slot = policy.as_ref().and_then(|policy| self.slots.get(policy));
                servers.insert(server, Arc::clone(slot.unwrap_or(&self.nothing)));
                if let (Some(policy), None) = (policy, slot) {
                    missing.entry(policy).or_insert_with(|| live.grant.label.clone());
                }
            }
            grants.push(Granted {
                id: live.grant.id,
                label: live.grant.label.as_str().into(),
                token: live.token,
                expires: live.grant.expires,
                servers,
                identities: live.grant.identities.into_iter().collect(),
            });
        }
        for (policy, label) in missing {
            tracing::warn!(
                "the grant `{label}` names the policy `{policy}`, which the configuration does not have; the calls that it is for are denied, and so are those of every other grant that names it"
            );
        }
        Ok(Roll {
            generation: snapshot.generation,
            grants,
            revoked: snapshot.revoked.into_iter().collect(),
        })
    }
}
