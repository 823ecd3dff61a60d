//! Classes, severities, and how sure one is.

/// What a tool can do at worst, from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing is changed.
    Read,
    /// Something is made or changed, and can be changed back.
    Write,
    /// Something is set going, or reaches people and things outside.
    Execute,
    /// Something is lost.
    Destructive,
    /// Money moves, or a duty to pay.
    Financial,
}

impl Class {
    /// All classes, the worst first: the order in which one asks.
    pub const ALL: [Self; 5] = [
        Self::Financial,
        Self::Destructive,
        Self::Execute,
        Self::Write,
        Self::Read,
    ];

    /// The class as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Execute => "Execute",
            Self::Destructive => "Destructive",
            Self::Financial => "Financial",
        }
    }

    /// What it says, as the documents put it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Financial => {
                "money moves, or a duty to pay comes into being, changes or ends: payments, orders, subscriptions, invoices"
            }
            Self::Destructive => {
                "something is lost: deleted, dropped, purged, killed, revoked, overwritten as a whole"
            }
            Self::Execute => {
                "something is set going whose effects the definition does not bound, or that reaches people and things outside: code, SQL, workflows, e-mail, a page in a browser"
            }
            Self::Write => {
                "something is kept or changed, and can be changed back: records, comments, labels, an archive or a bin"
            }
            Self::Read => "nothing is changed",
        }
    }

    /// The class that is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How much it matters what a tool can do at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Little can go wrong.
    Low,
    /// What goes wrong can be put right.
    Medium,
    /// What goes wrong stays wrong, or reaches others.
    High,
    /// What goes wrong is large, and stays.
    Critical,
}

impl Severity {
    /// All severities, the most severe first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// What it says, in short.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Low => "little can go wrong",
            Self::Medium => "what goes wrong can be put right",
            Self::High => "what goes wrong stays, or reaches others",
            Self::Critical => "what goes wrong is large and stays",
        }
    }

    /// The severity that is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// The severity as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How sure a class is, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u8);

impl Confidence {
    /// So many hundredths; more than a hundred are a hundred.
    #[must_use]
    pub fn percent(hundredths: i32) -> Self {
        Self(u8::try_from(hundredths.clamp(0, 100)).unwrap_or(0))
    }

    /// The hundredths.
    #[must_use]
    pub const fn as_percent(self) -> u8 {
        self.0
    }

    /// The same from 0 to 1.
    #[must_use]
    pub fn as_share(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Below this, a person should look: nothing in the definition speaks clearly.
    #[must_use]
    pub const fn is_low(self) -> bool {
        self.0 < 50
    }
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
