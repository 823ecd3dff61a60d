//! A client of 2026-07-28 before a server of the legacy era.

use super::call::{Call, Client, Drive, Event, Places};
use super::legs::{Leg, NoLeg};
use super::listeners::Filter;
use super::parked::{Asked, NoSuchTicket, Owner, Ticket};
use super::{read_again, request_of};
use crate::answer;
use crate::link::{Link, Passage, PassageKind, Style};
use crate::session::{Origin, Session};
use crate::sink::object;
use crate::traces::Outward;
use bytes::Bytes;
use callgate_wire::bridge::{Hello, discover_result, request_for_legacy};
use callgate_wire::mcp::{META_CLIENT_CAPABILITIES, Version, method, protocol_version};
use callgate_wire::{Decoded, IdKey, Kind, Message, Object, RawJson, Request, decode, quoted};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Sessions at the server at once.
const LEGS_MAX: usize = 16;

/// The bridge.
#[derive(Debug, Default)]
pub(crate) struct ToLegacy {
    legs: Mutex<Vec<Arc<Leg>>>,
    parked: Mutex<HashMap<String, mpsc::Sender<Event>>>,
    listeners: Mutex<HashMap<IdKey, Filter>>,
}

/// What the legacy era has and 2026-07-28 does not, and what does not reach across.
fn is_removed(asked: &str) -> bool {
    asked.starts_with("tasks/")
        || matches!(
            asked,
            method::INITIALIZE
                | method::PING
                | method::LOGGING_SET_LEVEL
                | method::RESOURCES_SUBSCRIBE
                | method::RESOURCES_UNSUBSCRIBE
        )
}

impl ToLegacy {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The leg that goes by the client's own link, where one does.
    pub(super) fn own_leg(&self) -> Option<Arc<Leg>> {
        self.legs().iter().find(|leg| leg.is_own()).map(Arc::clone)
    }

    /// Ends its sessions at the server.
    pub(super) async fn close(&self) {
        let legs = std::mem::take(&mut *self.legs());
        for leg in legs {
            leg.close().await;
        }
    }

    /// Takes a message of the client's.
    pub(super) async fn take(this: &Arc<Self>, session: &Arc<Session>, passage: Passage) {
        match passage.kind {
            PassageKind::Request if passage.style == Style::Modern => {
                Self::take_request(this, session, passage).await;
            }
            PassageKind::Request => {
                if let Some(key) = &passage.key {
                    refuse_version(session, key, &passage.bytes).await;
                }
            }
            // A client of this era has no other messages that a server of the other would know; whoever carries a
            // request out has seen that nobody waits for it.
            PassageKind::Notification
            | PassageKind::Initialized
            | PassageKind::Cancellation
            | PassageKind::Response => {}
        }
    }

    async fn take_request(this: &Arc<Self>, session: &Arc<Session>, passage: Passage) {
        let Some(key) = passage.key.clone() else { return };
        if !passage.departure.leave() {
            return;
        }
        let bytes = passage.bytes.clone();
        let message = read_again(session, &bytes);
        let Some((message, request)) = message.as_ref().and_then(request_of) else {
            return session
                .refuse_across(&key, "the request could not be read again")
                .await;
        };
        if is_removed(&request.method) {
            let text = format!("there is no `{}` here from 2026-07-28 on", request.method);
            return error(session, &key, -32_601, &text, 404).await;
        }
        let has_capabilities = request.params.as_ref().is_some_and(|params| {
            let meta = params.get("_meta").and_then(|meta| meta.as_object());
            meta.is_some_and(|meta| meta.get(META_CLIENT_CAPABILITIES).is_some())
        });
        if !has_capabilities {
            let text = "`_meta` names no client capabilities";
            return error(session, &key, -32_602, text, 400).await;
        }
        let hello = Hello::of_modern(request);
        let client = Client::of(request, &hello, &key, &passage.departure);
        if let Some(state) = request
            .params
            .as_ref()
            .and_then(|params| params.get("requestState"))
        {
            return this.resume(session, client, request, state).await;
        }
        match request.method.as_ref() {
            method::SUBSCRIPTIONS_LISTEN => this.listen(session, &client, request, &hello).await,
            method::SERVER_DISCOVER => {
                let answered = match this.leg(session, &hello).await {
                    Ok(leg) => leg
                        .server(session, &hello)
                        .await
                        .map(|server| discover_result(&key, server)),
                    Err(none) => Err(none),
                };
                match answered {
                    Ok(bytes) => {
                        let origin = Origin::Reply {
                            to: &key,
                            status: 200,
                        };
                        session.deliver(bytes.into(), origin).await;
                    }
                    Err(NoLeg(text)) => session.fail_unsent(&key, &text).await,
                }
            }
            _ => {
                let trace = passage.trace;
                Self::call(this, session, client, message, request, &hello, trace).await;
            }
        }
    }

    /// The session at the server for a client of these capabilities.
    pub(super) async fn leg(&self, session: &Arc<Session>, hello: &Hello) -> Result<Arc<Leg>, NoLeg> {
        let capabilities = &hello.speaker.capabilities;
        let (leg, over) = {
            let mut legs = self.legs();
            let over: Vec<Arc<Leg>> = legs.extract_if(.., |leg| leg.is_over()).collect();
            if let Some(leg) = legs.iter().find(|leg| leg.capabilities == *capabilities) {
                return Ok(Arc::clone(leg));
            }
            let mut over = over;
            if legs.len() >= LEGS_MAX {
                let idle = legs.iter().position(|leg| leg.is_idle() && !leg.is_own());
                match idle {
                    Some(idle) => over.push(legs.remove(idle)),
                    None => {
                        return Err(NoLeg(
                            "the clients of this grant declare too many sets of capabilities at once"
                                .to_owned(),
                        ));
                    }
                }
            }
            let has_own = matches!(session.link(), Link::Child(_) | Link::Shared(_));
            let leg = if has_own && legs.iter().all(|leg| !leg.is_own()) {
                Leg::own(capabilities.clone())
            } else {
                Leg::apart(session, capabilities.clone())?
            };
            legs.push(Arc::clone(&leg));
            (leg, over)
        };
        for leg in over {
            leg.close().await;
        }
        Ok(leg)
    }

    /// Has the server carry a request out.
    async fn call(
        this: &Arc<Self>,
        session: &Arc<Session>,
        client: Client,
        message: &Message<'_>,
        request: &Request<'_>,
        hello: &Hello,
        trace: Option<Arc<Outward>>,
    ) {
        let key = client.key.clone();
        let bounds = &session.gate().settings.bounds;
        let leg = match this.leg(session, hello).await {
            Ok(leg) => leg,
            Err(NoLeg(text)) => return session.fail_unsent(&key, &text).await,
        };
        match leg.server(session, hello).await {
            Ok(server) => {
                if let Some(level) = &client.log_level {
                    leg.log_from(session, server, level).await;
                }
            }
            Err(NoLeg(text)) => {
                this.forget(&leg).await;
                return session.fail_unsent(&key, &text).await;
            }
        }
        let relay = IdKey::from(session.mint().as_str());
        let bytes = match request_for_legacy(message, &relay, bounds) {
            Ok(bytes) => bytes,
            Err(cause) => return session.refuse_across(&key, &cause.to_string()).await,
        };
        let (call, happening) = Call::new(client, Self::may_ask(&request.method));
        leg.calls().insert(relay.clone(), call.clone());
        let Some(answer) = leg.send(session, &relay, bytes.into(), trace).await else {
            leg.calls().remove(&relay);
            return session
                .fail_unsent(&key, "the session at the server has ended")
                .await;
        };
        let places = Places {
            bridge: Arc::clone(this),
            session: Arc::clone(session),
            leg,
        };
        Drive::new(places, relay, request, call)
            .run(answer, happening)
            .await;
    }

    /// A client comes back to a call that is parked.
    async fn resume(
        &self,
        session: &Arc<Session>,
        client: Client,
        request: &Request<'_>,
        state: RawJson<'_>,
    ) {
        let key = client.key.clone();
        let found = self.parked_call(session, request, state);
        let answers = request
            .params
            .as_ref()
            .and_then(|params| params.get("inputResponses")?.as_object());
        let answers: HashMap<String, String> = answers
            .iter()
            .flat_map(Object::iter)
            .filter(|(_, answer)| answer.as_object().is_some())
            .map(|(key, answer)| (key.to_owned(), answer.text().to_owned()))
            .collect();
        let event = Event::Resumed { client, answers };
        let is_resumed = match found {
            Ok(events) => events.send(event).await.is_ok(),
            Err(NoSuchTicket) => false,
        };
        if !is_resumed {
            no_such_call(session, &key).await;
        }
    }

    /// The parked call that a `requestState` leads to. It leads there once.
    fn parked_call(
        &self,
        session: &Session,
        request: &Request<'_>,
        state: RawJson<'_>,
    ) -> Result<mpsc::Sender<Event>, NoSuchTicket> {
        let ticket = ticket(session, request, state)?;
        self.parked().remove(&ticket.id).ok_or(NoSuchTicket)
    }

    /// Whether a request takes up a parked call.
    pub(crate) fn is_parked(&self, session: &Session, request: &Request<'_>) -> bool {
        let state = request
            .params
            .as_ref()
            .and_then(|params| params.get("requestState"));
        let ticket = state.and_then(|state| ticket(session, request, state).ok());
        ticket.is_some_and(|ticket| self.parked().contains_key(&ticket.id))
    }

    pub(super) async fn forget(&self, leg: &Arc<Leg>) {
        if leg.is_own() {
            return;
        }
        self.legs().retain(|known| !Arc::ptr_eq(known, leg));
        // What else is under way there still gets its answer.
        if leg.is_idle() {
            leg.close().await;
        }
    }

    fn legs(&self) -> MutexGuard<'_, Vec<Arc<Leg>>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn parked(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Event>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listeners(&self) -> MutexGuard<'_, HashMap<IdKey, Filter>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ticket that a request brings along, where it is its own.
fn ticket(session: &Session, request: &Request<'_>, state: RawJson<'_>) -> Result<Ticket, NoSuchTicket> {
    let state = state.as_str().ok_or(NoSuchTicket)?;
    let owner = Owner::of(session.gate());
    Ticket::open(&state, owner, &Asked::of(request), SystemTime::now())
}

/// A request of another version than the one that is spoken here.
async fn refuse_version(session: &Arc<Session>, key: &IdKey, bytes: &Bytes) {
    let decoded = decode(bytes, &session.gate().settings.bounds);
    let named = match &decoded {
        Ok(Decoded::Single(message)) => match message.kind() {
            Kind::Request(request) => protocol_version(request).ok().flatten(),
            Kind::Notification(_) | Kind::Response(_) => None,
        },
        Ok(Decoded::Batch(_)) | Err(_) => None,
    };
    let is_known = named
        .as_ref()
        .is_none_or(|named| named.parse::<Version>().is_ok());
    let Some(named) = named.filter(|_| !is_known) else {
        let text = "this session speaks 2026-07-28; begin another for a version before it";
        return session.refuse_across(key, text).await;
    };
    let supported = format!("[{}]", quoted(Version::V2026_07_28.as_str()));
    let data = object(&[("supported", &supported), ("requested", &quoted(&named))]);
    let text = "this version of the protocol is not served";
    let bytes = answer::error_with_data(&key.to_json(), -32_022, text, Some(&data));
    session
        .deliver(bytes, Origin::Reply { to: key, status: 400 })
        .await;
}

/// Tells whoever brings a `requestState` that it leads nowhere.
pub(super) async fn no_such_call(session: &Arc<Session>, key: &IdKey) {
    let text =
        "this requestState leads to no call that waits: it is another request's, was used, or has expired";
    error(session, key, -32_602, text, 200).await;
}

async fn error(session: &Arc<Session>, key: &IdKey, code: i32, text: &str, status: u16) {
    let bytes = answer::error(&key.to_json(), code, text);
    session.deliver(bytes, Origin::Reply { to: key, status }).await;
}
