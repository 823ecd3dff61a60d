//! Whether the gateway lives, and whether it is ready: for orchestrators and load balancers, without a token.

use super::Doors;
use super::answer::{Body, plain};
use super::team::Unready;
use http::{Method, Response, StatusCode};

/// The process serves.
const LIVE: &str = "/healthz";
/// Calls can be judged and recorded.
const READY: &str = "/readyz";

/// Whether new requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Ending,
}

impl Doors {
    /// The answer to a probe; `None` to all else. Its `Host` is not looked at, as an orchestrator's names the
    /// machine by whatever address it has, and there is nothing in the answer to be kept from anyone.
    pub(super) fn probe(&self, method: &Method, path: &str, phase: Phase) -> Option<Response<Body>> {
        let Self::Team(team) = self else { return None };
        let state = match path {
            LIVE => Ok(()),
            READY if phase == Phase::Ending => Err("ending"),
            READY => team.readiness().map_err(|unready| match unready {
                Unready::Store => "store",
                Unready::Grants => "grants",
            }),
            _ => return None,
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"));
        }
        Some(match state {
            Ok(()) => plain(StatusCode::OK, "ok"),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
        })
    }
}
