//! A small MCP server over HTTP: lists the tools it is given, in pages, in one era of the protocol.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Speaks `initialize`.
    Legacy,
    /// Speaks `server/discover` only.
    Modern,
    /// Accepts connections, and never answers.
    Silent,
    /// Every page names itself as the next.
    Endless,
}

/// Serves until the test ends; gives the URL.
pub(crate) fn serve(manner: Manner, pages: Vec<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let pages = Arc::new(pages);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, pages) = (stream.unwrap(), Arc::clone(&pages));
            std::thread::spawn(move || answer(stream, manner, &pages));
        }
    });
    url
}

fn answer(mut stream: TcpStream, manner: Manner, pages: &[Value]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let is_post = line.starts_with("POST");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if manner == Manner::Silent {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    let (status, body) = if is_post {
        let request: Value = serde_json::from_slice(&body).unwrap();
        match respond(&request, manner, pages) {
            // As the stateless era asks for it.
            Some(response) if manner == Manner::Modern && response.get("error").is_some() => {
                ("404 Not Found", response.to_string())
            }
            Some(response) => ("200 OK", response.to_string()),
            None => ("202 Accepted", String::new()),
        }
    } else {
        ("405 Method Not Allowed", String::new())
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn respond(request: &Value, manner: Manner, pages: &[Value]) -> Option<Value> {
    let id = request.get("id")?;
    let info = json!({"name": "small", "version": "1.2.3"});
    let result = match (request["method"].as_str().unwrap(), manner) {
        ("initialize", Manner::Legacy | Manner::Endless | Manner::Silent) => json!({
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info,
        }),
        ("server/discover", Manner::Modern) => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "ttlMs": 0, "cacheScope": "private", "_meta": {"io.modelcontextprotocol/serverInfo": info},
        }),
        ("tools/list", _) => {
            let cursor = request["params"]["cursor"].as_str();
            let index: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            let mut result = json!({"tools": pages[index]});
            if manner == Manner::Modern {
                result["resultType"] = json!("complete");
                result["ttlMs"] = json!(0);
                result["cacheScope"] = json!("private");
            }
            if manner == Manner::Endless {
                result["nextCursor"] = json!("0");
            } else if index + 1 < pages.len() {
                result["nextCursor"] = json!((index + 1).to_string());
            }
            result
        }
        _ => {
            return Some(
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}}),
            );
        }
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}
