//! An issuer of access tokens for plays: it says who somebody is, and for whom a token is. Only the servers and the
//! gateway of a play trust it.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What its tokens say whose they are.
pub(super) const ISSUER: &str = "https://login.example.com";
/// The name of its key.
const KEY: &str = "play";
/// Its key is no secret: all that it opens is a play on this machine.
const SEED: [u8; 32] = *b"no secret: it opens a play alone";
/// How long a token is good, in seconds.
const LIFE: u64 = 300;

/// Who a token is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) dept: &'static str,
}

pub(super) struct Issuer {
    key: Ed25519KeyPair,
}

impl Issuer {
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(&SEED);
        Ok(Self {
            key: key.ok().context("the issuer has no key")?,
        })
    }

    /// Its keys, as issuers publish them.
    pub(super) fn keys(&self) -> Value {
        let public = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": KEY, "x": public }] })
    }

    /// A token of this person for this audience.
    pub(super) fn token(&self, person: Person, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KEY });
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": person.name, "dept": person.dept, "iat": now, "exp": now + LIFE,
        });
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Whom a token is about, if this issuer has signed it: as a server checks it that does not ask for whom it is.
    pub(super) fn subject(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ED25519, self.key.public_key())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        Some(claims.get("sub")?.as_str()?.to_owned())
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Person = Person {
        name: "ana",
        dept: "people",
    };

    #[test]
    fn a_token_is_known_by_its_signature() {
        let issuer = Issuer::new().unwrap();
        let token = issuer.token(ANA, "https://notes.example.com/mcp");
        assert_eq!(issuer.subject(&token).as_deref(), Some("ana"));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = issuer.token(Person { name: "eve", ..ANA }, "x");
        let (others, _) = other.rsplit_once('.').unwrap();
        assert_eq!(issuer.subject(&format!("{others}.{signature}")), None);
        assert_eq!(issuer.subject(signed), None);
    }
}
