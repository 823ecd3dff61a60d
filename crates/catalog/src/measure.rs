//! How often the classifier is right: a confusion matrix, and the figures that come from it.

use crate::class::Class;

/// How often tools of one class were given another, or the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matrix {
    counts: [[u32; 5]; 5],
}

/// Of one class: how much of what was given it is of it, and how much of it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Of those that were given the class, the share that has it.
    pub precision: f64,
    /// Of those that have the class, the share that was given it.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
}

fn place(class: Class) -> usize {
    Class::ALL
        .iter()
        .position(|other| *other == class)
        .unwrap_or_default()
}

impl Matrix {
    /// Counts one tool.
    pub fn add(&mut self, label: Class, given: Class) {
        if let Some(count) = self
            .counts
            .get_mut(place(label))
            .and_then(|row| row.get_mut(place(given)))
        {
            *count = count.saturating_add(1);
        }
    }

    /// How many tools of class `label` were given the class `given`.
    #[must_use]
    pub fn count(&self, label: Class, given: Class) -> u32 {
        self.counts
            .get(place(label))
            .and_then(|row| row.get(place(given)))
            .copied()
            .unwrap_or_default()
    }

    /// How many tools were counted.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.counts.iter().flatten().sum()
    }

    /// The share of tools that were given the class that they have.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        share(
            Class::ALL.iter().map(|class| self.count(*class, *class)).sum(),
            self.total(),
        )
    }

    /// The figures of one class.
    #[must_use]
    pub fn figures(&self, class: Class) -> Figures {
        let right = self.count(class, class);
        let given = Class::ALL.iter().map(|label| self.count(*label, class)).sum();
        let labelled = Class::ALL.iter().map(|given| self.count(class, *given)).sum();
        let precision = share(right, given);
        let recall = share(right, labelled);
        let sum = precision + recall;
        Figures {
            precision,
            recall,
            f1: if sum > 0.0 {
                2.0 * precision * recall / sum
            } else {
                0.0
            },
        }
    }

    /// The mean of the classes' F1.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        Class::ALL
            .iter()
            .map(|class| self.figures(*class).f1)
            .sum::<f64>()
            / 5.0
    }

    /// Of the tools that are Destructive or Financial, the share that was given one of the two.
    #[must_use]
    pub fn worst_recall(&self) -> f64 {
        const WORST: [Class; 2] = [Class::Financial, Class::Destructive];
        let labelled = WORST
            .iter()
            .flat_map(|label| Class::ALL.map(|given| self.count(*label, given)))
            .sum();
        let found = WORST
            .iter()
            .flat_map(|label| WORST.map(|given| self.count(*label, given)))
            .sum();
        share(found, labelled)
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        0.0
    } else {
        f64::from(part) / f64::from(whole)
    }
}
