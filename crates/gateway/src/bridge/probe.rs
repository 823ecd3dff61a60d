//! Which era a server is of: it is asked, and its answer looked at.

use crate::link::Style;
use crate::session::{OwnAnswer, Session};
use callgate_core::refusal::Reason;
use callgate_wire::bridge::{Server, Speaker, Spoken, discover_request};
use callgate_wire::{Decoded, IdKey, Kind, decode};
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to say that it knows `server/discover`; some of the legacy era never say that they do not.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server's answer tells.
#[derive(Debug)]
pub(super) enum Probed {
    /// It is of the modern era, and says this of itself where it does.
    Modern(Option<Server>),
    Legacy,
    /// It could not be asked, or lets nobody in.
    Silent,
}

impl Session {
    /// Asks the server by `server/discover`, in its client's name. Any error that the modern era does not have, and
    /// no answer in time, is a legacy server's.
    pub(super) async fn probe(self: &Arc<Self>, speaker: &Speaker) -> Probed {
        let key = IdKey::from(self.mint().as_str());
        let request = discover_request(&key, speaker);
        let answer = self
            .ask_own(key, request.into(), Style::Modern, PROBE_TIMEOUT)
            .await;
        let bytes = match answer {
            OwnAnswer::Response(bytes) => bytes,
            OwnAnswer::Failed(Reason::UpstreamProtocol | Reason::Deadline | Reason::TooLarge) => {
                return Probed::Legacy;
            }
            OwnAnswer::Failed(_) => return Probed::Silent,
        };
        let Ok(Decoded::Single(message)) = decode(&bytes, &self.gate().settings.bounds) else {
            return Probed::Legacy;
        };
        match message.kind() {
            Kind::Response(response) => match Spoken::of(response) {
                Spoken::Modern(server) => Probed::Modern(server),
                Spoken::Legacy => Probed::Legacy,
            },
            Kind::Request(_) | Kind::Notification(_) => Probed::Legacy,
        }
    }
}
