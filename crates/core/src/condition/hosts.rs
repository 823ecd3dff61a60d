//! `host_in` and `cidr`: which host a URL names, where every program would say the same.

use super::{HostPattern, Polarity};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Url;

/// Whether the host of `url` is any of `patterns`.
///
/// # Errors
/// What makes it no URL, or one whose host programs disagree about, worded for the agent.
pub(crate) fn is_in(url: &str, patterns: &[HostPattern]) -> Result<bool, &'static str> {
    let host = host_of(url)?;
    Ok(patterns.iter().any(|pattern| match (pattern, &host) {
        (HostPattern::Exact(wanted), Host::Address(address)) => {
            address_of(wanted).is_some_and(|wanted| wanted.to_canonical() == address.to_canonical())
        }
        (HostPattern::Exact(wanted), Host::Name(name)) => ascii(wanted).is_some_and(|wanted| wanted == *name),
        (HostPattern::Below(_), Host::Address(_)) => false,
        (HostPattern::Below(parent), Host::Name(name)) => ascii(parent).is_some_and(|parent| {
            name.strip_suffix(&*parent)
                .and_then(|child| child.strip_suffix('.'))
                .is_some_and(|child| !child.is_empty())
        }),
    }))
}

/// Whether an address, or that of a URL, lies inside any of `networks`.
///
/// An IPv4 address in an IPv6 dress (RFC 4291, section 2.5.5.2) counts as the IPv4 address; where the
/// condition selects, as either.
///
/// # Errors
/// What makes it no address, worded for the agent. A name is none: it may lead to any.
pub(crate) fn is_inside(text: &str, networks: &[IpNet], polarity: Polarity) -> Result<bool, &'static str> {
    let address = match address_of(text) {
        Some(address) => address,
        None => match host_of(text)? {
            Host::Address(address) => address,
            Host::Name(_) => return Err("its host is a name, not an address"),
        },
    };
    let inside = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
    Ok(match polarity {
        Polarity::MustHold => inside(address.to_canonical()),
        Polarity::Selects => inside(address.to_canonical()) || inside(address),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// In lower case, in ASCII, without a dot at its end.
    Name(String),
}

/// Reads a URL's host by RFC 3986 and by the WHATWG's rules; they have to agree.
fn host_of(url: &str) -> Result<Host, &'static str> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it holds white space or a control character");
    }
    if url.contains('\\') {
        return Err("it holds a backslash");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("it is not a URL with a host");
    };
    let mut letters = scheme.chars();
    let scheme_is_plain = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !scheme_is_plain {
        return Err("it is not a URL with a host");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err("it has a user name or password before its host");
    }
    if authority.contains('%') {
        return Err("its host holds percent-encoding");
    }
    let mine = read_host(without_port(authority)?)?;
    let theirs = Url::parse(url).map_err(|_| "it is not a URL with a host")?;
    let theirs = theirs.host_str().ok_or("it is not a URL with a host")?;
    if read_host(theirs)? == mine {
        Ok(mine)
    } else {
        Err("programs disagree about its host")
    }
}

fn without_port(authority: &str) -> Result<&str, &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => (authority, ""),
        Some((host, port)) => (host, port),
        None => (authority, ""),
    };
    if port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5 {
        Ok(host)
    } else {
        Err("its port is not a number")
    }
}

fn read_host(host: &str) -> Result<Host, &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse().ok())
            .ok_or("its address is spelled oddly")?;
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    // These become dots or other signs under compatibility normalisation (UTS #46), not in every program.
    if host
        .chars()
        .any(|c| matches!(c, '\u{3002}' | '\u{ff61}' | '\u{ff00}'..='\u{ffef}'))
    {
        return Err("its host holds a character that looks like another");
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.split('.').any(str::is_empty) {
        return Err("its host has an empty part");
    }
    if host.is_ascii()
        && !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    {
        return Err("its host holds a character that no host has");
    }
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => Ok(Host::Name(name.to_ascii_lowercase())),
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Err("its address is spelled oddly"),
        Err(_) => Err("its host is not a host name"),
    }
}

/// A plain address, with or without the brackets of a URL.
fn address_of(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// A policy's host in the form in which URLs are read.
fn ascii(host: &str) -> Option<String> {
    match url::Host::parse(host.strip_suffix('.').unwrap_or(host)) {
        Ok(url::Host::Domain(name)) => Some(name.to_ascii_lowercase()),
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => None,
    }
}
