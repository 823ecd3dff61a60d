//! `callgate serve`: one address before all servers of a team, each caller with a grant of its own.

mod admin;
mod certificate;
mod difference;
mod files;
mod grants;
mod reload;

use crate::admin::Notice;
use crate::args::{self, Reload};
use crate::config::{self, Config, HostName, Loading, RemoteTransport, Server, Sharing};
use crate::log;
use crate::run::{self, Ended};
use crate::traces::{self, Traces};
use crate::upstream::{self, Tokens};
use crate::words::{say, say_finding};
use admin::{Admin, Open};
use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use callgate_core::name::ServerName;
use callgate_gateway::Settings;
use callgate_gateway::gate::PolicySlot;
use callgate_gateway::link::child::{End, Environment, ServerCommand};
use callgate_gateway::link::http::Endpoint;
use callgate_gateway::link::shared::Hub;
use callgate_gateway::metrics::{Exposition, Metrics};
use callgate_gateway::recorder::Recorder;
use callgate_gateway::serve::http::{
    self, Access, Address, Doors, Guard, Listener, SocketFile, SocketMode, Team, Token, Upstream, Wire,
};
use callgate_gateway::traces::Tracer;
use callgate_ledger::record;
use callgate_store::{Durability, PolicyInForce, PolicyName, RunInfo, StopReason, Store, StoreOptions};
use clap::Args;
use files::Files;
use grants::{Slots, StoreGrants, nothing};
use reload::{Asked, Reloader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use tokio::sync::{mpsc, watch};

pub(crate) const EXAMPLES: &str = "\
Examples:
  Check the configuration, make a grant, and serve:
    callgate validate callgate.yaml
    callgate grants create ana --server mistral=mistral-readers
    callgate serve -c callgate.yaml

  A client reaches each server under a path of its own, with its grant's token:
    http://127.0.0.1:8700/mcp/mistral

Environment:
  OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …
    Where OpenTelemetry traces of calls go, unless the configuration has `traces`; nowhere if not set";

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration: servers, policies, address
    #[arg(short, long, value_name = "FILE", default_value = "callgate.yaml")]
    config: PathBuf,
    /// The state folder, in place of the configuration's
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// What a changed configuration or policy may do: any, tighten (what is looser waits for a restart), off
    #[arg(long, value_enum, default_value_t = Reload::Any)]
    reload: Reload,
    /// Sessions that a grant may open within a minute with each server
    #[arg(long, value_name = "N", default_value_t = Settings::SESSIONS_PER_MINUTE, value_parser = clap::value_parser!(u32).range(1..))]
    sessions_per_minute: u32,
    /// Seconds that a client may take to answer what its server asks, where they are of different eras
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::ANSWER_SECONDS, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    answer_time: u32,
    /// Seconds that a client may take to send a body, or may take nothing of what is written to it
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::CLIENT_SECONDS, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    client_time: u32,
    /// What is told on stderr, in place of the configuration's [default: info]
    #[arg(long, value_enum)]
    log_level: Option<args::LogLevel>,
    /// How it is written, in place of the configuration's [default: text]
    #[arg(long, value_enum)]
    log_format: Option<args::LogFormat>,
}

/// All that the gateway is made of.
struct Plan {
    config: Config,
    files: Files,
    slots: Arc<Slots>,
    store: Arc<Store>,
    /// The state folder.
    dir: PathBuf,
}

/// Serves until a signal asks for the end.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let plan = plan(args)?;
    raise_descriptors_max();
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
    let (loading, files) = load(args)?;
    say_findings(&loading);
    let config = sound(loading)?;
    let slots = Arc::new(slots(&config)?);
    let named = args.state_dir.as_deref().or(config.state.dir.as_deref());
    let dir = run::state_dir(named)?;
    let store = Arc::new(open(args, &config, dir.clone())?);
    Ok(Plan {
        config,
        files,
        slots,
        store,
        dir,
    })
}

/// Reads the configuration and begins to log as it says, unless the arguments say otherwise.
fn load(args: &ServeArgs) -> anyhow::Result<(Loading, Files)> {
    let loaded = Files::load(&args.config);
    let said = loaded
        .as_ref()
        .ok()
        .and_then(|(loading, _)| loading.config.as_ref())
        .map(|config| config.log)
        .unwrap_or_default();
    let level = args.log_level.or(said.level);
    let format = args.log_format.or(said.format);
    log::start(
        level.unwrap_or(args::LogLevel::Info),
        format.unwrap_or(args::LogFormat::Text),
    );
    loaded
}

/// Reads a configuration for a command that serves nothing; what is wrong with it is said, and is the error.
pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
    let (loading, _) = Files::load(path)?;
    say_findings(&loading);
    sound(loading)
}

/// The configuration, where nothing is wrong with it.
fn sound(loading: Loading) -> anyhow::Result<Config> {
    let name = loading.name;
    loading.config.with_context(|| {
        format!(
            "the configuration {name} is not valid; `callgate validate {name}` says all that is wrong with it"
        )
    })
}

/// Says what was found in a configuration and in its policies.
fn say_findings(loading: &Loading) {
    for found in &loading.diagnostics {
        say_finding(&loading.name, found, |style| loading.render(found, style));
    }
    for policy in &loading.policies {
        let source = &policy.source;
        for found in &policy.diagnostics {
            say_finding(&source.name, found, |style| {
                found.render(&source.name, &source.text, style)
            });
        }
    }
}

fn slots(config: &Config) -> anyhow::Result<Slots> {
    let slot = |(name, policy): (&config::PolicyName, &config::LoadedPolicy)| {
        let slot = PolicySlot::new(Arc::clone(&policy.program));
        Ok((PolicyName::new(name.as_str())?, slot))
    };
    config.policies.iter().map(slot).collect()
}

fn open(args: &ServeArgs, config: &Config, dir: PathBuf) -> anyhow::Result<Store> {
    Ok(Store::open(StoreOptions {
        dir,
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
            policies: in_force(config),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })?)
}

/// What the store has to know: which policy a server's calls are judged by changes with the grants, so each
/// server's histories are kept for the limits of all.
fn in_force(config: &Config) -> Vec<PolicyInForce> {
    let mut digest = Sha256::new();
    let mut limits = Vec::new();
    for policy in config.policies.values() {
        digest.update(policy.program.digest);
        limits.extend(policy.program.limits_in_force());
    }
    let digest: [u8; 32] = digest.finalize().into();
    let in_force = |name: &config::ServerName| PolicyInForce {
        server: name.core().clone(),
        digest,
        limits: limits.clone(),
    };
    config.servers.keys().map(in_force).collect()
}

async fn serve(args: &ServeArgs, plan: Plan) -> anyhow::Result<Ended> {
    let (end, wanted) = watch::channel(End::NotYet);
    let signalled = tokio::spawn(async move {
        let signal = run::until_signal().await;
        end.send_replace(End::Urgent);
        signal
    });
    // Signals are listened for before anyone is told of an address.
    tokio::task::yield_now().await;
    let config = &plan.config;
    let metrics = config.metrics.as_ref().map(|_| Metrics::new(names(config)));
    let tracer = tracer(config)?;
    let team = team(args, &plan, metrics.as_ref(), tracer.as_ref())?;
    if !team.has_grants() {
        refuse_without_grants(config)?;
    }
    let listener = Listener::bind(&config.listen, config.socket_mode).await?;
    let address = listener.address().clone();
    if !team.has_grants() {
        say_who_is_let_in(config);
    }
    team.watch();
    if let Some(oauth) = team.oauth() {
        oauth.prepare();
    }
    let guard = guard(config, &address);
    let mut guards = vec![(address.clone(), guard.clone())];
    let mut files = Vec::new();
    if let Some(metrics) = &metrics {
        let (told, file) = tell_metrics(config, metrics, &team).await?;
        guards.extend(told);
        files.extend(file);
    }
    let certificate = config.tls.as_ref().map(config::Tls::load).transpose()?;
    let (wire, scheme) = match &certificate {
        None => (Wire::Plain, "http"),
        Some(certificate) => (Wire::Tls(certificate.clone()), "https"),
    };
    let shown = certificate.zip(config.tls.clone());
    let certificate = shown.map(|(certificate, tls)| certificate::follow(tls, certificate));
    let slots = Arc::new(ArcSwap::new(Arc::clone(&plan.slots)));
    let (reloads, asked) = mpsc::channel(1);
    let (open, token) = open_admin(&plan, &team, &slots, reloads, &mut guards)
        .await?
        .unzip();
    let reloader = Reloader {
        path: args.config.clone(),
        mode: args.reload,
        config: plan.config,
        files: plan.files,
        slots,
        store: plan.store,
        team: Arc::clone(&team),
        metrics,
        guards,
        certificate,
        admin: token,
        tracer: tracer.clone(),
        dir: plan.dir,
    };
    reloader.follow(asked);
    say(&match &address {
        Address::Net(address) => format!("callgate: listening on {scheme}://{address}/mcp/SERVER"),
        Address::Unix(_) => format!("callgate: listening on {address}, {scheme}://localhost/mcp/SERVER"),
    });
    http::serve(listener, wire, Doors::Team(team), guard, wanted).await?;
    drop((files, open));
    traces::close(tracer.as_ref()).await;
    Ok(run::by_signal(signalled.await.unwrap_or(15)))
}

/// Whether nobody is let in before the first grant, and the gateway itself can make it: in a container there is nothing
/// to make it with before.
fn is_made_later(config: &Config) -> bool {
    config.admin.is_some() && config.local.is_empty()
}

fn say_who_is_let_in(config: &Config) {
    say(if is_made_later(config) {
        "callgate: no grant was made yet, so nobody is let in; `callgate grants create` makes the first grant"
    } else {
        "callgate: no grant was made yet, so callers on this machine are let in without a token, as `local`; `callgate grants create` makes the first grant"
    });
}

/// Without a grant only callers that are seen to be on this machine are served.
fn refuse_without_grants(config: &Config) -> anyhow::Result<()> {
    let is_behind_proxy =
        !config.hosts.is_empty() || config.oauth.as_ref().is_some_and(|oauth| !oauth.is_local());
    if is_behind_proxy && !config.local.is_empty() {
        bail!(
            "no grant was made yet, and `hosts` or `oauth.url` says that callers come through a proxy, which looks like a caller on this machine; make one with `callgate grants create`, or take `local` away"
        );
    }
    if is_made_later(config) {
        return Ok(());
    }
    match &config.listen {
        Address::Net(address) if address.ip().is_loopback() => Ok(()),
        Address::Net(address) => bail!(
            "no grant was made yet, and {address} can be reached from other machines; make one with `callgate grants create`, or listen on 127.0.0.1"
        ),
        Address::Unix(_) => bail!(
            "no grant was made yet, and over a Unix socket nobody is let in without one; make one with `callgate grants create`, or listen on 127.0.0.1"
        ),
    }
}

/// Tells metrics where the configuration says, for as long as the process lives.
async fn tell_metrics(
    config: &Config,
    metrics: &Metrics,
    team: &Arc<Team>,
) -> anyhow::Result<(Option<(Address, Guard)>, Option<SocketFile>)> {
    let Some(address) = &config.metrics else {
        return Ok((None, None));
    };
    let listener = Listener::bind(address, SocketMode::Owner).await;
    let mut listener = listener.context("metrics")?;
    let (address, file) = (listener.address().clone(), listener.take_file());
    let exposition = Arc::new(Exposition::new(metrics, team, env!("CARGO_PKG_VERSION")));
    let guard = guard(config, &address);
    tokio::spawn(http::serve_metrics(listener, exposition, guard.clone()));
    say(&match &address {
        Address::Net(address) => format!("callgate: metrics on http://{address}/metrics"),
        Address::Unix(_) => format!("callgate: metrics on {address}, http://localhost/metrics"),
    });
    Ok((Some((address, guard)), file))
}

/// Answers those who run the gateway where the configuration says, for as long as the process lives.
async fn open_admin(
    plan: &Plan,
    team: &Arc<Team>,
    slots: &Arc<ArcSwap<Slots>>,
    reloader: mpsc::Sender<Asked>,
    guards: &mut Vec<(Address, Guard)>,
) -> anyhow::Result<Option<(Open, Arc<ArcSwap<Token>>)>> {
    let Some(asked) = &plan.config.admin else {
        return Ok(None);
    };
    let listener = Listener::bind(&asked.listen, SocketMode::Owner).await;
    let mut listener = listener.context("admin")?;
    let (address, file) = (listener.address().clone(), listener.take_file());
    let (notice, own) = Notice::leave(&plan.dir, &address)?;
    let token = Arc::new(ArcSwap::from_pointee(Token::new(asked.token.reveal())?));
    let guard = guard(&plan.config, &address);
    guards.push((address.clone(), guard.clone()));
    let admin = Admin {
        team: Arc::clone(team),
        dir: plan.dir.clone(),
        slots: Arc::clone(slots),
        token: Arc::clone(&token),
        own,
        guard,
        reloader,
        started: SystemTime::now(),
    };
    admin::serve(listener, Arc::new(admin));
    say(&match &address {
        Address::Net(address) => format!("callgate: admin API on http://{address}/v1/"),
        Address::Unix(_) => format!("callgate: admin API on {address}, http://localhost/v1/"),
    });
    let open = Open {
        _file: file,
        _notice: notice,
    };
    Ok(Some((open, token)))
}

/// Lets in what is addressed to `address`, or to a host of the configuration.
fn guard(config: &Config, address: &Address) -> Guard {
    let port = match address {
        Address::Net(address) => Some(address.port()),
        Address::Unix(_) => None,
    };
    let own = config.oauth.as_ref().map(|oauth| oauth.authority().to_owned());
    let hosts = config.hosts.iter();
    Guard::at(address)
        .also(hosts.flat_map(|host| spellings(host, port)))
        .also(own)
}

/// How a `Host` header may put a name: with the port that is listened on, or with none behind a proxy; only
/// with its own port where it was given one.
fn spellings(host: &HostName, port: Option<u16>) -> Vec<String> {
    match (host.port(), port) {
        (Some(_), _) => vec![host.to_string()],
        (None, Some(port)) => vec![host.name().to_owned(), format!("{}:{port}", host.name())],
        (None, None) => vec![host.name().to_owned()],
    }
}

fn names(config: &Config) -> impl Iterator<Item = ServerName> {
    config.servers.keys().map(|name| name.core().clone())
}

/// What callers on this machine may use until the first grant is made.
fn local(config: &Config, slots: &Slots) -> anyhow::Result<Access> {
    let nothing = nothing();
    let access = |(server, policy): (&config::ServerName, &config::PolicyName)| {
        let slot = slots.get(&PolicyName::new(policy.as_str())?);
        Ok((server.core().clone(), Arc::clone(slot.unwrap_or(&nothing))))
    };
    config.local.iter().map(access).collect()
}

/// What traces calls, where the configuration says so, or else the environment.
fn tracer(config: &Config) -> anyhow::Result<Option<Arc<Tracer>>> {
    let of_variables = || Traces::of_variables(&|name| std::env::var_os(name));
    let traces = config.traces.clone().or_else(of_variables);
    traces.map(|traces| traces.start()).transpose()
}

fn team(
    args: &ServeArgs,
    plan: &Plan,
    metrics: Option<&Arc<Metrics>>,
    tracer: Option<&Arc<Tracer>>,
) -> anyhow::Result<Arc<Team>> {
    let mut servers = BTreeMap::new();
    for (name, server) in &plan.config.servers {
        servers.insert(name.core().clone(), upstream(name, server, &plan.dir)?);
    }
    let source = StoreGrants {
        store: Arc::clone(&plan.store),
        slots: Arc::clone(&plan.slots),
        nothing: nothing(),
    };
    let mut recorder = Recorder::new(Arc::clone(&plan.store));
    if let Some(metrics) = metrics {
        recorder = recorder.watched(Arc::clone(metrics));
    }
    if let Some(tracer) = tracer {
        recorder = recorder.traced(Arc::clone(tracer));
    }
    let local = (run::local()?, local(&plan.config, &plan.slots)?);
    let settings = Settings {
        sessions_per_minute_max: args.sessions_per_minute,
        answer_time: Duration::from_secs(u64::from(args.answer_time)),
        client_time: Duration::from_secs(u64::from(args.client_time)),
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

/// What a server's process is started by.
fn child(command: &config::Command) -> ServerCommand {
    ServerCommand {
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
        stderr: log::stderr_of_servers(),
    }
}

fn upstream(name: &config::ServerName, server: &Server, dir: &Path) -> anyhow::Result<Upstream> {
    Ok(match server {
        Server::Command(command) => match command.sharing {
            Sharing::PerSession => Upstream::Command(Box::new(child(command))),
            Sharing::Shared => Upstream::Shared(Arc::new(Hub::new(child(command)))),
        },
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
