//! The learned part: how likely each class is, by weights of words. `cargo xtask classify --train` makes the weights.
//!
//! All is counted in whole numbers, so that a definition has the same class on every machine.

use crate::class::Class;
use crate::features::{Feature, Place};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Sixty-four points of weight double how likely a class is.
pub const POINTS_PER_DOUBLING: i32 = 64;
/// The word that every definition has.
pub const START: &str = "any";

/// The weights of one word, one a class, in the order of [`Class::ALL`].
pub(crate) type Weights = [i32; 5];

/// What was learned: the weights of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model<'a> {
    /// Sorted by word.
    rows: Vec<(&'a str, Weights)>,
}

/// What was learned from the labelled tools.
static BUNDLED: LazyLock<Model<'static>> = LazyLock::new(|| Model::read(include_str!("../data/weights.tsv")));

impl<'a> Model<'a> {
    /// The one that the program carries.
    #[must_use]
    pub fn bundled() -> &'static Model<'static> {
        &BUNDLED
    }

    /// Reads a file of weights: a word and five numbers a line. A line that is none is left out.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let mut rows: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (word, rest) = line.split_once('\t')?;
                let mut weights = [0; 5];
                for (weight, number) in weights.iter_mut().zip(rest.split('\t')) {
                    *weight = number.parse().ok()?;
                }
                Some((word, weights))
            })
            .collect();
        rows.sort_unstable();
        Self { rows }
    }

    /// The weights of a word, if it has some.
    fn weights(&self, feature: &Feature) -> Option<&Weights> {
        let word = written(feature);
        let at = self
            .rows
            .binary_search_by(|(known, _)| (*known).cmp(word.as_str()))
            .ok()?;
        self.rows.get(at).map(|(_, weights)| weights)
    }

    /// The words of a definition that have weights, with what each comes to: one among many of its place says less.
    pub(crate) fn weighed<'f>(&self, features: &'f [Feature]) -> Vec<(&'f Feature, Weights)> {
        let parts = parts(features);
        features
            .iter()
            .filter_map(|feature| {
                let weights = self.weights(feature)?;
                let part = parts.get(&feature.0).copied().unwrap_or(WHOLE);
                Some((feature, weights.map(|weight| weight.saturating_mul(part) / WHOLE)))
            })
            .collect()
    }

    /// How likely each class is, by the words of a definition.
    pub(crate) fn shares(&self, features: &[Feature]) -> Shares {
        let start = (Place::Shape, START.to_owned());
        let mut sums = self.weights(&start).copied().unwrap_or_default();
        for (_, weights) in self.weighed(features) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = sum.saturating_add(weight);
            }
        }
        let most = sums.into_iter().max().unwrap_or(0);
        let parts = sums.map(|sum| halved(most.saturating_sub(sum)));
        let whole: u64 = parts.iter().sum::<u64>().max(1);
        Shares(parts.map(|part| u32::try_from(part.saturating_mul(100) / whole).unwrap_or(100)))
    }
}

/// Of so many words of a wordy place each counts whole.
const WORDS_WHOLE: usize = 8;
/// What a word counts that counts whole.
pub const WHOLE: i32 = 256;

/// What a word of each place counts, in parts of [`WHOLE`]: where there are four times as many words, half.
#[must_use]
pub fn parts(features: &[Feature]) -> BTreeMap<Place, i32> {
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    for (place, _) in features.iter().filter(|(place, _)| place.is_wordy()) {
        let count = counts.entry(*place).or_default();
        *count = count.saturating_add(1);
    }
    let whole = usize::try_from(WHOLE).unwrap_or_default();
    counts
        .into_iter()
        .map(|(place, count)| {
            let square = WORDS_WHOLE.saturating_mul(whole * whole) / count.max(1);
            let part = i32::try_from(square.isqrt()).unwrap_or(WHOLE);
            (place, part.min(WHOLE))
        })
        .collect()
}

/// A word as the file of weights has it.
#[must_use]
pub fn written((place, word): &Feature) -> String {
    format!("{}:{word}", place.name())
}

/// How likely each class is, in hundredths, in the order of [`Class::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares([u32; 5]);

impl Shares {
    /// How likely a class is.
    pub(crate) fn get(&self, class: Class) -> u32 {
        Class::ALL
            .iter()
            .zip(self.0)
            .find(|(other, _)| **other == class)
            .map_or(0, |(_, share)| share)
    }
}

/// One, halved once for every [`POINTS_PER_DOUBLING`]; 2^32 is one.
fn halved(points: i32) -> u64 {
    let points = u64::try_from(points).unwrap_or(0);
    let doubling = 64_u64;
    let (whole, rest) = (points / doubling, points % doubling);
    let Ok(shift) = u32::try_from(whole) else { return 0 };
    if rest == 0 {
        return (1_u64 << 32).checked_shr(shift).unwrap_or(0);
    }
    // 2^x for x from 0 to 1 is nearly 1 + x (0.6565 + 0.3435 x); here x = 1 - rest / 64, and one halving more.
    let x = doubling.saturating_sub(rest);
    let factor = (doubling * doubling * 10_000)
        .saturating_add(x.saturating_mul(6565).saturating_mul(doubling))
        .saturating_add(x.saturating_mul(x).saturating_mul(3435));
    (factor << 31)
        .checked_div(doubling * doubling * 10_000)
        .and_then(|part| part.checked_shr(shift))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_halved_falls_with_every_point_and_halves_with_every_doubling() {
        let mut before = u64::MAX;
        for points in 0..64 * 20 {
            let part = halved(points);
            assert!(part < before, "{points}");
            before = part;
            let exact = (-f64::from(points) / 64.0).exp2() * f64::from(u32::MAX);
            #[expect(clippy::cast_precision_loss, reason = "below 2^33")]
            let near = part as f64;
            assert!((near / exact - 1.0).abs() < 0.01, "{points}: {near} {exact}");
        }
        assert_eq!(halved(i32::MAX), 0);
    }

    #[test]
    fn every_line_of_the_weights_is_read_and_each_word_stands_once() {
        let text = include_str!("../data/weights.tsv");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        let rows = &Model::bundled().rows;
        assert_eq!(rows.len(), lines);
        assert!(lines > 1000);
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let places: Vec<&str> = Place::ALL.iter().map(|place| place.name()).collect();
        for (word, _) in rows {
            assert!(places.contains(&word.split_once(':').unwrap().0), "{word}");
        }
    }
}
