//! From the client: what has no answer, and its answers to what servers have asked.

use super::part::Part;
use super::whole::Whole;
use bytes::Bytes;
use callgate_wire::aggregate::read_id;
use callgate_wire::mcp::{CancelTarget, method, progress_notification};
use callgate_wire::splice::{Splice, SpliceError};
use callgate_wire::{Bounds, IdKey, Message, Notification, Response};
use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;

impl Whole {
    pub(super) fn accept_notification(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        notification: &Notification<'_>,
    ) -> BoxFuture<'static, ()> {
        let raw = unit.slice_ref(message.raw());
        match notification.method.as_ref() {
            method::NOTIFICATIONS_INITIALIZED => tell_all(self.has_begun(), raw),
            method::NOTIFICATIONS_ROOTS_LIST_CHANGED => tell_all(self.parts_at_hand(), raw),
            method::NOTIFICATIONS_CANCELLED => {
                if let Ok(Some(CancelTarget(target))) = CancelTarget::from_notification(notification) {
                    self.waits_no_more(&target);
                }
                // Each session looks whether the request is one of its own.
                tell_all(self.parts_at_hand(), raw)
            }
            method::NOTIFICATIONS_PROGRESS => {
                let token = progress_notification(notification).ok().flatten();
                let spliced = |own: &IdKey, bounds: &Bounds| {
                    Splice::new(message).reported_progress_token(own)?.finish(bounds)
                };
                match token.and_then(|token| self.to_owner(&token.0, spliced)) {
                    Some((part, bytes)) => tell_all(vec![part], bytes),
                    None => nothing(),
                }
            }
            // Of whatever else a client tells, it cannot be said for which server it is.
            _ => nothing(),
        }
    }

    pub(super) fn accept_response(
        self: &Arc<Self>,
        message: &Message<'_>,
        response: &Response<'_>,
    ) -> BoxFuture<'static, ()> {
        let spliced = |own: &IdKey, bounds: &Bounds| Splice::new(message).id(own)?.finish(bounds);
        let key = response.id.as_ref().map(callgate_wire::Id::key);
        match key.and_then(|key| self.to_owner(key, spliced)) {
            Some((part, bytes)) => tell_all(vec![part], bytes),
            None => {
                let sender = self.house.sender(self.id());
                let length = message.raw().len();
                self.house.recorder.stray_response(sender, length);
                nothing()
            }
        }
    }

    /// The part whose server has given an id, and the message under the server's own.
    fn to_owner(
        &self,
        id: &IdKey,
        spliced: impl FnOnce(&IdKey, &Bounds) -> Result<Vec<u8>, SpliceError>,
    ) -> Option<(Arc<Part>, Bytes)> {
        // Requests that need no session are asked nothing.
        self.id()?;
        let (server, own) = read_id(id)?;
        let part = self.part(server)?;
        let bytes = spliced(&own, &self.settings().bounds).ok()?;
        Some((part, bytes.into()))
    }

    /// The parts that can be told something at once: those of a session.
    fn parts_at_hand(&self) -> Vec<Arc<Part>> {
        if self.id().is_none() {
            return Vec::new();
        }
        let mut parts = self.parts();
        parts.retain(|part| part.at_hand().is_some());
        parts
    }
}

fn nothing() -> BoxFuture<'static, ()> {
    Box::pin(std::future::ready(()))
}

/// Tells servers something that has no answer.
fn tell_all(parts: Vec<Arc<Part>>, message: Bytes) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let told = parts.iter().map(|part| async {
            if let Some(session) = part.at_hand() {
                part.tell(&session, &message).await;
            }
        });
        join_all(told).await;
    })
}
