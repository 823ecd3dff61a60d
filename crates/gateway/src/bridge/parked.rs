//! Calls that wait at a legacy server for what their client has yet to say, and the state by which it finds them
//! again.

use crate::gate::Gate;
use callgate_core::name::{GrantId, ServerName};
use callgate_wire::{Object, Request};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A `requestState`: which call is parked, until when, and a seal over that, whose it is, and what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which call.
    pub(super) id: String,
    /// Unix time in seconds.
    expires: u64,
}

/// Whose calls are parked, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) server: &'a ServerName,
    pub(super) grant: &'a GrantId,
}

impl<'a> Owner<'a> {
    pub(super) fn of(gate: &'a Gate) -> Self {
        Self {
            server: &gate.server,
            grant: &gate.caller.grant,
        }
    }
}

/// Why a `requestState` leads nowhere. The client is told no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchTicket;

impl Ticket {
    /// A ticket for a call that is parked for so long; `None` where the system has no randomness.
    pub(super) fn new(lasts: Duration, now: SystemTime) -> Option<Self> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self {
            id: hex(&bytes),
            expires: seconds(now).saturating_add(lasts.as_secs()),
        })
    }

    /// As the client carries it, for a request that asks this.
    pub(super) fn sealed(&self, owner: Owner<'_>, request: &Asked) -> Option<String> {
        let seal = self.seal(owner, request)?.finalize().into_bytes();
        Some(format!("{}.{}.{}", self.id, self.expires, hex(&seal)))
    }

    /// Opens what a client has brought with a request that asks this.
    pub(super) fn open(
        text: &str,
        owner: Owner<'_>,
        request: &Asked,
        now: SystemTime,
    ) -> Result<Self, NoSuchTicket> {
        let mut parts = text.split('.');
        let (Some(id), Some(expires), Some(seal), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoSuchTicket);
        };
        let ticket = Self {
            id: id.to_owned(),
            expires: expires.parse().map_err(|_| NoSuchTicket)?,
        };
        let seal = bytes_of(seal).ok_or(NoSuchTicket)?;
        let mac = ticket.seal(owner, request).ok_or(NoSuchTicket)?;
        mac.verify_slice(&seal).map_err(|_| NoSuchTicket)?;
        if ticket.expires < seconds(now) {
            return Err(NoSuchTicket);
        }
        Ok(ticket)
    }

    fn seal(&self, owner: Owner<'_>, request: &Asked) -> Option<Hmac<Sha256>> {
        let mut mac = key()?.clone();
        let expires = self.expires.to_string();
        for part in [
            self.id.as_str(),
            &expires,
            owner.server.as_str(),
            owner.grant.as_str(),
            &request.method,
            &request.subject,
            &request.arguments,
        ] {
            // Each with its length before it, so that no two lists of parts are the same bytes.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }
}

/// What a request asks, as far as a retry has to ask the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    method: String,
    /// The name or the URI, JSON as it came.
    subject: String,
    /// JSON as it came.
    arguments: String,
}

impl Asked {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let text = |params: Option<&Object<'_>>, key: &str| {
            params
                .and_then(|params| params.get(key))
                .map(|value| value.text().to_owned())
        };
        let params = request.params.as_ref();
        Self {
            method: request.method.clone().into_owned(),
            subject: text(params, "name")
                .or_else(|| text(params, "uri"))
                .unwrap_or_default(),
            arguments: text(params, "arguments").unwrap_or_default(),
        }
    }
}

/// The key of this process. Nothing that is parked outlives it.
fn key() -> Option<&'static Hmac<Sha256>> {
    static KEY: OnceLock<Option<Hmac<Sha256>>> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut block = [0_u8; 64];
        getrandom::fill(&mut block).ok()?;
        Some(Hmac::new(&block.into()))
    })
    .as_ref()
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &str) -> Asked {
        Asked {
            method: "tools/call".to_owned(),
            subject: "\"t\"".to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn a_state_is_its_owners_for_its_request_in_its_time() {
        let (server, other_server) = (ServerName::new("s").unwrap(), ServerName::new("u").unwrap());
        let (grant, other_grant) = (GrantId::new("g").unwrap(), GrantId::new("h").unwrap());
        let owner = Owner {
            server: &server,
            grant: &grant,
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let ticket = Ticket::new(Duration::from_secs(60), now).unwrap();
        let sealed = ticket.sealed(owner, &asked("{}")).unwrap();
        let open = |text: &str, owner, request: &Asked, at: u64| {
            Ticket::open(text, owner, request, UNIX_EPOCH + Duration::from_secs(at))
        };
        assert_eq!(open(&sealed, owner, &asked("{}"), 1_060), Ok(ticket));
        assert!(open(&sealed, owner, &asked("{}"), 1_061).is_err(), "expired");
        assert!(
            open(&sealed, owner, &asked("{ }"), 1_000).is_err(),
            "another request"
        );
        let foreign = Owner {
            grant: &other_grant,
            ..owner
        };
        assert!(
            open(&sealed, foreign, &asked("{}"), 1_000).is_err(),
            "another grant"
        );
        let elsewhere = Owner {
            server: &other_server,
            ..owner
        };
        assert!(
            open(&sealed, elsewhere, &asked("{}"), 1_000).is_err(),
            "another server"
        );
        for index in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[index] = if forged[index] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(open(&forged, owner, &asked("{}"), 1_000).is_err(), "{forged}");
        }
        for nothing in ["", ".", "..", "...", "a.b.c", "a.1.é0"] {
            assert!(open(nothing, owner, &asked("{}"), 1_000).is_err(), "{nothing}");
        }
    }
}
