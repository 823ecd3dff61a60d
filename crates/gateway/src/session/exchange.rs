//! What the link over HTTP has to know and say of a request in flight.

use super::Session;
use super::pending::{Pending, Purpose, Target};
use crate::link::{Passage, Style};
use crate::recorder::{Ended, Sent};
use crate::sink::End;
use callgate_core::refusal::Reason;
use callgate_ledger::record::Status;
use callgate_wire::headers::{HeaderParam, Mismatch, compare_params};
use callgate_wire::mcp::{Era, method};
use callgate_wire::{Decoded, IdKey, Kind, Request, decode};
use std::sync::Arc;
use std::time::Duration;

impl Session {
    /// The one request that has left and waits; `None` where there are several, or none.
    pub(crate) fn only_departed(&self) -> Option<IdKey> {
        let state = self.lock();
        let mut departed = state
            .pending
            .iter()
            .filter(|(_, pending)| pending.departure.has_left());
        match (departed.next(), departed.next()) {
            (Some((key, _)), None) => Some(key.clone()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// Tells the client of a request what becomes of the stream on which the server answers it. The answer to
    /// `initialize` is waited for: what is told with it depends on what it is.
    pub(crate) fn tell(&self, key: &IdKey, end: End) {
        if let Some(bridge) = self.crossing.bridge() {
            bridge.tell(self, key, end);
            return;
        }
        self.tell_client(key, end);
    }

    /// As [`Session::tell`], of a request of the client's own.
    pub(crate) fn tell_client(&self, key: &IdKey, end: End) {
        let mut state = self.lock();
        let pending = state
            .pending
            .get_mut(key)
            .filter(|pending| pending.kind != Purpose::Initialize);
        if let Some(sink) = pending.and_then(Pending::speak) {
            sink.tell(end);
        }
    }

    /// Resolves once the client has closed the stream of a request, where that cancels it, as it does from
    /// 2026-07-28 on; before, the server goes on.
    pub(crate) async fn client_left(&self, key: &IdKey, era: Era) {
        if era == Era::Legacy {
            return std::future::pending().await;
        }
        let sink = match &self.lock().pending.get(key).map(|pending| &pending.target) {
            Some(Target::Client { sink, .. }) => Some(sink.clone()),
            Some(Target::Passing | Target::Own(_) | Target::Relay(_)) | None => None,
        };
        match sink {
            Some(sink) => sink.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Requests of 2026-07-28 whose stream the client has closed.
    pub(super) fn left_behind(&self) -> Vec<IdKey> {
        let state = self.lock();
        let is_left = |pending: &Pending| match &pending.target {
            Target::Client { sink, .. } => pending.era == Era::Modern && sink.is_closed(),
            Target::Passing | Target::Own(_) | Target::Relay(_) => false,
        };
        state
            .pending
            .iter()
            .filter(|(_, pending)| is_left(pending))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Ends a request whose stream the client has closed, and tells the server where it could not see that.
    pub(super) async fn cancel_abandoned(self: &Arc<Self>, key: &IdKey) {
        let Some(pending) = self.take(key) else { return };
        let sent = pending.sent();
        self.settle_cancelled(key, &pending, sent);
        if sent == Sent::Perhaps && (!self.link.shows_departure() || self.crossing.is_bridged()) {
            let cancel = cancellation(key, "the client closed the stream");
            self.forward(Passage::cancellation(cancel, key.clone())).await;
        }
    }

    /// The client has closed the stream of a request, which cancels it.
    pub(crate) fn abandon(&self, key: &IdKey) {
        if let Some(pending) = self.take(key) {
            self.settle_cancelled(key, &pending, Sent::Perhaps);
        }
    }

    /// A request of which not one byte has left: what it took from limits is given back.
    pub(crate) async fn fail_unsent(self: &Arc<Self>, key: &IdKey, text: &str) {
        self.fail_unsent_for(key, Reason::UpstreamUnreachable, text).await;
    }

    /// The same, for another reason than that the server could not be reached.
    pub(crate) async fn fail_unsent_for(self: &Arc<Self>, key: &IdKey, reason: Reason, text: &str) {
        let Some(pending) = self.take(key) else { return };
        self.give_up(key, pending, Status::Unreachable, reason, Sent::Nothing, text)
            .await;
    }

    /// The arguments that the called tool wants mirrored in headers.
    pub(crate) fn header_params(&self, request: &Request<'_>) -> Arc<[HeaderParam]> {
        if request.method != method::TOOLS_CALL {
            return Arc::default();
        }
        let name = request
            .params
            .as_ref()
            .and_then(|params| params.get("name"))
            .and_then(|name| name.as_str());
        name.and_then(|name| self.catalogue.last()?.repeated(&name))
            .unwrap_or_default()
    }

    /// How the headers that came with a call disagree with its arguments.
    pub(super) fn header_mismatch(&self, name: &str, judged: &[u8], passage: &Passage) -> Option<Mismatch> {
        if passage.style != Style::Modern {
            return None;
        }
        let sent = passage.mirrored.as_ref()?;
        let params = self.catalogue.last()?.repeated(name)?;
        let Ok(Decoded::Single(message)) = decode(judged, &self.gate.settings.bounds) else {
            return None;
        };
        let Kind::Request(request) = message.kind() else {
            return None;
        };
        let sent = sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        compare_params(request, &params, sent).err()
    }

    /// Settles what a request was admitted as, once it has left the table.
    pub(super) fn settle(&self, pending: &Pending, status: Status, reason: Option<&'static str>, sent: Sent) {
        self.settle_after(pending.started.elapsed(), pending, status, reason, sent);
    }

    /// As [`Session::settle`], of a request that ended so long after it was forwarded.
    pub(super) fn settle_after(
        &self,
        duration: Duration,
        pending: &Pending,
        status: Status,
        reason: Option<&'static str>,
        sent: Sent,
    ) {
        if let Some(trace) = &pending.trace {
            trace.ended(status, reason);
        }
        if let Some(call) = pending.ticket {
            self.gate.recorder().settle(
                &self.gate,
                call,
                Ended {
                    status,
                    reason,
                    sent,
                    duration,
                },
            );
        }
    }
}

/// The notification by which a server is told that an answer is not wanted any more.
pub(crate) fn cancellation(key: &IdKey, reason: &str) -> bytes::Bytes {
    let (id, reason) = (key.to_json(), callgate_wire::quoted(reason));
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":{reason}}}}}"#
    )
    .into()
}
