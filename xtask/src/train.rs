//! Makes the weights of the learned part of the classifier.
//!
//! A linear model of five classes, fitted to the labelled tools of the development split and to the primer. The same
//! files give the same weights: nothing is drawn by lot.

use crate::classify::{DATA, Example};
use anyhow::{Context, bail};
use callgate_catalog::learn::{
    Feature, POINTS_PER_DOUBLING, Place, START, WHOLE, parts, words_to_learn, written,
};
use callgate_catalog::{Class, Definition, Parameter};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// A word has to stand in so many servers or parts of the primer, so that no weight is one server's own.
const SOURCES_MIN: usize = 2;
/// The same for pairs of words and for what is said of parameters, of which there are so many more.
const SOURCES_MIN_OF_MANY: usize = 4;
/// From so many tools on, a server's tools count less each.
const TOOLS_WHOLE: f64 = 30.0;
/// How closely the tools are followed, against small weights.
const CLOSENESS: f64 = 3.0;
/// So often all weights are moved.
const STEPS: usize = 300;
/// Words whose weights are all smaller, in points, are left out.
const POINTS_MIN: i32 = 5;

/// A labelled tool as the fit sees it.
struct Sample {
    /// Places of its words in the vocabulary, and what each counts; those of rules last.
    words: Vec<(usize, f64)>,
    /// How many of them are no rules.
    plain: usize,
    label: usize,
    weight: f64,
}

/// The primer: tools that nobody scanned.
pub(crate) fn primer(data: &Path) -> anyhow::Result<Vec<Example>> {
    let path = data.join("primer.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut examples = Vec::new();
    let mut heading = "";
    for line in text.lines().filter(|line| !line.starts_with("//")) {
        if let Some(domain) = line.strip_prefix("# ") {
            heading = domain;
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(letter) = words.next() else { continue };
        let label =
            class_of(letter).with_context(|| format!("{}: a line of no class: {letter}", path.display()))?;
        for word in words {
            examples.push(Example {
                source: format!("primer: {heading}"),
                tool: written_down(word),
                label,
            });
        }
    }
    Ok(examples)
}

/// More of them, each with the description that a server might give it: a class by its first letter, the name with its
/// parameters, and the description, divided by tabs, under headings as in the primer.
pub(crate) fn described(data: &Path) -> anyhow::Result<Vec<Example>> {
    let path = data.join("described.tsv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut examples = Vec::new();
    let mut heading = "";
    for line in text.lines() {
        if let Some(domain) = line.strip_prefix("# ") {
            heading = domain;
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [letter, name, description] = fields.as_slice() else {
            bail!("{}: a line has no three fields: {line}", path.display());
        };
        examples.push(Example {
            source: format!("primer: {heading}"),
            tool: Definition {
                description: (*description).to_owned(),
                ..written_down(name)
            },
            label: class_of(letter).with_context(|| format!("{}: no class: {line}", path.display()))?,
        });
    }
    Ok(examples)
}

/// The class whose name begins so.
fn class_of(letter: &str) -> Option<Class> {
    Class::ALL
        .into_iter()
        .find(|class| class.name().starts_with(letter))
}

/// A tool of the primer. Its description says what its name does, as those of real tools mostly do.
fn written_down(word: &str) -> Definition {
    let (name, parameters) = word.split_once('(').unwrap_or((word, ""));
    Definition {
        name: name.to_owned(),
        description: format!("{}.", name.replace('_', " ")),
        parameters: parameters
            .trim_end_matches(')')
            .split(',')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| Parameter {
                name: parameter.to_owned(),
                description: String::new(),
                kinds: vec!["string".to_owned()],
                choices: Vec::new(),
                is_required: true,
            })
            .collect(),
        ..Definition::default()
    }
}

/// What the weights are learned from, as a hash: what each tool is of, its label and its words.
fn learned_from(examples: &[Example], words: &[Vec<Feature>]) -> String {
    let mut hash = Sha256::new();
    for (example, words) in examples.iter().zip(words) {
        hash.update(format!("{}\t{}\n", example.source, example.label));
        for word in words {
            hash.update(written(word));
            hash.update("\n");
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fits the weights and writes them as a file.
pub(crate) fn weights(examples: &[Example]) -> anyhow::Result<String> {
    let words: Vec<Vec<Feature>> = examples.iter().map(words_of).collect();
    let vocabulary = vocabulary(examples, &words);
    let samples = samples(examples, &words, &vocabulary);
    let (fitted, start) = fit(&samples, vocabulary.len());
    let mut rows = BTreeMap::new();
    rows.insert(written(&(Place::Shape, START.to_owned())), points(&start));
    for (word, at) in &vocabulary {
        let row = points(fitted.get(*at).context("a word has no weights")?);
        if row.iter().any(|points| points.abs() >= POINTS_MIN) {
            rows.insert(written(word), row);
        }
    }
    let mut out = format!(
        "# Made by `cargo xtask classify --train` from the development split, primer.txt and described.tsv.\n\
         # What they are learned from: {}\n\
         # A word of a definition, then its points for {}; {POINTS_PER_DOUBLING} points double how likely a class is.\n",
        learned_from(examples, &words),
        Class::ALL.map(Class::name).join(", ")
    );
    for (word, row) in rows {
        out.push_str(&word);
        for points in row {
            write!(out, "\t{points}")?;
        }
        out.push('\n');
    }
    Ok(out)
}

/// The words of a tool. What the primer leaves out is no sign: its tools have few parameters and short descriptions.
fn words_of(example: &Example) -> Vec<Feature> {
    let mut words = words_to_learn(&example.tool);
    if example.source.starts_with("primer") {
        words.retain(|(place, _)| *place != Place::Shape);
    }
    words
}

fn vocabulary(examples: &[Example], words: &[Vec<Feature>]) -> BTreeMap<Feature, usize> {
    let mut sources: BTreeMap<&Feature, BTreeSet<&str>> = BTreeMap::new();
    for (example, words) in examples.iter().zip(words) {
        for word in words {
            sources.entry(word).or_default().insert(&example.source);
        }
    }
    sources
        .into_iter()
        .filter(|((place, _), sources)| {
            let least = if matches!(place, Place::Phrase | Place::Said) {
                SOURCES_MIN_OF_MANY
            } else {
                SOURCES_MIN
            };
            sources.len() >= least
        })
        .enumerate()
        .map(|(at, (word, _))| (word.clone(), at))
        .collect()
}

fn samples(
    examples: &[Example],
    words: &[Vec<Feature>],
    vocabulary: &BTreeMap<Feature, usize>,
) -> Vec<Sample> {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for example in examples {
        *counts.entry(&example.source).or_default() += 1.0;
    }
    examples
        .iter()
        .zip(words)
        .map(|(example, words)| {
            let parts = parts(words);
            let known = |rules: bool| {
                words
                    .iter()
                    .filter(move |(place, _)| (*place == Place::Rule) == rules)
                    .filter_map(|word| {
                        let part = parts.get(&word.0).copied().unwrap_or(WHOLE);
                        Some((*vocabulary.get(word)?, f64::from(part) / f64::from(WHOLE)))
                    })
            };
            let mut places: Vec<(usize, f64)> = known(false).collect();
            let plain = places.len();
            places.extend(known(true));
            let count = counts.get(example.source.as_str()).copied().unwrap_or(1.0);
            Sample {
                words: places,
                plain,
                label: Class::ALL
                    .iter()
                    .position(|class| *class == example.label)
                    .unwrap_or_default(),
                weight: (TOOLS_WHOLE / count).min(1.0).sqrt(),
            }
        })
        .collect()
}

type Row = [f64; 5];

/// Accelerated descent, each word with a step of its own: one over the most that its slope can change.
///
/// Each tool counts twice by half, once with and once without what the rules say of it: the rules were written while
/// looking at some of these tools, and would be trusted too much.
fn fit(samples: &[Sample], size: usize) -> (Vec<Row>, Row) {
    let mut steepest = vec![1.0; size];
    let mut steepest_start = 1e-9;
    for (sample, length) in halves(samples) {
        let words = sample.words.iter().take(length);
        let sum: f64 = words.clone().map(|(_, part)| part).sum();
        let bend = CLOSENESS * 0.25 * sample.weight * (sum + 1.0);
        for (word, part) in words {
            if let Some(steep) = steepest.get_mut(*word) {
                *steep += bend * part;
            }
        }
        steepest_start += bend;
    }
    let mut weights = vec![[0.0; 5]; size];
    let mut start = [0.0; 5];
    let mut ahead = weights.clone();
    let mut start_ahead = start;
    let mut pace = 1.0_f64;
    for _ in 0..STEPS {
        let (slopes, slope_start) = slopes(samples, &ahead, &start_ahead);
        let next_pace = f64::midpoint(1.0, (1.0 + 4.0 * pace * pace).sqrt());
        let carry = (pace - 1.0) / next_pace;
        pace = next_pace;
        for (((weights, ahead), slopes), steep) in
            weights.iter_mut().zip(&mut ahead).zip(&slopes).zip(&steepest)
        {
            step(weights, ahead, slopes, *steep, carry);
        }
        step(&mut start, &mut start_ahead, &slope_start, steepest_start, carry);
    }
    (weights, start)
}

fn step(weights: &mut Row, ahead: &mut Row, slopes: &Row, steep: f64, carry: f64) {
    for ((weight, ahead), slope) in weights.iter_mut().zip(ahead).zip(slopes) {
        let next = *ahead - slope / steep;
        *ahead = next + carry * (next - *weight);
        *weight = next;
    }
}

/// Each tool twice, with how many of its words count.
fn halves(samples: &[Sample]) -> impl Iterator<Item = (&Sample, usize)> {
    samples
        .iter()
        .flat_map(|sample| [(sample, sample.plain), (sample, sample.words.len())])
}

fn slopes(samples: &[Sample], weights: &[Row], start: &Row) -> (Vec<Row>, Row) {
    let mut slopes = weights.to_vec();
    let mut slope_start = [0.0; 5];
    for (sample, length) in halves(samples) {
        let mut sums = *start;
        for (word, part) in sample.words.iter().take(length) {
            let row = weights.get(*word).into_iter().flatten();
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += weight * part;
            }
        }
        let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts = sums.map(|sum| (sum - most).exp());
        let whole: f64 = parts.iter().sum();
        let mut missed = parts.map(|part| part / whole);
        if let Some(share) = missed.get_mut(sample.label) {
            *share -= 1.0;
        }
        let missed = missed.map(|share| share * CLOSENESS * 0.5 * sample.weight);
        for (slope, missed) in slope_start.iter_mut().zip(missed) {
            *slope += missed;
        }
        for (word, part) in sample.words.iter().take(length) {
            for (slope, missed) in slopes.get_mut(*word).into_iter().flatten().zip(missed) {
                *slope += missed * part;
            }
        }
    }
    (slopes, slope_start)
}

/// Weights in whole points.
fn points(row: &Row) -> [i32; 5] {
    row.map(|weight| {
        #[expect(clippy::cast_possible_truncation, reason = "weights are small")]
        let points = (weight * std::f64::consts::LOG2_E * f64::from(POINTS_PER_DOUBLING)).round() as i32;
        points
    })
}

/// Where the weights are kept.
pub(crate) fn path() -> anyhow::Result<std::path::PathBuf> {
    Ok(crate::shell::root()?.join(DATA).join("weights.tsv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(tools: &[(&str, &str, Class)]) -> Vec<Example> {
        tools
            .iter()
            .map(|(source, name, label)| Example {
                source: (*source).to_owned(),
                tool: written_down(name),
                label: *label,
            })
            .collect()
    }

    #[test]
    fn what_is_learned_is_the_same_each_time_and_no_word_of_one_server_alone() {
        let tools = examples(&[
            ("a", "delete_gizmo", Class::Destructive),
            ("b", "delete_thing", Class::Destructive),
            ("a", "list_gizmo", Class::Read),
            ("b", "list_thing", Class::Read),
        ]);
        let made = weights(&tools).unwrap();
        assert_eq!(made, weights(&tools).unwrap());
        assert!(!made.contains("gizmo"), "{made}");
        let row = made
            .lines()
            .find(|line| line.starts_with("name:delete\t"))
            .unwrap();
        let points: Vec<i32> = row
            .split('\t')
            .skip(1)
            .map(|number| number.parse().unwrap())
            .collect();
        assert!(points[1] > 0 && points[4] < 0, "{row}");
    }

    #[test]
    fn the_weights_are_learned_from_what_is_here_now() {
        let examples = crate::classify::to_learn_from().unwrap();
        let words: Vec<Vec<Feature>> = examples.iter().map(words_of).collect();
        let kept = std::fs::read_to_string(path().unwrap()).unwrap();
        assert!(
            kept.contains(&format!(
                "# What they are learned from: {}\n",
                learned_from(&examples, &words)
            )),
            "labels, definitions, the primer or the tables of words have changed: `cargo xtask classify --train`"
        );
    }

    #[test]
    fn the_primer_has_tools_of_every_class() {
        let data = crate::shell::root().unwrap().join(DATA);
        let primer = primer(&data).unwrap();
        for class in Class::ALL {
            assert!(primer.iter().filter(|example| example.label == class).count() > 100);
        }
    }
}
