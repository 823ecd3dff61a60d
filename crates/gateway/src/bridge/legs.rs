//! The sessions that a bridge has at a legacy server: one for each set of capabilities that its clients declare, as
//! that era declares them once for all.

use super::call::{Call, Event, Question};
use super::to_legacy::ToLegacy;
use super::{Bridge, Crossing};
use crate::answer;
use crate::gravity::Gravity;
use crate::link::{Link, Passage, Style};
use crate::session::{Origin, OwnAnswer, Relayed, Session};
use crate::traces::Outward;
use callgate_wire::bridge::{Hello, Server, Wanted, initialize_request};
use callgate_wire::mcp::{Era, method, progress_notification};
use callgate_wire::splice::Splice;
use callgate_wire::{Decoded, IdKey, Kind, Message, Notification, Request, decode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tokio::sync::OnceCell;

/// A session at the server.
#[derive(Debug)]
pub(super) struct Leg {
    /// What the client declared when it began, a JSON object.
    pub(super) capabilities: String,
    place: Place,
    server: OnceCell<Server>,
    /// Requests under way, by the id that the server knows them by.
    calls: Mutex<HashMap<IdKey, Call>>,
    level: Mutex<Option<String>>,
}

/// Whose link it goes by.
#[derive(Debug)]
enum Place {
    /// That of the client's own session.
    Own,
    /// One of its own.
    Apart(Arc<Session>),
}

/// The server's end of a bridge, where it has a session of its own.
#[derive(Debug)]
pub(crate) struct LegEnd {
    outer: Weak<Session>,
    leg: Arc<OnceLock<Weak<Leg>>>,
}

/// What a client is told whose capabilities differ from those that a process was begun with.
const ONE_SET: &str = "this server process was begun for a client of other capabilities, which its version of the protocol fixes once for all";

impl LegEnd {
    /// An end whose leg is yet to be made.
    fn of(outer: &Arc<Session>) -> (Self, Arc<OnceLock<Weak<Leg>>>) {
        let leg = Arc::new(OnceLock::new());
        let end = Self {
            outer: Arc::downgrade(outer),
            leg: Arc::clone(&leg),
        };
        (end, leg)
    }

    pub(super) async fn on_server(&self, session: &Arc<Session>, message: &Message<'_>, origin: Origin<'_>) {
        if let (Some(outer), Some(leg)) = (self.outer.upgrade(), self.leg.get().and_then(Weak::upgrade)) {
            leg.on_server(&outer, session, message, origin).await;
        }
    }
}

/// What starts another process of a server's, which lives for one session.
pub(crate) trait Spawner: std::fmt::Debug + Send + Sync {
    /// A session over a process of its own; the error says why there is none.
    fn spawn(&self, crossing: Crossing) -> Result<Arc<Session>, String>;
}

/// Why there is no session at the server.
#[derive(Debug)]
pub(super) struct NoLeg(pub(super) String);

impl Leg {
    /// A leg over the client's own link.
    pub(super) fn own(capabilities: String) -> Arc<Self> {
        Arc::new(Self::at(capabilities, Place::Own))
    }

    /// A leg over a link of its own, or a process.
    pub(super) fn apart(outer: &Arc<Session>, capabilities: String) -> Result<Arc<Self>, NoLeg> {
        let (sender, leg) = LegEnd::of(outer);
        let crossing = Crossing::to(Bridge::Leg(sender));
        let session = match outer.link().sibling() {
            Some(link) => Session::leg(Arc::clone(outer.gate()), link, crossing),
            None => match outer.spawner() {
                Some(spawner) => spawner.spawn(crossing).map_err(NoLeg)?,
                None => return Err(NoLeg(ONE_SET.to_owned())),
            },
        };
        let made = Arc::new(Self::at(capabilities, Place::Apart(session)));
        let _ = leg.set(Arc::downgrade(&made));
        Ok(made)
    }

    fn at(capabilities: String, place: Place) -> Self {
        Self {
            capabilities,
            place,
            server: OnceCell::new(),
            calls: Mutex::default(),
            level: Mutex::default(),
        }
    }

    pub(super) const fn is_own(&self) -> bool {
        matches!(self.place, Place::Own)
    }

    /// The session whose link it goes by.
    pub(super) fn session<'a>(&'a self, outer: &'a Arc<Session>) -> &'a Arc<Session> {
        match &self.place {
            Place::Own => outer,
            Place::Apart(session) => session,
        }
    }

    /// Whether it can be used.
    pub(super) fn is_over(&self) -> bool {
        match &self.place {
            Place::Own => false,
            Place::Apart(session) => session.is_closed(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.calls().is_empty()
    }

    pub(super) async fn close(&self) {
        if let Place::Apart(session) = &self.place {
            session.drop_waiting();
            session.link().close().await;
        }
    }

    /// What the server says of itself, asked for once.
    pub(super) async fn server(&self, outer: &Arc<Session>, hello: &Hello) -> Result<&Server, NoLeg> {
        self.server.get_or_try_init(|| self.begin(outer, hello)).await
    }

    /// Shakes hands in the client's name.
    async fn begin(&self, outer: &Arc<Session>, hello: &Hello) -> Result<Server, NoLeg> {
        let session = self.session(outer);
        let key = IdKey::from(session.mint().as_str());
        let request = initialize_request(&key, hello);
        let timeout = session.gate().settings.list_timeout;
        let answer = session
            .ask_own(key, request.into(), Style::Initialize, timeout)
            .await;
        let refused = || NoLeg("the server did not begin a session, so the request was not sent".to_owned());
        let OwnAnswer::Response(bytes) = answer else {
            return Err(refused());
        };
        let Ok(Decoded::Single(message)) = decode(&bytes, &session.gate().settings.bounds) else {
            return Err(refused());
        };
        let Kind::Response(response) = message.kind() else {
            return Err(refused());
        };
        let server = Server::of_initialize(response).map_err(|_| refused())?;
        if let Link::Http(link) = session.link() {
            link.set_version(server.version);
        }
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        session
            .link()
            .send(session, Passage::notification(initialized.into(), true))
            .await;
        Ok(server)
    }

    /// Has the server log from a level on, where it logs at all.
    pub(super) async fn log_from(&self, outer: &Arc<Session>, server: &Server, level: &str) {
        if !server.offers(&["logging"]) {
            return;
        }
        let is_new = {
            let mut set = self.level.lock().unwrap_or_else(PoisonError::into_inner);
            set.replace(level.to_owned()).as_deref() != Some(level)
        };
        if is_new {
            let params = format!(r#"{{"level":{level}}}"#);
            self.ask(outer, method::LOGGING_SET_LEVEL, &params).await;
        }
    }

    /// Asks the server something in its client's name; whether it said yes.
    pub(super) async fn ask(&self, outer: &Arc<Session>, asked: &str, params: &str) -> bool {
        let session = self.session(outer);
        let key = IdKey::from(session.mint().as_str());
        let id = key.to_json();
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{asked}","params":{params}}}"#);
        let timeout = session.gate().settings.list_timeout;
        let answer = session.ask_own(key, request.into(), Style::Plain, timeout).await;
        let OwnAnswer::Response(bytes) = answer else {
            return false;
        };
        let decoded = decode(&bytes, &session.gate().settings.bounds);
        matches!(decoded, Ok(Decoded::Single(message)) if matches!(message.kind(),
            Kind::Response(response) if matches!(response.payload, callgate_wire::Payload::Result(_))))
    }

    /// Sends a request in the place of a client's.
    pub(super) async fn send(
        &self,
        outer: &Arc<Session>,
        relay: &IdKey,
        bytes: bytes::Bytes,
        trace: Option<Arc<Outward>>,
    ) -> Option<tokio::sync::oneshot::Receiver<Relayed>> {
        let session = self.session(outer);
        let (departure, answer) = session.relay(relay, Era::Legacy)?;
        let passage = Passage {
            trace,
            ..Passage::request(bytes, relay.clone(), departure)
        };
        session.link().send(session, passage).await;
        Some(answer)
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, HashMap<IdKey, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the server says of itself.
    pub(super) async fn on_server(
        &self,
        outer: &Arc<Session>,
        session: &Arc<Session>,
        message: &Message<'_>,
        origin: Origin<'_>,
    ) {
        match message.kind() {
            Kind::Notification(notification) => {
                self.on_notification(outer, message, notification, origin).await;
            }
            Kind::Request(request) => {
                if let Some(answer) = self.on_request(outer, request, origin) {
                    session.link().send(session, Passage::response(answer)).await;
                }
            }
            Kind::Response(_) => {}
        }
    }

    async fn on_notification(
        &self,
        outer: &Arc<Session>,
        message: &Message<'_>,
        notification: &Notification<'_>,
        origin: Origin<'_>,
    ) {
        match notification.method.as_ref() {
            method::NOTIFICATIONS_TOOLS_LIST_CHANGED
            | method::NOTIFICATIONS_PROMPTS_LIST_CHANGED
            | method::NOTIFICATIONS_RESOURCES_LIST_CHANGED
            | method::NOTIFICATIONS_RESOURCES_UPDATED => {
                if notification.method == method::NOTIFICATIONS_TOOLS_LIST_CHANGED {
                    outer.forget_list();
                }
                if let Some(Bridge::ToLegacy(bridge)) = outer.crossing().bridge() {
                    bridge.tell_listeners(outer, self, message, notification).await;
                }
            }
            method::NOTIFICATIONS_PROGRESS => self.on_progress(outer, message, notification).await,
            // What 2026-07-28 does not have.
            method::NOTIFICATIONS_CANCELLED
            | method::NOTIFICATIONS_ELICITATION_COMPLETE
            | method::NOTIFICATIONS_TASKS_STATUS => {}
            method::NOTIFICATIONS_MESSAGE => {
                let level = notification
                    .params
                    .as_ref()
                    .and_then(|params| params.get("level"))
                    .and_then(|level| level.as_str());
                let wants = |call: &Call| {
                    let from = call.client().and_then(|client| client.log_level);
                    from.is_some_and(|from| {
                        Gravity::of(level.as_deref()) >= Gravity::of(Some(from.trim_matches('"')))
                    })
                };
                self.pass_on(outer, message, origin, wants).await;
            }
            _ => self.pass_on(outer, message, origin, |_| true).await,
        }
    }

    /// Hands a notification to the request that it belongs to, where it wants it.
    async fn pass_on(
        &self,
        outer: &Arc<Session>,
        message: &Message<'_>,
        origin: Origin<'_>,
        wants: impl Fn(&Call) -> bool,
    ) {
        let to = self
            .call_of(outer, origin)
            .filter(wants)
            .and_then(|call| call.client());
        if let Some(client) = to {
            let bytes = bytes::Bytes::copy_from_slice(message.raw());
            let origin = Origin::Reply {
                to: &client.key,
                status: 200,
            };
            outer.deliver(bytes, origin).await;
        }
    }

    /// The request that something belongs to: the one on whose stream it came, or else the only one there is; where
    /// there is but one client, its newest.
    fn call_of(&self, outer: &Arc<Session>, origin: Origin<'_>) -> Option<Call> {
        let calls = self.calls();
        if let Origin::Reply { to, .. } = origin
            && let Some(call) = calls.get(to)
        {
            return Some(call.clone());
        }
        let mut waiting: Vec<&Call> = calls.values().filter(|call| call.may_ask()).collect();
        waiting.sort_by_key(|call| call.since());
        match waiting.as_slice() {
            [only] => Some((*only).clone()),
            [.., newest] if !outer.is_shared() => Some((*newest).clone()),
            _ => None,
        }
    }

    async fn on_progress(
        &self,
        outer: &Arc<Session>,
        message: &Message<'_>,
        notification: &Notification<'_>,
    ) {
        let Ok(Some(token)) = progress_notification(notification) else {
            return;
        };
        let client = {
            let calls = self.calls();
            let call = calls.values().find(|call| call.token() == Some(&token.0));
            call.and_then(Call::client)
        };
        let Some((client, own)) = client.and_then(|client| {
            let own = client.token.clone()?;
            Some((client, own))
        }) else {
            return;
        };
        let spliced = Splice::new(message)
            .reported_progress_token(&own)
            .and_then(|splice| splice.finish(&outer.gate().settings.bounds));
        if let Ok(bytes) = spliced {
            let origin = Origin::Reply {
                to: &client.key,
                status: 200,
            };
            outer.deliver(bytes.into(), origin).await;
        }
    }

    /// The server asks something: its answer where it gets one at once.
    fn on_request(
        &self,
        outer: &Arc<Session>,
        request: &Request<'_>,
        origin: Origin<'_>,
    ) -> Option<bytes::Bytes> {
        let id = request.id.raw();
        if request.method == method::PING {
            return Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into());
        }
        let Some(wanted) = Wanted::of_request(request) else {
            return Some(answer::error(id, -32_601, "the client has no such method"));
        };
        if !wanted.is_declared(&self.capabilities) {
            return Some(answer::error(id, -32_601, "the client does not offer this"));
        }
        let question = Question {
            id: id.to_owned(),
            wanted,
        };
        let is_taken = self
            .call_of(outer, origin)
            .filter(Call::may_ask)
            .is_some_and(|call| call.tell(Event::Asked(question)));
        (!is_taken).then(|| answer::error(id, -32_603, "the client cannot be asked now"))
    }
}

impl ToLegacy {
    /// Whether a method's result may ask its client for something.
    pub(super) fn may_ask(asked: &str) -> bool {
        matches!(
            asked,
            method::TOOLS_CALL | method::PROMPTS_GET | method::RESOURCES_READ
        )
    }
}
