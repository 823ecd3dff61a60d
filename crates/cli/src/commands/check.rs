//! `callgate check`: go, ask or stop, before a server is connected.

pub(crate) mod command;
mod config;
pub(crate) mod entries;
pub(crate) mod finding;
pub(crate) mod gate;
mod hook;
pub(crate) mod known;
mod report;
pub(crate) mod rules;
mod sarif;
pub(crate) mod secrets;
pub(crate) mod tools;
mod url;

use super::catalog::{find, read as input};
use super::scan::client::{self, ServerArgs};
use super::scan::tools::read_whole;
use super::validate::load::{Source, style_of_stdout};
use crate::words::say;
use anyhow::{Context, bail};
use callgate_catalog::Severity;
use callgate_catalog::catalogue::Registry;
use callgate_catalog_data::bundled;
use callgate_policy::{Loaded, Style};
use clap::{Args, ValueEnum};
use command::Word;
use finding::{Finding, Looked};
use rules::Verdict;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  A server before it is connected; it is started to list its tools:
    callgate check -- npx -y mistral-mcp@1.2.3

  A list that somebody sent; nothing is started:
    callgate check --tools tools.json --policy policy.yaml

  All servers of a project, without starting any:
    callgate check --config .mcp.json --sarif check.sarif

  A package that the catalogue knows; nothing is fetched:
    callgate check mistral-mcp

  Each tool call of Claude Code, as a PreToolUse hook:
    callgate check --hook claude-code

Exit codes: 0 go, 10 ask, 20 stop; 1 it could not be checked, 2 the command line is wrong.";

/// The exit code of what a person should look at first.
const ASKED: u8 = 10;
/// The exit code of what should not be connected.
const STOPPED: u8 = 20;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// A package or a server of the catalogue: nothing is fetched or started
    #[arg(value_name = "PACKAGE", conflicts_with_all = ["config", "tools", "command", "upstream", "hook"])]
    package: Option<String>,

    /// A client's configuration with servers, such as .mcp.json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tools", "command", "upstream", "hook"])]
    config: Option<PathBuf>,

    /// Also start or reach each server of the configuration, and look at its tools
    #[arg(long, requires = "config", conflicts_with_all = ["tools", "command", "upstream", "hook"])]
    start: bool,

    /// A `tools/list` result, or `-` for stdin: nothing is started
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "upstream", "hook"])]
    tools: Option<PathBuf>,

    /// The policy that the server will stand under
    #[arg(short = 'c', long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// From what on the exit code is not 0
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<FailOn>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Also write what was found as SARIF 2.1.0; `-` is stdout, in place of words
    #[arg(long, value_name = "FILE", conflicts_with = "hook")]
    sarif: Option<PathBuf>,

    /// Answer a hook of this client, which asks on stdin
    #[arg(long, value_enum, value_name = "CLIENT", conflicts_with_all = ["command", "upstream", "json", "fail_on"])]
    hook: Option<HookClient>,

    /// With --hook: let calls pass unasked that the server's policy lets through
    #[arg(long, requires = "hook", conflicts_with_all = ["config", "tools", "command", "upstream"])]
    allow: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// A client whose hooks are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HookClient {
    /// Claude Code's PreToolUse.
    ClaudeCode,
}

/// From what on a check fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A verdict of ask or stop.
    Ask,
    /// A verdict of stop.
    Stop,
    /// Any finding.
    Low,
    /// A finding of severity Medium or more.
    Medium,
    /// A finding of severity High or more.
    High,
    /// A finding of severity Critical.
    Critical,
}

/// Looks, and says go, ask or stop.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if let Some(HookClient::ClaudeCode) = args.hook {
        let unasked = if args.allow {
            hook::Unasked::Allow
        } else {
            hook::Unasked::LeaveToClient
        };
        return Ok(hook::run(args.policy.as_deref(), unasked));
    }
    let mut looked = looked(args)?;
    for one in &mut looked {
        one.sort();
    }
    write(args, &looked)?;
    Ok(ExitCode::from(code(&looked, args.fail_on)))
}

fn looked(args: &CheckArgs) -> anyhow::Result<Vec<Looked>> {
    let policy = match &args.policy {
        Some(path) => Some(policy(path)?),
        None => None,
    };
    if let Some(path) = &args.config {
        let start = if args.start {
            config::Start::Each(args.server.start_timeout())
        } else {
            config::Start::None
        };
        return config::check(path, policy.as_ref(), start);
    }
    let mut one = if let Some(package) = &args.package {
        published(package, policy.as_ref())?
    } else if let Some(path) = &args.tools {
        let text = input::text(path)?;
        let mut one = Looked::named("tools");
        one.file = (path != Path::new("-")).then(|| path.display().to_string());
        list(&mut one, &text, policy.as_ref()).with_context(|| path.display().to_string())?;
        one
    } else {
        server(&args.server, policy.as_ref())?
    };
    if let (Some(loaded), Some(path)) = (&policy, &args.policy) {
        one.findings
            .extend(gate::posture(loaded, &path.display().to_string(), None));
    }
    Ok(vec![one])
}

/// A server of the catalogue, by its name or its package's.
fn published(name: &str, policy: Option<&Loaded>) -> anyhow::Result<Looked> {
    let catalogue = bundled()?;
    let mut one = Looked::named(name);
    if let Some(server) = catalogue.server(name) {
        let package = &server.package;
        one.what = Some(format!(
            "{} {} {} as of {}",
            package.registry.name(),
            package.name,
            package.version,
            server.date
        ));
        list(&mut one, &known::list(catalogue, server)?, policy)?;
        return Ok(one);
    }
    for registry in [Registry::Npm, Registry::Pypi] {
        let package = command::Published {
            registry,
            name: name.to_owned(),
            place: None,
        };
        known::compare(&mut one, &package)?;
    }
    if one.findings.is_empty() {
        find::server(catalogue, name)?;
    }
    Ok(one)
}

/// A policy that loads; one that does not decides nothing.
fn policy(path: &Path) -> anyhow::Result<Loaded> {
    let checked = Source::read(path)?.check();
    match checked.loaded {
        Some(loaded) => Ok(loaded),
        None => {
            for found in &checked.diagnostics {
                say(&found.render(&checked.source.name, &checked.source.text, &Style::PLAIN));
            }
            bail!("the policy {} does not load", path.display())
        }
    }
}

/// A server that the command line names.
fn server(args: &ServerArgs, policy: Option<&Loaded>) -> anyhow::Result<Looked> {
    let Some(target) = args.target()? else {
        bail!(
            "name what to check: a command after `--`, --upstream URL, --tools FILE, or --config FILE\nhint: callgate check -- npx -y mistral-mcp@1.2.3"
        );
    };
    let argv: Vec<Word> = args
        .command()
        .iter()
        .map(|word| Word::new(word.to_string_lossy()))
        .collect();
    let what = args.upstream().map_or_else(|| command::named(&argv), url::named);
    let mut one = Looked::named(what.as_deref().unwrap_or("server"));
    one.findings = match args.upstream() {
        Some(text) => url::check(text, None),
        None => command::check(&argv),
    };
    for package in command::published(&argv) {
        known::compare(&mut one, &package)?;
    }
    // What must not be connected is not started to learn more of it.
    if one.verdict() < Verdict::Stop {
        ask(&mut one, &target, policy)?;
    }
    Ok(one)
}

/// Lists a server's tools, and looks at them. One that gives none is a finding.
fn ask(one: &mut Looked, target: &client::Target, policy: Option<&Loaded>) -> anyhow::Result<()> {
    match client::list(target) {
        Ok(listing) => {
            if list(one, &listing.text, policy).is_err() {
                one.findings
                    .push(Finding::of(rules::NO_ANSWER).quoting("its list of tools cannot be read"));
            }
        }
        Err(error) => {
            let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
            one.findings
                .push(Finding::of(rules::NO_ANSWER).quoting(&causes.join(": ")));
        }
    }
    Ok(())
}

/// Looks at a list of tools.
fn list(one: &mut Looked, text: &str, policy: Option<&Loaded>) -> anyhow::Result<()> {
    let list = read_whole(text)?;
    one.tools = Some(list.tools.len());
    if list.left_out > 0 {
        one.findings
            .push(Finding::of(rules::UNREADABLE_TOOL).quoting(&format!("{} of them", list.left_out)));
    }
    one.findings
        .extend(tools::check(&list.tools, policy.map(|loaded| &loaded.program))?);
    Ok(())
}

/// The worst of all.
fn verdict(looked: &[Looked]) -> Verdict {
    looked.iter().map(Looked::verdict).max().unwrap_or(Verdict::Go)
}

fn code(looked: &[Looked], fail_on: Option<FailOn>) -> u8 {
    let verdict = verdict(looked);
    let is_as_severe = |severity| {
        looked
            .iter()
            .flat_map(|one| &one.findings)
            .any(|found| found.severity >= severity)
    };
    let fails = match fail_on {
        None | Some(FailOn::Ask) => verdict >= Verdict::Ask,
        Some(FailOn::Stop) => verdict >= Verdict::Stop,
        Some(FailOn::Low) => is_as_severe(Severity::Low),
        Some(FailOn::Medium) => is_as_severe(Severity::Medium),
        Some(FailOn::High) => is_as_severe(Severity::High),
        Some(FailOn::Critical) => is_as_severe(Severity::Critical),
    };
    match (fails, verdict) {
        (false, _) => 0,
        (true, Verdict::Stop) => STOPPED,
        (true, Verdict::Ask | Verdict::Go) => ASKED,
    }
}

fn write(args: &CheckArgs, looked: &[Looked]) -> anyhow::Result<()> {
    let mut text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report::json(looked))?)
    } else {
        report::words(looked, &style_of_stdout())
    };
    if let Some(path) = &args.sarif {
        let sarif = format!("{}\n", serde_json::to_string_pretty(&sarif::log(looked))?);
        if path == Path::new("-") {
            text = sarif;
        } else {
            std::fs::write(path, sarif).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // The verdict is told by the code too, also when nobody reads.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}
