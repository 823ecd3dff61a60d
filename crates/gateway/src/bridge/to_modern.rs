//! A client of the legacy era before a server of 2026-07-28.

mod asking;
mod listening;

use super::{read_again, request_of};
use crate::link::{Passage, PassageKind, Style};
use crate::recorder::Sent;
use crate::session::{Origin, Relayed, Session};
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::bridge::{
    Again, Answer, Hello, Server, Speaker, Wants, answer_for_legacy, initialize_result, request_for_modern,
    response_of,
};
use callgate_wire::mcp::{Era, META_SUBSCRIPTION_ID, ToolCall, Version, method};
use callgate_wire::splice::Splice;
use callgate_wire::{Decoded, IdKey, Kind, Message, Request, decode, quoted};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How often a server may want input within one request.
const ROUNDS_MAX: usize = 10;
/// The bridge.
#[derive(Debug)]
pub(crate) struct ToModern {
    version: Version,
    server: Server,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    speaker: Speaker,
    /// The client's request that each request to the server stands for.
    carried: HashMap<IdKey, IdKey>,
    /// What the client was asked, by the id of the request that asks it.
    asked: HashMap<IdKey, oneshot::Sender<Option<String>>>,
    /// The resources that it wants to hear of.
    subscribed: BTreeSet<String>,
    /// The request that listens for it.
    listening: Option<IdKey>,
}

/// Why an exchange came to nothing.
enum Stop {
    /// Nobody waits for the answer any more.
    Left,
    /// The server's answer cannot be told.
    Broken(String),
}

impl ToModern {
    /// A bridge for a client that has introduced itself, and the answer to its `initialize`.
    pub(super) fn new(hello: Hello, server: Server, initialize: &IdKey) -> (Self, Bytes) {
        let answer = initialize_result(initialize, &server, hello.version);
        let bridge = Self {
            version: hello.version,
            server,
            state: Mutex::new(State {
                speaker: hello.speaker,
                carried: HashMap::new(),
                asked: HashMap::new(),
                subscribed: BTreeSet::new(),
                listening: None,
            }),
        };
        (bridge, answer.into())
    }

    /// Takes a message of the client's.
    pub(super) async fn take(&self, session: &Arc<Session>, passage: Passage) {
        match passage.kind {
            PassageKind::Request if passage.style == Style::Modern => {
                session.link().send(session, passage).await;
            }
            PassageKind::Request => self.take_request(session, passage).await,
            PassageKind::Initialized => self.listen(session).await,
            PassageKind::Notification => self.take_notification(session, passage).await,
            // Whoever carries the request out has seen that nobody waits for it.
            PassageKind::Cancellation => {}
            PassageKind::Response => self.take_response(session, &passage.bytes),
        }
    }

    async fn take_notification(&self, session: &Arc<Session>, passage: Passage) {
        let is_known = match decode(&passage.bytes, &session.gate().settings.bounds) {
            Ok(Decoded::Single(message)) => match message.kind() {
                Kind::Notification(notification) => matches!(
                    notification.method.as_ref(),
                    method::NOTIFICATIONS_ROOTS_LIST_CHANGED | method::NOTIFICATIONS_PROGRESS
                ),
                Kind::Request(_) | Kind::Response(_) => true,
            },
            Ok(Decoded::Batch(_)) | Err(_) => true,
        };
        // What the protocol has no more is told to nobody.
        if !is_known {
            session.link().send(session, passage).await;
        }
    }

    fn take_response(&self, session: &Session, bytes: &Bytes) {
        let Ok(Decoded::Single(message)) = decode(bytes, &session.gate().settings.bounds) else {
            return;
        };
        let Kind::Response(response) = message.kind() else {
            return;
        };
        let key = response.id.as_ref().map(callgate_wire::Id::key);
        let waiting = key.and_then(|key| self.lock().asked.remove(key));
        if let Some(waiting) = waiting {
            let _ = waiting.send(response_of(response));
        }
    }

    async fn take_request(&self, session: &Arc<Session>, passage: Passage) {
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
        if let Some(answer) = self.own_answer(session, &key, request).await {
            let origin = Origin::Reply {
                to: &key,
                status: 200,
            };
            session.deliver(answer, origin).await;
            return;
        }
        if request
            .params
            .as_ref()
            .is_some_and(|params| params.get("task").is_some())
            || request.method.starts_with("tasks/")
        {
            let text = "tasks of 2025-11-25 do not reach a server of 2026-07-28: call without a task";
            return session.refuse_across(&key, text).await;
        }
        match self.exchange(session, &passage, message, request, &key).await {
            Ok(()) | Err(Stop::Left) => {}
            Err(Stop::Broken(text)) => session.fail(&key, Reason::UpstreamProtocol, &text).await,
        }
    }

    /// What the modern era has no request for is answered here.
    async fn own_answer(&self, session: &Arc<Session>, key: &IdKey, request: &Request<'_>) -> Option<Bytes> {
        let param = |name: &str| {
            let value = request.params.as_ref()?.get(name)?;
            value.as_str().map(std::borrow::Cow::into_owned)
        };
        let id = key.to_json();
        let empty = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        match request.method.as_ref() {
            method::INITIALIZE => Some(initialize_result(key, &self.server, self.version).into()),
            method::PING => Some(empty),
            method::LOGGING_SET_LEVEL => {
                self.lock().speaker.log_level = param("level").map(|level| quoted(&level));
                Some(empty)
            }
            method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE
                if self.server.offers(&["resources", "subscribe"]) =>
            {
                let uri = param("uri")?;
                {
                    let mut state = self.lock();
                    if request.method == method::RESOURCES_SUBSCRIBE {
                        state.subscribed.insert(uri);
                    } else {
                        state.subscribed.remove(&uri);
                    }
                }
                self.listen(session).await;
                Some(empty)
            }
            _ => None,
        }
    }

    /// Has the server carry a request out, in as many rounds as it takes.
    async fn exchange(
        &self,
        session: &Arc<Session>,
        passage: &Passage,
        message: &Message<'_>,
        request: &Request<'_>,
        key: &IdKey,
    ) -> Result<(), Stop> {
        let bounds = &session.gate().settings.bounds;
        let mut again: Option<Again> = None;
        for round in 0..=ROUNDS_MAX {
            let relay = IdKey::from(session.mint().as_str());
            let speaker = self.lock().speaker.clone();
            let bytes = match request_for_modern(message, &relay, &speaker, again.as_ref(), bounds) {
                Ok(bytes) => bytes,
                Err(cause) if round == 0 => {
                    session.refuse_across(key, &cause.to_string()).await;
                    return Ok(());
                }
                Err(cause) => return Err(Stop::Broken(cause.to_string())),
            };
            self.lock().carried.insert(relay.clone(), key.clone());
            let relayed = self.relayed(session, passage, &relay, bytes.into()).await;
            self.lock().carried.remove(&relay);
            let relayed = relayed?;
            let (bytes, status) = match relayed {
                Relayed::Answer { bytes, status } => (bytes, status),
                Relayed::Failed {
                    sent: Sent::Nothing,
                    text,
                    ..
                } if round == 0 => {
                    session.fail_unsent(key, &text).await;
                    return Ok(());
                }
                Relayed::Failed { reason, text, .. } => {
                    session.fail(key, reason, &text).await;
                    return Ok(());
                }
            };
            let Ok(Decoded::Single(answer)) = decode(&bytes, bounds) else {
                return Err(Stop::Broken("the server's answer could not be read".to_owned()));
            };
            if status == 400 {
                // Its headers may have been written by a list that has changed.
                session.forget_list();
            }
            let answer = answer_for_legacy(&answer, key, &request.method, bounds)
                .map_err(|cause| Stop::Broken(format!("the server's answer cannot be told: {cause}")))?;
            match answer {
                Answer::Complete(bytes) => {
                    let origin = Origin::Reply { to: key, status: 200 };
                    session.deliver(bytes.into(), origin).await;
                    return Ok(());
                }
                Answer::Wants(Wants { wanted, state }) => {
                    let responses = self.ask_all(session, passage, key, &wanted).await?;
                    if let Err(refusal) = session.judge_again(&passage.bytes).await {
                        let call = ToolCall::from_request(request).ok().flatten();
                        let tool = call.as_ref().map(|call| call.name.as_ref());
                        session.deny_between(key, tool, &refusal).await;
                        return Ok(());
                    }
                    again = Some(Again { responses, state });
                }
            }
        }
        Err(Stop::Broken(format!(
            "the server wanted input more than {ROUNDS_MAX} times, so the request was given up"
        )))
    }

    /// One round: a request in the modern era, and what comes of it.
    async fn relayed(
        &self,
        session: &Arc<Session>,
        passage: &Passage,
        relay: &IdKey,
        bytes: Bytes,
    ) -> Result<Relayed, Stop> {
        let (departure, mut answer) = session.relay(relay, Era::Modern).ok_or(Stop::Left)?;
        let sent = Passage {
            style: Style::Modern,
            trace: passage.trace.clone(),
            ..Passage::request(bytes, relay.clone(), departure)
        };
        session.link().send(session, sent).await;
        tokio::select! {
            relayed = &mut answer => relayed.map_err(|_| Stop::Left),
            () = passage.departure.ended() => {
                session.withdraw(relay, "nobody waits for the answer any more").await;
                Err(Stop::Left)
            }
        }
    }

    /// Takes a notification of the server's; it has no requests of its own in this era.
    pub(super) async fn on_server(&self, session: &Arc<Session>, message: &Message<'_>, origin: Origin<'_>) {
        let notification = match message.kind() {
            Kind::Notification(notification) => notification,
            Kind::Request(request) => {
                let text = "a server of 2026-07-28 asks by results alone";
                let bytes = crate::answer::error(request.id.raw(), -32_601, text);
                session.link().send(session, Passage::response(bytes)).await;
                return;
            }
            Kind::Response(_) => return,
        };
        if matches!(
            notification.method.as_ref(),
            method::NOTIFICATIONS_SUBSCRIPTIONS_ACKNOWLEDGED
                | method::NOTIFICATIONS_CANCELLED
                | method::NOTIFICATIONS_TASKS
        ) {
            return;
        }
        let bounds = &session.gate().settings.bounds;
        let untagged = Splice::new(message)
            .protocol_meta(META_SUBSCRIPTION_ID, None)
            .and_then(|splice| splice.finish(bounds));
        if let Ok(bytes) = untagged {
            let carried = match origin {
                Origin::Reply { to, .. } => self.client_of(to),
                Origin::Shared => None,
            };
            let origin = carried
                .as_ref()
                .map_or(Origin::Shared, |to| Origin::Reply { to, status: 200 });
            session.deliver(bytes.into(), origin).await;
        }
    }

    /// The client's request that one to the server stands for.
    pub(super) fn client_of(&self, relay: &IdKey) -> Option<IdKey> {
        self.lock().carried.get(relay).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
