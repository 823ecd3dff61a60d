//! What Callgate says of all servers together, to `initialize` and to `server/discover`.

use super::asking::{ask, gather, own_request};
use super::listing::server_info;
use super::offer::Offer;
use super::part::Part;
use super::whole::Whole;
use crate::session::protocol_meta;
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_wire::mcp::{META_SERVER_INFO, Version, method};
use callgate_wire::{Decoded, Kind, Payload, Request, decode, quoted};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What a server says of itself from 2026-07-28 on.
#[derive(Debug)]
struct Discovered {
    offer: Offer,
    ttl_ms: Option<u64>,
}

impl Whole {
    /// Answers `initialize` once each server has, or is not waited for any more.
    pub(super) async fn greet(self: &Arc<Self>, id: Box<str>, sink: Sink) {
        let asked = |part: Arc<Part>| {
            let whole = Arc::clone(self);
            async move { part.seat(&whole).await.ok().map(|seat| seat.offer) }
        };
        let told = gather(self, self.parts(), asked).await;
        let mut all = Offer::default();
        for (_, offer) in told {
            match offer {
                Some(offer) => all.join(&offer),
                // It may come later, and the client is to ask for its lists then.
                None => all.join(&Offer::of_the_late()),
            }
        }
        self.was_greeted();
        let (version, capabilities) = (quoted(self.version().as_str()), all.capabilities());
        let (own, instructions) = (server_info(), all.instructions());
        let mut members = vec![
            ("protocolVersion", version.as_str()),
            ("capabilities", capabilities.as_str()),
            ("serverInfo", own.as_str()),
        ];
        members.extend(instructions.as_deref().map(|text| ("instructions", text)));
        sink.answer(result(&id, &object(&members))).await;
    }

    /// Answers `server/discover`.
    pub(super) fn discover(self: &Arc<Self>, request: &Request<'_>, sink: &Sink) -> BoxFuture<'static, ()> {
        let (whole, sink) = (Arc::clone(self), sink.clone());
        let id: Box<str> = request.id.raw().into();
        let meta: Option<Arc<str>> = protocol_meta(request.params.as_ref()).map(Into::into);
        Box::pin(async move {
            let asked = |part: Arc<Part>| {
                let (whole, meta, sink) = (Arc::clone(&whole), meta.clone(), sink.clone());
                async move { discovered(&whole, &part, meta.as_deref(), &sink).await }
            };
            let told = gather(&whole, whole.parts(), asked).await;
            let mut all = Offer::default();
            let mut ttl_ms = None;
            for (part, discovered) in told {
                match discovered {
                    Some(discovered) => {
                        all.join(&discovered.offer);
                        ttl_ms = [ttl_ms, discovered.ttl_ms].into_iter().flatten().min();
                    }
                    None => {
                        let server = part.prefix().server();
                        tracing::warn!(server, "a server is left out at /mcp, for requests of 2026-07-28");
                        ttl_ms = Some(0);
                    }
                }
            }
            sink.answer(result(&id, &told_of(&all, ttl_ms))).await;
        })
    }
}

fn told_of(all: &Offer, ttl_ms: Option<u64>) -> String {
    let versions = format!("[{}]", quoted(Version::V2026_07_28.as_str()));
    let (capabilities, instructions) = (all.capabilities(), all.instructions());
    let ttl_ms = ttl_ms.unwrap_or(0).to_string();
    let meta = object(&[(META_SERVER_INFO, &server_info())]);
    let mut members = vec![
        ("resultType", "\"complete\""),
        ("supportedVersions", versions.as_str()),
        ("capabilities", capabilities.as_str()),
    ];
    members.extend(instructions.as_deref().map(|text| ("instructions", text)));
    members.extend([
        ("ttlMs", ttl_ms.as_str()),
        ("cacheScope", "\"private\""),
        ("_meta", meta.as_str()),
    ]);
    object(&members)
}

async fn discovered(
    whole: &Arc<Whole>,
    part: &Arc<Part>,
    meta: Option<&str>,
    sink: &Sink,
) -> Option<Discovered> {
    let seat = part.seat(whole).await.ok()?;
    let asked = own_request(&seat.session, method::SERVER_DISCOVER, None, meta);
    let answer = ask(&seat.session, part.prefix(), &asked, sink).await?;
    let decoded = decode(&answer, &seat.session.gate().settings.bounds).ok()?;
    let Decoded::Single(message) = &decoded else {
        return None;
    };
    let Kind::Response(response) = message.kind() else {
        return None;
    };
    let Payload::Result(result) = &response.payload else {
        return None;
    };
    let result = result.as_object()?;
    let versions = result.get("supportedVersions")?.as_array()?;
    let speaks = |version: &callgate_wire::RawJson<'_>| {
        version.as_str().as_deref() == Some(Version::V2026_07_28.as_str())
    };
    versions.iter().any(speaks).then(|| Discovered {
        offer: Offer::of(part.prefix().server(), &result),
        ttl_ms: result.get("ttlMs").and_then(|ttl| ttl.text().parse().ok()),
    })
}

/// A result, which is raw JSON.
pub(super) fn result(id: &str, result: &str) -> Bytes {
    object(&[("jsonrpc", "\"2.0\""), ("id", id), ("result", result)]).into()
}
