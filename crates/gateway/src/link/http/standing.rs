//! The stream that a server before 2026-07-28 may send its own messages on.

use super::exchange::{Pumped, pump};
use crate::link::Link;
use crate::session::Session;
use bytes::Bytes;
use callgate_wire::sse::Parser;
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a stream that ended is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// The longest that a server may ask to wait.
const REOPEN_DELAY_MAX: Duration = Duration::from_secs(60);

/// Opens the stream, once a session, and keeps it open for as long as the server offers one.
pub(super) fn open(session: &Arc<Session>) {
    let Link::Http(link) = session.link() else { return };
    let weak = Arc::downgrade(session);
    let task = tokio::spawn(async move {
        loop {
            let Some(session) = weak.upgrade() else { return };
            let Some(delay) = follow(&session).await else {
                return;
            };
            drop(session);
            tokio::time::sleep(delay).await;
        }
    });
    // Whoever closes the link ends the task, if it is there by then.
    if link.standing.set(task.abort_handle()).is_err() || session.is_closed() {
        task.abort();
    }
}

/// Follows the stream to its end; `None` where the server offers none.
async fn follow(session: &Arc<Session>) -> Option<Duration> {
    let Link::Http(link) = session.link() else {
        return None;
    };
    let request = link.request(Method::GET, Bytes::new(), &[]).ok()?;
    let mut reply = link.endpoint.request(request).await.ok()?;
    if !reply.status.is_success() {
        return None;
    }
    let bytes_max = session.gate().settings.bounds.message_bytes_max;
    let mut parser = Parser::new(bytes_max);
    while pump(session, &mut reply, &mut parser, None).await == Pumped::TooLarge {}
    let asked = parser.retry().map_or(REOPEN_DELAY, Duration::from_millis);
    Some(asked.clamp(REOPEN_DELAY, REOPEN_DELAY_MAX))
}
