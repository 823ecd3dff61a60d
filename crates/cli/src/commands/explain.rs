//! `callgate explain`: how a policy judges one call, rule by rule.

pub(crate) mod clock;
mod input;
pub(crate) mod story;
pub(crate) mod text;
pub(crate) mod usage;
pub(crate) mod value;

use super::validate::load::style_of_stdout;
use crate::words::{FOUND_WRONG, say};
use anyhow::Context;
use callgate_core::call::{Call, ListedTool, Listing, OtherCall, Scene};
use callgate_policy::{Loaded, Severity};
use clap::Args;
use input::Input;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use story::Subject;

const EXAMPLES: &str = "\
Examples:
  callgate explain -c policy.yaml --tool create_charge --args '{\"amount\": 60000}'
  callgate explain -c policy.yaml --tool create_charge --args @call.json --tools tools.json

  With the limits as they stand now:
    callgate explain -c policy.yaml --tool create_charge --state-dir ~/.local/state/callgate

Nothing is called, counted or recorded.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The policy: YAML or JSON
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,

    /// The tool that is called
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "method",
        conflicts_with = "method"
    )]
    tool: Option<String>,

    /// Another method than a tool call, such as resources/read
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,

    /// The arguments (for a method its params): JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    args: Option<String>,

    /// What the server lists: the result of tools/list, as JSON
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The caller's grant
    #[arg(long, value_name = "NAME", help_heading = "Caller", default_value = "local")]
    grant: String,

    /// The subject of the caller's token
    #[arg(long, value_name = "SUBJECT", help_heading = "Caller")]
    subject: Option<String>,

    /// The claims of the caller's token, as JSON
    #[arg(long, value_name = "JSON", help_heading = "Caller")]
    claims: Option<String>,

    /// The session's id [default: a session without earlier calls]
    #[arg(long, value_name = "ID", help_heading = "Caller")]
    session: Option<String>,

    /// When the call is made, such as 2026-01-05T09:00:00Z [default: now]
    #[arg(long, value_name = "TIME", help_heading = "Caller")]
    time: Option<String>,

    /// The state folder whose limits are looked at [default: limits that nothing has used]
    #[arg(long, value_name = "DIR", help_heading = "State")]
    state_dir: Option<PathBuf>,

    /// The server's name in that folder [default: the only one there]
    #[arg(long, value_name = "NAME", help_heading = "State")]
    server: Option<String>,
}

/// How a policy judges a call of a tool that the server lists as `listed`, or so that any arguments fit, with limits
/// that nothing has used.
pub(crate) fn of_call(
    loaded: &Loaded,
    tool: &str,
    arguments: Option<&str>,
    listed: Option<ListedTool>,
) -> anyhow::Result<story::Story> {
    let input = Input::of_call(tool, arguments, listed)?;
    let call = Call {
        scene: Scene {
            server: &input.server,
            caller: &input.caller,
            session: Some(&input.session),
            now: input.now,
        },
        tool,
        listing: input.assumed.as_ref().map_or(Listing::Unknown, Listing::Listed),
        arguments: input.arguments.as_ref(),
    };
    let mut usage = usage::Usage::default();
    let now = usage.now(input.now);
    story::tell(loaded, &Subject::Tool(call), &mut usage, now)
        .map_err(|error| anyhow::anyhow!("the limits cannot be counted: {error}"))
}

/// Judges the call and says how.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let checked = super::validate::load::Source::read(&args.config)?.check();
    let Some(loaded) = &checked.loaded else {
        for found in checked
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
        {
            say(&found.render(
                &checked.source.name,
                &checked.source.text,
                &callgate_policy::Style::PLAIN,
            ));
        }
        say("callgate: the policy is not valid, so every call is denied");
        return Ok(ExitCode::from(FOUND_WRONG));
    };
    let usage = match &args.state_dir {
        Some(dir) => Some(usage::Usage::read(dir, args.server.as_deref())?),
        None => None,
    };
    let input = Input::read(args, usage.as_ref().and_then(usage::Usage::server))?;
    let scene = Scene {
        server: &input.server,
        caller: &input.caller,
        session: Some(&input.session),
        now: input.now,
    };
    let listed = match (&input.tool, &input.tools) {
        (Some(name), Some(tools)) => match tools.iter().find(|tool| tool.listed.name.as_str() == name) {
            Some(tool) => Listing::Listed(&tool.listed),
            None => Listing::NotListed,
        },
        (Some(_), None) | (None, _) => input.assumed.as_ref().map_or(Listing::Unknown, Listing::Listed),
    };
    let subject = match (&input.tool, &args.method) {
        (Some(tool), _) => Subject::Tool(Call {
            scene,
            tool,
            listing: listed,
            arguments: input.arguments.as_ref(),
        }),
        (None, method) => Subject::Method(OtherCall {
            scene,
            method: method.as_deref().unwrap_or_default(),
            params: input.arguments.as_ref(),
        }),
    };
    let mut usage = usage.unwrap_or_default();
    let now = usage.now(input.now);
    let story = story::tell(loaded, &subject, &mut usage, now)
        .map_err(|error| anyhow::anyhow!("the limits cannot be counted: {error}"))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&story)?).context("cannot write to stdout")?;
    } else {
        let mut words = text::words(&story, &checked.source.name, &style_of_stdout());
        for note in input.notes(&story) {
            words.push_str(&format!("note: {note}\n"));
        }
        for note in usage.notes() {
            words.push_str(&format!("note: {note}\n"));
        }
        out.write_all(words.as_bytes())
            .context("cannot write to stdout")?;
    }
    Ok(ExitCode::SUCCESS)
}
