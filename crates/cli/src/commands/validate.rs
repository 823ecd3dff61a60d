//! `callgate validate`: what is wrong with policies and configurations, where, and what they come to.

mod configuration;
pub(crate) mod load;
pub(crate) mod posture;

use super::scan::client::{self, ServerArgs};
use super::scan::tools::Described;
use crate::config::{self, Loading};
use crate::words::{FAILED, FOUND_WRONG, complain, say};
use anyhow::{Context, bail};
use callgate_policy::{Diagnostic, Severity, Shape, Style, Summary};
use clap::Args;
use configuration::Overview;
use load::{Checked, Source, style_of_stdout};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  callgate validate policy.yaml
  callgate validate policies/*.yaml --json

  A configuration, with the policies and secrets that it names:
    callgate validate callgate.yaml

  Also check names and arguments against the server's own tools:
    callgate validate policy.yaml -- npx -y mistral-mcp

Exit codes: 0 all valid, 2 a file is invalid, 1 a file could not be read.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ValidateArgs {
    /// Policies, or a configuration of `serve`: YAML or JSON
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// One more policy, as `run` takes it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// What became of one file, for `--json`.
#[derive(Debug, Serialize)]
struct Report<'c> {
    file: String,
    valid: bool,
    diagnostics: &'c [Diagnostic],
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'c Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Overview<'c>>,
}

/// A file that was looked at.
#[derive(Debug)]
enum File {
    Policy(Box<Checked>),
    Configuration(Box<Loading>),
}

/// Checks each file. All are looked at, whatever is wrong with the first.
pub(crate) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let files: Vec<&PathBuf> = args.files.iter().chain(&args.config).collect();
    if files.is_empty() {
        bail!("name a policy to check\nhint: callgate validate policy.yaml");
    }
    let tools = match args.server.target()? {
        Some(target) => Some(client::list(&target)?.tools()?),
        None => None,
    };
    let mut looked = Vec::new();
    let mut unread = 0_usize;
    for path in files {
        match Source::read(path) {
            Ok(source) if config::is_config(&source.text) => {
                if tools.is_some() {
                    bail!(
                        "{}: a server is compared with a policy, and this is a configuration",
                        source.name
                    );
                }
                let loading = Loading::of(source, path, &|name| std::env::var_os(name));
                looked.push(File::Configuration(Box::new(loading)));
            }
            Ok(source) => looked.push(File::Policy(Box::new(check(source, tools.as_deref())))),
            Err(error) => {
                unread = unread.saturating_add(1);
                complain(&error);
            }
        }
    }
    if args.json {
        print_json(&looked)?;
    } else {
        print_words(&looked)?;
    }
    if !looked.iter().all(File::is_valid) {
        return Ok(ExitCode::from(FOUND_WRONG));
    }
    Ok(if unread > 0 {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

impl File {
    fn is_valid(&self) -> bool {
        match self {
            Self::Policy(checked) => checked.loaded.is_some(),
            Self::Configuration(loading) => loading.config.is_some(),
        }
    }
}

fn check(source: Source, tools: Option<&[Described]>) -> Checked {
    let mut checked = source.check();
    if let (Some(loaded), Some(tools)) = (&checked.loaded, tools) {
        let listed: Vec<_> = tools.iter().map(|tool| tool.listed.clone()).collect();
        let found = callgate_policy::check_against_tools(loaded, &listed);
        checked.diagnostics.extend(found);
        checked.diagnostics.sort_by_key(|found| found.span.start);
    }
    checked
}

fn print_json(looked: &[File]) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    for file in looked {
        match file {
            File::Policy(checked) => reports.push(report(checked)),
            File::Configuration(loading) => {
                reports.push(configuration::report(loading));
                reports.extend(loading.policies.iter().map(report));
            }
        }
    }
    let text = serde_json::to_string_pretty(&reports)?;
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")
}

fn report(checked: &Checked) -> Report<'_> {
    Report {
        file: checked.source.name.clone(),
        valid: checked.loaded.is_some(),
        diagnostics: &checked.diagnostics,
        shape: checked.loaded.as_ref().map(|loaded| loaded.shape),
        summary: checked.loaded.as_ref().map(|loaded| &loaded.summary),
        configuration: None,
    }
}

fn print_words(looked: &[File]) -> anyhow::Result<()> {
    let style = style_of_stdout();
    let mut lines = Vec::new();
    for file in looked {
        match file {
            File::Policy(checked) => tell(checked, &style, &mut lines),
            File::Configuration(loading) => {
                lines.extend(loading.shown(&style));
                lines.push(configuration::words(loading));
                for checked in &loading.policies {
                    tell(checked, &style, &mut lines);
                }
            }
        }
    }
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").context("cannot write to stdout")?;
    }
    let invalid = |is_kind: fn(&File) -> bool| looked.iter().any(|file| is_kind(file) && !file.is_valid());
    if invalid(|file| matches!(file, File::Policy(_))) {
        say("callgate: an invalid policy is never put in force");
    }
    if invalid(|file| matches!(file, File::Configuration(_))) {
        say("callgate: an invalid configuration is never put in force");
    }
    Ok(())
}

/// What was found in a policy, and what it comes to.
fn tell(checked: &Checked, style: &Style, lines: &mut Vec<String>) {
    let source = &checked.source;
    for diagnostic in &checked.diagnostics {
        lines.push(diagnostic.render(&source.name, &source.text, style));
    }
    lines.push(match &checked.loaded {
        Some(loaded) => posture::words(&source.name, loaded, checked.count(Severity::Warning)),
        None => posture::invalid(&source.name, checked.count(Severity::Error)),
    });
}
