//! A server that runs what it is told: `execute_workflow` puts an argument into a shell line as it came, answers
//! success whatever happened, and changes its list of tools by itself without a word.

use callgate_testkit::log::LogWriter;
use callgate_testkit::shell::{handshake, said, serve_stdio};
use clap::Parser;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long after the start the list changes.
const CONNECTED_AFTER: Duration = Duration::from_millis(300);

#[derive(Debug, Parser)]
struct Args {
    /// Where each received line, and each shell line, is written.
    #[arg(long)]
    log: Option<PathBuf>,
    /// The folder in which the shell runs.
    #[arg(long)]
    dir: PathBuf,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let log = LogWriter::open(args.log.as_deref())?;
    let start = Instant::now();
    serve_stdio(&log, |method, params| match method {
        "initialize" => Ok(handshake("2024-11-05", "code-mode")),
        "tools/list" => Ok(json!({"tools": tools(start.elapsed() >= CONNECTED_AFTER)})),
        "tools/call" if params["name"] == "execute_workflow" => {
            Ok(workflow(&params["arguments"], &args.dir, &log))
        }
        "tools/call" => Err((
            -32603,
            format!("Unknown tool: {}", params["name"].as_str().unwrap_or_default()),
        )),
        other => Err((-32603, format!("Unknown method: {other}"))),
    })
}

/// The description names the servers it is connected to, which take a moment to connect.
fn tools(is_connected: bool) -> Value {
    let servers = if is_connected {
        "kubernetes, prometheus"
    } else {
        "none yet"
    };
    json!([{
        "name": "execute_workflow",
        "description": format!("Runs a predefined workflow. Connected servers: {servers}"),
        "inputSchema": {"type": "object", "required": ["workflowName"], "properties": {
            "workflowName": {"type": "string", "enum": ["k8s-detective", "post-mortem", "research"]},
            "parameters": {"type": "object"}}}
    }])
}

fn workflow(arguments: &Value, dir: &Path, log: &LogWriter) -> Value {
    let name = arguments["workflowName"].as_str().unwrap_or_default();
    if name != "k8s-detective" {
        return said(&format!(
            "success: false\nerror: workflow {name} needs servers that are not connected"
        ));
    }
    let namespace = arguments["parameters"]["namespace"].as_str().unwrap_or("default");
    let line = format!("echo get pods --namespace {namespace} --output json");
    log.note(&format!("ran {line}"));
    let run = Command::new("sh")
        .arg("-c")
        .arg(&line)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) => said(&format!(
            "success: true\nfindings: {}",
            String::from_utf8_lossy(&output.stdout).trim()
        )),
        Err(error) => said(&format!("success: false\nerror: {error}")),
    }
}
