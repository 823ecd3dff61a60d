//! What is looked at before anything of a request is read: its `Host` and `Origin`, and its bearer token.

use super::listen::Address;
use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::{HeaderValue, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;

/// Checks a request before anything of it is read. Copies are one guard.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: Arc<ArcSwap<Vec<String>>>,
}

/// A bearer token. It is never shown.
pub struct Token(Box<[u8]>);

/// The shortest token accepted, in bytes.
const TOKEN_BYTES_MIN: usize = 16;

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too easily guessed.
    #[error("a token needs at least {TOKEN_BYTES_MIN} characters; make one with `openssl rand -hex 32`")]
    TooShort,
    /// It could not be sent in a header.
    #[error("a token may hold visible ASCII characters only")]
    NotVisible,
}

impl Token {
    /// A token, without the line break that files end with.
    ///
    /// # Errors
    /// [`TokenError`] where it is too short or cannot be sent.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.len() < TOKEN_BYTES_MIN {
            return Err(TokenError::TooShort);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotVisible);
        }
        Ok(Self(text.as_bytes().into()))
    }

    /// Compares in a time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, sent: &str) -> bool {
        let sent = sent.as_bytes();
        let differing = self
            .0
            .iter()
            .zip(sent)
            .fold(0_u8, |all, (own, sent)| all | (own ^ sent));
        self.0.len() == sent.len() && std::hint::black_box(differing) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a request may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Host,
    Origin,
}

impl Refused {
    pub(super) const fn status(self) -> StatusCode {
        StatusCode::FORBIDDEN
    }

    /// The reason code in the ledger.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Host => "this Host is not served here",
            Self::Origin => "this Origin may not call",
        }
    }
}

impl Guard {
    /// Lets in what is addressed to `address` or, on a loopback address, to `localhost`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        if address.ip().is_loopback() {
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}")));
        }
        if port == 80 {
            let bare: Vec<String> = hosts
                .iter()
                .filter_map(|host| host.strip_suffix(":80"))
                .map(str::to_owned)
                .collect();
            hosts.extend(bare);
        }
        // An unspecified address is reached under names that only its operator knows; the token guards it.
        if address.ip().is_unspecified() {
            hosts.clear();
        }
        Self {
            hosts: Arc::new(ArcSwap::from_pointee(hosts)),
        }
    }

    /// Lets in what is addressed to where `address` is; over a Unix socket, to `localhost`.
    #[must_use]
    pub fn at(address: &Address) -> Self {
        match address {
            Address::Net(address) => Self::new(*address),
            Address::Unix(_) => Self {
                hosts: Arc::new(ArcSwap::from_pointee(vec!["localhost".to_owned()])),
            },
        }
    }

    /// Lets in what `other` lets in, in place of what it let in so far.
    pub fn replace(&self, other: &Self) {
        self.hosts.store(other.hosts.load_full());
    }

    /// Whether a request is addressed to here.
    #[must_use]
    pub fn lets_in(&self, headers: &HeaderMap) -> bool {
        self.check(headers).is_ok()
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let own = self.hosts.load();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
        let is_own = |host: &str| own.is_empty() || own.iter().any(|own| own == host);
        let mut hosts = headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) if is_own(&text(host)) => {}
            _ => return Err(Refused::Host),
        }
        for origin in headers.get_all(ORIGIN) {
            let origin = text(origin);
            let host = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            if own.is_empty() || !host.is_some_and(is_own) {
                return Err(Refused::Origin);
            }
        }
        Ok(())
    }

    /// Lets in what is addressed to these hosts too, each with its port where that is not the scheme's own.
    #[must_use]
    pub fn also(self, hosts: impl IntoIterator<Item = String>) -> Self {
        let mut all = Vec::clone(&self.hosts.load());
        let is_restricted = !all.is_empty();
        all.extend(
            hosts
                .into_iter()
                .filter(|_| is_restricted)
                .map(|host| host.to_ascii_lowercase()),
        );
        self.hosts.store(Arc::new(all));
        self
    }
}

/// The token of a request; none where it has none, several, or another kind of credential.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static [(&'static str, &'static str)], Result<(), Refused>);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn guard() -> Guard {
        Guard::new("127.0.0.1:8080".parse().unwrap())
    }

    #[test]
    fn only_its_own_host_and_origin_come_in() {
        let guard = guard();
        let cases: [Case; 9] = [
            (&[("host", "127.0.0.1:8080")], Ok(())),
            (&[("host", "LOCALHOST:8080")], Ok(())),
            (
                &[("host", "127.0.0.1:8080"), ("origin", "http://localhost:8080")],
                Ok(()),
            ),
            (&[], Err(Refused::Host)),
            (&[("host", "evil.example:8080")], Err(Refused::Host)),
            (
                &[("host", "127.0.0.1:8080"), ("host", "evil.example")],
                Err(Refused::Host),
            ),
            (
                &[("host", "127.0.0.1:8080"), ("origin", "http://evil.example")],
                Err(Refused::Origin),
            ),
            (
                &[("host", "127.0.0.1:8080"), ("origin", "null")],
                Err(Refused::Origin),
            ),
            (
                &[
                    ("host", "127.0.0.1:8080"),
                    ("origin", "http://localhost:8080.evil.example"),
                ],
                Err(Refused::Origin),
            ),
        ];
        for (sent, expected) in cases {
            let owned: Vec<(&'static str, &str)> = sent
                .iter()
                .map(|(name, value)| (if *name == "host" { "host" } else { "origin" }, *value))
                .collect();
            assert_eq!(guard.check(&headers(&owned)), expected, "{sent:?}");
        }
    }

    #[test]
    fn further_hosts_come_in_where_they_are_named() {
        let guard = guard().also(["Gate.example.com".to_owned()]);
        assert_eq!(guard.check(&headers(&[("host", "gate.example.com")])), Ok(()));
        assert_eq!(
            guard.check(&headers(&[("host", "gate.example.org")])),
            Err(Refused::Host)
        );
        let anywhere = Guard::new("0.0.0.0:8080".parse().unwrap()).also(["gate.example.com".to_owned()]);
        assert_eq!(anywhere.check(&headers(&[("host", "other.example")])), Ok(()));
    }

    #[test]
    fn hosts_that_are_replaced_come_in_no_more() {
        let guard = guard().also(["old.example.com".to_owned()]);
        let copy = guard.clone();
        copy.replace(&self::guard().also(["new.example.com".to_owned()]));
        let check = |host| guard.check(&headers(&[("host", host)]));
        assert_eq!(check("old.example.com"), Err(Refused::Host));
        assert_eq!(check("new.example.com"), Ok(()));
        assert_eq!(check("127.0.0.1:8080"), Ok(()));
    }

    #[test]
    fn a_token_is_needed_whole_and_once() {
        let token = Token::new("0123456789abcdef\n").unwrap();
        let lets_in =
            |sent: &[(&'static str, &str)]| bearer(&headers(sent)).is_some_and(|sent| token.matches(sent));
        assert!(lets_in(&[("authorization", "Bearer 0123456789abcdef")]));
        assert!(lets_in(&[("authorization", "bearer 0123456789abcdef")]));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "Bearer",
            "0123456789abcdef",
            "Basic 0123456789abcdef",
        ] {
            assert!(!lets_in(&[("authorization", wrong)]), "{wrong}");
        }
        assert!(!lets_in(&[]));
        assert!(!lets_in(&[
            ("authorization", "Bearer 0123456789abcdef"),
            ("authorization", "Bearer x"),
        ]));
    }

    #[test]
    fn a_token_that_is_easily_guessed_is_no_token() {
        assert!(matches!(Token::new("short\n"), Err(TokenError::TooShort)));
        assert!(matches!(
            Token::new("with a space in the middle"),
            Err(TokenError::NotVisible)
        ));
        assert_eq!(
            format!("{:?}", Token::new("0123456789abcdef").unwrap()),
            "Token(…)"
        );
    }
}
