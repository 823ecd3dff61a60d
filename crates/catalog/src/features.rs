//! The words of a definition, as the learned part of the classifier sees them.

use crate::definition::Definition;
use crate::phrase::{leads, verb_of, verbs_of_name};
use crate::rules::chooses;
use crate::text::{flat, singular, words_of_name};
use crate::words::{self, is_in};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// So many words of a description are looked at.
const TEXT_WORDS_MAX: usize = 200;
/// So many words of a name or of a choice are looked at.
const NAME_WORDS_MAX: usize = 12;
/// So many words of what is said of one parameter, and of all of them, are looked at.
const SAID_WORDS_MAX: usize = 60;
const SAID_WORDS_MAX_IN_ALL: usize = 1000;

/// A word, and where in a definition it stands: `name:delete`, `lead:remove`, `param:amount`.
pub type Feature = (Place, String);

/// Where in a definition a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the name.
    Name,
    /// Two words of the name, one after the other.
    Pair,
    /// The name's first word.
    First,
    /// The name's last word.
    Last,
    /// What the name's verb does.
    Act,
    /// The name's verb with another word of the name.
    Verb,
    /// The verb that the description begins with.
    Lead,
    /// What that verb does.
    LeadAct,
    /// That verb with a word that follows.
    LeadWith,
    /// In the description's first sentence.
    Opening,
    /// Anywhere in the description.
    Text,
    /// Two words of the description, one after the other.
    Phrase,
    /// In the name of a parameter.
    Parameter,
    /// In what is said of a parameter.
    Said,
    /// In what a parameter can be.
    Choice,
    /// The group of a word of the name.
    Group,
    /// What the name's verb does, with the group of another word of the name.
    ActOn,
    /// What the description's verb does, with the group of a word that follows.
    LeadOn,
    /// The group of a word in a parameter's name.
    Takes,
    /// The group of a word in the description.
    Speaks,
    /// What the definition has: no parameter, a text that is free.
    Shape,
    /// What the rules say.
    Rule,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 22] = [
        Self::Name,
        Self::Pair,
        Self::First,
        Self::Last,
        Self::Act,
        Self::Verb,
        Self::Lead,
        Self::LeadAct,
        Self::LeadWith,
        Self::Opening,
        Self::Text,
        Self::Phrase,
        Self::Parameter,
        Self::Said,
        Self::Choice,
        Self::Group,
        Self::ActOn,
        Self::LeadOn,
        Self::Takes,
        Self::Speaks,
        Self::Shape,
        Self::Rule,
    ];

    /// The place as it is written in the file of weights.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Pair => "pair",
            Self::First => "first",
            Self::Last => "last",
            Self::Act => "act",
            Self::Verb => "verb",
            Self::Lead => "lead",
            Self::LeadAct => "leadact",
            Self::LeadWith => "leadwith",
            Self::Opening => "opening",
            Self::Text => "text",
            Self::Phrase => "phrase",
            Self::Parameter => "parameter",
            Self::Said => "said",
            Self::Choice => "choice",
            Self::Group => "group",
            Self::ActOn => "acton",
            Self::LeadOn => "leadon",
            Self::Takes => "takes",
            Self::Speaks => "speaks",
            Self::Shape => "shape",
            Self::Rule => "rule",
        }
    }

    /// Whether a definition that talks much has many words here, each of which then says less.
    #[must_use]
    pub const fn is_wordy(self) -> bool {
        matches!(
            self,
            Self::Opening
                | Self::Text
                | Self::Phrase
                | Self::Speaks
                | Self::Parameter
                | Self::Said
                | Self::Takes
                | Self::Choice
        )
    }
}

/// A word without its endings: a verb as it stands in the tables, a noun without its plural.
pub(crate) fn plain(word: &str) -> String {
    verb_of(word).map_or_else(|| singular(word), |(verb, _)| verb)
}

/// The groups of each noun.
static GROUPS: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (group, nouns) in words::GROUPS {
        for noun in nouns.split_whitespace() {
            groups.entry(noun).or_default().push(*group);
        }
    }
    groups
});

/// The groups that a word belongs to.
pub(crate) fn groups(word: &str) -> impl Iterator<Item = &'static str> {
    GROUPS.get(singular(word).as_str()).into_iter().flatten().copied()
}

/// All words of a definition with their places, each once, in a fixed order. Annotations are none of them.
pub(crate) fn features(tool: &Definition) -> Vec<Feature> {
    let mut found = BTreeSet::new();
    of_name(tool, &mut found);
    of_lead(tool, &mut found);
    of_text(tool, &mut found);
    of_parameters(tool, &mut found);
    found.into_iter().collect()
}

fn of_name(tool: &Definition, found: &mut BTreeSet<Feature>) {
    let words = words_of_name(&tool.name);
    let plains: Vec<String> = words
        .iter()
        .take(NAME_WORDS_MAX)
        .map(|word| plain(word))
        .collect();
    for pair in plains.windows(2) {
        found.insert((Place::Pair, pair.join(" ")));
    }
    if let (Some(first), Some(last)) = (plains.first(), plains.last()) {
        found.insert((Place::First, first.clone()));
        found.insert((Place::Last, last.clone()));
    }
    found.extend(plains.into_iter().map(|word| (Place::Name, word)));
    for word in &words {
        found.extend(groups(word).map(|group| (Place::Group, group.to_owned())));
    }
    let verbs = verbs_of_name(&words);
    if verbs.is_empty() {
        found.insert((Place::Act, "none".to_owned()));
        for word in &words {
            found.extend(groups(word).map(|group| (Place::ActOn, format!("none {group}"))));
        }
    }
    for phrase in verbs {
        found.insert((Place::Act, format!("{:?}", phrase.act).to_lowercase()));
        for object in phrase.objects.iter().take(NAME_WORDS_MAX) {
            found.insert((Place::Verb, format!("{} {object}", phrase.verb)));
            let act = format!("{:?}", phrase.act).to_lowercase();
            found.extend(groups(object).map(|group| (Place::ActOn, format!("{act} {group}"))));
        }
    }
}

fn of_lead(tool: &Definition, found: &mut BTreeSet<Feature>) {
    let leads = leads(tool);
    if leads.is_empty() {
        found.insert((Place::LeadAct, "none".to_owned()));
    }
    for phrase in leads {
        found.insert((Place::LeadAct, format!("{:?}", phrase.act).to_lowercase()));
        for object in &phrase.objects {
            found.insert((Place::LeadWith, format!("{} {object}", phrase.verb)));
            let act = format!("{:?}", phrase.act).to_lowercase();
            found.extend(groups(object).map(|group| (Place::LeadOn, format!("{act} {group}"))));
        }
        found.insert((Place::Lead, phrase.verb));
    }
}

fn of_text(tool: &Definition, found: &mut BTreeSet<Feature>) {
    let text = flat(&tool.description);
    let mut opens = true;
    let mut has_opened = false;
    let mut is_turned = 0_u8;
    let mut before: Option<String> = None;
    for word in text.split_whitespace().take(TEXT_WORDS_MAX) {
        if word == "." {
            opens = opens && !has_opened;
            is_turned = 0;
            before = None;
            continue;
        }
        found.extend(groups(word).map(|group| (Place::Speaks, group.to_owned())));
        let mut word = plain(word);
        if let Some(before) = before.replace(word.clone()) {
            found.insert((Place::Phrase, format!("{before} {word}")));
        }
        if is_turned > 0 {
            word = format!("not {word}");
        }
        is_turned = if is_in(&word, words::NOT) {
            2
        } else {
            is_turned.saturating_sub(1)
        };
        if opens {
            found.insert((Place::Opening, word.clone()));
            has_opened = true;
        }
        found.insert((Place::Text, word));
    }
}

fn of_parameters(tool: &Definition, found: &mut BTreeSet<Feature>) {
    if tool.parameters.is_empty() {
        found.insert((Place::Shape, "nothing".to_owned()));
    }
    if tool.description.trim().is_empty() {
        found.insert((Place::Shape, "untold".to_owned()));
    }
    let mut said_max = SAID_WORDS_MAX_IN_ALL;
    for parameter in &tool.parameters {
        let said = flat(&parameter.description);
        let said_words = said
            .split_whitespace()
            .take(SAID_WORDS_MAX.min(said_max))
            .filter(|word| word.len() > 2);
        for word in said_words {
            found.insert((Place::Said, plain(word)));
            said_max = said_max.saturating_sub(1);
        }
        let words = words_of_name(&parameter.name);
        if words.len() > 1 {
            found.insert((Place::Parameter, words.concat()));
        }
        for word in &words {
            found.extend(groups(word).map(|group| (Place::Takes, group.to_owned())));
        }
        found.extend(words.iter().map(|word| (Place::Parameter, singular(word))));
        if chooses(parameter) {
            for choice in &parameter.choices {
                found.extend(
                    words_of_name(choice)
                        .iter()
                        .take(NAME_WORDS_MAX)
                        .map(|word| (Place::Choice, plain(word))),
                );
            }
        }
    }
}
