//! Whom an OAuth issuer vouches for: a claim that its tokens hold, `sub` for one subject.

use super::token::PREFIX;
use std::fmt;
use std::sync::Arc;

const ISSUER_BYTES_MAX: usize = 256;
const CLAIM_BYTES_MAX: usize = 128;
const VALUE_BYTES_MAX: usize = 256;
/// What JSON Web Tokens begin with: `{"` in base64url.
const JWT_PREFIX: &str = "eyJ";

/// The claim that names the subject of a token (RFC 7519, section 4.1.2).
const SUBJECT: &str = "sub";

/// The holders of tokens of one issuer whose claim `claim` is, or has among its elements, `value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    issuer: Arc<str>,
    claim: Arc<str>,
    value: Arc<str>,
}

/// Why a text is no part of an identity. The text is not repeated: it may be a token in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not an issuer.
    #[error(
        "an issuer is a URL such as https://login.example.com, exactly as the `iss` of its tokens has it, of up to {ISSUER_BYTES_MAX} bytes"
    )]
    Issuer,
    /// Not the name of a claim.
    #[error("the name of a claim has 1 to {CLAIM_BYTES_MAX} visible ASCII characters")]
    Claim,
    /// Not a value.
    #[error("a subject, or the value of a claim, has 1 to {VALUE_BYTES_MAX} bytes and no control characters")]
    Value,
    /// A token.
    #[error("that is a token; a subject is what the `sub` of its tokens says")]
    Token,
}

impl Identity {
    /// The subject of this name.
    ///
    /// # Errors
    /// [`IdentityError`] where a part is not what it has to be.
    pub fn subject(issuer: &str, subject: &str) -> Result<Self, IdentityError> {
        Self::new(issuer, SUBJECT, subject)
    }

    /// Everyone whose tokens have this value in this claim.
    ///
    /// # Errors
    /// [`IdentityError`] where a part is not what it has to be.
    pub fn new(issuer: &str, claim: &str, value: &str) -> Result<Self, IdentityError> {
        let is_url = issuer.starts_with("https://") || issuer.starts_with("http://");
        if !is_url || issuer.len() > ISSUER_BYTES_MAX || !is_visible_ascii(issuer) {
            return Err(IdentityError::Issuer);
        }
        if claim.is_empty() || claim.len() > CLAIM_BYTES_MAX || !is_visible_ascii(claim) {
            return Err(IdentityError::Claim);
        }
        if value.starts_with(PREFIX) || (value.starts_with(JWT_PREFIX) && value.contains('.')) {
            return Err(IdentityError::Token);
        }
        if value.is_empty() || value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
            return Err(IdentityError::Value);
        }
        Ok(Self {
            issuer: issuer.into(),
            claim: claim.into(),
            value: value.into(),
        })
    }

    /// The issuer, as the `iss` of its tokens has it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claim.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// What it has to be, or to have among its elements.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.claim == SUBJECT {
            write!(f, "the subject `{}` of {}", self.value, self.issuer)
        } else {
            write!(
                f,
                "who has `{}` in `{}`, of {}",
                self.value, self.claim, self.issuer
            )
        }
    }
}

fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_an_issuer_a_claim_and_a_value() {
        const ISSUER: &str = "https://login.example.com";
        let ana = Identity::subject(ISSUER, "ana").unwrap();
        assert_eq!((ana.issuer(), ana.claim(), ana.value()), (ISSUER, "sub", "ana"));
        assert!(Identity::new(ISSUER, "https://example.com/roles", "Über uns").is_ok());
        for (issuer, claim, value, error) in [
            ("login.example.com", "sub", "a", IdentityError::Issuer),
            ("", "sub", "a", IdentityError::Issuer),
            ("https://login example.com", "sub", "a", IdentityError::Issuer),
            (ISSUER, "", "a", IdentityError::Claim),
            (ISSUER, "a b", "a", IdentityError::Claim),
            (ISSUER, "sub", "", IdentityError::Value),
            (ISSUER, "sub", "a\nb", IdentityError::Value),
            (ISSUER, "sub", "cg_x", IdentityError::Token),
            (ISSUER, "sub", "eyJhbGciOiJub25lIn0.e30.", IdentityError::Token),
        ] {
            assert_eq!(
                Identity::new(issuer, claim, value),
                Err(error),
                "{issuer} {claim} {value}"
            );
        }
    }
}
