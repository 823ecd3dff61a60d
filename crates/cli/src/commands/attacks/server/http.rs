//! An attacked server over HTTP: a small part of Streamable HTTP, one request a connection.

use super::{Around, Desk};
use anyhow::Context;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a client may take to send its request.
const READ_MAX: Duration = Duration::from_secs(30);
/// So much of a request is read.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;

/// Serves on a free port of this machine until stdin ends, and tells on stdout where.
pub(super) fn serve(desk: Desk) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "http://{}/mcp", listener.local_addr()?)?;
    stdout.flush()?;
    let desk = Arc::new(Mutex::new((desk, 0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let desk = Arc::clone(&desk);
            // A client that goes away is no concern of the others.
            std::thread::spawn(move || answered(stream, &desk));
        }
    });
    // Whoever has started it holds its stdin, and may be killed.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

/// A request, as far as it matters here.
struct Request {
    method: String,
    token: Option<String>,
    session: Option<String>,
    body: String,
}

/// Reads one request and answers it. The sessions are numbered, and nobody is asked for one.
fn answered(stream: TcpStream, desk: &Mutex<(Desk, u64)>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(READ_MAX))?;
    let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    let request = read(&mut reader)?;
    let mut stream = reader.into_inner().into_inner();
    if request.method != "POST" {
        return respond(&mut stream, "405 Method Not Allowed", "", "");
    }
    let (said, session) = {
        let (desk, sessions) = &mut *desk.lock().unwrap_or_else(PoisonError::into_inner);
        let around = Around {
            token: request.token.as_deref(),
            session: request.session.as_deref(),
        };
        let said = desk.answer(&request.body, around);
        let begins = said
            .last()
            .is_some_and(|answer| answer.pointer("/result/serverInfo").is_some());
        let session = begins.then(|| {
            *sessions += 1;
            format!("mcp-session-id: session-{sessions}\r\n")
        });
        (said, session.unwrap_or_default())
    };
    match said.last() {
        Some(answer) => respond(&mut stream, "200 OK", &session, &answer.to_string()),
        None => respond(&mut stream, "202 Accepted", "", ""),
    }
}

fn read(reader: &mut impl std::io::BufRead) -> std::io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut request = Request {
        method: line.split(' ').next().unwrap_or_default().to_owned(),
        token: None,
        session: None,
        body: String::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            "mcp-session-id" => request.session = Some(value.to_owned()),
            _ => {}
        }
    }
    reader.take(length).read_to_string(&mut request.body)?;
    Ok(request)
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )?;
    stream.flush()
}
