//! What a token claims: that it is for this resource, now, and of whom (RFC 7519, RFC 9068).

use super::{Holder, LEEWAY, Rejected};
use callgate_core::json::Json;
use ring::digest::{Context, SHA256};
use std::sync::Arc;

/// The longest subject, in bytes.
const SUBJECT_BYTES_MAX: usize = 256;
/// Claims that each token has for itself.
const OF_THE_TOKEN: [&str; 5] = ["aud", "exp", "iat", "nbf", "jti"];

/// What the claims of a token whose signature is good have to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e Arc<str>,
    pub(super) audience: &'e str,
    pub(super) scopes: &'e [Box<str>],
    pub(super) ignored: &'e [Box<str>],
    /// In seconds since the Unix epoch.
    pub(super) now: u64,
}

/// The issuer that a token says it is of.
pub(super) fn issuer<'c>(claims: &'c Json<'_>) -> Option<&'c str> {
    text(claims, "iss")
}

impl Expected<'_> {
    /// Who holds a token with these claims.
    pub(super) fn holder(&self, claims: &Json<'_>) -> Result<Holder, Rejected> {
        if text(claims, "iss") != Some(&**self.issuer) {
            return Err(Rejected::Issuer);
        }
        let audience = claims.get("aud").ok_or(Rejected::MissingClaim)?;
        if !holds(audience, self.audience) {
            return Err(Rejected::Audience);
        }
        let expires = time(claims, "exp")?.ok_or(Rejected::MissingClaim)?;
        if expires <= self.now {
            return Err(Rejected::Expired);
        }
        for begin in ["nbf", "iat"] {
            if time(claims, begin)?.is_some_and(|begin| begin > self.now.saturating_add(LEEWAY)) {
                return Err(Rejected::NotYet);
            }
        }
        // A token that only the owner of a key may use (RFC 7800) must not become a bearer token.
        if claims.get("cnf").is_some() {
            return Err(Rejected::Bound);
        }
        let subject = text(claims, "sub").ok_or(Rejected::MissingClaim)?;
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
            return Err(Rejected::MissingClaim);
        }
        let seen = self.seen(claims);
        let holder = Holder {
            issuer: Arc::clone(self.issuer),
            subject: subject.into(),
            digest: digest(&seen),
            claims: seen,
            expires,
        };
        if self.scopes.iter().all(|scope| has_scope(claims, scope)) {
            Ok(holder)
        } else {
            Err(Rejected::Scope(Box::new(holder)))
        }
    }

    /// The claims that tell something of the caller.
    fn seen(&self, claims: &Json<'_>) -> Json<'static> {
        let Json::Object(members) = claims else {
            return Json::Null;
        };
        let is_ignored =
            |name: &str| OF_THE_TOKEN.contains(&name) || self.ignored.iter().any(|own| &**own == name);
        let seen = members.iter().filter(|(name, _)| !is_ignored(name));
        Json::Object(seen.cloned().collect()).into_owned()
    }
}

fn text<'c>(claims: &'c Json<'_>, name: &str) -> Option<&'c str> {
    match claims.get(name) {
        Some(Json::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// The texts that a claim holds: the one that it is, or those that are its elements.
pub(crate) fn texts<'c>(claim: &'c Json<'_>) -> impl Iterator<Item = &'c str> {
    let items = match claim {
        Json::Array(items) => items.as_slice(),
        Json::String(_) => std::slice::from_ref(claim),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => &[],
    };
    items.iter().filter_map(|item| match item {
        Json::String(text) => Some(&**text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    })
}

fn holds(claim: &Json<'_>, wanted: &str) -> bool {
    texts(claim).any(|text| text == wanted)
}

/// Scopes stand in `scope`, parted by spaces (RFC 9068, section 2.2.3), or in `scp`, which some issuers make a list.
fn has_scope(claims: &Json<'_>, wanted: &str) -> bool {
    ["scope", "scp"].into_iter().any(|name| match claims.get(name) {
        Some(Json::String(scopes)) => scopes.split(' ').any(|scope| scope == wanted),
        Some(list @ Json::Array(_)) => holds(list, wanted),
        Some(_) | None => false,
    })
}

/// Seconds since the Unix epoch, a fraction cut off (RFC 7519, section 2).
fn time(claims: &Json<'_>, name: &str) -> Result<Option<u64>, Rejected> {
    let numeral = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Number(numeral)) => numeral,
        Some(_) => return Err(Rejected::MissingClaim),
    };
    let whole = numeral.split('.').next().unwrap_or_default();
    let seconds = if numeral.contains(['e', 'E']) {
        None
    } else {
        whole.parse().ok()
    };
    seconds.map(Some).ok_or(Rejected::MissingClaim)
}

/// SHA-256 of claims; the order of members does not count.
fn digest(claims: &Json<'_>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    take_in(claims, &mut context);
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// Each value by its kind and length, so that no two give the same bytes. Recursive, which the bound on depth allows.
fn take_in(value: &Json<'_>, context: &mut Context) {
    let counted = |context: &mut Context, kind: &[u8], length: usize| {
        context.update(kind);
        context.update(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
    };
    match value {
        Json::Null => context.update(b"n"),
        Json::Bool(value) => context.update(if *value { b"t" } else { b"f" }),
        Json::Number(text) => {
            counted(context, b"0", text.len());
            context.update(text.as_bytes());
        }
        Json::String(text) => {
            counted(context, b"s", text.len());
            context.update(text.as_bytes());
        }
        Json::Array(items) => {
            counted(context, b"a", items.len());
            items.iter().for_each(|item| take_in(item, context));
        }
        Json::Object(members) => {
            counted(context, b"o", members.len());
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            for (key, value) in members {
                counted(context, b"k", key.len());
                context.update(key.as_bytes());
                take_in(value, context);
            }
        }
    }
}
