//! What a legacy client is told of changes, listened for at a modern server.

use super::{State, ToModern};
use crate::bridge::Bridge;
use crate::link::{Passage, Style};
use crate::session::{Relayed, Session};
use bytes::Bytes;
use callgate_wire::mcp::Era;
use callgate_wire::{Decoded, IdKey, Kind, Payload, decode, quoted};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long to wait before a subscription that the server has ended is made anew.
const LISTEN_DELAY: Duration = Duration::from_secs(2);

impl ToModern {
    /// Listens at the server for what the client is to be told; an earlier request to listen is taken back.
    pub(super) async fn listen(&self, session: &Arc<Session>) {
        let relay = IdKey::from(session.mint().as_str());
        let (request, before) = {
            let mut state = self.lock();
            let before = state.listening.take();
            let request = self.listen_request(&state, &relay);
            if request.is_some() {
                state.listening = Some(relay.clone());
            }
            (request, before)
        };
        if let Some(before) = before {
            session
                .withdraw(&before, "the client listens for something else")
                .await;
        }
        let Some(request) = request else { return };
        let Some((departure, ended)) = session.relay(&relay, Era::Modern) else {
            return;
        };
        let passage = Passage {
            style: Style::Modern,
            ..Passage::request(request.into(), relay.clone(), departure)
        };
        session.link().send(session, passage).await;
        tokio::spawn(listen_again(Arc::downgrade(session), relay, ended));
    }

    /// The request to listen for all that the server offers and the client wants; `None` where that is nothing.
    fn listen_request(&self, state: &State, id: &IdKey) -> Option<String> {
        let mut filter = Vec::new();
        for (offer, key) in [
            ("tools", "toolsListChanged"),
            ("prompts", "promptsListChanged"),
            ("resources", "resourcesListChanged"),
        ] {
            if self.server.offers(&[offer, "listChanged"]) {
                filter.push(format!("{}:true", quoted(key)));
            }
        }
        if !state.subscribed.is_empty() {
            let uris: Vec<String> = state.subscribed.iter().map(|uri| quoted(uri)).collect();
            filter.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
        }
        if filter.is_empty() {
            return None;
        }
        let id = id.to_json();
        let meta = state.speaker.meta_json();
        let filter = filter.join(",");
        Some(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"subscriptions/listen","params":{{"_meta":{meta},"notifications":{{{filter}}}}}}}"#
        ))
    }
}

/// Listens anew once a server has ended a subscription that is still wanted, unless it does not have such.
fn listen_again(
    session: Weak<Session>,
    relay: IdKey,
    ended: oneshot::Receiver<Relayed>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let has_refused = match ended.await {
            Ok(Relayed::Answer { bytes, .. }) => is_error(&bytes),
            Ok(Relayed::Failed { .. }) => false,
            // It was taken back.
            Err(_) => return,
        };
        tokio::time::sleep(LISTEN_DELAY).await;
        let Some(session) = session.upgrade().filter(|session| !session.is_closed()) else {
            return;
        };
        if let Some(Bridge::ToModern(bridge)) = session.crossing().bridge() {
            let is_wanted = bridge
                .lock()
                .listening
                .take_if(|wanted| *wanted == relay)
                .is_some();
            if is_wanted && !has_refused {
                bridge.listen(&session).await;
            }
        }
    })
}

fn is_error(bytes: &Bytes) -> bool {
    let decoded = decode(bytes, &callgate_wire::Bounds::default());
    matches!(decoded, Ok(Decoded::Single(message)) if matches!(message.kind(),
        Kind::Response(response) if matches!(response.payload, Payload::Error(_))))
}
