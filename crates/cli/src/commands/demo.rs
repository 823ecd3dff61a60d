//! `callgate demo`: real calls through a real gate, and the ledger they leave.

mod evidence;
mod script;
pub(crate) mod server;
mod stage;

use super::ledger::{Out, Paint, clean, to_the_end_of_a_pipe};
use callgate_gateway::answer::DENIED;
use clap::Args;
use stage::{Decision, Seen, Stage};
use std::process::ExitCode;

/// What `demo` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything happens in a temporary folder, which is removed afterwards; nothing goes over the network.

Exit codes: 0 all went as it should; 1 it did not.")]
pub(crate) struct DemoArgs {
    /// Print JSON: one value a line
    #[arg(long)]
    json: bool,
}

const OPENING: &str = "  \
  an agent's MCP client --> callgate run -c policy.yaml --> a server with workflow tools
                                    |
                                    +--> limits and ledger (a temporary folder)
";

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    to_the_end_of_a_pipe(|out| {
        runtime.block_on(async {
            tokio::select! {
                done = play(args.json, out) => done,
                // The folder and the processes go with the future.
                _ = tokio::signal::ctrl_c() => Ok(ExitCode::FAILURE),
            }
        })
    })
}

async fn play(json: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let paint = out.paint();
    let stage = Stage::set().await?;
    let tools = stage.tools().await?;
    if json {
        out.json(&serde_json::json!({ "kind": "tools", "server": server::TOOLS.len(), "shown": tools }))?;
    } else {
        out.line(&paint.strong(
            "Callgate: every tool call is judged, counted and recorded before it reaches the server.",
        ))?;
        out.line("")?;
        out.line(OPENING)?;
        out.line(&format!(
            "The server has {} tools. The agent is shown {}: the policy hides delete_workflow.",
            server::TOOLS.len(),
            tools.len(),
        ))?;
        out.line("")?;
        let heading = format!("{:<9}{}", "DECISION", row("TOOL", "ASKS FOR", "ANSWER"));
        out.line(&paint.dim(&heading))?;
    }
    let mut counts = Counts::default();
    for ask in script::calls() {
        let seen = stage.call(ask).await?;
        counts.add(seen.decision);
        tell(&seen, json, out)?;
        out.flush()?;
    }
    let remains = stage.clear().await?;
    evidence::show(&remains, &counts, json, out)
}

/// How many calls were decided how.
#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    allowed: usize,
    limited: usize,
    denied: usize,
}

impl Counts {
    const fn add(&mut self, decision: Decision) {
        match decision {
            Decision::Allowed => self.allowed += 1,
            Decision::Limited => self.limited += 1,
            Decision::Denied => self.denied += 1,
        }
    }
}

/// A call, as one value of JSON.
#[derive(serde::Serialize)]
struct Told<'s> {
    kind: &'static str,
    #[serde(flatten)]
    seen: &'s Seen,
}

fn tell(seen: &Seen, json: bool, out: &mut Out) -> anyhow::Result<()> {
    if json {
        return out.json(&Told { kind: "call", seen });
    }
    // What the decision says already is not said twice.
    let answer = seen.text.strip_prefix(DENIED).unwrap_or(&seen.text).trim_start();
    // Padded first: colours have no width.
    let word = format!("{:<9}", seen.decision.word());
    let text = row(seen.tool, seen.gist, &clean(answer));
    Ok(out.line(&format!("{}{text}", painted(seen.decision, &word, out.paint())))?)
}

fn painted(decision: Decision, word: &str, paint: Paint) -> String {
    match decision {
        Decision::Allowed => paint.good(word),
        Decision::Limited => paint.odd(word),
        Decision::Denied => paint.bad(word),
    }
}

fn row(tool: &str, gist: &str, answer: &str) -> String {
    format!("{tool:<18} {gist:<32} {answer}")
}
