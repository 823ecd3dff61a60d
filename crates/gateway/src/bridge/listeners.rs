//! Subscriptions of modern clients at a legacy server, which knows them for resources alone, and tells changes of its
//! lists to everyone.

use super::call::Client;
use super::legs::{Leg, NoLeg};
use super::to_legacy::ToLegacy;
use crate::session::{Origin, Session};
use callgate_wire::bridge::Hello;
use callgate_wire::mcp::{META_SUBSCRIPTION_ID, method};
use callgate_wire::splice::Splice;
use callgate_wire::{IdKey, Message, Notification, RawJson, Request, quoted};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a listener wants to hear of.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// The session at the server that tells it.
    capabilities: String,
    lists: BTreeSet<&'static str>,
    uris: BTreeSet<String>,
}

/// The kinds of lists, and how a filter and a notification name them.
const LISTS: [(&str, &str, &str); 3] = [
    (
        "tools",
        "toolsListChanged",
        method::NOTIFICATIONS_TOOLS_LIST_CHANGED,
    ),
    (
        "prompts",
        "promptsListChanged",
        method::NOTIFICATIONS_PROMPTS_LIST_CHANGED,
    ),
    (
        "resources",
        "resourcesListChanged",
        method::NOTIFICATIONS_RESOURCES_LIST_CHANGED,
    ),
];

impl ToLegacy {
    /// Carries a subscription out for as long as its client listens.
    pub(super) async fn listen(
        &self,
        session: &Arc<Session>,
        client: &Client,
        request: &Request<'_>,
        hello: &Hello,
    ) {
        let leg = match self.leg(session, hello).await {
            Ok(leg) => leg,
            Err(NoLeg(text)) => return session.fail_unsent(&client.key, &text).await,
        };
        let server = match leg.server(session, hello).await {
            Ok(server) => server,
            Err(NoLeg(text)) => return session.fail_unsent(&client.key, &text).await,
        };
        let wanted = request
            .params
            .as_ref()
            .and_then(|params| params.get("notifications")?.as_object());
        let member = |key: &str| wanted.as_ref().and_then(|wanted| wanted.get(key));
        let mut filter = Filter {
            capabilities: hello.speaker.capabilities.clone(),
            ..Filter::default()
        };
        for (offer, key, told) in LISTS {
            if member(key).and_then(|wanted| wanted.as_bool()) == Some(true)
                && server.offers(&[offer, "listChanged"])
            {
                filter.lists.insert(told);
            }
        }
        if server.offers(&["resources", "subscribe"]) {
            let uris = member("resourceSubscriptions").and_then(|uris| uris.as_array());
            for uri in uris.iter().flatten().filter_map(RawJson::as_str) {
                let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
                if leg.ask(session, method::RESOURCES_SUBSCRIBE, &params).await {
                    filter.uris.insert(uri.into_owned());
                }
            }
        }
        let accepted = filter.acknowledged(&client.key);
        self.listeners().insert(client.key.clone(), filter);
        let origin = Origin::Reply {
            to: &client.key,
            status: 200,
        };
        session.deliver(accepted.into(), origin).await;
        client.left().await;
        self.unlisten(session, &leg, &client.key).await;
    }

    async fn unlisten(&self, session: &Arc<Session>, leg: &Leg, key: &IdKey) {
        let left: Vec<String> = {
            let mut listeners = self.listeners();
            let gone = listeners.remove(key).unwrap_or_default();
            let is_wanted = |uri: &String| {
                listeners
                    .values()
                    .any(|other| other.capabilities == gone.capabilities && other.uris.contains(uri))
            };
            gone.uris.iter().filter(|uri| !is_wanted(uri)).cloned().collect()
        };
        for uri in left {
            let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
            leg.ask(session, method::RESOURCES_UNSUBSCRIBE, &params).await;
        }
    }

    /// Tells those who listen for it of a change at the server.
    pub(super) async fn tell_listeners(
        &self,
        session: &Arc<Session>,
        leg: &Leg,
        message: &Message<'_>,
        notification: &Notification<'_>,
    ) {
        let uri = notification
            .params
            .as_ref()
            .and_then(|params| params.get("uri")?.as_str());
        let wants = |filter: &Filter| match &uri {
            _ if filter.capabilities != leg.capabilities => false,
            Some(uri) if notification.method == method::NOTIFICATIONS_RESOURCES_UPDATED => {
                filter.uris.contains(uri.as_ref())
            }
            Some(_) | None => filter.lists.contains(notification.method.as_ref()),
        };
        let keys: Vec<IdKey> = {
            let listeners = self.listeners();
            let wanting = listeners.iter().filter(|(_, filter)| wants(filter));
            wanting.map(|(key, _)| key.clone()).collect()
        };
        let bounds = &session.gate().settings.bounds;
        for key in keys {
            let id = key.to_json();
            let tagged = RawJson::read(id.as_bytes(), bounds).ok().and_then(|id| {
                let splice = Splice::new(message).protocol_meta(META_SUBSCRIPTION_ID, Some(id));
                splice.ok()?.finish(bounds).ok()
            });
            if let Some(bytes) = tagged {
                let origin = Origin::Reply {
                    to: &key,
                    status: 200,
                };
                session.deliver(bytes.into(), origin).await;
            }
        }
    }
}

impl Filter {
    /// The first message of a subscription, which says what of it holds.
    fn acknowledged(&self, key: &IdKey) -> String {
        let mut members: Vec<String> = LISTS
            .iter()
            .filter(|(_, _, told)| self.lists.contains(told))
            .map(|(_, key, _)| format!("{}:true", quoted(key)))
            .collect();
        if !self.uris.is_empty() {
            let uris: Vec<String> = self.uris.iter().map(|uri| quoted(uri)).collect();
            members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
        }
        let (id, members) = (key.to_json(), members.join(","));
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{META_SUBSCRIPTION_ID}":{id}}},"notifications":{{{members}}}}}}}"#
        )
    }
}
