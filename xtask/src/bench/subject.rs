//! What is measured over HTTP: the server alone, nginx, and gates of every kind.

use super::message::{Address, Asked, Call};
use super::open::read_reply;
use super::team::{Gateway, Grounds, Size};
use crate::process::{Running, Watched};
use crate::shell;
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How many tools the server has, and so the longest policy.
pub(super) const TOOLS: usize = 1_000;

/// The built programs.
#[derive(Debug)]
pub(super) struct Programs {
    /// The gate.
    pub(super) callgate: PathBuf,
    /// The server over HTTP.
    pub(super) http: PathBuf,
    /// The server over stdio.
    pub(super) echo: PathBuf,
}

impl Programs {
    /// Those that were built with the running program; the bench has made them just before.
    pub(super) fn built() -> anyhow::Result<Self> {
        let exe = std::env::current_exe()?;
        let folder = exe.parent().context("xtask runs out of a target folder")?;
        Ok(Self {
            callgate: folder.join("callgate"),
            http: folder.join("testkit-http"),
            echo: folder.join("testkit-echo"),
        })
    }

    /// The folder of release builds, beside that of the running program.
    pub(super) fn folder() -> anyhow::Result<PathBuf> {
        let exe = std::env::current_exe()?;
        let target = exe
            .parent()
            .and_then(Path::parent)
            .context("xtask runs out of a target folder")?;
        Ok(target.join("release"))
    }
}

/// The kinds of gate, as the table names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is no tool call passes by policy and ledger.
    PassThrough,
    /// Everything is allowed, and recorded.
    NoRules,
    /// One tool has a rule.
    OneRule,
    /// Each of 1,000 tools has a rule.
    ThousandRules,
    /// One rule and two limits.
    Limits,
    /// The same, with each intent on the disk before its call goes out.
    Disk,
    /// As `Limits`, under `serve`, for a team of a size.
    Team(Size),
    /// What is no tool call, for the smallest team.
    TeamPassThrough,
    /// As `Team` with 10 servers and 100 grants, over the address of all servers as one.
    AllAsOne,
}

impl Kind {
    /// Every kind.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::PassThrough,
            Self::NoRules,
            Self::OneRule,
            Self::ThousandRules,
            Self::Limits,
            Self::Disk,
        ];
        all.extend(Size::all().map(Self::Team));
        all.extend([Self::TeamPassThrough, Self::AllAsOne]);
        all
    }

    /// Its name in the table.
    pub(super) fn name(self) -> String {
        match self {
            Self::PassThrough => "callgate, not a tool call".to_owned(),
            Self::NoRules => "callgate, no rules, ledger".to_owned(),
            Self::OneRule => "callgate, 1 rule, ledger".to_owned(),
            Self::ThousandRules => "callgate, 1,000 rules, ledger".to_owned(),
            Self::Limits => "callgate, limits, ledger".to_owned(),
            Self::Disk => "callgate, limits, ledger on disk".to_owned(),
            Self::Team(size) => format!("serve, limits, {size}"),
            Self::TeamPassThrough => "serve, not a tool call".to_owned(),
            Self::AllAsOne => "serve, 10 servers as one, 100 grants".to_owned(),
        }
    }

    /// Its policy.
    pub(super) fn policy(self) -> String {
        match self {
            Self::PassThrough | Self::NoRules | Self::TeamPassThrough => {
                "version: \"1\"\ndefault: allow\ntools: {}\n".to_owned()
            }
            Self::OneRule => rules(500..501, ""),
            Self::ThousandRules => rules(0..TOOLS, ""),
            Self::Limits | Self::Disk | Self::Team(_) | Self::AllAsOne => rules(
                500..501,
                "      - { name: hourly, rate_limit: 1000000000/hour }\n      - { name: daily, rate_limit: 1000000000/day }\n",
            ),
        }
    }

    /// The durability of its ledger.
    pub(super) const fn durability(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::PassThrough
            | Self::NoRules
            | Self::OneRule
            | Self::ThousandRules
            | Self::Limits
            | Self::Team(_)
            | Self::TeamPassThrough
            | Self::AllAsOne => "process",
        }
    }

    const fn asked(self) -> Asked {
        match self {
            Self::PassThrough | Self::TeamPassThrough => Asked::Vendor,
            Self::NoRules
            | Self::OneRule
            | Self::ThousandRules
            | Self::Limits
            | Self::Disk
            | Self::Team(_) => Asked::Tool,
            Self::AllAsOne => Asked::ToolOfLast,
        }
    }

    /// How large the team is; none for a gate of `run`.
    const fn team(self) -> Option<Size> {
        match self {
            Self::Team(size) => Some(size),
            Self::TeamPassThrough => Some(Size::SMALLEST),
            Self::AllAsOne => Some(Size::MIDDLE),
            Self::PassThrough
            | Self::NoRules
            | Self::OneRule
            | Self::ThousandRules
            | Self::Limits
            | Self::Disk => None,
        }
    }
}

/// A policy that denies all but some tools, each with a condition on its argument.
fn rules(tools: std::ops::Range<usize>, more: &str) -> String {
    let mut policy = "version: \"1\"\ndefault: deny\ntools:\n".to_owned();
    for tool in tools {
        let _ = write!(
            policy,
            "  tool_{tool:04}:\n    rules:\n      - {{ name: not that, conditions: [{{ path: args.text, op: neq, value: forbidden }}] }}\n{more}"
        );
    }
    policy
}

/// What calls are sent to.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) watched: Watched,
    asked: Asked,
    address: Address,
    session: Option<String>,
    _running: Option<Running>,
}

impl Subject {
    /// Opens a session at a URL: one a subject, as a gate lets a caller open only some a minute.
    fn open(
        name: &str,
        address: Address,
        asked: Asked,
        watched: Watched,
        running: Option<Running>,
    ) -> anyhow::Result<Self> {
        let session = handshake(&address).with_context(|| name.to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            watched,
            asked,
            address,
            session,
            _running: running,
        })
    }

    /// A call with a text of so many bytes, which come back.
    pub(super) fn call(&self, size: usize) -> Call {
        let (message, id_at) = self.asked.message(size);
        Call::post(&self.address, self.session.as_deref(), &message, id_at, size)
    }

    /// Any request of the session.
    pub(super) fn request(&self, method: &str) -> Call {
        let (message, id_at) = (
            format!(r#"{{"jsonrpc":"2.0","id":1000000000,"method":"{method}"}}"#),
            22,
        );
        Call::post(
            &self.address,
            self.session.as_deref(),
            message.as_bytes(),
            id_at,
            1,
        )
    }
}

/// Shakes hands, and gives the id of the session.
pub(super) fn handshake(address: &Address) -> anyhow::Result<Option<String>> {
    let mut socket = TcpStream::connect(address.authority())?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let mut received = Vec::new();
    let mut post = |session: Option<&str>, message: &str| {
        let mut call = Call::post(address, session, message.as_bytes(), message.len(), 0);
        socket.write_all(call.numbered(0))?;
        read_reply(&mut socket, &mut received)
    };
    let reply = post(None, hello)?;
    if reply.status != 200 {
        bail!("initialize: {}", reply.head);
    }
    let session = reply.header("mcp-session-id").map(str::to_owned);
    let noted = post(
        session.as_deref(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    )?;
    if noted.status != 202 {
        bail!("notifications/initialized: {}", noted.head);
    }
    Ok(session)
}

/// The server that everything stands before.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    running: Running,
}

/// Starts it.
pub(super) fn server(programs: &Programs) -> anyhow::Result<Server> {
    let mut command = Command::new(&programs.http);
    command.args(["--tools", &TOOLS.to_string()]);
    let (running, url) = Running::announced(&mut command)?;
    Ok(Server { url, running })
}

/// The server alone, and nginx before it.
pub(super) fn yardsticks(server: &Server, room: &Path) -> anyhow::Result<Vec<Subject>> {
    let (nginx, url) = nginx(server, &room.join("nginx"))?;
    let watched = nginx.watched_with_children();
    Ok(vec![
        Subject::open(
            "direct",
            Address::of(&server.url),
            Asked::Tool,
            server.running.watched(),
            None,
        )?,
        Subject::open("nginx", Address::of(&url), Asked::Tool, watched, Some(nginx))?,
    ])
}

/// The gates before a server whose names have a word.
pub(super) fn gates(
    programs: &Programs,
    server: &Server,
    room: &Path,
    grounds: &mut Grounds,
    only: Option<&str>,
) -> anyhow::Result<Vec<Subject>> {
    let wanted = |kind: &Kind| only.is_none_or(|word| kind.name().contains(word));
    Kind::all()
        .into_iter()
        .filter(wanted)
        .map(|kind| match kind.team() {
            Some(size) => team(programs, server, room, grounds, kind, size),
            None => gate(programs, server, room, kind),
        })
        .collect()
}

/// One gate over HTTP.
pub(super) fn gate(programs: &Programs, server: &Server, room: &Path, kind: Kind) -> anyhow::Result<Subject> {
    let mut command = gate_command(programs, room, kind)?;
    command.args([
        "--transport",
        "http",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--upstream",
        &server.url,
    ]);
    let (running, url) = Running::announced(&mut command)?;
    Subject::open(
        &kind.name(),
        Address::of(&url),
        kind.asked(),
        running.watched(),
        Some(running),
    )
}

/// The gateway of a team, all of whose servers are the one that is measured; the last grant calls.
fn team(
    programs: &Programs,
    server: &Server,
    room: &Path,
    grounds: &mut Grounds,
    kind: Kind,
    size: Size,
) -> anyhow::Result<Subject> {
    let policy = kind.policy();
    let flags = ["--log-level", "error"];
    let gateway = Gateway::start(programs, server, room, grounds, (size, &policy), &flags)?;
    let token = gateway.tokens.last().context("a team has a grant")?;
    let address = if kind == Kind::AllAsOne {
        gateway.all(token)
    } else {
        gateway.one(size.servers - 1, token)
    };
    Subject::open(
        &kind.name(),
        address,
        kind.asked(),
        gateway.running.watched(),
        Some(gateway.running),
    )
}

/// The command of a gate of a kind, with a state folder of its own, without its server.
pub(super) fn gate_command(programs: &Programs, room: &Path, kind: Kind) -> anyhow::Result<Command> {
    let folder = tempfile::Builder::new().prefix("gate-").tempdir_in(room)?.keep();
    let policy = folder.join("policy.yaml");
    std::fs::write(&policy, kind.policy())?;
    let mut command = Command::new(&programs.callgate);
    command
        .arg("run")
        .arg("-c")
        .arg(policy)
        .arg("--state-dir")
        .arg(folder.join("state"));
    command.args(["--log-level", "error", "--durability", kind.durability()]);
    Ok(command)
}

/// nginx, installed first if it is missing, with the configuration in this package.
fn nginx(server: &Server, prefix: &Path) -> anyhow::Result<(Running, String)> {
    if !Command::new("nginx")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        shell::run(&[
            "apt-get",
            "install",
            "-y",
            "--no-install-recommends",
            "nginx-light",
        ])?;
    }
    std::fs::create_dir_all(prefix)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let template = std::fs::read_to_string(shell::root()?.join("xtask/nginx.conf.in"))?;
    let upstream = server.url.trim_start_matches("http://").trim_end_matches("/mcp");
    let text = template
        .replace("@PREFIX@", &prefix.to_string_lossy())
        .replace("@SERVER@", upstream)
        .replace("@PORT@", &port.to_string());
    let config = prefix.join("nginx.conf");
    std::fs::write(&config, text)?;
    let running = Running::start(Command::new("nginx").arg("-p").arg(prefix).arg("-c").arg(config))?;
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok((running, format!("http://127.0.0.1:{port}/mcp")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("nginx does not listen")
}
