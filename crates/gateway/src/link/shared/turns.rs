//! What waits for the child to read it: each session has a lane, and the lanes take turns, so that a session which
//! floods its own delays the others by one message each.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Messages in one lane at most.
const LANE_MAX: usize = 2_048;

/// The lanes.
#[derive(Debug)]
pub(super) struct Turns<L, M> {
    lanes: HashMap<L, VecDeque<M>>,
    /// The lanes in which something waits, each once.
    order: VecDeque<L>,
}

impl<L, M> Default for Turns<L, M> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<L: Copy + Eq + Hash, M> Turns<L, M> {
    /// Puts a message at the end of a lane.
    ///
    /// # Errors
    /// The message, where the lane is full.
    pub(super) fn push(&mut self, lane: L, message: M) -> Result<(), M> {
        let waiting = self.lanes.entry(lane).or_default();
        if waiting.len() >= LANE_MAX {
            return Err(message);
        }
        if waiting.is_empty() {
            self.order.push_back(lane);
        }
        waiting.push_back(message);
        Ok(())
    }

    /// The message whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(L, M)> {
        let lane = self.order.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let message = waiting.pop_front()?;
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.order.push_back(lane);
        }
        Some((lane, message))
    }

    /// Takes a lane away, with all that waits in it.
    pub(super) fn remove(&mut self, lane: L) {
        if self.lanes.remove(&lane).is_some() {
            self.order.retain(|other| *other != lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(turns: &mut Turns<char, u32>) -> Vec<(char, u32)> {
        std::iter::from_fn(|| turns.pop()).collect()
    }

    #[test]
    fn a_lane_that_is_flooded_delays_the_others_by_one_message_each() {
        let mut turns = Turns::default();
        for message in 0..1_000 {
            turns.push('a', message).unwrap();
        }
        turns.push('b', 0).unwrap();
        turns.push('b', 1).unwrap();
        turns.push('c', 0).unwrap();
        let first: Vec<_> = popped(&mut turns).into_iter().take(5).collect();
        assert_eq!(first, [('a', 0), ('b', 0), ('c', 0), ('a', 1), ('b', 1)]);
    }

    #[test]
    fn a_lane_keeps_its_order_and_has_an_end() {
        let mut turns = Turns::default();
        let count = u32::try_from(LANE_MAX).unwrap();
        for message in 0..count {
            turns.push('a', message).unwrap();
        }
        assert_eq!(turns.push('a', count), Err(count));
        turns.push('b', 7).unwrap();
        let of_a: Vec<u32> = popped(&mut turns)
            .into_iter()
            .filter(|(lane, _)| *lane == 'a')
            .map(|(_, message)| message)
            .collect();
        assert_eq!(of_a, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn what_waits_in_a_lane_that_is_removed_has_no_turn() {
        let mut turns = Turns::default();
        for (lane, message) in [('a', 1), ('b', 2), ('a', 3)] {
            turns.push(lane, message).unwrap();
        }
        turns.remove('a');
        turns.push('a', 4).unwrap();
        assert_eq!(popped(&mut turns), [('b', 2), ('a', 4)]);
    }
}
