//! The public keys of an issuer (RFC 7517), and signatures by them.

use super::jws::Algorithm;
use super::keys::NoKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate_core::json::Json;
use callgate_wire::{Bounds, RawJson};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// The longest document of keys, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// How many keys of a document are looked at.
const KEYS_MAX: usize = 100;
const DEPTH_MAX: usize = 16;
/// The smallest RSA modulus, in bytes: 2,048 bits.
const MODULUS_BYTES_MIN: usize = 256;

/// The keys of an issuer that signatures can be verified by.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    kid: Option<Box<str>>,
    /// The one algorithm that it is for, where the issuer says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A document that holds no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentError {
    #[error("it is no JSON that all parsers read alike")]
    Json,
    #[error("it has no list `keys`")]
    NoList,
    #[error("none of its keys can verify a signature")]
    NoKeys,
}

impl KeySet {
    /// Reads a document. Keys of other kinds and for other uses are left out: symmetric ones above all.
    pub(super) fn read(document: &[u8]) -> Result<Self, DocumentError> {
        let bounds = Bounds {
            message_bytes_max: DOCUMENT_BYTES_MAX,
            depth_max: DEPTH_MAX,
            batch_max: 0,
        };
        let document = RawJson::read(document, &bounds).map_err(|_| DocumentError::Json)?;
        let document = document.parse();
        let Some(Json::Array(keys)) = document.get("keys") else {
            return Err(DocumentError::NoList);
        };
        let keys: Vec<Key> = keys.iter().take(KEYS_MAX).filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(DocumentError::NoKeys);
        }
        Ok(Self(keys))
    }

    /// The keys that a token can be signed by. One that names none has to be of an issuer with one key for its
    /// algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&Key>, NoKey> {
        let fitting = self.0.iter().filter(|key| key.is_for(algorithm));
        let found: Vec<&Key> = match kid {
            Some(kid) => fitting.filter(|key| key.kid.as_deref() == Some(kid)).collect(),
            None => fitting.collect(),
        };
        match (kid, found.len()) {
            (_, 0) => Err(NoKey::Unknown),
            (None, 2..) => Err(NoKey::Unnamed),
            (Some(_) | None, _) => Ok(found),
        }
    }
}

impl Key {
    /// `None` for a key that is not for verifying signatures, or not of a kind that is known.
    fn read(key: &Json<'_>) -> Option<Self> {
        let text = |name: &str| match key.get(name) {
            Some(Json::String(text)) => Some(&**text),
            Some(_) | None => None,
        };
        let is_other_use = key.get("use").is_some() && text("use") != Some("sig");
        // A private key that was published is nobody's secret any more.
        let is_private = key.get("d").is_some();
        if is_other_use || is_private || !may_verify(key.get("key_ops")) {
            return None;
        }
        let algorithm = match key.get("alg") {
            Some(_) => Some(Algorithm::named(text("alg")?)?),
            None => None,
        };
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let modulus = bytes("n")?;
                (modulus.len() >= MODULUS_BYTES_MIN).then_some(())?;
                Material::Rsa {
                    modulus,
                    exponent: bytes("e")?,
                }
            }
            ("EC", Some("P-256")) => Material::P256(point(bytes("x")?, bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(bytes("x")?, bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        let key = Self {
            kid: text("kid").map(Into::into),
            algorithm,
            material,
        };
        let is_usable = Algorithm::ALL.into_iter().any(|algorithm| key.is_for(algorithm));
        is_usable.then_some(key)
    }

    /// Whether signatures of this algorithm can be its own.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let is_of_kind = match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self.material, Material::Rsa { .. }),
            Algorithm::Es256 => matches!(self.material, Material::P256(_)),
            Algorithm::Es384 => matches!(self.material, Material::P384(_)),
            Algorithm::EdDsa => matches!(self.material, Material::Ed25519(_)),
        };
        is_of_kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether it has signed this.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &[u8]) -> bool {
        let message = signed.as_bytes();
        let by = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key)
                .verify(message, signature)
                .is_ok()
        };
        match (&self.material, algorithm) {
            (Material::P256(point), Algorithm::Es256) => by(&ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::Es384) => by(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(point), Algorithm::EdDsa) => by(&ED25519, point),
            (Material::Rsa { modulus, exponent }, algorithm) => rsa(algorithm).is_some_and(|how| {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(how, message, signature).is_ok()
            }),
            (Material::P256(_) | Material::P384(_) | Material::Ed25519(_), _) => false,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

fn may_verify(operations: Option<&Json<'_>>) -> bool {
    match operations {
        None => true,
        Some(Json::Array(operations)) => operations
            .iter()
            .any(|operation| matches!(operation, Json::String(word) if word == "verify")),
        Some(_) => false,
    }
}

/// An uncompressed point (SEC 1, section 2.3.3) of coordinates of so many bytes.
fn point(x: Vec<u8>, y: Vec<u8>, bytes: usize) -> Option<Vec<u8>> {
    (x.len() == bytes && y.len() == bytes).then(|| [vec![4], x, y].concat())
}
