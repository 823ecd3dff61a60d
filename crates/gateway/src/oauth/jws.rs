//! A token's form: three parts in base64url, a header, a signature (RFC 7515, compact serialisation).

use super::Rejected;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate_core::json::Json;
use callgate_wire::{Bounds, RawJson};

/// Header and claims may nest so deep.
const DEPTH_MAX: usize = 16;
/// The longest name of a key that is looked for, in bytes.
const KID_BYTES_MAX: usize = 256;

/// How a token may be signed: by a key of which only the issuer has the private half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name (RFC 7518, section 3.1; RFC 8037, section 3.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name. RFC 9864 has a second one for Ed25519.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A token of which nothing is known to be true.
pub(super) struct Unverified<'t> {
    /// What was signed: header and claims, as they were sent.
    signed: &'t str,
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

struct Header {
    alg: Box<str>,
    typ: Option<Box<str>>,
    kid: Option<Box<str>>,
    is_critical: bool,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    pub(super) fn read(token: &'t str) -> Result<Self, Rejected> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejected::Malformed);
        };
        let signed = token
            .get(..header.len() + 1 + payload.len())
            .ok_or(Rejected::Malformed)?;
        let header = Header::read(&decoded(header)?)?;
        Ok(Self {
            signed,
            header,
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }

    /// Its claims, as a tree.
    pub(super) fn claims(&self) -> Result<Json<'_>, Rejected> {
        object(&self.payload)
    }

    /// The algorithm that it names, where that and its type are accepted and it demands nothing else.
    pub(super) fn algorithm(&self, allowed: &[Algorithm], types: &[Box<str>]) -> Result<Algorithm, Rejected> {
        if self.header.is_critical {
            return Err(Rejected::Critical);
        }
        let algorithm = Algorithm::named(&self.header.alg).ok_or(Rejected::Algorithm)?;
        if !allowed.contains(&algorithm) {
            return Err(Rejected::Algorithm);
        }
        let typ = self.header.typ.as_deref().ok_or(Rejected::Type)?;
        // RFC 7515, section 4.1.9: `application/` may be left out.
        let typ = typ.strip_prefix("application/").unwrap_or(typ);
        if types.iter().any(|own| own.eq_ignore_ascii_case(typ)) {
            Ok(algorithm)
        } else {
            Err(Rejected::Type)
        }
    }

    /// The name of the key that it says it is signed by.
    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    pub(super) const fn signed(&self) -> &'t str {
        self.signed
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Rejected> {
        let header = object(bytes)?;
        let text = |key: &str| match header.get(key) {
            None => Ok(None),
            Some(Json::String(text)) if text.len() <= KID_BYTES_MAX => Ok(Some(Box::from(&**text))),
            Some(_) => Err(Rejected::Malformed),
        };
        Ok(Self {
            alg: text("alg")?.ok_or(Rejected::Malformed)?,
            typ: text("typ")?,
            kid: text("kid")?,
            is_critical: header.get("crit").is_some(),
        })
    }
}

/// Base64url as RFC 7515 has it: no padding, no other characters, one spelling.
fn decoded(part: &str) -> Result<Vec<u8>, Rejected> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejected::Malformed)
}

/// One JSON object that all parsers read alike.
fn object(bytes: &[u8]) -> Result<Json<'_>, Rejected> {
    let bounds = Bounds {
        message_bytes_max: super::TOKEN_BYTES_MAX,
        depth_max: DEPTH_MAX,
        batch_max: 0,
    };
    match RawJson::read(bytes, &bounds).map(|raw| raw.parse()) {
        Ok(object @ Json::Object(_)) => Ok(object),
        Ok(_) | Err(_) => Err(Rejected::Malformed),
    }
}
