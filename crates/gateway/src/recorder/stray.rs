//! Records of what came to all servers of a caller, and cannot be told to be for one of them; and of what came from a
//! child that several callers share, and cannot be told to be for one of those.

use super::{Peer, Recorder, Refused, uint};
use callgate_core::call::Caller;
use callgate_core::name::{ServerName, SessionId};
use callgate_core::refusal::Refusal;
use callgate_ledger::{Text, record};
use callgate_store::Event;
use callgate_wire::Malformed;

/// Who sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) session: Option<&'a SessionId>,
}

impl Recorder {
    /// Records the refusal of a request that names no server of its caller.
    pub(crate) fn stray_refusal(&self, sender: Sender<'_>, refusal: &Refusal, asked: Refused<'_>) {
        self.store.record(Event::Denial(record::Denial {
            args_digest: asked
                .arguments
                .map(|bytes| self.store.fingerprint(bytes).digest()),
            grant: sender.caller.grant.as_str().into(),
            issuer: sender.caller.issuer.as_deref().map(Text::new),
            method: Text::new(asked.method),
            policy: None,
            reason: refusal.reason.code().into(),
            rule: None,
            server: None,
            session: sender.session.map(|session| session.as_str().into()),
            shadow: Vec::new(),
            subject: sender.caller.subject.as_deref().map(Text::new),
            text: None,
            tool: asked.tool.map(Text::new),
        }));
    }

    /// Records a message that could not be read.
    pub(crate) fn stray_malformed(&self, sender: Sender<'_>, cause: &Malformed, length: usize) {
        self.stray(sender, cause.code(), length);
    }

    /// Records a response to what no server has asked.
    pub(crate) fn stray_response(&self, sender: Sender<'_>, length: usize) {
        self.stray(sender, "unmatched", length);
    }

    fn stray(&self, sender: Sender<'_>, reason: &str, length: usize) {
        self.store.record(Event::Malformed(record::Malformed {
            bytes: uint(length),
            grant: Some(sender.caller.grant.as_str().into()),
            peer: Peer::Client,
            reason: reason.into(),
            server: None,
            session: sender.session.map(|session| session.as_str().into()),
        }));
    }

    /// Records what a shared child has said that is no message.
    pub(crate) fn unread_of(&self, server: &ServerName, cause: &Malformed, length: usize) {
        self.store.record(Event::Malformed(record::Malformed {
            bytes: uint(length),
            grant: None,
            peer: Peer::Server,
            reason: cause.code().into(),
            server: Some(server.as_str().into()),
            session: None,
        }));
    }

    /// Records an answer of a shared child's that no request waits for.
    pub(crate) fn unmatched_of(&self, server: &ServerName, length: usize) {
        self.store.record(Event::Drop(record::Drop {
            bytes: uint(length),
            grant: None,
            peer: Peer::Server,
            reason: "unmatched".into(),
            server: server.as_str().into(),
            session: None,
        }));
    }
}
