//! A call of a modern client's at a legacy server, which may outlive the request that began it: while the client is
//! asked, it is parked, and the client's retry takes it up.

use super::legs::Leg;
use super::parked::{Asked, Owner, Ticket};
use super::to_legacy::{ToLegacy, no_such_call};
use crate::answer;
use crate::link::Passage;
use crate::recorder::Sent;
use crate::session::{Departure, Origin, Relayed, Session};
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::bridge::{Hello, Input, Wanted, answer_for_modern, answer_to_server, input_required};
use callgate_wire::mcp::progress_token;
use callgate_wire::{Decoded, IdKey, Request, decode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Calls parked at once.
const PARKED_CALLS_MAX: usize = 256;
/// What may happen to a call before it is looked at.
const EVENTS_MAX: usize = 32;

/// A request of the client's that waits.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// What it is known by in the session.
    pub(super) key: IdKey,
    /// What progress is reported to it under.
    pub(super) token: Option<IdKey>,
    /// From which level on it wants log messages, a JSON string.
    pub(super) log_level: Option<String>,
    departure: Departure,
}

impl Client {
    /// Who waits for the answer to a request.
    pub(super) fn of(request: &Request<'_>, hello: &Hello, key: &IdKey, departure: &Departure) -> Self {
        let token = request
            .params
            .as_ref()
            .and_then(|params| progress_token(params).ok().flatten());
        Self {
            key: key.clone(),
            token: token.map(|token| token.0),
            log_level: hello.speaker.log_level.clone(),
            departure: departure.clone(),
        }
    }

    /// Resolves once it waits no more.
    pub(super) async fn left(&self) {
        self.departure.ended().await;
    }
}

/// A request at the server, which may outlive the client's first.
#[derive(Debug, Clone)]
pub(super) struct Call(Arc<CallState>);

#[derive(Debug)]
struct CallState {
    events: mpsc::Sender<Event>,
    /// What the server reports progress under.
    token: Option<IdKey>,
    since: Instant,
    is_asker: bool,
    client: Mutex<Option<Client>>,
}

/// What happens to a call.
#[derive(Debug)]
pub(super) enum Event {
    /// Its server asks something.
    Asked(Question),
    /// Its client has come back, with answers by key.
    Resumed {
        client: Client,
        answers: HashMap<String, String>,
    },
}

/// What a server asks in the middle of a call.
#[derive(Debug)]
pub(super) struct Question {
    /// The id of its request, as it came.
    pub(super) id: String,
    pub(super) wanted: Wanted,
}

impl Call {
    /// A call for a client, who can be asked or not, and what happens to it.
    pub(super) fn new(client: Client, is_asker: bool) -> (Self, mpsc::Receiver<Event>) {
        let (events, happening) = mpsc::channel(EVENTS_MAX);
        let state = CallState {
            events,
            token: client.token.clone(),
            since: Instant::now(),
            is_asker,
            client: Mutex::new(Some(client)),
        };
        (Self(Arc::new(state)), happening)
    }

    pub(super) fn client(&self) -> Option<Client> {
        self.lock().clone()
    }

    pub(super) fn token(&self) -> Option<&IdKey> {
        self.0.token.as_ref()
    }

    pub(super) fn since(&self) -> Instant {
        self.0.since
    }

    /// Whether its client can be asked by its result.
    pub(super) fn may_ask(&self) -> bool {
        self.0.is_asker
    }

    pub(super) fn tell(&self, event: Event) -> bool {
        self.0.events.try_send(event).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a call comes from, and where it goes.
pub(super) struct Places {
    pub(super) bridge: Arc<ToLegacy>,
    /// The client's session.
    pub(super) session: Arc<Session>,
    pub(super) leg: Arc<Leg>,
}

/// A call under way at the server, and whoever sees it through.
pub(super) struct Drive {
    bridge: Arc<ToLegacy>,
    session: Arc<Session>,
    leg: Arc<Leg>,
    relay: IdKey,
    method: String,
    asked: Asked,
    call: Call,
    /// What the server waits for, by the key that the client answers under.
    questions: Vec<(String, Question)>,
    count: usize,
    was_parked: bool,
    /// The ticket by which the client comes back, where it is parked.
    ticket: Option<(String, Instant)>,
    /// How it ended at the server, while nobody is there to be told.
    ended: Option<Relayed>,
}

impl Drive {
    pub(super) fn new(places: Places, relay: IdKey, request: &Request<'_>, call: Call) -> Self {
        Self {
            bridge: places.bridge,
            session: places.session,
            leg: places.leg,
            relay,
            method: request.method.clone().into_owned(),
            asked: Asked::of(request),
            call,
            questions: Vec::new(),
            count: 0,
            was_parked: false,
            ticket: None,
            ended: None,
        }
    }

    /// Sees the call through to its end.
    pub(super) async fn run(
        mut self,
        mut answer: oneshot::Receiver<Relayed>,
        mut happening: mpsc::Receiver<Event>,
    ) {
        loop {
            if self.call.client().is_some()
                && let Some(relayed) = self.ended.take()
            {
                self.finish(relayed).await;
                break;
            }
            let client = self.call.client();
            let until = self.ticket.as_ref().map(|(_, until)| *until);
            tokio::select! {
                biased;
                event = happening.recv() => match event {
                    Some(event) => self.on_event(event).await,
                    None => break,
                },
                relayed = &mut answer, if self.ended.is_none() => match relayed {
                    Ok(relayed) => {
                        // The server has ended without what it asked for: nobody has to answer that any more.
                        self.questions.clear();
                        self.ended = Some(relayed);
                    }
                    Err(_) => {
                        self.lose().await;
                        break;
                    }
                },
                () = left(client.as_ref()) => {
                    self.give_up("nobody waits for the answer any more").await;
                    break;
                }
                () = expired(until) => {
                    self.take_back_ticket();
                    self.give_up("the client did not answer in time").await;
                    break;
                }
            }
        }
        self.leg.calls().remove(&self.relay);
        self.take_back_ticket();
        // Whoever came back at this very moment waits for an answer.
        happening.close();
        while let Some(event) = happening.recv().await {
            if let Event::Resumed { client, .. } = event {
                no_such_call(&self.session, &client.key).await;
            }
        }
    }

    /// Its ticket leads nowhere from now on.
    fn take_back_ticket(&mut self) {
        if let Some((id, _)) = self.ticket.take() {
            self.bridge.parked().remove(&id);
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Asked(_) if self.ended.is_some() => {}
            Event::Asked(question) => {
                self.count = self.count.saturating_add(1);
                let key = format!("{}-{}", name_of(&question.wanted), self.count);
                self.questions.push((key, question));
            }
            Event::Resumed { client, mut answers } => {
                self.ticket = None;
                *self.call.lock() = Some(client);
                let questions = std::mem::take(&mut self.questions);
                for (key, question) in questions {
                    match answers.remove(&key) {
                        Some(said) => self.answer_server(&question.id, &said).await,
                        None => self.questions.push((key, question)),
                    }
                }
            }
        }
        if !self.questions.is_empty() && self.call.client().is_some() {
            self.park().await;
        }
    }

    async fn answer_server(&self, id: &str, said: &str) {
        let session = self.leg.session(&self.session);
        let bytes = Bytes::from(answer_to_server(id, said));
        session.link().send(session, Passage::response(bytes)).await;
    }

    /// Asks the client by the result of its request, and lets the call wait.
    async fn park(&mut self) {
        let Some(client) = self.call.lock().take() else {
            return;
        };
        let wanted: Vec<(String, Wanted)> = self
            .questions
            .iter()
            .map(|(key, question)| (key.clone(), question.wanted.clone()))
            .collect();
        let has_room = self.bridge.parked().len() < PARKED_CALLS_MAX;
        let lasts = self.session.gate().settings.answer_time;
        let ticket = Ticket::new(lasts, SystemTime::now()).filter(|_| has_room);
        let asked = ticket.and_then(|ticket| {
            let state = ticket.sealed(Owner::of(self.session.gate()), &self.asked)?;
            let bytes = input_required(&client.key, &wanted, Some(&state)).ok()?;
            Some((ticket, bytes))
        });
        let Some((ticket, bytes)) = asked else {
            // The server is told, and goes on as it can.
            let questions = std::mem::take(&mut self.questions);
            for (_, question) in questions {
                let session = self.leg.session(&self.session);
                let bytes = answer::error(&question.id, -32_603, "the client cannot be asked now");
                session.link().send(session, Passage::response(bytes)).await;
            }
            *self.call.lock() = Some(client);
            return;
        };
        self.bridge
            .parked()
            .insert(ticket.id.clone(), self.call.0.events.clone());
        self.ticket = Some((ticket.id, Instant::now() + lasts));
        self.was_parked = true;
        let origin = Origin::Reply {
            to: &client.key,
            status: 200,
        };
        self.session.deliver(bytes.into(), origin).await;
    }

    /// Hands the server's answer to the client that waits.
    async fn finish(&self, relayed: Relayed) {
        let Some(client) = self.call.client() else { return };
        let key = &client.key;
        let (bytes, status) = match relayed {
            Relayed::Answer { bytes, status } => (bytes, status),
            Relayed::Failed {
                sent: Sent::Nothing,
                text,
                ..
            } if !self.was_parked => return self.session.fail_unsent(key, &text).await,
            Relayed::Failed { reason, text, .. } => {
                if reason == Reason::UpstreamProtocol {
                    self.bridge.forget(&self.leg).await;
                }
                return self.session.fail(key, reason, &text).await;
            }
        };
        if status == 404 {
            // The server has forgotten the session; the next request begins another.
            self.bridge.forget(&self.leg).await;
        }
        let bounds = &self.session.gate().settings.bounds;
        let told = match decode(&bytes, bounds) {
            Ok(Decoded::Single(message)) => answer_for_modern(&message, key, &self.method, bounds)
                .map_err(|cause| format!("the server's answer cannot be told: {cause}")),
            Ok(Decoded::Batch(_)) | Err(_) => Err("the server's answer could not be read".to_owned()),
        };
        match told {
            Ok((bytes, status)) => {
                self.session
                    .deliver(bytes.into(), Origin::Reply { to: key, status })
                    .await;
            }
            Err(text) => self.session.fail(key, Reason::UpstreamProtocol, &text).await,
        }
    }

    /// The session at the server has ended.
    async fn lose(&self) {
        if let Some(client) = self.call.client() {
            let text = "the session at the server ended before it answered; the call may have run, so look before you start it again";
            self.session
                .fail(&client.key, Reason::UpstreamUnreachable, text)
                .await;
        }
    }

    async fn give_up(&self, why: &str) {
        let session = self.leg.session(&self.session);
        session.withdraw(&self.relay, why).await;
    }
}

const fn name_of(wanted: &Wanted) -> &'static str {
    match wanted.input {
        Input::Elicitation => "elicitation",
        Input::Sampling => "sampling",
        Input::Roots => "roots",
    }
}

async fn left(client: Option<&Client>) {
    match client {
        Some(client) => client.left().await,
        None => std::future::pending().await,
    }
}

async fn expired(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
