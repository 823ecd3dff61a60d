//! The loop of a plain stdio server whose messages are handled one at a time.

use crate::log::LogWriter;
use serde_json::{Value, json};
use std::io::{BufRead, Write};

/// Reads messages from stdin until it is closed; answers requests with what `serve` gives: a result, or a code
/// and a text.
///
/// # Errors
/// When stdin cannot be read or stdout cannot be written.
pub fn serve_stdio(
    log: &LogWriter,
    mut serve: impl FnMut(&str, &Value) -> Result<Value, (i64, String)>,
) -> std::io::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        log.message(line.as_bytes());
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) else {
            continue;
        };
        let answer = match serve(method, &message["params"]) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err((code, message)) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
            }
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

/// The answer to `initialize`.
#[must_use]
pub fn handshake(version: &str, name: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": name, "version": "1.0.0"}})
}

/// A tool result of one text.
#[must_use]
pub fn said(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// A tool result of one text that tells of a failure.
#[must_use]
pub fn failed(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": true})
}
