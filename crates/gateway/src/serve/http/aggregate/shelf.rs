//! Lists too long for one page: they are kept as they were when the first page went out.

use callgate_wire::aggregate::ListOf;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of the items of all servers together: those of servers beyond are left out.
pub(super) const MERGED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Items of one page.
const PAGE_ITEMS_MAX: usize = 1_000;
/// Bytes of the items of one page; one that is larger has a page of its own.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lists that are kept.
const KEPT_MAX: usize = 4;
/// Bytes of all their items, unless there is one alone.
const KEPT_BYTES_MAX: usize = MERGED_BYTES_MAX;
/// How long.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// A list of all servers together.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) list: ListOf,
    /// The JSON of each item.
    pub(super) items: Arc<[Box<str>]>,
    /// How many bytes they have.
    pub(super) bytes: usize,
    /// Servers whose items are not among them.
    pub(super) left_out: Arc<[Box<str>]>,
    /// How long it may be kept, in milliseconds; `None` where no server said.
    pub(super) ttl_ms: Option<u64>,
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) of: Merged,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Where the next one begins.
    pub(super) cursor: Option<String>,
}

impl Slice {
    pub(super) fn items(&self) -> &[Box<str>] {
        self.of.items.get(self.from..self.to).unwrap_or_default()
    }
}

/// The digest of the policy that each server's calls are judged by. A list that was made under others shows what
/// may not be called any more.
pub(super) type JudgedBy = Vec<(Box<str>, [u8; 32])>;

/// Lists that clients are reading page by page.
#[derive(Debug, Default)]
pub(super) struct Shelf(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    key: String,
    since: Instant,
    judged_by: JudgedBy,
    merged: Merged,
}

impl Shelf {
    /// The first page; where there are more, the list is kept under a key that cannot be guessed.
    pub(super) fn first(&mut self, merged: Merged, judged_by: JudgedBy) -> Slice {
        let to = end_of_page(&merged.items, 0);
        let mut cursor = None;
        if to < merged.items.len()
            && let Some(key) = key()
        {
            while self.0.len() >= KEPT_MAX || self.bytes().saturating_add(merged.bytes) > KEPT_BYTES_MAX {
                if self.0.pop_front().is_none() {
                    break;
                }
            }
            cursor = Some(format!("{key}.{to}"));
            self.0.push_back(Kept {
                key,
                since: Instant::now(),
                judged_by,
                merged: merged.clone(),
            });
        }
        Slice {
            of: merged,
            from: 0,
            to,
            cursor,
        }
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|kept| kept.merged.bytes).sum()
    }

    /// The page where a cursor points to; `None` where it points to nothing that is kept.
    pub(super) fn next(&mut self, list: ListOf, cursor: &str, judged_by: &JudgedBy) -> Option<Slice> {
        self.0
            .retain(|kept| kept.since.elapsed() < KEPT_FOR && kept.judged_by == *judged_by);
        let (key, from) = cursor.split_once('.')?;
        let from: usize = from.parse().ok()?;
        let kept = self
            .0
            .iter()
            .find(|kept| kept.key == key && kept.merged.list == list)?;
        let merged = &kept.merged;
        if from >= merged.items.len() {
            return None;
        }
        let to = end_of_page(&merged.items, from);
        Some(Slice {
            of: merged.clone(),
            from,
            to,
            cursor: (to < merged.items.len()).then(|| format!("{key}.{to}")),
        })
    }
}

fn end_of_page(items: &[Box<str>], from: usize) -> usize {
    let mut bytes = 0_usize;
    let fitting = items
        .iter()
        .skip(from)
        .take(PAGE_ITEMS_MAX)
        .take_while(|item| {
            bytes = bytes.saturating_add(item.len());
            bytes <= PAGE_BYTES_MAX
        })
        .count();
    from.saturating_add(fitting.max(1)).min(items.len())
}

fn key() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(count: usize, bytes: usize) -> Merged {
        let items: Vec<Box<str>> = (0..count)
            .map(|number| format!("{number}{}", "x".repeat(bytes)).into())
            .collect();
        Merged {
            list: ListOf::Tools,
            bytes: items.iter().map(|item| item.len()).sum(),
            items: items.into(),
            left_out: Arc::default(),
            ttl_ms: None,
        }
    }

    fn all_pages(shelf: &mut Shelf, merged: &Merged) -> Vec<usize> {
        let mut slice = shelf.first(merged.clone(), JudgedBy::new());
        let mut read: Vec<Box<str>> = slice.items().to_vec();
        let mut sizes = vec![read.len()];
        while let Some(cursor) = slice.cursor.take() {
            slice = shelf.next(ListOf::Tools, &cursor, &JudgedBy::new()).unwrap();
            sizes.push(slice.items().len());
            read.extend_from_slice(slice.items());
        }
        assert_eq!(*read, *merged.items);
        sizes
    }

    #[test]
    fn pages_end_by_number_and_by_size_and_hold_everything_once() {
        let mut shelf = Shelf::default();
        assert_eq!(all_pages(&mut shelf, &merged(0, 1)), [0]);
        assert_eq!(all_pages(&mut shelf, &merged(1_000, 8)), [1_000]);
        assert_eq!(all_pages(&mut shelf, &merged(2_500, 8)), [1_000, 1_000, 500]);
        assert_eq!(all_pages(&mut shelf, &merged(5, 2 * 1024 * 1024 - 8)), [2, 2, 1]);
        assert_eq!(all_pages(&mut shelf, &merged(2, 5 * 1024 * 1024)), [1, 1]);
    }

    #[test]
    fn a_cursor_is_good_only_while_the_same_policies_are_in_force() {
        let judged = |digest: u8| vec![("notes".into(), [digest; 32])];
        let mut shelf = Shelf::default();
        let cursor = shelf.first(merged(1_500, 8), judged(1)).cursor.unwrap();
        assert!(shelf.next(ListOf::Tools, &cursor, &judged(1)).is_some());
        assert!(shelf.next(ListOf::Tools, &cursor, &judged(2)).is_none());
        assert!(
            shelf.next(ListOf::Tools, &cursor, &judged(1)).is_none(),
            "it is kept no longer"
        );
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_alone() {
        let mut shelf = Shelf::default();
        let cursor = shelf.first(merged(1_500, 8), JudgedBy::new()).cursor.unwrap();
        assert!(shelf.next(ListOf::Tools, &cursor, &JudgedBy::new()).is_some());
        assert!(shelf.next(ListOf::Prompts, &cursor, &JudgedBy::new()).is_none());
        assert!(
            Shelf::default()
                .next(ListOf::Tools, &cursor, &JudgedBy::new())
                .is_none()
        );
        let (key, _) = cursor.split_once('.').unwrap();
        for wrong in [
            "",
            ".",
            "x.1",
            key,
            &format!("{key}.1500"),
            &format!("{key}.-1"),
            &format!("{key}.x"),
        ] {
            assert!(
                shelf.next(ListOf::Tools, wrong, &JudgedBy::new()).is_none(),
                "{wrong}"
            );
        }
        for _ in 0..KEPT_MAX {
            let _ = shelf.first(merged(1_500, 8), JudgedBy::new());
        }
        assert!(
            shelf.next(ListOf::Tools, &cursor, &JudgedBy::new()).is_none(),
            "the oldest gives way"
        );
        let large = shelf
            .first(merged(13, 5 * 1024 * 1024), JudgedBy::new())
            .cursor
            .unwrap_or_default();
        assert_eq!(shelf.0.len(), 1, "so do those for which there is no room");
        assert!(shelf.next(ListOf::Tools, &large, &JudgedBy::new()).is_some());
    }
}
