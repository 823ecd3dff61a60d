//! Who may connect: the `Host` and `Origin` of every request, and a token where one is set.

use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::{HeaderValue, StatusCode};
use std::net::SocketAddr;

/// Checks a request before anything of it is read.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    token: Option<Token>,
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
    fn matches(&self, sent: &[u8]) -> bool {
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
    Token,
}

impl Refused {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    /// The reason code in the ledger.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Token => "token",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Host => "this Host is not served here",
            Self::Origin => "this Origin may not call",
            Self::Token => "a bearer token is needed",
        }
    }
}

impl Guard {
    /// Lets in what is addressed to `address` or, on a loopback address, to `localhost`.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<Token>) -> Self {
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
        Self { hosts, token }
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
        let is_own = |host: &str| self.hosts.is_empty() || self.hosts.iter().any(|own| own == host);
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
            if self.hosts.is_empty() || !host.is_some_and(is_own) {
                return Err(Refused::Origin);
            }
        }
        match &self.token {
            None => Ok(()),
            Some(token) => {
                let mut sent = headers.get_all(AUTHORIZATION).iter();
                let bearer = sent
                    .next()
                    .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
                match (bearer, sent.next()) {
                    (Some(bearer), None) if token.matches(bearer) => Ok(()),
                    _ => Err(Refused::Token),
                }
            }
        }
    }
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

    fn guard(token: Option<&str>) -> Guard {
        Guard::new(
            "127.0.0.1:8080".parse().unwrap(),
            token.map(|token| Token::new(token).unwrap()),
        )
    }

    #[test]
    fn only_its_own_host_and_origin_come_in() {
        let guard = guard(None);
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
    fn a_token_is_needed_whole_and_once() {
        let guard = guard(Some("0123456789abcdef\n"));
        let host = ("host", "127.0.0.1:8080");
        let with = |token: &str| guard.check(&headers(&[host, ("authorization", token)]));
        assert_eq!(with("Bearer 0123456789abcdef"), Ok(()));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "0123456789abcdef",
            "Basic x",
        ] {
            assert_eq!(with(wrong), Err(Refused::Token), "{wrong}");
        }
        assert_eq!(guard.check(&headers(&[host])), Err(Refused::Token));
        let twice = [
            host,
            ("authorization", "Bearer 0123456789abcdef"),
            ("authorization", "Bearer x"),
        ];
        assert_eq!(guard.check(&headers(&twice)), Err(Refused::Token));
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
