//! The routes of the admin API, and the document that describes them.

use http::Method;
use percent_encoding::percent_decode_str;

/// The OpenAPI 3.1 document.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Shows the document.
    Document,
    /// Shows how the gateway is.
    Health,
    /// Lists servers.
    Servers,
    /// Lists policies.
    Policies,
    /// Lists sessions.
    Sessions,
    /// Ends a session.
    EndSession,
    /// Lists grants.
    Grants,
    /// Makes a grant.
    CreateGrant,
    /// Shows a grant.
    Grant,
    /// Gives a grant another token.
    RotateGrant,
    /// Ends a grant.
    RevokeGrant,
    /// Lets a grant use a server.
    Attach,
    /// Takes a server from a grant.
    Detach,
    /// Lets holders of OAuth tokens in as a grant.
    AttachIdentity,
    /// Lets them in no more.
    DetachIdentity,
    /// Reads the configuration anew.
    Reload,
    /// Shows how far the ledger is.
    Ledger,
    /// Shows records of the ledger.
    Records,
}

/// Every route: its method, its path with names for what varies, and what it does.
pub const ROUTES: [(Method, &str, Route); 18] = [
    (Method::GET, "/v1/openapi.json", Route::Document),
    (Method::GET, "/v1/health", Route::Health),
    (Method::GET, "/v1/servers", Route::Servers),
    (Method::GET, "/v1/policies", Route::Policies),
    (Method::GET, "/v1/sessions", Route::Sessions),
    (Method::DELETE, "/v1/sessions/{session}", Route::EndSession),
    (Method::GET, "/v1/grants", Route::Grants),
    (Method::POST, "/v1/grants", Route::CreateGrant),
    (Method::GET, "/v1/grants/{grant}", Route::Grant),
    (Method::POST, "/v1/grants/{grant}/rotate", Route::RotateGrant),
    (Method::POST, "/v1/grants/{grant}/revoke", Route::RevokeGrant),
    (Method::PUT, "/v1/grants/{grant}/servers/{server}", Route::Attach),
    (
        Method::DELETE,
        "/v1/grants/{grant}/servers/{server}",
        Route::Detach,
    ),
    (
        Method::POST,
        "/v1/grants/{grant}/identities/attach",
        Route::AttachIdentity,
    ),
    (
        Method::POST,
        "/v1/grants/{grant}/identities/detach",
        Route::DetachIdentity,
    ),
    (Method::POST, "/v1/reload", Route::Reload),
    (Method::GET, "/v1/ledger", Route::Ledger),
    (Method::GET, "/v1/ledger/records", Route::Records),
];

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A route, and what stands in the places that vary.
    Route(Route, Vec<String>),
    /// A path that is there for other methods.
    OtherMethod,
    /// No path.
    Nothing,
}

pub(crate) fn find(method: &Method, path: &str) -> Found {
    let mut found = Found::Nothing;
    for (of, template, route) in &ROUTES {
        let Some(parts) = matched(template, path) else {
            continue;
        };
        if of == method {
            return Found::Route(*route, parts);
        }
        found = Found::OtherMethod;
    }
    found
}

/// What stands in the places of `template`, where `path` is of its form.
fn matched(template: &str, path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parts),
            (Some(name), Some(part)) if name.starts_with('{') => {
                let text = percent_decode_str(part).decode_utf8().ok()?;
                if text.is_empty() {
                    return None;
                }
                parts.push(text.into_owned());
            }
            (Some(name), Some(part)) if name == part => {}
            (_, _) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods
                    .filter(|method| *method != "parameters")
                    .map(|method| (method.to_ascii_uppercase(), path.clone()))
            })
            .collect();
        let routes = ROUTES.iter();
        let routes = routes.map(|(method, path, _)| (method.to_string(), (*path).to_owned()));
        assert_eq!(described, routes.collect());
    }

    #[test]
    fn a_path_leads_to_one_route_or_nowhere() {
        let route = |method, path| find(&method, path);
        assert_eq!(
            route(Method::GET, "/v1/grants/Ana%27s%20laptop"),
            Found::Route(Route::Grant, vec!["Ana's laptop".to_owned()])
        );
        assert_eq!(
            route(Method::PUT, "/v1/grants/ci/servers/mail"),
            Found::Route(Route::Attach, vec!["ci".to_owned(), "mail".to_owned()])
        );
        assert_eq!(route(Method::PATCH, "/v1/grants/ci"), Found::OtherMethod);
        for path in [
            "/",
            "/v1",
            "/v1/grants/",
            "/v1/health/",
            "//v1/health",
            "/v1/grants/%ff",
        ] {
            assert_eq!(route(Method::GET, path), Found::Nothing, "{path}");
        }
    }
}
