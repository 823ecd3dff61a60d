//! How grave a log message is.

/// The levels of RFC 5424, as MCP names them.
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// How grave a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gravity(usize);

impl Gravity {
    /// Of a level by name; one that is not known is graver than all that are.
    pub(crate) fn of(level: Option<&str>) -> Self {
        Self::known(level).unwrap_or(Self(LEVELS.len()))
    }

    /// Of a level by name, where the protocol has it.
    pub(crate) fn known(level: Option<&str>) -> Option<Self> {
        LEVELS.iter().position(|known| Some(*known) == level).map(Self)
    }

    /// The name of the level.
    pub(crate) fn name(self) -> Option<&'static str> {
        LEVELS.get(self.0).copied()
    }
}
