//! An issuer of access tokens: it publishes keys, and signs what a test says.

use super::upstream::{Asked, read, reply};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callgate_testkit::Room;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// A key that tokens are signed by.
pub(crate) struct Signer {
    pub(crate) kid: String,
    kind: Kind,
}

enum Kind {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Signer {
    pub(crate) fn es256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self {
            kid: kid.to_owned(),
            kind: Kind::Es256(pair.unwrap()),
        }
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            kid: kid.to_owned(),
            kind: Kind::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()),
        }
    }

    pub(crate) fn rsa(kid: &str, room: &Room) -> Self {
        let file = room.at(&format!("{kid}.der"));
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .args(["-outform", "DER", "-out"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let document = std::fs::read(file).unwrap();
        let pair = RsaKeyPair::from_pkcs8(&document)
            .or_else(|_| RsaKeyPair::from_der(&document))
            .unwrap();
        Self {
            kid: kid.to_owned(),
            kind: Kind::Rsa(pair),
        }
    }

    /// The name of the algorithm that it signs by if it is not told otherwise.
    pub(crate) fn alg(&self) -> &'static str {
        match &self.kind {
            Kind::Es256(_) => "ES256",
            Kind::Ed25519(_) => "EdDSA",
            Kind::Rsa(_) => "RS256",
        }
    }

    /// Its public half, as issuers publish it.
    pub(crate) fn jwk(&self) -> Value {
        match &self.kind {
            Kind::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig",
                    "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
            }
            Kind::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid,
                "x": base64url(pair.public_key())}),
            Kind::Rsa(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({"kty": "RSA", "kid": self.kid, "use": "sig", "n": base64url(public.n),
                    "e": base64url(public.e)})
            }
        }
    }

    /// A token with this header and these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_bytes(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn sign_bytes(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let random = SystemRandom::new();
        let signature = match &self.kind {
            Kind::Es256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Kind::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let how: &'static dyn ring::signature::RsaEncoding = if header.contains("PS256") {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                pair.sign(how, &random, signed.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{signed}.{}", base64url(signature))
    }

    /// The header of a token that is as it should be.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg(), "typ": "at+jwt", "kid": self.kid})
    }

    /// A token with these claims, as it should be.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

/// How an issuer answers who asks for its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every request fails.
    Down,
    /// Its keys are said to be elsewhere.
    Elsewhere,
    /// Its keys come with much else.
    Huge,
}

#[derive(Debug)]
struct Inner {
    keys: Vec<Value>,
    mood: Mood,
    fetches: usize,
    /// What is asked of the token endpoint, in order.
    asked: Vec<Asked>,
    /// How long tokens are good, in seconds.
    lasts: u64,
    /// The tokens that were made.
    made: Vec<String>,
    /// Changes of the metadata.
    metadata: Value,
}

/// The issuer; it ends with the test's process.
pub(crate) struct Authority {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Authority {
    /// An issuer that publishes these keys.
    pub(crate) fn start(keys: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            keys: keys.iter().map(|key| key.jwk()).collect(),
            mood: Mood::Well,
            fetches: 0,
            asked: Vec::new(),
            lasts: 3_600,
            made: Vec::new(),
            metadata: json!({}),
        }));
        let (shared, own) = (Arc::clone(&inner), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                std::thread::spawn(move || {
                    if let Some(asked) = read(&mut BufReader::new(&stream)) {
                        let answer = answer(&asked, &own, &shared);
                        let _ = (&stream).write_all(answer.as_bytes());
                    }
                });
            }
        });
        Self { url, inner }
    }

    pub(crate) fn jwks(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: &[&Signer]) {
        self.inner.lock().unwrap().keys = keys.iter().map(|key| key.jwk()).collect();
    }

    /// Publishes a key as it is written.
    pub(crate) fn publish_too(&self, key: Value) {
        self.inner.lock().unwrap().keys.push(key);
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    /// How often its keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.inner.lock().unwrap().fetches
    }

    /// What was asked of the token endpoint.
    pub(crate) fn asked_for_tokens(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// The tokens that it has made for clients.
    pub(crate) fn made(&self) -> Vec<String> {
        self.inner.lock().unwrap().made.clone()
    }

    /// How long the tokens that it makes are good, in seconds.
    pub(crate) fn tokens_last(&self, seconds: u64) {
        self.inner.lock().unwrap().lasts = seconds;
    }

    /// Says something else of itself.
    pub(crate) fn say_of_itself(&self, changes: Value) {
        self.inner.lock().unwrap().metadata = changes;
    }

    /// Claims of a token of this issuer that is good for an hour.
    pub(crate) fn claims(&self, audience: &str, subject: &str) -> Value {
        json!({"iss": self.url, "aud": audience, "sub": subject, "iat": now(), "exp": now() + 3_600,
            "jti": format!("{:?}", std::time::Instant::now())})
    }
}

fn answer(asked: &Asked, url: &str, inner: &Mutex<Inner>) -> String {
    if asked.path == "/token" {
        return token(asked, inner);
    }
    let mut inner = inner.lock().unwrap();
    if inner.mood == Mood::Well && asked.path == "/.well-known/oauth-authorization-server" {
        let mut metadata = json!({"issuer": url, "token_endpoint": format!("{url}/token"),
            "authorization_endpoint": format!("{url}/authorize"), "response_types_supported": ["code"],
            "grant_types_supported": ["client_credentials"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"]});
        for (name, value) in inner.metadata.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        return reply("200 OK", "application/json", &metadata.to_string());
    }
    if !matches!(asked.path.as_str(), "/keys" | "/elsewhere") {
        return reply("404 Not Found", "text/plain", "no");
    }
    inner.fetches += 1;
    let mut document = json!({"keys": inner.keys});
    match (inner.mood, asked.path.as_str()) {
        (Mood::Down, _) => reply("500 Internal Server Error", "text/plain", "no"),
        (Mood::Elsewhere, "/keys") => {
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                .to_owned()
        }
        (mood, _) => {
            if mood == Mood::Huge {
                document["more"] = "x".repeat(300_000).into();
            }
            reply("200 OK", "application/json", &document.to_string())
        }
    }
}

/// Makes a token, slowly enough that others come to want one meanwhile.
fn token(asked: &Asked, inner: &Mutex<Inner>) -> String {
    inner.lock().unwrap().asked.push(asked.clone());
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut inner = inner.lock().unwrap();
    if inner.mood != Mood::Well {
        return reply(
            "400 Bad Request",
            "application/json",
            r#"{"error":"invalid_client"}"#,
        );
    }
    let token = format!("made-by-the-issuer-{}", inner.made.len());
    inner.made.push(token.clone());
    let mut made = json!({"access_token": token, "token_type": "Bearer", "expires_in": inner.lasts});
    if !asked.body.contains("client_credentials") {
        made["refresh_token"] = format!("to-renew-with-{}", inner.made.len()).into();
    }
    reply("200 OK", "application/json", &made.to_string())
}
