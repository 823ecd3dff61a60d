//! A server that builds the path of a request from arguments as they came, in front of a toy backend in the same
//! process. What the backend did is written to its own log.

use callgate_testkit::log::LogWriter;
use callgate_testkit::shell::{failed, handshake, said, serve_stdio};
use clap::Parser;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Debug, Parser)]
struct Args {
    /// Where each received line is written.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Where the backend writes what it did: `start NAMESPACE FLOW`, `resume ID`.
    #[arg(long)]
    backend_log: Option<PathBuf>,
    /// The ids of executions that wait for a person.
    #[arg(long, value_delimiter = ',', default_value = "exec-1,exec-2")]
    paused: Vec<String>,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let log = LogWriter::open(args.log.as_deref())?;
    let mut backend = Backend {
        paused: args.paused.into_iter().collect(),
        started: 0,
        log: LogWriter::open(args.backend_log.as_deref())?,
    };
    serve_stdio(&log, |method, params| match method {
        "initialize" => Ok(handshake("2025-06-18", "kestra")),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({"tools": tools()})),
        "tools/call" => match params["name"].as_str() {
            Some("execute_flow") => Ok(execute_flow(&params["arguments"], &mut backend)),
            Some("list_executions") => Ok(said(&json!({"paused": backend.paused}).to_string())),
            other => Err((-32602, format!("Unknown tool: {}", other.unwrap_or_default()))),
        },
        other => Err((-32601, format!("Method not found: {other}"))),
    })
}

fn tools() -> Value {
    let string = json!({"type": "string"});
    json!([
        {"name": "execute_flow", "description": "Execute a flow", "inputSchema": {"type": "object",
            "required": ["namespace", "flow_id"], "properties": {"namespace": string, "flow_id": string,
                "revision": {"type": "integer"}, "wait": {"type": "boolean", "default": false},
                "inputs": {"type": "object"}, "labels": {"type": "object"}, "schedule_date": string}}},
        {"name": "list_executions", "description": "List executions", "inputSchema": {"type": "object"}}
    ])
}

/// `POST /executions/{namespace}/{flow_id}`, with both put in as they came.
fn execute_flow(arguments: &Value, backend: &mut Backend) -> Value {
    let part = |key: &str| arguments[key].as_str().unwrap_or_default();
    let url = format!(
        "/executions/{}/{}?wait={}",
        part("namespace"),
        part("flow_id"),
        arguments["wait"] == true
    );
    match backend.post(&url) {
        Ok(body) if body.get("id").is_some() => said(&body.to_string()),
        // Whatever was not the start of an execution is an error to the tool, whatever it did.
        Ok(body) => failed(&format!(
            "Error executing tool execute_flow: 'id' is missing in {body}"
        )),
        Err(status) => failed(&format!("Error executing tool execute_flow: HTTP {status}")),
    }
}

/// The part of an orchestrator that matters here.
struct Backend {
    paused: BTreeSet<String>,
    started: u64,
    log: LogWriter,
}

impl Backend {
    /// Answers a POST as a web server does: fragment and query cut off, dot segments resolved, then routed.
    fn post(&mut self, url: &str) -> Result<Value, u16> {
        let path = path_of(url);
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["executions", "resume", "by-query"] => {
                let all = std::mem::take(&mut self.paused);
                for id in &all {
                    self.log.note(&format!("resume {id}"));
                }
                Ok(json!({"count": all.len()}))
            }
            ["executions", id, "resume"] => {
                if !self.paused.remove(*id) {
                    return Err(404);
                }
                self.log.note(&format!("resume {id}"));
                Ok(Value::Null)
            }
            ["executions", namespace, flow] => {
                self.started += 1;
                self.log.note(&format!("start {namespace} {flow}"));
                Ok(json!({"id": format!("run-{}", self.started), "namespace": namespace, "flowId": flow}))
            }
            _ => Err(404),
        }
    }
}

fn path_of(url: &str) -> Vec<String> {
    let path = url.split(['#', '?']).next().unwrap_or_default();
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match percent_decoded(part).as_str() {
            "." => {}
            ".." => {
                parts.pop();
            }
            plain => parts.push(plain.to_owned()),
        }
    }
    parts
}

fn percent_decoded(part: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = part.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let code = rest
            .get(..2)
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
