//! Whose access tokens a configuration accepts.

use super::name::{Name, ServerName};
use super::read::Reader;
use super::vocabulary::{ISSUER, OAUTH};
use callgate_gateway::oauth::{self, Algorithm, IssuerSettings, KeysSource, check_keys};
use callgate_policy::document::{Fields, join, nearest};
use callgate_policy::tree::{Entry, Node};
use callgate_policy::{Code, Span};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const REFRESH_DEFAULT: Duration = Duration::from_secs(5 * 60);
const STALE_DEFAULT: Duration = Duration::from_secs(60 * 60);
const REFRESH_SECONDS_MAX: u64 = 24 * 3_600;
const STALE_SECONDS_MAX: u64 = 7 * 24 * 3_600;
/// The type of access tokens that are JSON Web Tokens (RFC 9068, section 2.1).
const TYPE_DEFAULT: &str = "at+jwt";
/// Claims without which a token says nothing of use here.
const NEEDED: [&str; 4] = ["iss", "sub", "aud", "exp"];
const URL_FORM: &str = "write the gateway as clients reach it: `https://gate.example.com`";

/// Whose access tokens let callers in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OAuth {
    /// The gateway as clients reach it: an origin.
    url: Url,
    /// What each token needs.
    scopes: Vec<Box<str>>,
    issuers: Vec<Issuer>,
}

/// One issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Issuer {
    issuer: Box<str>,
    keys: KeysSource,
    refresh: Duration,
    stale: Duration,
    audience: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    types: Vec<Box<str>>,
    ignored: Vec<Box<str>>,
}

impl OAuth {
    /// The host and port that requests to the gateway name; the scheme's own port left out.
    pub(crate) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Whether clients reach the gateway from this machine alone.
    pub(crate) fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }

    /// What judges tokens.
    pub(crate) fn accept(&self) -> Arc<oauth::OAuth> {
        let issuers = self.issuers.iter().cloned().map(|issuer| IssuerSettings {
            issuer: issuer.issuer,
            keys: issuer.keys,
            refresh: issuer.refresh,
            stale: issuer.stale,
            audience: issuer.audience,
            algorithms: issuer.algorithms,
            types: issuer.types,
            ignored: issuer.ignored,
        });
        oauth::OAuth::new(self.url.as_str(), self.scopes.clone(), issuers.collect())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether nobody between the two ends can read or change what is sent.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

impl Reader<'_> {
    /// Whose access tokens are accepted.
    pub(super) fn oauth(&mut self, fields: Fields<'_>) -> Option<OAuth> {
        let node = fields.value("oauth")?;
        let fields = self.findings.fields(node, "/oauth", &OAUTH)?;
        let url = self.own_url(fields);
        let scopes = self.scopes(fields);
        let issuers = self.issuers(fields);
        Some(OAuth {
            url: url?,
            scopes,
            issuers,
        })
    }

    fn own_url(&mut self, fields: Fields<'_>) -> Option<Url> {
        let (text, span) = self.needed(fields, "url", "`oauth`", URL_FORM)?;
        let url = Url::parse(text).ok();
        let (message, hint) = match url {
            None => ("this is no URL", URL_FORM),
            Some(url) if !is_private(&url) => (
                "tokens are sent over https, or over http from this machine",
                URL_FORM,
            ),
            Some(url)
                if url.path() != "/"
                    || url.query().is_some()
                    || url.fragment().is_some()
                    || !url.username().is_empty()
                    || url.password().is_some() =>
            {
                ("the gateway's own URL has a host and a port at most", URL_FORM)
            }
            Some(url) => return Some(url),
        };
        self.findings
            .error(Code::Url, span, "/oauth/url", message)
            .hint(hint);
        None
    }

    pub(super) fn scopes(&mut self, fields: Fields<'_>) -> Vec<Box<str>> {
        // RFC 6749, section 3.3.
        let is_scope = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let mut scopes = Vec::new();
        for (text, span, pointer) in self.texts(fields, "scopes") {
            let (message, hint) = if !text.bytes().all(is_scope) {
                (
                    "this is no scope",
                    "a scope has visible characters, without quotes and spaces",
                )
            } else if text == "offline_access" {
                (
                    "`offline_access` is between clients and their issuer",
                    "remove it; clients ask for it by themselves",
                )
            } else {
                scopes.push(text.into());
                continue;
            };
            self.findings
                .error(Code::Name, span, &pointer, message)
                .hint(hint);
        }
        scopes
    }

    fn issuers(&mut self, fields: Fields<'_>) -> Vec<Issuer> {
        const FORM: &str = "write `issuers: {NAME: {issuer: https://login.example.com, jwks: https://login.example.com/keys}}`";
        let mut issuers: Vec<Issuer> = Vec::new();
        if fields
            .value("issuers")
            .is_none_or(|node| node.entries().is_empty())
        {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    "/oauth",
                    "`oauth` names no issuer",
                )
                .hint(FORM);
        }
        for entry in self.declared(fields, "issuers", FORM) {
            let pointer = join("/oauth/issuers", &entry.key);
            self.name::<IssuerName>(entry, &pointer);
            let Some(issuer) = self.issuer(entry, &pointer) else {
                continue;
            };
            if issuers.iter().any(|other| other.issuer == issuer.issuer) {
                self.findings
                    .error(
                        Code::DuplicateEntry,
                        entry.key_span,
                        &pointer,
                        "another entry has the same issuer",
                    )
                    .hint("remove one of them");
            }
            issuers.push(issuer);
        }
        issuers
    }

    fn issuer(&mut self, entry: &Entry, pointer: &str) -> Option<Issuer> {
        let fields = self.findings.fields(&entry.value, pointer, &ISSUER)?;
        let issuer = self.issuer_url(fields, "an issuer");
        let keys = self.keys(fields);
        let audience = self
            .findings
            .text(fields, "audience")
            .map(|(text, span)| self.not_empty(text, span, &join(pointer, "audience")));
        let refresh = self.findings.duration(fields, "refresh", REFRESH_SECONDS_MAX);
        let refresh = refresh.unwrap_or(REFRESH_DEFAULT);
        let stale = self.findings.duration(fields, "stale", STALE_SECONDS_MAX);
        let stale = stale.unwrap_or(STALE_DEFAULT.max(refresh));
        if stale < refresh {
            let span = fields.value("stale").map_or(fields.head(), |node| node.span);
            self.findings
                .error(
                    Code::Duration,
                    span,
                    &join(pointer, "stale"),
                    "keys would be too old before they are fetched again",
                )
                .hint("make `stale` longer than `refresh`");
        }
        let algorithms = self.algorithms(fields);
        let types = self.types(fields);
        let ignored = self.ignored(fields);
        Some(Issuer {
            issuer: issuer?,
            keys: keys?,
            refresh,
            stale,
            audience,
            algorithms,
            types,
            ignored,
        })
    }

    pub(super) fn issuer_url(&mut self, fields: Fields<'_>, called: &str) -> Option<Box<str>> {
        const FORM: &str = "write what the `iss` of its tokens says: `issuer: https://login.example.com`";
        let (text, span) = self.needed(fields, "issuer", called, FORM)?;
        let is_good = Url::parse(text).is_ok_and(|url| {
            is_private(&url)
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if is_good {
            return Some(text.into());
        }
        let message = "an issuer is an https URL without user, query and fragment";
        self.findings
            .error(Code::Url, span, &join(fields.pointer, "issuer"), message)
            .hint(FORM);
        None
    }

    fn keys(&mut self, fields: Fields<'_>) -> Option<KeysSource> {
        match (fields.entry("jwks"), fields.entry("jwks_file")) {
            (Some(_), None) => {
                let (text, span) = self.findings.text(fields, "jwks")?;
                match KeysSource::url(text) {
                    Ok(source) => Some(source),
                    Err(error) => {
                        self.findings
                            .error(Code::Url, span, &join(fields.pointer, "jwks"), error.to_string())
                            .hint("write `jwks: https://login.example.com/keys`");
                        None
                    }
                }
            }
            (None, Some(entry)) => self.keys_file(fields, entry.value.span),
            (one, _) => {
                let span = one.map_or(fields.head(), |entry| entry.key_span);
                let (code, message) = match one {
                    Some(_) => (
                        Code::Conflict,
                        "an issuer has `jwks` or `jwks_file`, and this one has both",
                    ),
                    None => (Code::MissingKey, "an issuer needs `jwks`, the URL of its keys"),
                };
                self.findings
                    .error(code, span, fields.pointer, message)
                    .hint("write `jwks: https://login.example.com/keys`, or `jwks_file: keys.json`");
                None
            }
        }
    }

    fn keys_file(&mut self, fields: Fields<'_>, span: Span) -> Option<KeysSource> {
        let path = self.path(fields, "jwks_file")?;
        self.files.insert(path.clone());
        let checked = std::fs::read(&path)
            .map_err(|cause| format!("cannot read {}: {cause}", path.display()))
            .and_then(|document| {
                check_keys(&document).map_err(|cause| format!("{} cannot be used: {cause}", path.display()))
            });
        match checked {
            Ok(()) => Some(KeysSource::file(path)),
            Err(message) => {
                self.findings
                    .error(Code::File, span, &join(fields.pointer, "jwks_file"), message)
                    .hint("paths are relative to this file; the file is a JWK set, as issuers publish it");
                None
            }
        }
    }

    fn algorithms(&mut self, fields: Fields<'_>) -> Vec<Algorithm> {
        if !fields.has("algorithms") {
            return Algorithm::ALL.to_vec();
        }
        let mut algorithms = Vec::new();
        for (text, span, pointer) in self.texts(fields, "algorithms") {
            if let Some(algorithm) = Algorithm::named(text) {
                algorithms.push(algorithm);
                continue;
            }
            let names = Algorithm::ALL.map(Algorithm::name);
            let is_symmetric = text.eq_ignore_ascii_case("none") || text.starts_with("HS");
            let (message, hint) = if is_symmetric {
                (
                    format!("`{text}` is no signature by the issuer alone"),
                    format!("use one of {}", names.join(", ")),
                )
            } else {
                let hint = match nearest(text, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use one of {}", names.join(", ")),
                };
                (format!("there is no algorithm `{text}` here"), hint)
            };
            self.findings
                .error(Code::UnknownWord, span, &pointer, message)
                .hint(hint);
        }
        self.some(fields, "algorithms", algorithms.is_empty());
        algorithms
    }

    fn types(&mut self, fields: Fields<'_>) -> Vec<Box<str>> {
        if !fields.has("types") {
            return vec![TYPE_DEFAULT.into()];
        }
        let types = self.texts(fields, "types");
        let types: Vec<Box<str>> = types.into_iter().map(|(text, ..)| text.into()).collect();
        self.some(fields, "types", types.is_empty());
        types
    }

    fn ignored(&mut self, fields: Fields<'_>) -> Vec<Box<str>> {
        let mut ignored = Vec::new();
        for (text, span, pointer) in self.texts(fields, "ignore_claims") {
            if NEEDED.contains(&text) {
                self.findings
                    .error(Code::Name, span, &pointer, format!("`{text}` cannot be ignored"))
                    .hint("name claims that differ from token to token, such as `sid`");
            } else {
                ignored.push(text.into());
            }
        }
        ignored
    }

    /// The strings of a list, each with its place.
    fn texts<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n str, Span, String)> {
        let mut texts = Vec::new();
        for (node, pointer) in self.findings.list(fields, key) {
            match node.text().filter(|text| !text.is_empty()) {
                Some(text) => texts.push((text, node.span, pointer)),
                None => self.findings.wrong_type(
                    node,
                    &pointer,
                    &format!("each of `{key}` is a string with something in it"),
                    "put it in quotes",
                ),
            }
        }
        texts
    }

    /// Says that an empty list lets nobody in.
    fn some(&mut self, fields: Fields<'_>, key: &str, is_empty: bool) {
        let node: Option<&Node> = fields.value(key).filter(|node| node.items().is_empty());
        if let Some(node) = node.filter(|_| is_empty) {
            self.findings
                .error(
                    Code::Empty,
                    node.span,
                    &join(fields.pointer, key),
                    format!("`{key}` is empty: no token would be accepted"),
                )
                .hint("remove the key, or name some");
        }
    }

    fn not_empty(&mut self, text: &str, span: Span, pointer: &str) -> Box<str> {
        if text.is_empty() {
            self.findings
                .error(Code::Empty, span, pointer, "an empty audience is none")
                .hint("remove the key: tokens then have to name the endpoint that is called");
        }
        text.into()
    }

    /// The text of a key that has to be there.
    pub(super) fn needed<'n>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        called: &str,
        form: &str,
    ) -> Option<(&'n str, Span)> {
        if !fields.has(key) {
            self.findings
                .error(
                    Code::MissingKey,
                    fields.head(),
                    fields.pointer,
                    format!("{called} needs `{key}`"),
                )
                .hint(form);
        }
        self.findings.text(fields, key)
    }
}

/// A name for an issuer, as servers have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct IssuerName;

impl Name for IssuerName {
    const KIND: &'static str = "issuer";
    const BYTES_MAX: usize = <ServerName as Name>::BYTES_MAX;

    fn keep(_: &str) -> Option<Self> {
        Some(Self)
    }
}
