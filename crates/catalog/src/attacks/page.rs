//! The form of a page: a title, a short list of facts, and the sections, each once and in order.

use super::Attack;
use crate::class::{Class, Severity};
use std::fmt;

/// A section of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// One or two sentences.
    InShort,
    /// What the attacker does.
    HowItWorks,
    /// Where it happened or was shown, with the source.
    Seen,
    /// Which part of Callgate stops it, and by which reason code one can tell.
    WhatStopsIt,
    /// A policy under which it is stopped.
    Policy,
    /// What is left.
    WhatItDoesNotStop,
}

impl Section {
    /// All sections, in the order of a page.
    pub const ALL: [Self; 6] = [
        Self::InShort,
        Self::HowItWorks,
        Self::Seen,
        Self::WhatStopsIt,
        Self::Policy,
        Self::WhatItDoesNotStop,
    ];

    /// Its heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::InShort => "In short",
            Self::HowItWorks => "How it works",
            Self::Seen => "Seen",
            Self::WhatStopsIt => "What stops it",
            Self::Policy => "Policy",
            Self::WhatItDoesNotStop => "What it does not stop",
        }
    }
}

/// Why a page is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageError {
    /// Of which attack.
    pub id: &'static str,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The first line is no `# Title`.
    NoTitle,
    /// A line before the first section is no `- key: value` of a known key that is not given yet.
    Fact(String),
    /// A key is not given.
    Missing(&'static str),
    /// A value is none of those that the key takes.
    Value(String),
    /// Not this section comes where it should.
    NotSection(Section),
    /// Nothing stands in it.
    Empty(Section),
    /// A heading comes after the last section.
    Heading(String),
    /// Not exactly one fenced YAML block stands under the policy.
    NotOnePolicy,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the page of {}: ", self.id)?;
        match &self.fault {
            Fault::NoTitle => f.write_str("the first line is no title"),
            Fault::Fact(line) => write!(f, "`{line}` is no fact of a page"),
            Fault::Missing(key) => write!(f, "`{key}` is missing"),
            Fault::Value(value) => write!(f, "`{value}` is no value of its key"),
            Fault::NotSection(section) => write!(f, "`## {}` has to come next", section.heading()),
            Fault::Empty(section) => write!(f, "nothing stands under `## {}`", section.heading()),
            Fault::Heading(line) => write!(f, "`{line}` comes after the last section"),
            Fault::NotOnePolicy => f.write_str("there is not exactly one YAML block under `## Policy`"),
        }
    }
}

impl std::error::Error for PageError {}

/// Reads a page.
pub(super) fn read(id: &'static str, text: &str) -> Result<Attack, PageError> {
    parse(id, text).map_err(|fault| PageError { id, fault })
}

fn parse(id: &'static str, text: &str) -> Result<Attack, Fault> {
    let (head, body) = text.split_once("\n## ").unwrap_or((text, ""));
    let (title, facts) = head.split_once('\n').unwrap_or((head, ""));
    let title = title.strip_prefix("# ").map(str::trim).unwrap_or_default();
    if title.is_empty() {
        return Err(Fault::NoTitle);
    }
    let facts = Facts::read(facts)?;
    let sections = sections(body)?;
    let [.., policy, _] = &sections;
    Ok(Attack {
        id,
        title: title.to_owned(),
        severity: facts.severity,
        classes: facts.classes,
        signals: facts.signals,
        policy: only_yaml(policy)?,
        sections,
    })
}

struct Facts {
    severity: Severity,
    classes: Vec<Class>,
    signals: Vec<String>,
}

impl Facts {
    fn read(text: &str) -> Result<Self, Fault> {
        let (mut severity, mut classes, mut signals) = (None, None, None);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let fact = line.strip_prefix("- ").and_then(|line| line.split_once(": "));
            let place = match fact {
                Some(("severity", _)) => &mut severity,
                Some(("classes", _)) => &mut classes,
                Some(("signals", _)) => &mut signals,
                _ => return Err(Fault::Fact(line.to_owned())),
            };
            let value = fact.map(|(_, value)| value.trim());
            if std::mem::replace(place, value).is_some() {
                return Err(Fault::Fact(line.to_owned()));
            }
        }
        let severity = severity.ok_or(Fault::Missing("severity"))?;
        let mut classes = listed(classes.ok_or(Fault::Missing("classes"))?)
            .map(|name| Class::named(name).ok_or_else(|| Fault::Value(name.to_owned())))
            .collect::<Result<Vec<Class>, Fault>>()?;
        classes.sort_by(|one, other| other.cmp(one));
        Ok(Self {
            severity: Severity::named(severity).ok_or_else(|| Fault::Value(severity.to_owned()))?,
            classes,
            signals: listed(signals.ok_or(Fault::Missing("signals"))?)
                .map(str::to_owned)
                .collect(),
        })
    }
}

fn listed(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// Cuts what follows the first `\n## ` into the sections.
fn sections(body: &str) -> Result<[String; Section::ALL.len()], Fault> {
    let mut found = <[String; Section::ALL.len()]>::default();
    let mut parts = cut(body).into_iter();
    for (section, place) in Section::ALL.into_iter().zip(&mut found) {
        let (heading, text) = parts.next().ok_or(Fault::NotSection(section))?;
        if heading != section.heading() {
            return Err(Fault::NotSection(section));
        }
        if text.trim().is_empty() {
            return Err(Fault::Empty(section));
        }
        *place = text.trim().to_owned();
    }
    match parts.next() {
        Some((heading, _)) => Err(Fault::Heading(heading)),
        None => Ok(found),
    }
}

/// Headings, each with the text below it. What looks like one inside of a fence is none.
fn cut(body: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut is_fenced = false;
    for (number, line) in body.lines().enumerate() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        }
        let heading = if number == 0 {
            Some(line)
        } else {
            line.strip_prefix("## ").filter(|_| !is_fenced)
        };
        match (heading, parts.last_mut()) {
            (Some(heading), _) => parts.push((heading.trim().to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    parts
}

/// What stands in the one YAML block of a section.
fn only_yaml(section: &str) -> Result<String, Fault> {
    let mut blocks = section.split("```yaml\n").skip(1);
    let (Some(block), None) = (blocks.next(), blocks.next()) else {
        return Err(Fault::NotOnePolicy);
    };
    match block.split_once("\n```") {
        Some((yaml, rest)) if !rest.contains("```") => Ok(format!("{yaml}\n")),
        _ => Err(Fault::NotOnePolicy),
    }
}

/// What stands between single backticks.
pub(super) fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# A title

- severity: High
- classes: Write, Execute
- signals: url_argument, plain words

## In short
One sentence.

## How it works
Text.

## Seen
Here.

## What stops it
The limit, with `rate_limited`.

## Policy
Before.

```yaml
default: deny
## no heading
```

## What it does not stop
The rest.
";

    fn fault(text: &str) -> Fault {
        read("an-id", text).unwrap_err().fault
    }

    #[test]
    fn a_page_is_read_whole() {
        let attack = read("an-id", PAGE).unwrap();
        assert_eq!((attack.id, attack.title.as_str()), ("an-id", "A title"));
        assert_eq!(attack.severity, Severity::High);
        assert_eq!(attack.classes, [Class::Execute, Class::Write]);
        assert_eq!(attack.signals, ["url_argument", "plain words"]);
        assert_eq!(attack.policy(), "default: deny\n## no heading\n");
        assert_eq!(attack.section(Section::InShort), "One sentence.");
        assert_eq!(attack.section(Section::WhatItDoesNotStop), "The rest.");
        assert_eq!(attack.stopped_by().collect::<Vec<_>>(), ["rate_limited"]);
    }

    #[test]
    fn what_is_not_in_the_form_is_refused() {
        let changed = |from: &str, to: &str| {
            assert!(PAGE.contains(from), "{from}");
            fault(&PAGE.replacen(from, to, 1))
        };
        assert_eq!(changed("# A title", "A title"), Fault::NoTitle);
        assert_eq!(changed("- severity: High\n", ""), Fault::Missing("severity"));
        assert_eq!(changed("High", "Huge"), Fault::Value("Huge".to_owned()));
        assert_eq!(changed("Write,", "Writes,"), Fault::Value("Writes".to_owned()));
        assert_eq!(
            changed("- signals", "- severity: Low\n- signals"),
            Fault::Fact("- severity: Low".to_owned())
        );
        assert_eq!(
            changed("\n## In short", "\nText\n\n## In short"),
            Fault::Fact("Text".to_owned())
        );
        assert_eq!(
            changed("## Seen\nHere.\n\n", ""),
            Fault::NotSection(Section::Seen)
        );
        assert_eq!(changed("Here.", ""), Fault::Empty(Section::Seen));
        assert_eq!(
            changed("The rest.\n", "The rest.\n## More\n"),
            Fault::Heading("More".to_owned())
        );
        assert_eq!(changed("```yaml", "```json"), Fault::NotOnePolicy);
        assert_eq!(changed("Before.", "```yaml\na: 1\n```"), Fault::NotOnePolicy);
    }
}
