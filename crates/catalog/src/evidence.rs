//! What speaks for a class, and where in a definition it stands.

use crate::class::Class;

/// Where in a definition something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// In its name.
    Name,
    /// In its title.
    Title,
    /// In its description.
    Description,
    /// In its parameters.
    Parameter,
    /// In its annotations.
    Annotation,
}

impl Part {
    /// The part in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Title => "title",
            Self::Description => "description",
            Self::Parameter => "parameter",
            Self::Annotation => "annotation",
        }
    }
}

/// Something that spoke for a class, or against one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub part: Part,
    /// What stands there, as it was sent.
    pub quote: String,
    /// What it speaks for.
    pub class: Class,
    /// How much; below zero where it speaks against.
    pub points: i32,
    /// What it means: "it …"; empty where it only takes away.
    pub meaning: &'static str,
}
