//! `callgate scan`: a server's tools, and a starter policy that denies all others.

pub(crate) mod client;
pub(crate) mod comment;
mod starter;
pub(crate) mod tools;

use crate::words::say;
use anyhow::{Context, bail};
use clap::Args;
use client::{Listing, ServerArgs};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  callgate scan -o policy.yaml -- npx -y mistral-mcp
  callgate scan --upstream https://host/mcp --header 'Authorization: Bearer ${env:TOKEN}'

The policy denies what it does not list, limits what may change something, and leaves out what can destroy. The
class of each tool comes from what the server says of it: read each entry before you rely on it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScanArgs {
    /// Where to write the policy [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Overwrite FILE where it exists
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
    policy: &'l str,
}

/// Lists the server and writes the policy.
pub(crate) fn run(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let Some(target) = args.server.target()? else {
        bail!(
            "name the server to scan: a command after `--`, or --upstream URL\nhint: callgate scan -- npx -y mistral-mcp"
        );
    };
    if let Some(path) = &args.output
        && !args.force
        && path.symlink_metadata().is_ok()
    {
        bail!(
            "{} exists; choose another name, or overwrite it with --force",
            path.display()
        );
    }
    let listing = client::list(&target)?;
    let tools = listing.tools()?;
    let policy = policy(&listing, &tools)?;
    if args.json {
        let report = report(&listing, &tools, &policy);
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    match &args.output {
        None => print(&policy)?,
        Some(path) => {
            write(
                path,
                &policy,
                if args.force {
                    Existing::Replace
                } else {
                    Existing::Keep
                },
            )?;
            say(&format!(
                "callgate: wrote {}, {} tools; read each entry, then: callgate run -c {} {}",
                path.display(),
                tools.len(),
                path.display(),
                target.as_arguments()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy that a server gets whose tools these are.
pub(crate) fn policy(listing: &Listing, tools: &[tools::Described]) -> anyhow::Result<String> {
    let policy = starter::policy(listing, tools);
    // What is written must load: a policy that does not would be found out only when it is needed.
    if let Err(found) = callgate_policy::load(&policy, &callgate_policy::LoadOptions::default()) {
        bail!("the policy made for this server does not load: {found}");
    }
    Ok(policy)
}

fn report<'l>(listing: &'l Listing, tools: &'l [tools::Described], policy: &'l str) -> Report<'l> {
    Report {
        server: listing.name.as_deref(),
        version: listing.version.as_deref(),
        protocol: &listing.protocol,
        tools: tools.iter().map(tools::Described::summary).collect(),
        policy,
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
