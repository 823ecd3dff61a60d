//! Regular expressions within bounds: of each, and of all of them together.

use regex::{Regex, RegexBuilder};

/// Bounds that are tried one after the other, and then that of each pattern. The library does not tell what a pattern
/// takes once it is compiled: the first bound that is enough says it.
const STEPS: [usize; 4] = [4 * 1024, 32 * 1024, 256 * 1024, 1024 * 1024];

/// What patterns may still take.
#[derive(Debug)]
pub(crate) struct Room {
    each_max: usize,
    bytes_max: usize,
    bytes_left: usize,
}

/// Why a pattern is not used.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is none, or takes too much alone.
    Pattern(regex::Error),
    /// All of them together take too much.
    Full,
}

impl Room {
    /// Room for patterns of at most `each_max` bytes each, and of `bytes` together.
    pub(crate) const fn of(each_max: usize, bytes: usize) -> Self {
        Self {
            each_max,
            bytes_max: bytes,
            bytes_left: bytes,
        }
    }

    /// Compiles a pattern where there is still room for one. One that is refused for its size has cost the work, and
    /// takes room as well.
    pub(crate) fn compile(&mut self, pattern: &str) -> Result<Regex, Refused> {
        let mut refused = None;
        let steps = STEPS.into_iter().filter(|bytes| *bytes < self.each_max);
        for bytes in steps.chain([self.each_max]) {
            if bytes > self.bytes_left {
                self.bytes_left = 0;
                return Err(Refused::Full);
            }
            match RegexBuilder::new(pattern).size_limit(bytes).build() {
                Ok(regex) => {
                    self.bytes_left = self.bytes_left.saturating_sub(bytes);
                    return Ok(regex);
                }
                Err(error @ regex::Error::CompiledTooBig(_)) => refused = Some(error),
                Err(error) => return Err(Refused::Pattern(error)),
            }
        }
        self.bytes_left = self.bytes_left.saturating_sub(self.each_max);
        Err(refused.map_or(Refused::Full, Refused::Pattern))
    }

    /// What is taken so far.
    pub(crate) const fn taken(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes_left)
    }

    /// Takes room for a pattern that another library compiles; whether there was room.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_share_the_room() {
        let mut room = Room::of(1024 * 1024, 2 * 1024 * 1024);
        assert!(matches!(room.compile("("), Err(Refused::Pattern(_))));
        assert!(room.compile("^a$").is_ok());
        assert!(matches!(
            room.compile("\\w{900}"),
            Err(Refused::Pattern(regex::Error::CompiledTooBig(_)))
        ));
        assert!(matches!(room.compile("\\w{900}"), Err(Refused::Full)));
        assert!(matches!(room.compile("^a$"), Err(Refused::Full)));
        assert!(!room.take(1));
    }

    #[test]
    fn what_a_pattern_may_take_at_most_need_not_be_a_step() {
        let mut room = Room::of(8 * 1024, 32 * 1024);
        assert!(room.compile("a{150}").is_ok());
        assert_eq!(room.taken(), 8 * 1024);
    }
}
