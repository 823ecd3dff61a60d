//! The page on this machine that a browser comes back to with a code.

use anyhow::{Context, bail};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// The path of the page.
const PATH: &str = "/callback";
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a browser may take to send one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that are read at once. Beyond, the one that has been silent for longest gives way: a browser speaks at
/// once.
const CONNECTIONS_MAX: usize = 64;
/// How long the page waits where no connection can be taken, so that some are given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page, until it was come back to.
pub(super) struct Page {
    listener: TcpListener,
    authority: Arc<str>,
    url: String,
}

/// What a browser asked for.
enum Asked {
    /// The page, with an answer of the authorization server: the whole URL.
    Answer(String),
    /// Something else, such as an icon.
    Other,
}

impl Page {
    /// Opens the page on a port of 127.0.0.1.
    pub(super) async fn open(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        let authority: Arc<str> = listener.local_addr()?.to_string().into();
        Ok(Self {
            url: format!("http://{authority}{PATH}"),
            listener,
            authority,
        })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until a browser comes back with the answer to what was asked under `state`, and has `take` take it.
    /// Whatever comes without that state was sent by somebody else.
    pub(super) async fn answered(
        &self,
        state: &str,
        take: impl AsyncFn(String) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let state: Arc<str> = state.into();
        let mut reading = JoinSet::new();
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let (mut stream, url) = tokio::select! {
                accepted = self.listener.accept() => {
                    let Ok((stream, _)) = accepted else {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    open.retain(|one| !one.is_finished());
                    if open.len() >= CONNECTIONS_MAX
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    let (authority, state) = (Arc::clone(&self.authority), Arc::clone(&state));
                    let read = async move {
                        let answer = answer(stream, &authority, &state);
                        tokio::time::timeout(HEAD_TIMEOUT, answer).await.ok().flatten()
                    };
                    open.push_back(reading.spawn(read));
                    continue;
                }
                Some(read) = reading.join_next() => match read {
                    Ok(Some(answer)) => answer,
                    Ok(None) | Err(_) => continue,
                },
            };
            let taken = match refusal(&url) {
                Some(code) => Err(anyhow::anyhow!("the authorization server said `{code}`")),
                None => take(url).await,
            };
            let (status, text) = match &taken {
                Ok(()) => ("200 OK", "Callgate was let in. You can close this page."),
                Err(_) => (
                    "400 Bad Request",
                    "Callgate was not let in. The command line says why.",
                ),
            };
            respond(&mut stream, status, text).await;
            return taken;
        }
    }
}

/// Reads a request; the answer under `state` is handed on, to be answered itself, and whatever else there is is not.
async fn answer(mut stream: TcpStream, authority: &str, state: &str) -> Option<(TcpStream, String)> {
    match asked(&mut stream, authority).await? {
        Asked::Answer(url) if parameter(&url, "state").as_deref() == Some(state) => Some((stream, url)),
        Asked::Answer(_) | Asked::Other => {
            respond(&mut stream, "404 Not Found", "There is nothing here.").await;
            None
        }
    }
}

async fn asked(stream: &mut TcpStream, authority: &str) -> Option<Asked> {
    let head = head(stream).await.ok()?;
    let mut lines = head.split("\r\n");
    let target = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
    let is_own = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .all(|(_, host)| host.trim() == authority);
    let is_answer = target
        .strip_prefix(PATH)
        .is_some_and(|rest| rest.starts_with('?'));
    Some(if is_own && is_answer {
        Asked::Answer(format!("http://{authority}{target}"))
    } else {
        Asked::Other
    })
}

/// Why a person, or the authorization server, does not let Callgate in (RFC 6749, section 4.1.2.1).
fn refusal(url: &str) -> Option<String> {
    let code = parameter(url, "error")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    Some(code.chars().filter(|c| plain(*c)).take(64).collect())
}

/// A parameter of a URL's query.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let found = url.query_pairs().find(|(own, _)| own == name)?.1;
    Some(found.into_owned())
}

async fn head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            bail!("no request came");
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    Ok(String::from_utf8(head)?)
}

async fn respond(stream: &mut TcpStream, status: &str, text: &str) {
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}
