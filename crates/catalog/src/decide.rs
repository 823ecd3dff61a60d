//! Takes a class by what the rules say and by what was learned.
//!
//! Rules that are clear of Destructive and Financial are a floor: what was learned may raise a class, and takes none of
//! these away. Below them what was learned decides. A tool that is likely enough to lose something or to move money is
//! classed so, long before that is the likeliest: to miss it costs more than to look once too often.

use crate::class::{Class, Confidence};
use crate::definition::Definition;
use crate::evidence::Evidence;
use crate::features::{Feature, Place, features};
use crate::learned;
use crate::model::{Model, Shares};
use crate::weigh::{points, weigh};
use crate::words;
use std::collections::BTreeSet;

/// A tool that loses something with this likelihood, in hundredths, is Destructive.
const LOSS_FROM: u32 = 15;
/// The same where its annotations say that it destroys.
const LOSS_FROM_IF_CLAIMED: u32 = 8;
/// A tool that moves money with this likelihood is Financial.
const MONEY_FROM: u32 = 40;
/// The same for both where the rules know of reading alone.
const WORST_FROM_IF_READING: u32 = 50;
/// And for Write and Execute.
const MORE_FROM_IF_READING: u32 = 75;
/// A tool of which no rule says anything is Read only from this likelihood, and else Execute from that one.
const READ_FROM_IF_UNKNOWN: u32 = 98;
const EXECUTE_FROM_IF_UNKNOWN: u32 = 15;
/// A tool of which its annotations say that it changes something is Read only from this likelihood.
const READ_FROM_IF_DENIED: u32 = 90;
/// Something that rules speak so much against is not what was learned: it can be taken back, or only reads.
const RULED_OUT: i32 = -25;
/// A class that was guessed is never surer.
const GUESS_MAX: i32 = 45;

/// A class with what it rests on.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) class: Class,
    pub(crate) confidence: Confidence,
    pub(crate) evidence: Vec<Evidence>,
    /// Whether nothing spoke clearly.
    pub(crate) is_unclear: bool,
}

/// What is known of a tool before its class is.
struct Heard<'a> {
    tool: &'a Definition,
    evidence: Vec<Evidence>,
    shares: Shares,
}

/// The words of a definition, and what the rules make of it, as words.
#[must_use]
pub fn words_to_learn(tool: &Definition) -> Vec<Feature> {
    with_rules(tool, &weigh(tool))
}

fn with_rules(tool: &Definition, evidence: &[Evidence]) -> Vec<Feature> {
    let mut found = features(tool);
    for class in Class::ALL {
        let sum = points(evidence, class);
        for least in [25, 50, 80].into_iter().filter(|least| sum >= *least) {
            found.push((Place::Rule, format!("{class} {least}")));
        }
        if sum <= -30 {
            found.push((Place::Rule, format!("not {class}")));
        }
    }
    found
}

/// Takes a class.
pub(crate) fn decide(tool: &Definition, model: &Model<'_>) -> Decided {
    let evidence = weigh(tool);
    let words = with_rules(tool, &evidence);
    let heard = Heard {
        shares: model.shares(&words),
        tool,
        evidence,
    };
    let by_text = heard.class();
    let class = by_text.max(heard.raised_by_annotations(by_text));
    let is_unclear = heard.is_unclear(class);
    let confidence = heard.confidence(class, is_unclear);
    let mut evidence = heard.evidence;
    evidence.extend(learned::evidence(tool, &words, class, model));
    evidence.retain(|found| found.class == class && found.points > 0 && !found.quote.is_empty());
    evidence.sort_by(|a, b| {
        b.points
            .cmp(&a.points)
            .then(a.part.cmp(&b.part))
            .then_with(|| a.quote.cmp(&b.quote))
    });
    let mut seen = BTreeSet::new();
    evidence.retain(|found| seen.insert((found.part, found.quote.clone())));
    Decided {
        class,
        confidence,
        evidence,
        is_unclear,
    }
}

impl Heard<'_> {
    fn points(&self, class: Class) -> i32 {
        points(&self.evidence, class)
    }

    /// How likely a class is, where no rule rules it out.
    fn share(&self, class: Class) -> u32 {
        if class != Class::Read && self.points(class) <= RULED_OUT {
            0
        } else {
            self.shares.get(class)
        }
    }

    fn is_ruled(&self, class: Class) -> bool {
        self.points(class) >= words::ENOUGH
    }

    /// The class by name, description and parameters.
    fn class(&self) -> Class {
        if self.says_nothing() {
            return Class::Execute;
        }
        let (money, loss) = (self.share(Class::Financial), self.share(Class::Destructive));
        let (money_from, loss_from) = if self.only_reads_by_rule() {
            (WORST_FROM_IF_READING, WORST_FROM_IF_READING)
        } else {
            (MONEY_FROM, LOSS_FROM)
        };
        if self.is_ruled(Class::Financial) || money >= money_from && money >= loss {
            Class::Financial
        } else if self.is_ruled(Class::Destructive) || loss >= loss_from {
            Class::Destructive
        } else {
            self.likeliest()
        }
    }

    /// The likeliest of the other three. Where no rule says anything, it is the worst that it plausibly is.
    fn likeliest(&self) -> Class {
        if self.is_unknown() && self.share(Class::Read) < READ_FROM_IF_UNKNOWN {
            return if self.share(Class::Execute) >= EXECUTE_FROM_IF_UNKNOWN {
                Class::Execute
            } else {
                Class::Write
            };
        }
        // What clearly runs something, such as any SQL, is not reading, however alike it sounds.
        if self.is_ruled(Class::Execute) {
            return Class::Execute;
        }
        // Nor is what clearly changes something.
        let least = if self.is_ruled(Class::Write) {
            Class::Write
        } else {
            Class::Read
        };
        let likeliest = [Class::Read, Class::Write, Class::Execute]
            .into_iter()
            .filter(|class| *class >= least)
            .max_by_key(|class| self.share(*class))
            .unwrap_or(Class::Execute);
        if self.only_reads_by_rule() && self.share(likeliest) < MORE_FROM_IF_READING {
            Class::Read
        } else {
            likeliest
        }
    }

    /// Whether the rules are clear of reading, and know of nothing else.
    fn only_reads_by_rule(&self) -> bool {
        self.is_ruled(Class::Read)
            && Class::ALL
                .into_iter()
                .all(|class| class == Class::Read || self.points(class) < words::SOME)
    }

    /// Whether no rule says anything.
    fn is_unknown(&self) -> bool {
        Class::ALL
            .into_iter()
            .all(|class| self.points(class) < words::SOME)
    }

    /// What annotations make of it; a class that they would lower stays as it is.
    fn raised_by_annotations(&self, class: Class) -> Class {
        if self.tool.claims_destructive == Some(true)
            && (self.says_nothing() || self.share(Class::Destructive) >= LOSS_FROM_IF_CLAIMED)
        {
            Class::Destructive
        } else if self.tool.claims_read_only == Some(false)
            && class == Class::Read
            && self.share(Class::Read) < READ_FROM_IF_DENIED
        {
            Class::Write.max(self.likeliest())
        } else {
            class
        }
    }

    /// Whether no word is known of a tool that has no description either.
    fn says_nothing(&self) -> bool {
        self.tool.description.trim().len() <= 20 && self.is_unknown()
    }

    fn is_unclear(&self, class: Class) -> bool {
        self.is_unknown() || !self.is_ruled(class) && self.share(class) < 50
    }

    fn confidence(&self, class: Class, is_unclear: bool) -> Confidence {
        let share = i32::try_from(self.share(class)).unwrap_or(0);
        let rival = Class::ALL
            .into_iter()
            .take_while(|other| *other != class)
            .map(|other| self.points(other))
            .max()
            .unwrap_or(0);
        let ruled = 45_i32
            .saturating_add(self.points(class).clamp(0, 120) / 3)
            .saturating_sub(rival.clamp(0, 60) / 3);
        let hundredths = if self.says_nothing() {
            25
        } else if is_unclear {
            share.clamp(10, GUESS_MAX)
        } else if self.is_ruled(class) {
            ruled.saturating_add(share) / 2
        } else {
            share.saturating_mul(4) / 5
        };
        let agrees = match class {
            Class::Read => self.tool.claims_read_only == Some(true),
            Class::Destructive => self.tool.claims_destructive == Some(true),
            Class::Write | Class::Execute | Class::Financial => self.tool.claims_read_only == Some(false),
        };
        let more = if agrees && !is_unclear { 8 } else { 0 };
        Confidence::percent(hundredths.saturating_add(more).min(99))
    }
}
