//! What `run` needs before the first message: policy, store, server, and the warnings that are due.

use super::headers;
use super::policy::PolicyFile;
use crate::args::{self, RunArgs, Transport};
use crate::log;
use crate::reference;
use crate::traces::Traces;
use crate::words::{hex, warn};
use anyhow::{Context, bail};
use callgate_core::call::Caller;
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, SessionId};
use callgate_core::program::Program;
use callgate_gateway::gate::PolicySlot;
use callgate_gateway::link::child::ServerCommand;
use callgate_gateway::link::http::Endpoint;
use callgate_gateway::recorder::{Company, Recorder};
use callgate_gateway::serve::http::{Token, Upstream};
use callgate_gateway::traces::Tracer;
use callgate_gateway::{Gate, Settings};
use callgate_ledger::record;
use callgate_store::{Durability, PolicyInForce, RunInfo, Store, StoreOptions, keyed_hash};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All that a run is made of.
pub(super) struct Plan {
    pub(super) gate: Arc<Gate>,
    pub(super) slot: Arc<PolicySlot>,
    pub(super) store: Arc<Store>,
    pub(super) upstream: Upstream,
    pub(super) token: Option<Token>,
    pub(super) policy: PolicyFile,
    /// What traces calls, where the environment says so.
    pub(super) tracer: Option<Arc<Tracer>>,
}

/// Makes a plan of the arguments, or says what is wrong with them.
pub(super) fn plan(args: &RunArgs) -> anyhow::Result<Plan> {
    refuse_what_is_not_there(args)?;
    let path = args.config.clone().context("name a policy with -c FILE")?;
    let url = url(args)?;
    let upstream = upstream(args, url.as_deref())?;
    let token = token(args)?;
    let policy = PolicyFile::read(&path)?;
    let dir = state_dir(args.state.state_dir.as_deref())?;
    warn_of_the_agent(&path, &dir);
    let server = server_name(args, url.as_deref(), &dir)?;
    let store = Arc::new(Store::open(StoreOptions {
        dir,
        durability: match args.durability {
            args::Durability::Process => Durability::Process,
            args::Durability::Disk => Durability::Disk,
        },
        ledger_key: args.ledger_key.clone(),
        checkpoint_out: args.checkpoint_out.clone(),
        run: RunInfo {
            label: label(args, url.as_deref()),
            mode: record::Mode::Run,
            policies: vec![in_force(&server, &policy.loaded.program)],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })?);
    let traces = Traces::of_variables(&|name| std::env::var_os(name));
    let tracer = traces.map(|traces| traces.start()).transpose()?;
    let mut recorder = Recorder::new(Arc::clone(&store));
    if let Some(tracer) = &tracer {
        recorder = recorder.traced(Arc::clone(tracer));
    }
    let slot = PolicySlot::new(Arc::new(policy.loaded.program.clone()));
    let gate = Arc::new(Gate::new(
        server,
        local()?,
        Arc::clone(&slot),
        recorder,
        Settings {
            sessions_per_minute_max: args.sessions_per_minute,
            company: match args.transport.unwrap_or(Transport::Stdio) {
                Transport::Stdio => Company::Alone,
                Transport::Http | Transport::Sse => Company::Others,
            },
            answer_time: std::time::Duration::from_secs(u64::from(args.answer_time)),
            client_time: std::time::Duration::from_secs(u64::from(args.client_time)),
            ..Settings::default()
        },
    ));
    Ok(Plan {
        gate,
        slot,
        store,
        upstream,
        token,
        policy,
        tracer,
    })
}

/// A policy as the store knows it.
pub(super) fn in_force(server: &ServerName, program: &Program) -> PolicyInForce {
    PolicyInForce {
        server: server.clone(),
        digest: program.digest,
        limits: program.limits_in_force(),
    }
}

/// The caller of every call under `run`.
pub(crate) fn local() -> anyhow::Result<Caller> {
    Ok(Caller {
        grant: GrantId::new("local")?,
        label: "local".into(),
        issuer: None,
        subject: None,
        claims: Json::Null,
    })
}

/// A session id of 128 random bits.
pub(super) fn session_id() -> anyhow::Result<SessionId> {
    let mut bytes = [0_u8; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(SessionId::new(&hex(&bytes))?)
}

fn refuse_what_is_not_there(args: &RunArgs) -> anyhow::Result<()> {
    if args.state_dsn.is_some() {
        bail!(
            "--state-dsn: shared stores are not available in this version; leave it out, and limits and ledger are kept on this machine (--state-dir)"
        );
    }
    match args.state_fail_mode.as_deref() {
        None | Some("closed") => {}
        Some("open") => bail!(
            "--state-fail-mode open: a call that cannot be counted and recorded is denied, always; leave it out"
        ),
        Some(other) => bail!("--state-fail-mode: `{other}` is not known; calls fail closed, always"),
    }
    let is_http = matches!(args.transport, Some(Transport::Http | Transport::Sse));
    if (args.bind.is_some() || args.port.is_some()) && !is_http {
        bail!("--bind and --port need --transport http");
    }
    if args.command.is_empty() && args.upstream.is_none() && args.upstream_env.is_none() {
        bail!(
            "name the server to guard: a command after `--`, or --upstream URL\nhint: callgate run -c policy.yaml -- npx -y mistral-mcp"
        );
    }
    Ok(())
}

/// The server's URL, where it is behind one.
fn url(args: &RunArgs) -> anyhow::Result<Option<String>> {
    match &args.upstream_env {
        Some(name) => {
            let url = reference::variable(name, &|name| std::env::var_os(name)).context("--upstream-env")?;
            Ok(Some(url))
        }
        None => Ok(args.upstream.clone()),
    }
}

/// The flag that named the URL.
const fn url_flag(args: &RunArgs) -> &'static str {
    if args.upstream_env.is_some() {
        "--upstream-env"
    } else {
        "--upstream"
    }
}

fn upstream(args: &RunArgs, url: Option<&str>) -> anyhow::Result<Upstream> {
    match url {
        None => {
            let command = ServerCommand::inheriting(args.command.clone());
            Ok(Upstream::Command(Box::new(ServerCommand {
                stderr: log::stderr_of_servers(),
                ..command
            })))
        }
        Some(url) => {
            let mut headers = headers::read(&args.header, &args.header_file)?;
            headers::of_variables(&args.header_env, &mut headers)?;
            let endpoint = Endpoint::new(url, headers).context(url_flag(args))?;
            Ok(Upstream::Url(Box::new(endpoint)))
        }
    }
}

fn token(args: &RunArgs) -> anyhow::Result<Option<Token>> {
    let Some(path) = &args.token_file else {
        if args.bind.is_some_and(|bind| !bind.is_loopback()) {
            bail!(
                "--bind: anyone who reaches this address could call; name a bearer token with --token-file, or bind to 127.0.0.1"
            );
        }
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(Token::new(&text).context("--token-file")?))
}

/// The state folder that was named, or the user's own.
pub(crate) fn state_dir(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = named {
        return Ok(dir.to_owned());
    }
    if let Some(dir) = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir).join("callgate"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.context("no HOME is set; name a state folder with --state-dir")?;
    Ok(PathBuf::from(home).join(".local/state/callgate"))
}

/// The server's name in limits and ledger: given, or a hash that stays the same for the same server.
fn server_name(args: &RunArgs, url: Option<&str>, dir: &Path) -> anyhow::Result<ServerName> {
    if let Some(name) = args.server.as_ref().or(args.state_prefix.as_ref()) {
        return ServerName::new(name).context("--server");
    }
    let digest = match url {
        Some(url) => {
            // The query may hold a key, and is no part of what the server is.
            let mut url = url::Url::parse(url).context(url_flag(args))?;
            url.set_query(None);
            url.set_fragment(None);
            keyed_hash(dir, "server-url", &[url.as_str().as_bytes()])?
        }
        None => {
            let parts: Vec<&[u8]> = args.command.iter().map(|part| part.as_bytes()).collect();
            keyed_hash(dir, "server-command", &parts)?
        }
    };
    let short = digest.get(..6).unwrap_or_default();
    Ok(ServerName::new(&format!("server-{}", hex(short)))?)
}

/// What a person knows the run by: the program alone, as arguments may hold secrets.
fn label(args: &RunArgs, url: Option<&str>) -> String {
    match (url, args.command.first()) {
        (Some(url), _) => url::Url::parse(url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default(),
        (None, Some(program)) => Path::new(program)
            .file_name()
            .unwrap_or(program)
            .to_string_lossy()
            .into_owned(),
        (None, None) => String::new(),
    }
}

/// An agent with a shell can change what it can write; where policy or state lie in its reach, say so.
fn warn_of_the_agent(policy: &Path, state: &Path) {
    let here = std::env::current_dir().ok();
    for (what, path) in [("policy", policy), ("state folder", state)] {
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let is_writable_by_others = full.metadata().is_ok_and(|meta| meta.mode() & 0o022 != 0);
        let is_here = here
            .as_ref()
            .is_some_and(|here| here.parent().is_some() && full.starts_with(here));
        if is_writable_by_others {
            warn(&format!(
                "the {what} {} can be written by others; run `chmod go-w` on it",
                path.display()
            ));
        } else if is_here {
            warn(&format!(
                "the {what} {} lies below the working folder, where an agent may be able to change it",
                path.display()
            ));
        }
    }
}
