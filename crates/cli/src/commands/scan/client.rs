//! Asking a server for its tools, as a client of either era.

use super::tools::{self, Described};
use crate::commands::explain::text::clean;
use crate::run::headers;
use crate::words::say;
use anyhow::{Context, bail};
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::{
    ClientConfig, ClientRequest, Implementation, ListToolsRequest, PaginatedRequestParams, ProtocolVersion,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server may take to start and answer: `npx` may have to download it first.
const START_TIMEOUT_DEFAULT: u64 = 60;

/// How long the list may take once the server has answered.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a person is told that the server has not answered yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// At most so many pages are read, as the gate does.
const PAGES_MAX: usize = 100;

/// At most so many tools are read, as the gate does.
const TOOLS_MAX: usize = 10_000;

/// So many characters of what went wrong are shown.
const CAUSE_CHARS_MAX: usize = 400;

/// The server to ask.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's command and its arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,

    /// The server's URL, in place of a command
    #[arg(long, value_name = "URL", help_heading = "Server", conflicts_with = "command")]
    upstream: Option<String>,

    /// A header for the server, `Name: value`; `${env:X}` and `${file:X}` stand for secrets
    #[arg(long, value_name = "HEADER", help_heading = "Server", requires = "upstream")]
    header: Vec<String>,

    /// A file of such headers, one a line
    #[arg(long, value_name = "FILE", help_heading = "Server", requires = "upstream")]
    header_file: Vec<PathBuf>,

    /// How many seconds the server may take to start and answer
    #[arg(long, value_name = "SECONDS", help_heading = "Server", default_value_t = START_TIMEOUT_DEFAULT)]
    server_timeout: u64,
}

/// A server, and how long it may take to answer.
#[derive(Debug)]
pub(crate) struct Target {
    place: Place,
    start_timeout: Duration,
    /// The flag that gives it longer.
    timeout_flag: &'static str,
}

#[derive(Debug)]
enum Place {
    Command(Launch),
    Url { url: url::Url, headers: HeaderMap },
}

impl ServerArgs {
    /// How long a server may take to start and answer.
    pub(crate) const fn start_timeout(&self) -> Duration {
        Duration::from_secs(self.server_timeout)
    }

    /// The command after `--`.
    pub(crate) fn command(&self) -> &[OsString] {
        &self.command
    }

    /// The URL in its place.
    pub(crate) fn upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }
}

/// A server to start.
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Variables beside those of this process.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) stderr: StderrOf,
}

/// It holds secrets.
impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").finish_non_exhaustive()
    }
}

/// What becomes of what a server says on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StderrOf {
    /// A person sees it.
    Shown,
    /// Nobody does, as it may tell a secret.
    Dropped,
}

/// What a server says of itself and its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    /// The version of the protocol that was agreed on.
    pub(crate) protocol: String,
    /// The result of `tools/list`, all pages joined.
    pub(crate) text: String,
}

impl Listing {
    /// What a person knows the server by; empty where it does not say.
    pub(crate) fn label(&self) -> String {
        [self.name.as_deref(), self.version.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(crate) fn tools(&self) -> anyhow::Result<Vec<Described>> {
        tools::read(&self.text).context("the server's list of tools")
    }
}

impl ServerArgs {
    /// The server, where one is named.
    pub(crate) fn target(&self) -> anyhow::Result<Option<Target>> {
        let place = match &self.upstream {
            Some(url) => {
                let url = url::Url::parse(url).context("--upstream")?;
                if !matches!(url.scheme(), "http" | "https") {
                    bail!("--upstream: `{}` is neither http nor https", url.scheme());
                }
                let headers = headers::read(&self.header, &self.header_file)?;
                Place::Url { url, headers }
            }
            None if self.command.is_empty() => return Ok(None),
            None => Place::Command(Launch {
                words: self.command.clone(),
                env: Vec::new(),
                folder: None,
                stderr: StderrOf::Shown,
            }),
        };
        Ok(Some(Target {
            place,
            start_timeout: self.start_timeout(),
            timeout_flag: "--server-timeout",
        }))
    }
}

impl Target {
    /// A server to start, within a time that `--timeout` says.
    pub(crate) fn to_start(launch: Launch, start_timeout: Duration) -> Self {
        Self {
            place: Place::Command(launch),
            start_timeout,
            timeout_flag: "--timeout",
        }
    }

    /// A server to reach, within a time that `--timeout` says.
    pub(crate) fn to_reach(url: url::Url, headers: HeaderMap, start_timeout: Duration) -> Self {
        Self {
            place: Place::Url { url, headers },
            start_timeout,
            timeout_flag: "--timeout",
        }
    }

    /// The same, within a time that `--server-timeout` says.
    pub(crate) fn within_server_timeout(self) -> Self {
        Self {
            timeout_flag: "--server-timeout",
            ..self
        }
    }

    /// What a person knows it by: no argument and no query, which may hold secrets.
    fn label(&self) -> String {
        match &self.place {
            Place::Command(launch) => launch
                .words
                .first()
                .map(|program| program.to_string_lossy().into_owned())
                .unwrap_or_default(),
            Place::Url { url, .. } => url.host_str().unwrap_or_default().to_owned(),
        }
    }

    /// An error's words without the URL, whose query may hold a key.
    fn without_secrets(&self, words: &str) -> String {
        match &self.place {
            Place::Command(_) => words.to_owned(),
            Place::Url { url, .. } => {
                let words = words.replace(url.as_str(), &self.label());
                match url.query().filter(|query| !query.is_empty()) {
                    Some(query) => words.replace(query, "…"),
                    None => words,
                }
            }
        }
    }

    /// The end of a command line that names the same server, without arguments, which may hold secrets.
    pub(crate) fn as_arguments(&self) -> String {
        match &self.place {
            Place::Command(launch) if launch.words.len() > 1 => format!("-- {} …", self.label()),
            Place::Command(_) => format!("-- {}", self.label()),
            Place::Url { .. } => "--upstream URL".to_owned(),
        }
    }
}

/// Starts or reaches the server, and lists all its tools. Progress is told on stderr.
pub(crate) fn list(target: &Target) -> anyhow::Result<Listing> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listed = runtime.block_on(async {
        let label = target.label();
        let doing = match target.place {
            Place::Command(_) => "starting",
            Place::Url { .. } => "asking",
        };
        say(&format!("callgate: {doing} {label} …"));
        let waiting = tokio::spawn(tell_of_waiting(label.clone()));
        let listed = connect_and_list(target).await;
        waiting.abort();
        listed.with_context(|| format!("the server {label}"))
    });
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
    listed
}

async fn tell_of_waiting(label: String) {
    let mut waited = Duration::ZERO;
    loop {
        tokio::time::sleep(PATIENCE).await;
        waited = waited.saturating_add(PATIENCE);
        say(&format!(
            "callgate: {label} has not answered yet, after {} s …",
            waited.as_secs()
        ));
    }
}

type Client = RunningService<RoleClient, ClientConfig>;

/// As [`list`], without a word.
pub(crate) async fn connect_and_list(target: &Target) -> anyhow::Result<Listing> {
    let mut client = connect(target).await?;
    let listed = tokio::time::timeout(LIST_TIMEOUT, all_pages(target, &client))
        .await
        .unwrap_or_else(|_| {
            bail!(
                "it did not give its list of tools within {} s",
                LIST_TIMEOUT.as_secs()
            )
        });
    let info = client.peer_info();
    let implementation = info.as_ref().and_then(|info| info.server_info.clone());
    let protocol = info
        .as_ref()
        .map(|info| info.protocol_version.to_string())
        .unwrap_or_default();
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, client.close()).await;
    Ok(Listing {
        name: implementation.as_ref().map(|server| server.name.clone()),
        version: implementation.map(|server| server.version),
        protocol,
        text: listed?,
    })
}

/// The handshake of the older versions, and where the server refuses it, that of 2026-07-28.
async fn connect(target: &Target) -> anyhow::Result<Client> {
    let modern = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let first = match attempt(target, ClientLifecycleMode::Initialize).await? {
        Ok(client) => return Ok(client),
        Err(ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::TransportError { .. })
            if let Place::Command(launch) = &target.place =>
        {
            match launch.stderr {
                StderrOf::Shown => bail!(
                    "it ended before it answered; what it said of it stands above, or comes when you run it by hand"
                ),
                StderrOf::Dropped => bail!("it ended before it answered; run it by hand to see why"),
            }
        }
        Err(first) => first,
    };
    match attempt(target, modern).await? {
        Ok(client) => Ok(client),
        Err(second) => bail!(
            "it is no MCP server, or could not start: to `initialize` it said: {}; to `server/discover`: {}",
            target.without_secrets(&causes(&first)),
            target.without_secrets(&causes(&second))
        ),
    }
}

/// An error with its causes, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = next.source();
    }
    // A server's own words are among them.
    let mut short: String = clean(&words).chars().take(CAUSE_CHARS_MAX).collect();
    if words.chars().count() > CAUSE_CHARS_MAX {
        short.push('…');
    }
    short
}

async fn attempt(
    target: &Target,
    lifecycle: ClientLifecycleMode,
) -> anyhow::Result<Result<Client, ClientInitializeError>> {
    let mut info = ClientConfig::default();
    info.client_info = Implementation::new("callgate", env!("CARGO_PKG_VERSION"));
    let connecting = async {
        match &target.place {
            Place::Command(launch) => {
                let transport = spawn(launch)?;
                Ok(info.serve_with_lifecycle(transport, lifecycle).await)
            }
            Place::Url { url, headers } => {
                let transport = reach(url, headers)?;
                Ok(info.serve_with_lifecycle(transport, lifecycle).await)
            }
        }
    };
    tokio::time::timeout(target.start_timeout, connecting)
        .await
        .unwrap_or_else(|_| {
            bail!(
                "it did not answer within {} s; {} gives it longer",
                target.start_timeout.as_secs(),
                target.timeout_flag
            )
        })
}

fn spawn(launch: &Launch) -> anyhow::Result<TokioChildProcess> {
    let (program, arguments) = launch.words.split_first().context("no command")?;
    let mut process = tokio::process::Command::new(program);
    let variables = launch.env.iter().map(|(name, value)| (name, value));
    process.args(arguments).envs(variables).kill_on_drop(true);
    if let Some(folder) = &launch.folder {
        process.current_dir(folder);
    }
    let stderr = match launch.stderr {
        StderrOf::Shown => std::process::Stdio::inherit(),
        StderrOf::Dropped => std::process::Stdio::null(),
    };
    let started = TokioChildProcess::builder(process).stderr(stderr).spawn();
    let (process, _) =
        started.with_context(|| format!("cannot start {}; is it installed?", program.to_string_lossy()))?;
    Ok(process)
}

fn reach(
    url: &url::Url,
    headers: &HeaderMap,
) -> anyhow::Result<StreamableHttpClientTransport<reqwest::Client>> {
    // Fails only where a provider is in place already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        // A redirect would carry the credentials elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .build()
        .context("cannot set up HTTP")?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
    let named: HashMap<HeaderName, HeaderValue> = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    config.custom_headers = named;
    Ok(StreamableHttpClientTransport::with_client(http, config))
}

async fn all_pages(target: &Target, client: &Client) -> anyhow::Result<String> {
    let mut tools = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut params = PaginatedRequestParams::default();
        params.cursor.clone_from(&cursor);
        let request = ClientRequest::ListToolsRequest(ListToolsRequest {
            method: Default::default(),
            params: Some(params),
            extensions: Default::default(),
        });
        let page = client.send_request(request).await.map_err(|error| {
            anyhow::anyhow!(
                "it does not list its tools: {}",
                target.without_secrets(&causes(&error))
            )
        })?;
        // Not as typed tools: one that lacks what it should have must not hide the others.
        let mut page = serde_json::to_value(&page)?;
        let Some(serde_json::Value::Array(listed)) = page.get_mut("tools").map(serde_json::Value::take)
        else {
            bail!("what it answers to `tools/list` is no list of tools");
        };
        tools.extend(listed);
        if tools.len() > TOOLS_MAX {
            bail!("it lists more than {TOOLS_MAX} tools");
        }
        let next = page.get("nextCursor").and_then(serde_json::Value::as_str);
        match next {
            None => return Ok(serde_json::to_string(&serde_json::json!({ "tools": tools }))?),
            Some(next) if cursor.as_deref() == Some(next) => {
                bail!("its list of tools never ends: a page names itself as the next")
            }
            Some(next) => cursor = Some(next.to_owned()),
        }
    }
    bail!("its list of tools has more than {PAGES_MAX} pages")
}
