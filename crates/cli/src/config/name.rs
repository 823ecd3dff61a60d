//! Names in a configuration, checked once.

use callgate_core::name;
use callgate_gateway::serve::http::ALL_STREAM;
use std::fmt;
use std::net::Ipv6Addr;

/// A server's name, which stands in URLs and before the names of its tools.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerName(name::ServerName);

/// The name that a policy has in the configuration and in grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PolicyName(Box<str>);

/// A name under which clients reach the gateway: what their `Host` header says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostName {
    name: Box<str>,
    port: Option<u16>,
}

/// The longest name of a server, in bytes.
const SERVER_BYTES_MAX: usize = 24;
/// The longest name of a policy, in bytes.
const POLICY_BYTES_MAX: usize = 64;
/// The longest host name, and the longest part of one between dots, in bytes (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// What a name may be made of, as a regular expression.
pub(crate) const SERVER_PATTERN: &str = "^(?!sse$)[a-z0-9-]{1,24}$";
pub(crate) const ISSUER_PATTERN: &str = "^[a-z0-9-]{1,24}$";
pub(crate) const POLICY_PATTERN: &str = "^[a-z0-9-]{1,64}$";

/// A kind of name whose letters are `[a-z0-9-]`.
pub(crate) trait Name: Sized + Ord + Clone {
    /// What it names: "server".
    const KIND: &'static str;
    /// The longest, in bytes.
    const BYTES_MAX: usize;
    /// What stands for something else where such names stand, and what that is.
    const TAKEN: Option<(&'static str, &'static str)> = None;

    /// Keeps a text that was checked.
    fn keep(text: &str) -> Option<Self>;

    /// Checks a text and keeps it.
    fn read(text: &str) -> Option<Self> {
        let is_good = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_name_byte);
        let is_taken = Self::TAKEN.is_some_and(|(taken, _)| taken == text);
        (is_good && !is_taken).then(|| Self::keep(text)).flatten()
    }

    /// The nearest text that is a name.
    fn suggestion(text: &str) -> Option<String> {
        let plain: String = text
            .to_lowercase()
            .bytes()
            .map(|byte| if is_name_byte(byte) { char::from(byte) } else { '-' })
            .take(Self::BYTES_MAX)
            .collect();
        let plain = plain.trim_matches('-');
        Self::read(plain).map(|_| plain.to_owned())
    }
}

const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

impl Name for ServerName {
    const KIND: &'static str = "server";
    const BYTES_MAX: usize = SERVER_BYTES_MAX;
    const TAKEN: Option<(&'static str, &'static str)> =
        Some((ALL_STREAM, "`/mcp/sse` is the stream of all servers as one"));

    fn keep(text: &str) -> Option<Self> {
        name::ServerName::new(text).ok().map(Self)
    }
}

impl Name for PolicyName {
    const KIND: &'static str = "policy";
    const BYTES_MAX: usize = POLICY_BYTES_MAX;

    fn keep(text: &str) -> Option<Self> {
        Some(Self(text.into()))
    }
}

impl ServerName {
    /// Checks a text and keeps it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        Self::read(text)
    }

    /// The name as judging and records know it.
    pub(crate) const fn core(&self) -> &name::ServerName {
        &self.0
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PolicyName {
    /// Checks a text and keeps it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        Self::read(text)
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl HostName {
    /// Checks a host with or without a port; letters are brought to lower case.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                let address: Ipv6Addr = address.parse().ok()?;
                let port = rest.strip_prefix(':');
                if port.is_none() && !rest.is_empty() {
                    return None;
                }
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) = text
                    .split_once(':')
                    .map_or((text, None), |(name, port)| (name, Some(port)));
                if name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
                    return None;
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            name: name.into(),
            port,
        })
    }

    /// The name alone; an IPv6 address in brackets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The port that the header has to say, where one was given.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_small_letters_digits_and_hyphens() {
        let longest = "a".repeat(24);
        for good in ["a", "mistral-2", "-", &longest] {
            assert_eq!(ServerName::new(good).unwrap().core().as_str(), good);
        }
        let too_long = "a".repeat(25);
        for bad in ["", "A", "a_b", "a b", "é", "a\n", "sse", &too_long] {
            assert_eq!(ServerName::new(bad), None, "{bad}");
        }
        assert!(PolicyName::new(&"a".repeat(64)).is_some());
        assert!(PolicyName::new(&"a".repeat(65)).is_none());
    }

    #[test]
    fn a_bad_name_is_brought_to_a_good_one() {
        for (bad, wanted) in [
            ("My_Server", Some("my-server")),
            ("a.b", Some("a-b")),
            ("SSE", None),
            ("__", None),
            ("", None),
        ] {
            assert_eq!(ServerName::suggestion(bad).as_deref(), wanted, "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, name, port) in [
            ("Gate.Example.com", "gate.example.com", None),
            ("gate:8443", "gate", Some(8443)),
            ("10.0.0.1", "10.0.0.1", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("[0:0::1]", "[::1]", None),
        ] {
            let host = HostName::new(text).unwrap();
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
        for bad in [
            "",
            "*",
            "*.example.com",
            "https://gate",
            "gate/mcp",
            "gate:",
            "gate:99999",
            "gate:+1",
            "a..b",
            "-a",
            "a b",
            "[::1",
            "[::1]x",
            "[gate]",
            "user@gate",
        ] {
            assert_eq!(HostName::new(bad), None, "{bad}");
        }
    }
}
