//! What a learned class rests on, quoted from the definition.

use crate::class::Class;
use crate::definition::Definition;
use crate::evidence::{Evidence, Part};
use crate::features::{Feature, Place, groups, plain};
use crate::model::{Model, POINTS_PER_DOUBLING};
use crate::seek::QUOTE_CHARS_MAX;
use crate::text::{beginning, flat, singular, words_of_name};
use std::cmp::Reverse;

/// So many words are quoted.
const QUOTES_MAX: usize = 4;
/// A word that makes a class likelier by less is not quoted.
const LEAST: i32 = POINTS_PER_DOUBLING / 2;

/// What words of a class speak of.
const fn meaning(class: Class) -> &'static str {
    match class {
        Class::Read => "has the words of tools that look something up",
        Class::Write => "has the words of tools that make or change something",
        Class::Execute => "has the words of tools that set something going or reach others",
        Class::Destructive => "has the words of tools that take something away",
        Class::Financial => "has the words of tools that are about what is paid, owed or traded",
    }
}

/// The heaviest words that speak for a class.
pub(crate) fn evidence(
    tool: &Definition,
    words: &[Feature],
    class: Class,
    model: &Model<'_>,
) -> Vec<Evidence> {
    let mut heavy: Vec<(i32, &Feature)> = model
        .weighed(words)
        .into_iter()
        .filter_map(|(feature, weights)| {
            let (_, own) = Class::ALL
                .iter()
                .zip(weights)
                .find(|(other, _)| **other == class)?;
            (own >= LEAST).then_some((own, feature))
        })
        .collect();
    heavy.sort_by_key(|(own, feature)| (Reverse(*own), *feature));
    // A quote is looked for in the whole text, so only for the words that are told.
    heavy
        .into_iter()
        .filter_map(|(own, feature)| {
            let (part, quote) = quote(tool, feature)?;
            Some(Evidence {
                part,
                quote,
                class,
                points: own.saturating_mul(10) / POINTS_PER_DOUBLING,
                meaning: meaning(class),
            })
        })
        .take(QUOTES_MAX)
        .collect()
}

/// Where a word stands, as it was sent.
fn quote(tool: &Definition, (place, word): &Feature) -> Option<(Part, String)> {
    let in_name = || Some((Part::Name, beginning(&tool.name, QUOTE_CHARS_MAX)));
    let in_text = |is_there: &dyn Fn(&str) -> bool| {
        sentence(&tool.description, is_there).map(|sentence| (Part::Description, sentence))
    };
    match place {
        Place::Name
        | Place::Pair
        | Place::First
        | Place::Last
        | Place::Act
        | Place::Verb
        | Place::Group
        | Place::ActOn => in_name(),
        Place::Lead | Place::Opening | Place::Text => {
            let bare = word.strip_prefix("not ").unwrap_or(word);
            in_text(&|other| plain(other) == bare)
        }
        Place::Phrase => {
            let (first, second) = word.split_once(' ')?;
            sentence_with_both(&tool.description, first, second)
        }
        Place::Said => tool
            .parameters
            .iter()
            .find(|parameter| {
                flat(&parameter.description)
                    .split_whitespace()
                    .any(|other| plain(other) == *word)
            })
            .map(|parameter| {
                let quote = beginning(
                    &format!("{}: {}", parameter.name, parameter.description),
                    QUOTE_CHARS_MAX,
                );
                (Part::Parameter, quote)
            }),
        Place::LeadWith => {
            let last = word.split(' ').next_back().unwrap_or_default();
            in_text(&|other| plain(other) == last || singular(other) == last)
        }
        Place::LeadOn => {
            let group = word.split(' ').next_back().unwrap_or_default();
            in_text(&|other| groups(other).any(|own| own == group))
        }
        Place::Speaks => in_text(&|other| groups(other).any(|own| own == word)),
        Place::Parameter => parameter(tool, |parts| {
            parts.concat() == *word || parts.iter().any(|part| singular(part) == *word)
        }),
        Place::Takes => parameter(tool, |parts| {
            parts.iter().any(|part| groups(part).any(|own| own == word))
        }),
        Place::Choice => tool.parameters.iter().find_map(|parameter| {
            let choice = parameter
                .choices
                .iter()
                .find(|choice| words_of_name(choice).iter().any(|part| plain(part) == *word))?;
            let quote = format!("{}: {}", parameter.name, beginning(choice, QUOTE_CHARS_MAX));
            Some((Part::Parameter, quote))
        }),
        Place::LeadAct | Place::Shape | Place::Rule => None,
    }
}

fn parameter(tool: &Definition, is_it: impl Fn(&[String]) -> bool) -> Option<(Part, String)> {
    tool.parameters
        .iter()
        .find(|parameter| is_it(&words_of_name(&parameter.name)))
        .map(|parameter| (Part::Parameter, beginning(&parameter.name, QUOTE_CHARS_MAX)))
}

/// The first sentence that has two words, one after the other.
fn sentence_with_both(description: &str, first: &str, second: &str) -> Option<(Part, String)> {
    description
        .split_inclusive(['.', '!', '?', '\n', ';'])
        .find(|sentence| {
            let words: Vec<String> = flat(sentence).split_whitespace().map(plain).collect();
            words.windows(2).any(|pair| pair == [first, second])
        })
        .map(|sentence| (Part::Description, beginning(sentence.trim(), QUOTE_CHARS_MAX)))
}

/// The first sentence that has such a word.
fn sentence(description: &str, is_there: &dyn Fn(&str) -> bool) -> Option<String> {
    description
        .split_inclusive(['.', '!', '?', '\n', ';'])
        .find(|sentence| flat(sentence).split_whitespace().any(is_there))
        .map(|sentence| beginning(sentence.trim(), QUOTE_CHARS_MAX))
}
