//! Adds up what the rules make of a definition.

use crate::class::Class;
use crate::definition::Definition;
use crate::evidence::{Evidence, Part};
use crate::phrase::{OBJECT_WORDS_MAX, Phrase, leads, verb_of, verbs_of_name};
use crate::rules::{
    Around, by_all_verbs, by_choices, by_code, by_phrases, by_rules, by_softening, by_switches, chooses,
};
use crate::seek::QUOTE_CHARS_MAX;
use crate::text::{beginning, flat, words_of_name};
use crate::words::{self, Act, is_in};

/// So many words of a name are looked at.
const NAME_WORDS_MAX: usize = 32;

/// The verbs of the name, with what the description says of them.
fn named(name_words: &[String], lead: Option<&Phrase>) -> Vec<Phrase> {
    let mut named = verbs_of_name(name_words);
    // A product that is called by a verb: `protect_list_cameras` lists. A verb that takes away or pays is none.
    if let (Some(lead), [product, rest @ ..], [only]) = (lead, name_words, named.as_slice())
        && only.verb == *product
        && !matches!(only.act, Act::Delete | Act::Detach | Act::Pay)
        && lead.verb != *product
        && rest
            .first()
            .is_some_and(|word| verb_of(word).is_some_and(|(verb, _)| verb == lead.verb))
    {
        named = verbs_of_name(rest);
    }
    if let [only] = named.as_slice()
        && is_in(&only.verb, words::OFTEN_NOUNS)
        && (lead.is_some_and(|lead| lead.act == Act::Look)
            && !(name_words.first() == Some(&only.verb) && matches!(only.act, Act::Delete | Act::Pay))
            || name_words.last().is_some_and(|last| is_in(last, words::SHOWN)))
    {
        named.clear();
        if name_words.last().is_some_and(|last| is_in(last, words::SHOWN)) {
            named.push(Phrase {
                verb: "show".to_owned(),
                act: Act::Look,
                objects: Vec::new(),
                added: Vec::new(),
            });
        }
    }
    if let (Some(lead), [first, ..]) = (lead, named.as_mut_slice())
        && lead.act == first.act
        && (first.objects.len() < 2 || first.act == Act::Send)
    {
        let taken = if first.act == Act::Send {
            OBJECT_WORDS_MAX
        } else {
            3
        };
        if first.act == Act::Send {
            first.objects.extend(lead.objects.iter().take(taken).cloned());
        } else {
            first.added.extend(lead.objects.iter().take(taken).cloned());
        }
    }
    named
}

/// What the rules say of a definition.
pub(crate) fn weigh(tool: &Definition) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    let mut name_words = words_of_name(&tool.name);
    name_words.truncate(NAME_WORDS_MAX);
    let leads = leads(tool);
    let lead = leads.first();
    let named = named(&name_words, lead);
    let text = flat(&tool.description);
    let around = Around::of(tool, &text);
    for phrase in &named {
        by_rules(phrase, &around, 100, Part::Name, &tool.name, &mut evidence);
    }
    let lead_weight = if named.is_empty() { 100 } else { 60 };
    for lead in &leads {
        let quote = beginning(tool.description.trim(), QUOTE_CHARS_MAX);
        by_rules(
            lead,
            &around,
            lead_weight,
            Part::Description,
            &quote,
            &mut evidence,
        );
    }
    let looks = !(named.is_empty() && lead.is_none())
        && named.iter().chain(&leads).all(|phrase| phrase.act == Act::Look);
    let makes = named.first().is_some_and(|phrase| phrase.act == Act::Make);
    let shelves = named.first().is_some_and(|phrase| phrase.act == Act::Shelve);
    by_phrases(tool, &text, looks, shelves, &mut evidence);
    by_choices(tool, &name_words, &around, looks, makes, &mut evidence);
    let is_told_apart = !looks
        && tool
            .parameters
            .iter()
            .any(|parameter| chooses(parameter) && parameter.choices.is_empty());
    if is_told_apart
        || named.iter().chain(&leads).any(|phrase| phrase.act == Act::Manage)
        || named.is_empty() && lead.is_none()
    {
        by_all_verbs(tool, &around, &text, &mut evidence);
    }
    by_switches(tool, looks, &mut evidence);
    by_code(tool, named.first(), &text, &mut evidence);
    by_softening(named.first(), &around, &text, &mut evidence);
    evidence
}

/// How much speaks for a class in all.
pub(crate) fn points(evidence: &[Evidence], class: Class) -> i32 {
    // The heaviest counts whole, the rest by a third: many weak words are not a strong one.
    let mut pro: Vec<i32> = evidence
        .iter()
        .filter(|found| found.class == class && found.points > 0)
        .map(|found| found.points)
        .collect();
    pro.sort_unstable_by(|a, b| b.cmp(a));
    let con: i32 = evidence
        .iter()
        .filter(|found| found.class == class && found.points < 0)
        .map(|found| found.points)
        .min()
        .unwrap_or(0);
    let rest = pro
        .iter()
        .skip(1)
        .fold(0_i32, |sum, more| sum.saturating_add(*more));
    pro.first()
        .copied()
        .unwrap_or(0)
        .saturating_add(rest / 3)
        .saturating_add(con)
}
