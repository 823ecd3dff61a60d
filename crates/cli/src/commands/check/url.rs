//! What a server's URL tells, without asking it.

use super::finding::{Finding, Place};
use super::rules;
use super::secrets;
use std::net::IpAddr;
use url::{Host, Url};

/// What it is, without what may be secret: the scheme and the host.
pub(crate) fn named(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

/// The host, where a text holds an address by which others can read what is said.
fn plain_host(text: &str) -> Option<String> {
    let at = text.to_ascii_lowercase().find("http://")?;
    let url = Url::parse(text.get(at..)?.split_whitespace().next()?).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => IpAddr::V4(ip).is_loopback(),
        Host::Ipv6(ip) => IpAddr::V6(ip).is_loopback(),
    };
    (!is_here).then(|| url.host_str().unwrap_or_default().to_owned())
}

/// The finding of such an address.
pub(crate) fn plain(text: &str, place: Option<Place>) -> Option<Finding> {
    let host = plain_host(text)?;
    Some(
        Finding::of(rules::PLAIN_HTTP)
            .quoting(&format!("http://{host}"))
            .at(place),
    )
}

/// All that is found in a URL.
pub(crate) fn check(text: &str, place: Option<Place>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(seen) = secrets::in_url(text) {
        found.push(Finding::of(rules::CREDENTIALS_IN_URL).quoting(&seen).at(place));
    }
    found.extend(plain(text, place));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_machines_are_reached_over_http_by_mistake() {
        let cases = [
            ("http://host/mcp", Some("host")),
            ("HTTP://Host:80/mcp", Some("host")),
            ("--url=http://10.0.0.1:8080", Some("10.0.0.1")),
            ("http://localhost.evil.example/", Some("localhost.evil.example")),
            ("http://127.0.0.1@evil.example/", Some("evil.example")),
            ("http://0.0.0.0:1/", Some("0.0.0.0")),
            ("http://127.1/mcp", None),
            ("http://[::1]:9/mcp", None),
            ("http://localhost:3000/mcp", None),
            ("https://host/mcp", None),
            ("host", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(plain_host(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_url_is_named_without_its_path_and_its_secrets() {
        assert_eq!(
            named("https://me:s3cret@host:8443/s/s3cret/mcp?key=s3cret").as_deref(),
            Some("https://host:8443")
        );
    }
}
