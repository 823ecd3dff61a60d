//! The servers that are attacked: one hidden program, which behaves as the attack's case says.

mod http;

use super::case::{Call, Server, Setting};
use super::cases;
use super::record::Recorder;
use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the server is started with.
#[derive(Debug, Args)]
pub(crate) struct AttackServerArgs {
    /// The attack
    #[arg(value_name = "ID")]
    id: String,
    /// Which of its servers
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The folder in which it may work, and keeps its record
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Serve over HTTP, on a free port of this machine
    #[arg(long)]
    listen: bool,
}

/// Serves until the client leaves; over HTTP, until its stdin ends.
pub(crate) fn serve(args: &AttackServerArgs) -> anyhow::Result<ExitCode> {
    let case = cases::find(&args.id).with_context(|| format!("there is no attack `{}`", args.id))?;
    let desk = Desk {
        server: case.server(args.name.as_deref().unwrap_or(case.id())),
        recorder: Recorder::open(&args.folder)?,
    };
    if args.listen {
        // Some servers would run a stranger's commands; those are never there for others to find.
        ensure!(
            matches!(case.setting(), Setting::Serve(_)),
            "the server of {} is reached over pipes alone",
            args.id
        );
        http::serve(desk)?;
    } else {
        over_pipes(desk)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn over_pipes(mut desk: Desk) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let said = desk.answer(&line?, Around::default());
        let mut stdout = std::io::stdout().lock();
        for message in said {
            writeln!(stdout, "{message}")?;
        }
        stdout.flush()?;
    }
    Ok(())
}

/// What stands around a message that came over HTTP.
#[derive(Debug, Default, Clone, Copy)]
struct Around<'a> {
    token: Option<&'a str>,
    session: Option<&'a str>,
}

/// A server with what it has done.
struct Desk {
    server: Box<dyn Server>,
    recorder: Recorder,
}

impl Desk {
    /// What is said to a message, if anything; the answer comes last.
    fn answer(&mut self, message: &str, around: Around<'_>) -> Vec<Value> {
        let Ok(read) = serde_json::from_str::<Value>(message) else {
            return Vec::new();
        };
        let (Some(method), Some(id)) = (read.get("method").and_then(Value::as_str), read.get("id")) else {
            return Vec::new();
        };
        let params = read.get("params").unwrap_or(&Value::Null);
        let answer = match method {
            "initialize" => Ok(greeting(params)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({ "tools": self.server.tools() })),
            "tools/call" => Ok(self.call(params, message, around)),
            _ => {
                let result = self.server.other(method, params, &mut self.recorder);
                result.ok_or_else(
                    || json!({ "code": -32601, "message": format!("there is no method {method}") }),
                )
            }
        };
        let answer = match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        let news = self.recorder.take_news().into_iter();
        news.map(|method| json!({ "jsonrpc": "2.0", "method": method }))
            .chain([answer])
            .collect()
    }

    fn call(&mut self, params: &Value, message: &str, around: Around<'_>) -> Value {
        let tool = params.get("name").and_then(Value::as_str).unwrap_or_default();
        self.recorder.received(tool);
        if params.get("task").is_some()
            && let Some(result) = self.server.other("tools/call", params, &mut self.recorder)
        {
            return result;
        }
        let call = Call {
            tool,
            arguments: params.get("arguments").unwrap_or(&Value::Null),
            message,
            token: around.token,
            session: around.session,
        };
        let (text, is_error) = match self.server.call(&call, &mut self.recorder) {
            Ok(text) => (text, false),
            Err(text) => (text, true),
        };
        json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
    }
}

fn greeting(params: &Value) -> Value {
    json!({
        "protocolVersion": params.get("protocolVersion"),
        "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "callgate-attack-server", "version": env!("CARGO_PKG_VERSION") },
    })
}
