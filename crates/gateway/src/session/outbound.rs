//! From the server: answers to the requests that wait for them, and its own messages to the client.

use super::pending::{OwnAnswer, Pending, Purpose, Target};
use super::relay::Relayed;
use super::{GivenUp, Ids, ServerEra, Session};
use crate::answer;
use crate::bridge::Original;
use crate::link::{Link, Passage};
use crate::recorder::Peer;
use crate::sink::{Offered, Sink};
use bytes::Bytes;
use callgate_ledger::record::Status;
use callgate_wire::list::{ToolList, result_of};
use callgate_wire::mcp::{
    CancelTarget, META_SUBSCRIPTION_ID, Version, method, progress_notification, result_protocol_version,
};
use callgate_wire::splice::{Splice, to_line};
use callgate_wire::{
    Decoded, IdKey, Kind, Malformed, Message, Notification, Payload, RawJson, Request, Response, decode,
};
use std::sync::Arc;
use tokio::time::Instant;

/// How a unit from the server came.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'k> {
    /// On a stream that several requests share.
    Shared,
    /// As part of the answer to this request.
    Reply {
        /// The request's key.
        to: &'k IdKey,
        /// The HTTP status of the response.
        status: u16,
    },
}

/// How a unit from the server came, and when.
#[derive(Debug, Clone, Copy)]
struct Arrival<'k> {
    origin: Origin<'k>,
    way: Way,
    at: Instant,
}

impl Arrival<'_> {
    const fn status(&self) -> u16 {
        match self.origin {
            Origin::Shared => 200,
            Origin::Reply { status, .. } => status,
        }
    }
}

/// Where a unit was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FromLink,
    FromBridge,
}

/// Whether a unit held the answer that its origin waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It did.
    Answered,
    /// It did not.
    Other,
}

impl Session {
    /// Takes one unit from the server: a line, a body, or the data of an event.
    pub(crate) async fn on_server(self: &Arc<Self>, unit: Bytes, origin: Origin<'_>) -> Seen {
        self.take_in(unit, origin, Way::FromLink).await
    }

    /// Takes one unit in the client's era from the bridge.
    pub(crate) async fn deliver(self: &Arc<Self>, unit: Bytes, origin: Origin<'_>) -> Seen {
        self.take_in(unit, origin, Way::FromBridge).await
    }

    async fn take_in(self: &Arc<Self>, unit: Bytes, origin: Origin<'_>, way: Way) -> Seen {
        let arrival = Arrival {
            origin,
            way,
            at: Instant::now(),
        };
        let decoded = match decode(&unit, &self.gate.settings.bounds) {
            Ok(decoded) => decoded,
            Err(cause) => {
                self.noise(&cause, unit.len());
                return Seen::Other;
            }
        };
        let messages = match decoded {
            Decoded::Single(message) => vec![message],
            Decoded::Batch(messages) => messages,
        };
        let mut seen = Seen::Other;
        for message in &messages {
            if way == Way::FromLink
                && let Some(bridge) = self.crossing.bridge()
                && !matches!(message.kind(), Kind::Response(_))
            {
                Box::pin(bridge.on_server(self, message, origin)).await;
                continue;
            }
            if self.on_message(&unit, message, arrival).await == Seen::Answered {
                seen = Seen::Answered;
            }
        }
        seen
    }

    /// What a server sends that is no message: it is dropped, and recorded.
    pub(crate) fn noise(&self, cause: &Malformed, length: usize) {
        tracing::warn!(server = %self.gate.server, %cause, bytes = length, "dropped what the server sent");
        self.record_malformed(Peer::Server, cause, length);
    }

    async fn on_message(self: &Arc<Self>, unit: &Bytes, message: &Message<'_>, arrival: Arrival<'_>) -> Seen {
        let origin = arrival.origin;
        match message.kind() {
            Kind::Response(response) => self.on_response(unit, message, response, arrival).await,
            Kind::Notification(notification) => {
                self.on_notification(unit, message, notification, origin).await;
                Seen::Other
            }
            Kind::Request(request) => {
                self.on_request(unit, message, request, origin).await;
                Seen::Other
            }
        }
    }

    async fn on_response(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        response: &Response<'_>,
        arrival: Arrival<'_>,
    ) -> Seen {
        if arrival.way == Way::FromLink {
            self.gate.health().succeeded();
        }
        let key = response.id.as_ref().map(callgate_wire::Id::key);
        let expected = match (arrival.origin, key) {
            (Origin::Shared, key) => key,
            // The answer to one request cannot answer another.
            (Origin::Reply { to, .. }, Some(key)) => (key == to).then_some(key),
            // An error without an id answers the request whose reply it is.
            (Origin::Reply { to, .. }, None) => Some(to),
        };
        if let (Some(key), Payload::Error(_)) = (expected, &response.payload)
            && self.may_fall_forward(key)
        {
            let bytes = unit.slice_ref(message.raw());
            let status = arrival.status();
            self.fall_forward(key, Original::Answer { bytes, status });
            return Seen::Answered;
        }
        let Some((key, pending)) = expected.and_then(|key| Some((key, self.take(key)?))) else {
            self.unmatched(message, response, key);
            return Seen::Other;
        };
        self.finish(unit, message, response, key, pending, arrival).await;
        Seen::Answered
    }

    /// A response that nobody waits for: told as late where its call was given up, else dropped.
    pub(super) fn unmatched(&self, message: &Message<'_>, response: &Response<'_>, key: Option<&IdKey>) {
        let given_up = key.and_then(|key| self.lock().given_up.remove(key));
        match given_up {
            Some(GivenUp {
                ticket: Some(call),
                since,
            }) => {
                self.gate
                    .recorder()
                    .late(call, inspect(response.payload), since.elapsed());
            }
            Some(GivenUp { ticket: None, .. }) => {}
            None => self.record_drop(Peer::Server, message.raw().len()),
        }
    }

    async fn finish(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        response: &Response<'_>,
        key: &IdKey,
        pending: Pending,
        arrival: Arrival<'_>,
    ) {
        let status = arrival.status();
        let took = arrival.at.saturating_duration_since(pending.started);
        let meter = self.settle_answer(&pending, response.payload, took);
        let (sink, id, own) = match pending.target {
            Target::Own(sender) => {
                let _ = sender.send(OwnAnswer::Response(unit.slice_ref(message.raw())));
                return;
            }
            Target::Relay(sender) => {
                let bytes = unit.slice_ref(message.raw());
                let _ = sender.send(Relayed::Answer { bytes, status });
                return;
            }
            // The server has answered twice at once. What its client has of the other answer is broken off.
            Target::Passing => return,
            Target::Client { sink, id, key: own } => (sink, id, own),
        };
        let bytes = match pending.kind {
            Purpose::List => self.shown(unit, message, response),
            Purpose::Initialize => {
                self.learn_from_initialize(response);
                Ok(unit.slice_ref(message.raw()))
            }
            Purpose::Discover => {
                self.learn_from_discover(response);
                Ok(unit.slice_ref(message.raw()))
            }
            Purpose::Call | Purpose::OpenEnded | Purpose::Other => Ok(unit.slice_ref(message.raw())),
        };
        let bytes = bytes.and_then(|bytes| self.under_own_id(bytes, &own, key, pending.kind));
        match bytes {
            Ok(bytes) => sink.send(bytes, status).await,
            Err(why) => sink.answer(answer::error(&id, -32_603, why)).await,
        }
        if let Some(meter) = meter {
            meter.answered(arrival.at.elapsed());
        }
    }

    /// A list of tools without those that this caller is not to see.
    fn shown(
        &self,
        unit: &Bytes,
        message: &Message<'_>,
        response: &Response<'_>,
    ) -> Result<Bytes, &'static str> {
        const UNREADABLE: &str = "the server's list of tools has no single meaning, so it is not shown";
        let Some(result) = result_of(response) else {
            return Ok(unit.slice_ref(message.raw()));
        };
        let list = ToolList::read(result).map_err(|_| UNREADABLE)?;
        let program = self.gate.program();
        let scene = self.gate.scene(self.id.as_ref());
        // As the gate lists them for itself: none of two of one name.
        let twice = list.duplicate_names();
        let filtered = list.filtered(message, |tool| {
            twice.binary_search(&&*tool.name).is_err()
                && self
                    .listed(tool)
                    .is_some_and(|listed| callgate_core::decide::visible(&program, scene, &listed))
        });
        match filtered.ok_or(UNREADABLE)? {
            std::borrow::Cow::Borrowed(_) => Ok(unit.slice_ref(message.raw())),
            std::borrow::Cow::Owned(bytes) => Ok(bytes.into()),
        }
    }

    /// Puts the client's own id back where Callgate gave another, as the id of a subscription that ends too.
    fn under_own_id(
        &self,
        bytes: Bytes,
        own: &IdKey,
        key: &IdKey,
        purpose: Purpose,
    ) -> Result<Bytes, &'static str> {
        const LOST: &str = "the server's answer could not be re-addressed";
        if self.ids == Ids::Keep || own == key {
            return Ok(bytes);
        }
        let bounds = &self.gate.settings.bounds;
        let Ok(Decoded::Single(message)) = decode(&bytes, bounds) else {
            return Err(LOST);
        };
        if matches!(message.kind(), Kind::Response(Response { id: None, .. })) {
            return Ok(bytes);
        }
        let spliced = Splice::new(&message)
            .id(own)
            .and_then(|splice| match purpose {
                Purpose::OpenEnded => splice.result_meta(META_SUBSCRIPTION_ID, own),
                Purpose::Call | Purpose::List | Purpose::Initialize | Purpose::Discover | Purpose::Other => {
                    Ok(splice)
                }
            })
            .and_then(|splice| splice.finish(bounds));
        spliced.map(Bytes::from).map_err(|_| LOST)
    }

    fn learn_from_initialize(&self, response: &Response<'_>) {
        let agreed = result_of(response)
            .and_then(|result| result_protocol_version(&result).ok().flatten())
            .and_then(|version| version.parse::<Version>().ok());
        let mut state = self.lock();
        match (&response.payload, agreed) {
            (Payload::Result(_), agreed) => {
                state.client = agreed;
                state.server = ServerEra::Legacy;
                drop(state);
                if !self.crossing.is_bridged() {
                    self.crossing.go_straight();
                    if let Link::Http(link) = &self.link {
                        link.set_version(agreed);
                    }
                }
            }
            (Payload::Error(_), _) => {}
        }
    }

    /// An error tells nothing for sure: a server of either era may answer with one, for any cause.
    fn learn_from_discover(&self, response: &Response<'_>) {
        if matches!(response.payload, Payload::Result(_)) {
            self.lock().server = ServerEra::Modern;
        }
    }

    async fn on_notification(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        notification: &Notification<'_>,
        origin: Origin<'_>,
    ) {
        if notification.method == method::NOTIFICATIONS_TOOLS_LIST_CHANGED {
            self.catalogue.invalidate();
        }
        if let Ok(Some(CancelTarget(target))) = CancelTarget::from_notification(notification) {
            self.lock().asked.remove(&target);
        }
        let token = progress_notification(notification)
            .ok()
            .flatten()
            .map(|token| token.0);
        let target = match (&token, origin) {
            (Some(token), _) => self.renew(token),
            (None, Origin::Reply { to, .. }) => self
                .subscriber(notification)
                .or_else(|| self.sink_of(to).map(|sink| (sink, None))),
            (None, Origin::Shared) => self
                .subscriber(notification)
                .or_else(|| self.outlet().map(|sink| (sink, None))),
        };
        let Some((sink, rename)) = target else { return };
        let bytes = match rename {
            None => Some(unit.slice_ref(message.raw())),
            Some(rename) => self.renamed(message, &rename),
        };
        if let Some(bytes) = bytes {
            sink.offer(bytes).await;
        }
    }

    /// Progress renews a deadline, up to its end, and goes where the request came from.
    fn renew(&self, token: &IdKey) -> Option<(Sink, Option<Rename>)> {
        let now = Instant::now();
        let mut state = self.lock();
        let pending = state
            .pending
            .values_mut()
            .find(|pending| pending.token.as_ref() == Some(token))?;
        pending.clock.allow(now, pending.clock.timeout());
        let rename = match self.ids {
            Ids::Keep => None,
            Ids::Mint => Some(Rename::Token(pending.client_token.clone()?)),
        };
        Some((pending.speak()?, rename))
    }

    /// Where the stream of a subscription goes: its id is that of the request which opened it.
    fn subscriber(&self, notification: &Notification<'_>) -> Option<(Sink, Option<Rename>)> {
        let meta = notification.params.as_ref()?.get("_meta")?.as_object()?;
        let key = IdKey::of(meta.get(META_SUBSCRIPTION_ID)?)?;
        let mut state = self.lock();
        let pending = state.pending.get_mut(&key)?;
        let rename = match &pending.target {
            Target::Client { key: own, .. } if self.ids == Ids::Mint => {
                Some(Rename::Subscription(own.clone()))
            }
            Target::Client { .. } | Target::Passing | Target::Own(_) | Target::Relay(_) => None,
        };
        Some((pending.speak()?, rename))
    }

    fn renamed(&self, message: &Message<'_>, rename: &Rename) -> Option<Bytes> {
        let splice = match rename {
            Rename::Token(token) => Splice::new(message).reported_progress_token(token).ok()?,
            Rename::Subscription(id) => {
                let json = id.to_json();
                let value = RawJson::read(json.as_bytes(), &self.gate.settings.bounds).ok()?;
                Splice::new(message)
                    .protocol_meta(META_SUBSCRIPTION_ID, Some(value))
                    .ok()?
            }
        };
        splice.finish(&self.gate.settings.bounds).ok().map(Bytes::from)
    }

    fn sink_of(&self, key: &IdKey) -> Option<Sink> {
        self.lock().pending.get_mut(key)?.speak()
    }

    /// Where the server's own messages go that belong to no request: the standing stream, or else the
    /// request that has been in flight for the shortest time, whose stream is open.
    fn outlet(&self) -> Option<Sink> {
        // Where several clients share a server, it cannot be told whose message this is.
        if self.ids == Ids::Mint {
            return None;
        }
        let mut state = self.lock();
        if let Some(standing) = state.standing.as_ref().filter(|sink| !sink.is_closed()) {
            return Some(standing.clone());
        }
        let open = state
            .pending
            .values_mut()
            .filter(|pending| match &pending.target {
                Target::Client { sink, .. } => !sink.is_closed(),
                Target::Passing | Target::Own(_) | Target::Relay(_) => false,
            });
        open.max_by_key(|pending| pending.started)?.speak()
    }

    /// The server asks the client: sampling, elicitation, roots, ping.
    async fn on_request(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        request: &Request<'_>,
        origin: Origin<'_>,
    ) {
        let sink = match (self.ids, origin) {
            // Another client could answer what this one was asked.
            (Ids::Mint, _) => None,
            (Ids::Keep, Origin::Reply { to, .. }) => self.sink_of(to),
            (Ids::Keep, Origin::Shared) => self.outlet(),
        };
        let is_new = {
            let mut state = self.lock();
            let has_room = state.asked.len() < self.gate.settings.pending_max;
            has_room && state.asked.insert(request.id.key().clone())
        };
        if let Some(sink) = sink.filter(|_| is_new)
            && sink.offer(unit.slice_ref(message.raw())).await == Offered::Taken
        {
            return;
        }
        if is_new {
            self.lock().asked.remove(request.id.key());
        }
        let bytes = answer::error(request.id.raw(), -32_603, "the client cannot be asked now");
        self.forward(Passage::response(bytes)).await;
    }
}

/// What a shared server's notification has to be renamed to.
#[derive(Debug)]
enum Rename {
    Token(IdKey),
    Subscription(IdKey),
}

/// What a response says of its call.
pub(super) fn inspect(payload: Payload<'_>) -> Status {
    let result = match payload {
        Payload::Error(_) => return Status::ProtocolError,
        Payload::Result(result) => result,
    };
    let Some(object) = result.as_object() else {
        return Status::Ok;
    };
    match object.get("resultType").and_then(|kind| kind.as_str()).as_deref() {
        Some("input_required") => return Status::InputRequired,
        Some("task") => return Status::Accepted,
        Some(_) | None => {}
    }
    if object.get("isError").and_then(|flag| flag.as_bool()) == Some(true) {
        return Status::ToolError;
    }
    // A task of 2025-11-25 answers with the task instead of content.
    if object.get("task").is_some() && object.get("content").is_none() {
        Status::Accepted
    } else {
        Status::Ok
    }
}

/// Lines for a stdio client: an answer that came over HTTP may hold line breaks.
pub(crate) fn line(bytes: &Bytes) -> Bytes {
    match to_line(bytes) {
        std::borrow::Cow::Borrowed(_) => bytes.clone(),
        std::borrow::Cow::Owned(line) => line.into(),
    }
}
