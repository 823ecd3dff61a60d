//! `callgate scan`: a server's tools, the policy that is recommended for them, and its tests.

mod answers;
pub(crate) mod client;
pub(crate) mod comment;
pub(crate) mod tools;

use crate::words::say;
use anyhow::{Context, bail};
use callgate_catalog::recommend::{Answers, Recommended, one_line, recommend};
use clap::Args;
use client::{Listing, ServerArgs};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// So many open lists are named once a policy is written.
const HOLES_TOLD: usize = 12;

const EXAMPLES: &str = "\
Examples:
  callgate scan -o policy.yaml -- npx -y mistral-mcp
  callgate scan -o policy.yaml --set '*.owner=acme' --set '*.repo=site,docs' -- npx -y some-github-server
  callgate scan --upstream https://host/mcp --header 'Authorization: Bearer ${env:TOKEN}'

The policy denies what it does not list, limits what may change something, and leaves out what can destroy. What only
you can know (which repository, which host, how much money) is an empty list that denies until you fill it in, here or
with --set. The class of each tool comes from what the server says of it: read each entry before you rely on it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScanArgs {
    /// Where to write the policy [default: stdout]; its tests are written beside it, as `FILE.test.yaml`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Fill in a list: `TOOL.ARGUMENT=VALUE,VALUE`, or `*.ARGUMENT=…` for all tools. May be given again
    #[arg(long, value_name = "ANSWER")]
    set: Vec<String>,

    /// List a tool that would be left out, with its rules. May be given again
    #[arg(long, value_name = "TOOL")]
    allow: Vec<String>,

    /// Overwrite FILE and its tests where they exist
    #[arg(long, requires = "output")]
    force: bool,

    /// Print what was found as JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// What was found, for `--json`.
#[derive(Debug, Serialize)]
struct Report<'l> {
    server: Option<&'l str>,
    version: Option<&'l str>,
    protocol: &'l str,
    tools: Vec<tools::Summary<'l>>,
    /// What a person has to fill in, or has filled in.
    holes: Vec<ReportedHole<'l>>,
    policy: &'l str,
    tests: &'l str,
}

/// A list that a person fills in.
#[derive(Debug, Serialize)]
struct ReportedHole<'l> {
    tool: &'l str,
    argument: &'l str,
    kind: &'static str,
    question: String,
    /// `open`, or who has filled it in.
    filled: &'static str,
    values: &'l [String],
}

/// Lists the server and writes the policy.
pub(crate) fn run(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let Some(target) = args.server.target()? else {
        bail!(
            "name the server to scan: a command after `--`, or --upstream URL\nhint: callgate scan -- npx -y mistral-mcp"
        );
    };
    let tests = args.output.as_deref().map(tests_of);
    if !args.force {
        for path in args.output.iter().chain(&tests) {
            if path.symlink_metadata().is_ok() {
                bail!(
                    "{} exists; choose another name, or overwrite it with --force",
                    path.display()
                );
            }
        }
    }
    let listing = client::list(&target)?;
    let tools = listing.tools()?;
    let answers = answers::read(&args.set, &args.allow, &tools)?;
    let made = recommended(&listing, &tools, &answers)?;
    answers::refuse_unused(&answers, &made)?;
    if args.json {
        let report = report(&listing, &tools, &made);
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    match args.output.as_deref().zip(tests.as_deref()) {
        None => print(&made.policy)?,
        Some((path, tests)) => {
            let existing = if args.force {
                Existing::Replace
            } else {
                Existing::Keep
            };
            write(path, &made.policy, existing)?;
            write(tests, &made.tests, existing)?;
            say(&told(path, tests, &made, &target));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy that a server gets whose tools these are, with its tests.
pub(crate) fn recommended(
    listing: &Listing,
    tools: &[tools::Described],
    answers: &Answers,
) -> anyhow::Result<Recommended> {
    let facts: Vec<_> = tools.iter().map(tools::Described::facts).collect();
    let made = recommend(&listing.label(), &facts, answers);
    // What is written must load: a policy that does not would be found out only when it is needed.
    if let Err(found) = callgate_policy::load(&made.policy, &callgate_policy::LoadOptions::default()) {
        bail!("the policy made for this server does not load: {found}");
    }
    Ok(made)
}

/// Where the tests of a policy stand: `policy.test.yaml` beside `policy.yaml`.
fn tests_of(policy: &Path) -> PathBuf {
    policy.with_extension("test.yaml")
}

/// What was written, and what is left to do.
fn told(path: &Path, tests: &Path, made: &Recommended, target: &client::Target) -> String {
    let listed = made.tools.iter().filter(|tool| tool.is_listed).count();
    let mut told = format!(
        "callgate: wrote {} and {}: {listed} tools listed, {} left out",
        path.display(),
        tests.display(),
        made.tools.len().saturating_sub(listed),
    );
    let open: BTreeSet<(String, &'static str)> = made
        .open_holes()
        .map(|hole| {
            (
                one_line(hole.argument.trim_start_matches("args.")),
                hole.kind.name(),
            )
        })
        .collect();
    if !open.is_empty() {
        let mut names: Vec<&str> = open.iter().map(|(argument, _)| &**argument).collect();
        names.dedup();
        let more = names.len().saturating_sub(HOLES_TOLD);
        names.truncate(HOLES_TOLD);
        told.push_str(&format!(
            "\ncallgate: fill in what is marked FILL IN, or use --set: {}{}",
            names.join(", "),
            if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            }
        ));
    }
    told.push_str(&format!(
        "\ncallgate: read each entry, then: callgate run -c {} {}",
        path.display(),
        target.as_arguments()
    ));
    told
}

fn report<'l>(listing: &'l Listing, tools: &'l [tools::Described], made: &'l Recommended) -> Report<'l> {
    let advice = |name: &str| made.tools.iter().find(|advice| advice.tool == name);
    Report {
        server: listing.name.as_deref(),
        version: listing.version.as_deref(),
        protocol: &listing.protocol,
        tools: tools
            .iter()
            .map(|tool| tool.summary(advice(tool.listed.name.as_str())))
            .collect(),
        holes: made
            .holes
            .iter()
            .map(|hole| ReportedHole {
                tool: &hole.tool,
                argument: &hole.argument,
                kind: hole.kind.name(),
                question: hole.question(),
                filled: hole.filled.name(),
                values: &hole.values,
            })
            .collect(),
        policy: &made.policy,
        tests: &made.tests,
    }
}

/// What happens to a file of the same name.
#[derive(Debug, Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

fn write(path: &Path, text: &str, existing: Existing) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    match existing {
        Existing::Keep => options.create_new(true),
        Existing::Replace => options.create(true).truncate(true),
    };
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")
}
