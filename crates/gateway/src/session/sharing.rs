//! What a child that sessions share has to know of one of them.

use super::Session;
use super::pending::Departure;
use crate::recorder::Peer;
use bytes::Bytes;
use callgate_wire::{Decoded, IdKey, Kind, decode};

impl Session {
    /// Whether it still is this very request that waits for an answer under an id.
    pub(crate) fn waits_for(&self, key: &IdKey, departure: &Departure) -> bool {
        let state = self.lock();
        let pending = state.pending.get(key);
        pending.is_some_and(|pending| pending.departure.is(departure))
    }

    /// The answer to a request that was given up.
    pub(crate) fn on_late_answer(&self, key: &IdKey, bytes: &Bytes) {
        let decoded = decode(bytes, &self.gate.settings.bounds);
        match &decoded {
            Ok(Decoded::Single(message)) => match message.kind() {
                Kind::Response(response) => self.unmatched(message, response, Some(key)),
                Kind::Request(_) | Kind::Notification(_) => self.record_drop(Peer::Server, bytes.len()),
            },
            Ok(Decoded::Batch(_)) | Err(_) => self.record_drop(Peer::Server, bytes.len()),
        }
    }
}
