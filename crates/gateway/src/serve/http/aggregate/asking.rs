//! Questions of Callgate's own to several servers, in the client's name.

use super::names::Names;
use super::part::Part;
use super::whole::Whole;
use crate::serve::http::carry_out;
use crate::session::{Entry, Session};
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_wire::aggregate::{Prefix, Shape};
use callgate_wire::{decode, quoted};
use futures_util::future::join_all;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long the answer of all servers waits for one of them.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long, for one that did not answer in time when it was asked last.
const SLOW_GRACE: Duration = Duration::from_millis(500);

/// Asks one server. What it sends before it answers goes to `rest`; `None` where no answer comes.
pub(super) async fn ask(
    session: &Arc<Session>,
    prefix: &Prefix,
    message: &Bytes,
    rest: &Sink,
) -> Option<Bytes> {
    let bounds = session.gate().settings.bounds;
    let (answers, mut answered) = mpsc::channel(1);
    let names = Names::new(prefix.clone(), Shape::Other, bounds);
    let sink = names.but_answers(rest.clone(), answers);
    let decoded = decode(message, &bounds);
    let intake = session.accept_decoded(message, decoded, &sink, &Entry::own());
    drop(sink);
    // By itself: what was begun is owed its end, even once nobody waits for it.
    tokio::spawn(carry_out(Arc::clone(session), intake));
    answered.recv().await.map(|answer| answer.bytes)
}

/// A request of Callgate's own. `meta` is raw JSON.
pub(super) fn own_request(
    session: &Session,
    method: &str,
    cursor: Option<&str>,
    meta: Option<&str>,
) -> Bytes {
    let cursor = cursor.map(quoted);
    let mut params = Vec::new();
    params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
    params.extend(meta.map(|meta| ("_meta", meta)));
    object(&[
        ("jsonrpc", "\"2.0\""),
        ("id", &quoted(&session.mint())),
        ("method", &quoted(method)),
        ("params", &object(&params)),
    ])
    .into()
}

/// What each server says, in their order; `None` of one that fails, or does not say it in time. A server that is late
/// is not waited for as long the next time, unless it has answered by then.
pub(super) async fn gather<T, F>(
    whole: &Arc<Whole>,
    parts: Vec<Arc<Part>>,
    asked: impl Fn(Arc<Part>) -> F,
) -> Vec<(Arc<Part>, Option<T>)>
where
    F: Future<Output = Option<T>> + Send + 'static,
    T: Send + 'static,
{
    let told = parts.into_iter().map(|part| {
        let (tell, told) = oneshot::channel();
        let said = timeout(whole.settings().list_timeout, asked(Arc::clone(&part)));
        let (late_part, late_whole) = (Arc::clone(&part), Arc::clone(whole));
        tokio::spawn(async move {
            let said = said.await.ok().flatten();
            let has_said = said.is_some();
            if tell.send(said).is_err() && has_said {
                late_whole.was_in_time(late_part.prefix().server());
            }
        });
        wait(whole, part, told)
    });
    join_all(told).await
}

async fn wait<T>(
    whole: &Whole,
    part: Arc<Part>,
    told: oneshot::Receiver<Option<T>>,
) -> (Arc<Part>, Option<T>) {
    let server = part.prefix().server();
    let grace = if whole.is_slow(server) { SLOW_GRACE } else { GRACE };
    match timeout(grace, told).await {
        Ok(Ok(said)) => {
            whole.was_in_time(server);
            (part, said)
        }
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(server, "a server did not answer in time, and is left out at /mcp");
            whole.was_late(server);
            (part, None)
        }
    }
}
