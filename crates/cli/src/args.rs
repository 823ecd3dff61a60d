//! The command line: what can be asked, and how the help puts it.

use crate::commands;
use crate::commands::attacks::AttacksArgs;
use crate::commands::attacks::server::AttackServerArgs;
use crate::commands::catalog::CatalogArgs;
use crate::commands::completions::{CompletionsArgs, ManArgs};
use crate::commands::demo::DemoArgs;
use crate::commands::demo::server::DemoServerArgs;
use crate::commands::grants::GrantsArgs;
use crate::commands::init::InitArgs;
use crate::commands::ledger::LedgerArgs;
use crate::commands::login::LoginArgs;
use crate::commands::reload::ReloadArgs;
use crate::commands::status::StatusArgs;
use crate::serve::ServeArgs;
use callgate_gateway::Settings;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Guard a local MCP server, over stdio:
    callgate run -c policy.yaml -- npx -y mistral-mcp

  Guard a remote one; its credentials stay out of the process list:
    callgate run -c policy.yaml --upstream https://host/mcp --header-file headers.txt

  Serve it over HTTP instead:
    callgate run -c policy.yaml --upstream https://host/mcp --transport http --port 8080

  `run` may be left out: callgate -c policy.yaml -- npx -y mistral-mcp

Environment:
  OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …
    Where OpenTelemetry traces of calls go, such as http://127.0.0.1:4318; nowhere if not set";

/// The call gate between AI agents and MCP servers: judges every tool call by policy before it reaches the
/// server, and records it.
#[derive(Debug, Parser)]
#[command(
    name = "callgate",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
#[command(after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put the gate in front of one server
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArgs>),
    /// Put one gate in front of all servers of a team
    #[command(after_help = crate::serve::EXAMPLES)]
    Serve(ServeArgs),
    /// Read, prove and check what was recorded
    Ledger(LedgerArgs),
    /// Say who may call through `callgate serve`: make, show, change and end grants
    Grants(GrantsArgs),
    /// Let Callgate in at a server that takes tokens of a person, for `callgate serve`
    #[command(after_help = crate::commands::login::EXAMPLES)]
    Login(LoginArgs),
    /// Have a gateway read its configuration anew, and say when it is in force
    Reload(ReloadArgs),
    /// Show running gates, calls, denials and limits
    Status(StatusArgs),
    /// Print what a shell needs to complete this program's arguments
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all subcommands to a folder
    Man(ManArgs),
    /// Show what Callgate does: real calls through a real gate, in a few seconds
    Demo(DemoArgs),
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
    /// Known attacks: how each works, what stops it, and its proof on this machine
    Attacks(AttacksArgs),
    #[command(hide = true)]
    AttackServer(AttackServerArgs),
    /// Check policies and configurations: what is wrong, where, and what they come to
    Validate(commands::validate::ValidateArgs),
    /// Show how a policy judges one call, rule by rule
    Explain(Box<commands::explain::ExplainArgs>),
    /// Run the test files of policies
    Test(commands::test::TestArgs),
    /// Put Callgate in front of the servers that your clients start, and take it away again
    #[command(after_help = crate::commands::init::EXAMPLES)]
    Init(InitArgs),
    /// List a server's tools and write the recommended policy for it, with its tests
    Scan(commands::scan::ScanArgs),
    /// Say go, ask or stop of a server before it is connected
    Check(Box<commands::check::CheckArgs>),
    /// Say what tools can do at worst, and why
    Catalog(CatalogArgs),
    /// Serve what is known to agents: an MCP server on stdio that looks things up and does nothing
    #[command(after_help = crate::commands::mcp::EXAMPLES)]
    Mcp,
    /// Print the JSON Schema of the policy language, or of the configuration
    Schema(commands::schema::SchemaArgs),
}

/// How messages travel between the client and Callgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// On stdin and stdout.
    Stdio,
    /// Over Streamable HTTP.
    Http,
    /// As `http`; the address that is told is that of the HTTP+SSE transport of 2024-11-05.
    Sse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What helps to find a fault.
    Debug,
    /// What is worth knowing.
    Info,
    /// What should be looked at.
    Warn,
    /// What has failed.
    Error,
}

/// How what is told on stderr is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the ledger and the limits survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// Crashes of processes, kill -9 included.
    Process,
    /// Loss of power too: fsynced before a call is forwarded.
    Disk,
}

/// What a changed policy file may do while the gate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reload {
    /// It is put in force.
    Any,
    /// It is put in force unless it is looser; a looser one waits for a restart.
    Tighten,
    /// It is not looked at.
    Off,
}

/// Where the state folder is.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateArgs {
    /// The folder of limits and ledger [default: $XDG_STATE_HOME/callgate or ~/.local/state/callgate]
    #[arg(long, value_name = "DIR", env = "CALLGATE_STATE_DIR", help_heading = "State")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_line_help = false)]
pub(crate) struct RunArgs {
    /// The policy: YAML or JSON
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) config: Option<PathBuf>,

    /// The server's command and its arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// How the client talks to Callgate [default: stdio]
    #[arg(long, value_enum)]
    pub(crate) transport: Option<Transport>,

    /// What is logged on stderr
    #[arg(long, value_enum, default_value = "info")]
    pub(crate) log_level: LogLevel,

    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// What a change of the policy file does while the gate runs
    #[arg(long, value_enum, default_value = "any")]
    pub(crate) reload: Reload,

    /// The server's URL, in place of a command
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Remote server",
        group = "remote",
        conflicts_with = "command"
    )]
    pub(crate) upstream: Option<String>,

    /// The variable that holds its URL, where that holds a secret
    #[arg(
        long,
        value_name = "VARIABLE",
        help_heading = "Remote server",
        group = "remote",
        conflicts_with = "command"
    )]
    pub(crate) upstream_env: Option<String>,

    /// A header for the server, `Name: value`; `${env:X}` and `${file:X}` stand for secrets
    #[arg(
        long,
        value_name = "HEADER",
        help_heading = "Remote server",
        requires = "remote"
    )]
    pub(crate) header: Vec<String>,

    /// A header whose value is that of a variable, `Name: VARIABLE`
    #[arg(
        long,
        value_name = "HEADER",
        help_heading = "Remote server",
        requires = "remote"
    )]
    pub(crate) header_env: Vec<String>,

    /// A file of such headers, one a line
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Remote server",
        requires = "remote"
    )]
    pub(crate) header_file: Vec<PathBuf>,

    /// The address to listen on, with --transport http
    #[arg(long, value_name = "ADDRESS", help_heading = "HTTP")]
    pub(crate) bind: Option<std::net::IpAddr>,

    /// The port to listen on, with --transport http; 0 picks one
    #[arg(long, value_name = "PORT", help_heading = "HTTP")]
    pub(crate) port: Option<u16>,

    /// A file with the bearer token that clients have to send
    #[arg(long, value_name = "FILE", help_heading = "HTTP")]
    pub(crate) token_file: Option<PathBuf>,

    /// Sessions that may be opened within a minute, with --transport http
    #[arg(long, value_name = "N", help_heading = "HTTP", default_value_t = Settings::SESSIONS_PER_MINUTE, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions_per_minute: u32,

    /// Seconds that a client may take to answer what its server asks, where they are of different eras
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::ANSWER_SECONDS, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) answer_time: u32,

    /// Seconds that a client may take to send a body, or may take nothing of what is written to it, with --transport http
    #[arg(long, value_name = "SECONDS", help_heading = "HTTP", default_value_t = Settings::CLIENT_SECONDS, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) client_time: u32,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// What the server is called in limits and ledger [default: --state-prefix, or a hash of its command]
    #[arg(long, value_name = "NAME", help_heading = "State")]
    pub(crate) server: Option<String>,

    /// As --server, under the name that Intercept gives it
    #[arg(long, value_name = "PREFIX", help_heading = "State")]
    pub(crate) state_prefix: Option<String>,

    /// What ledger and limits survive
    #[arg(long, value_enum, default_value = "process", help_heading = "State")]
    pub(crate) durability: Durability,

    /// The key that signs the ledger's checkpoints [default: ledger.key in the state folder]
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub(crate) ledger_key: Option<PathBuf>,

    /// A file that each signed checkpoint is appended to
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub(crate) checkpoint_out: Option<PathBuf>,

    /// A shared store; not available in this version
    #[arg(long, value_name = "DSN", help_heading = "State")]
    pub(crate) state_dsn: Option<String>,

    /// What happens when the store is unreachable: always `closed`
    #[arg(long, value_name = "MODE", help_heading = "State")]
    pub(crate) state_fail_mode: Option<String>,
}
