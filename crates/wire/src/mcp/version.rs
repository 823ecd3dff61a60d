//! The five released versions.

use std::fmt;
use std::str::FromStr;

/// A released version of the protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 2024-11-05: stdio, HTTP with SSE.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, batches.
    V2025_03_26,
    /// 2025-06-18: elicitation, the version header, no batches.
    V2025_06_18,
    /// 2025-11-25: tasks, URL elicitation.
    V2025_11_25,
    /// 2026-07-28: stateless.
    V2026_07_28,
}

/// Whether a version begins with a handshake or carries its metadata on each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, sessions.
    Legacy,
    /// From 2026-07-28: `_meta` on each request.
    Modern,
}

/// Not one of the five versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version of the protocol that is known here")]
pub struct UnknownVersion;

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// As it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Which era it belongs to.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
            Self::V2026_07_28 => Era::Modern,
        }
    }

    /// Whether a batch may be received: 2025-03-26 demands it and 2025-06-18 removed it. JSON-RPC itself,
    /// which 2024-11-05 refers to without a word on batches, has them.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 => true,
            Self::V2025_06_18 | Self::V2025_11_25 | Self::V2026_07_28 => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or(UnknownVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::{Era, Version};

    #[test]
    fn versions_are_written_as_they_are_read_and_only_those_five_are_known() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for other in ["", "2026-07-29", "2025-03-26 ", "DRAFT-2026-v1"] {
            assert!(other.parse::<Version>().is_err(), "{other}");
        }
        assert!(Version::ALL.is_sorted());
    }

    #[test]
    fn the_last_version_is_modern_and_only_the_first_two_have_batches() {
        let modern: Vec<_> = Version::ALL
            .into_iter()
            .filter(|version| version.era() == Era::Modern)
            .collect();
        assert_eq!(modern, [Version::V2026_07_28]);
        let batches: Vec<_> = Version::ALL
            .into_iter()
            .filter(|version| version.has_batches())
            .collect();
        assert_eq!(batches, [Version::V2024_11_05, Version::V2025_03_26]);
    }
}
