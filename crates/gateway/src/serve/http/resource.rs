//! Callgate as a protected resource: where clients learn which issuers' tokens are accepted (RFC 9728), and what
//! they are told where theirs is not (RFC 6750).

use super::Doors;
use super::answer::{Body, json, later, plain, too_many_failures, unauthorized};
use super::legacy::{ALL_STREAM, Way};
use super::team::Denied;
use crate::oauth::{OAuth, Rejected};
use crate::sink::object;
use bytes::Bytes;
use callgate_wire::quoted;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, Response, StatusCode};
use std::time::Duration;

/// Where metadata is, before the path of the endpoint that it is of (RFC 9728, section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// A parameter of a URL that would hold a token (RFC 6750, section 2.3).
const TOKEN_PARAM: &str = "access_token";
/// When clients may ask again for keys that could not be had.
const KEYS_PAUSE: Duration = Duration::from_secs(5);

impl Doors {
    /// The metadata of an endpoint; `None` where something else is asked for. Endpoints that there are not have
    /// some too: nobody learns from it which servers exist.
    pub(super) fn metadata(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        let Self::Team(team) = self else { return None };
        let oauth = team.oauth()?;
        let endpoint = path.strip_prefix(WELL_KNOWN)?;
        if !endpoint.is_empty() && !is_endpoint(endpoint) {
            return Some(plain(StatusCode::NOT_FOUND, "there is no such endpoint"));
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"));
        }
        Some(json(200, document(oauth, endpoint)))
    }
}

/// Whether a URL holds a token: it would end up in logs, so it is not accepted, and neither is what comes with it.
pub(super) fn has_token(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == TOKEN_PARAM)
    })
}

/// The path by which tokens name what a request is for.
pub(super) fn endpoint(path: &str) -> &str {
    if matches!(Way::of(path), Way::All(_)) {
        return "/mcp";
    }
    let server = path.strip_prefix("/mcp/").unwrap_or_default();
    let name = server.split('/').next().unwrap_or_default();
    let end = path.len() - server.len() + name.len();
    path.get(..end)
        .filter(|path| is_endpoint(path))
        .unwrap_or_default()
}

/// The answer to a request that is not let in.
pub(super) fn refused(oauth: Option<&OAuth>, denied: &Denied, endpoint: &str) -> Response<Body> {
    let challenge = |status, text: &str, error: Option<(&str, &str)>| match oauth {
        Some(oauth) => challenged(plain(status, text), oauth, endpoint, error),
        None => unauthorized(),
    };
    match denied {
        Denied::Token => challenge(StatusCode::UNAUTHORIZED, "a valid bearer token is needed", None),
        Denied::TokenInUrl => {
            let text =
                "a token stands in the URL, where it ends up in logs; send it as `Authorization: Bearer`";
            challenge(StatusCode::UNAUTHORIZED, text, Some(("invalid_request", text)))
        }
        Denied::Slow => too_many_failures(),
        Denied::NoServer => plain(
            StatusCode::NOT_FOUND,
            "not found; the endpoints are /mcp, and /mcp/SERVER for each server that your grant names",
        ),
        Denied::NoGrant => plain(
            StatusCode::FORBIDDEN,
            "this token is valid, but no grant lets its subject in; ask whoever runs this gateway",
        ),
        Denied::SeveralGrants => plain(
            StatusCode::FORBIDDEN,
            "this token is valid, but several grants let its holder in; ask whoever runs this gateway",
        ),
        Denied::Jwt(rejected @ Rejected::KeysUnavailable) => later(rejected.text(), KEYS_PAUSE),
        Denied::Jwt(rejected @ Rejected::Scope(_)) => {
            let text = rejected.text();
            challenge(StatusCode::FORBIDDEN, text, Some(("insufficient_scope", text)))
        }
        Denied::Jwt(rejected) => {
            let text = rejected.text();
            challenge(StatusCode::UNAUTHORIZED, text, Some(("invalid_token", text)))
        }
    }
}

/// A refusal that says where a token can be had, and which scopes it needs.
fn challenged(
    mut response: Response<Body>,
    oauth: &OAuth,
    endpoint: &str,
    error: Option<(&str, &str)>,
) -> Response<Body> {
    let mut parameters = Vec::new();
    if let Some((code, text)) = error {
        parameters.push(format!("error=\"{code}\""));
        parameters.push(format!(
            "error_description=\"{}\"",
            text.replace(['"', '\\'], "'")
        ));
    }
    let metadata = oauth.resource(&format!("{WELL_KNOWN}{endpoint}"));
    parameters.push(format!("resource_metadata=\"{metadata}\""));
    if !oauth.scopes().is_empty() {
        parameters.push(format!("scope=\"{}\"", oauth.scopes().join(" ")));
    }
    if let Ok(value) = HeaderValue::try_from(format!("Bearer {}", parameters.join(", "))) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

fn document(oauth: &OAuth, endpoint: &str) -> Bytes {
    let list = |texts: &[Box<str>]| {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        format!("[{}]", texts.join(","))
    };
    let resource = quoted(&oauth.resource(endpoint));
    let issuers = list(oauth.issuers());
    let scopes = list(oauth.scopes());
    let mut members = vec![("resource", &*resource), ("authorization_servers", &issuers)];
    if !oauth.scopes().is_empty() {
        members.push(("scopes_supported", &scopes));
    }
    members.push(("bearer_methods_supported", "[\"header\"]"));
    members.push(("resource_name", "\"Callgate\""));
    Bytes::from(object(&members))
}

/// Whether a path is that of an endpoint, whether there is a server there or not.
fn is_endpoint(path: &str) -> bool {
    let is_name = |name: &str| {
        (1..=SERVER_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    path == "/mcp"
        || path
            .strip_prefix("/mcp/")
            .is_some_and(|name| is_name(name) && name != ALL_STREAM)
}

/// The longest name of a server.
const SERVER_BYTES_MAX: usize = 24;
