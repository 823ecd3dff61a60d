//! What sessions want to hear of: the resources that each has subscribed to, and the log level that each has set.
//! The child knows one client, so it is told of each resource as long as one session wants it, and of the lowest
//! level.

use super::ViewId;
use crate::gravity::Gravity;
use std::collections::HashMap;

/// Resources that one session may have subscribed to.
const URIS_MAX: usize = 4_096;

/// What all sessions want.
#[derive(Debug, Default)]
pub(super) struct Interest {
    resources: HashMap<String, HashMap<ViewId, Subscribed>>,
    levels: HashMap<ViewId, Gravity>,
    /// What the child was told.
    told: Option<Gravity>,
}

/// Whether the child has agreed to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    Asked,
    Yes,
}

/// Who else wants a resource that a session gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Somebody.
    Some,
    None,
}

/// What the child has to be told of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is as before.
    None,
    /// It is the one that this session has asked for.
    Own,
    /// It is another session's.
    Other(Gravity),
}

impl Interest {
    /// A session asks for a resource; false where it has too many.
    pub(super) fn ask(&mut self, view: ViewId, uri: &str) -> bool {
        let count = self
            .resources
            .values()
            .filter(|views| views.contains_key(&view))
            .count();
        if count >= URIS_MAX {
            return false;
        }
        self.resources
            .entry(uri.to_owned())
            .or_default()
            .entry(view)
            .or_insert(Subscribed::Asked);
        true
    }

    /// The child has agreed.
    pub(super) fn agree(&mut self, view: ViewId, uri: &str) {
        let wanted = self.resources.get_mut(uri).and_then(|views| views.get_mut(&view));
        if let Some(wanted) = wanted {
            *wanted = Subscribed::Yes;
        }
    }

    /// The child has refused, or nobody waits for what it says. What it agreed to before still holds.
    pub(super) fn refuse(&mut self, view: ViewId, uri: &str) {
        let is_asked = self.resources.get(uri).and_then(|views| views.get(&view)) == Some(&Subscribed::Asked);
        if is_asked {
            self.give_up(view, uri);
        }
    }

    /// A session does not want a resource any more.
    pub(super) fn give_up(&mut self, view: ViewId, uri: &str) -> Others {
        let Some(views) = self.resources.get_mut(uri) else {
            return Others::None;
        };
        views.remove(&view);
        if views.is_empty() {
            self.resources.remove(uri);
            Others::None
        } else {
            Others::Some
        }
    }

    /// The sessions that are told of a change of a resource: those that have subscribed to it, or to one that it is
    /// a part of.
    pub(super) fn wanting(&self, changed: &str) -> Vec<ViewId> {
        let is_part = |uri: &str| {
            changed
                .strip_prefix(uri.trim_end_matches('/'))
                .is_some_and(|rest| changed == uri || rest.starts_with('/'))
        };
        let mut views: Vec<ViewId> = self
            .resources
            .iter()
            .filter(|(uri, _)| is_part(uri))
            .flat_map(|(_, views)| views)
            .filter(|(_, subscribed)| **subscribed == Subscribed::Yes)
            .map(|(view, _)| *view)
            .collect();
        views.sort_unstable();
        views.dedup();
        views
    }

    /// A session sets its level.
    pub(super) fn set_level(&mut self, view: ViewId, level: Gravity) -> Change {
        self.levels.insert(view, level);
        match self.lowest_if_new() {
            None => Change::None,
            Some(lowest) if lowest == level => Change::Own,
            Some(lowest) => Change::Other(lowest),
        }
    }

    /// The child would not have it.
    pub(super) fn refuse_level(&mut self, view: ViewId) {
        self.levels.remove(&view);
        self.told = None;
    }

    /// Whether a session wants log messages of a level. One that has set none gets what the child sends.
    pub(super) fn wants(&self, view: ViewId, level: Gravity) -> bool {
        self.levels.get(&view).is_none_or(|from| level >= *from)
    }

    /// A session has ended: the resources that nobody wants any more, and the level where it is another now.
    pub(super) fn leave(&mut self, view: ViewId) -> (Vec<String>, Option<Gravity>) {
        let own: Vec<String> = self
            .resources
            .iter()
            .filter(|(_, views)| views.contains_key(&view))
            .map(|(uri, _)| uri.clone())
            .collect();
        let left = own
            .into_iter()
            .filter(|uri| self.give_up(view, uri) == Others::None)
            .collect();
        let level = self.levels.remove(&view).and_then(|_| self.lowest_if_new());
        (left, level)
    }

    /// The lowest level, noted as told, where the child was told another.
    fn lowest_if_new(&mut self) -> Option<Gravity> {
        let lowest = self.levels.values().min().copied()?;
        (self.told.replace(lowest) != Some(lowest)).then_some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ViewId = ViewId(1);
    const B: ViewId = ViewId(2);

    fn level(name: &str) -> Gravity {
        Gravity::known(Some(name)).unwrap()
    }

    #[test]
    fn only_those_that_the_child_has_agreed_to_are_told_of_a_resource() {
        let mut interest = Interest::default();
        assert!(interest.ask(A, "file:///a"));
        assert!(interest.wanting("file:///a").is_empty());
        interest.agree(A, "file:///a");
        assert!(interest.ask(B, "file:///a"));
        assert_eq!(interest.wanting("file:///a"), [A]);
        interest.refuse(B, "file:///a");
        interest.agree(B, "file:///a");
        assert_eq!(interest.wanting("file:///a"), [A]);
        // What was agreed to before stays when it is asked for again in vain.
        assert!(interest.ask(A, "file:///a"));
        interest.refuse(A, "file:///a");
        assert_eq!(interest.wanting("file:///a"), [A]);
    }

    #[test]
    fn a_part_of_a_resource_is_told_to_those_of_the_whole_and_of_nothing_else() {
        let mut interest = Interest::default();
        for (view, uri) in [(A, "file:///dir"), (B, "file:///dir/")] {
            interest.ask(view, uri);
            interest.agree(view, uri);
        }
        assert_eq!(interest.wanting("file:///dir/x"), [A, B]);
        assert_eq!(interest.wanting("file:///dir"), [A]);
        for other in ["file:///directory", "file:///di", "file:///", "", "file:///dir?x"] {
            assert!(interest.wanting(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn the_child_is_told_once_nobody_wants_a_resource_any_more() {
        let mut interest = Interest::default();
        for view in [A, B] {
            interest.ask(view, "u");
            interest.agree(view, "u");
        }
        assert_eq!(interest.give_up(A, "u"), Others::Some);
        assert_eq!(interest.wanting("u"), [B]);
        assert_eq!(interest.leave(B), (vec!["u".to_owned()], None));
        assert_eq!(interest.give_up(B, "u"), Others::None);
    }

    #[test]
    fn the_child_logs_from_the_lowest_level_on_and_each_session_hears_from_its_own() {
        let mut interest = Interest::default();
        assert!(interest.wants(A, level("debug")));
        assert_eq!(interest.set_level(A, level("error")), Change::Own);
        assert_eq!(interest.set_level(B, level("info")), Change::Own);
        assert_eq!(interest.set_level(A, level("warning")), Change::None);
        assert!(interest.wants(B, level("info")) && !interest.wants(A, level("info")));
        assert_eq!(
            interest.set_level(B, level("emergency")),
            Change::Other(level("warning"))
        );
        assert_eq!(interest.leave(A), (vec![], Some(level("emergency"))));
        assert_eq!(interest.leave(B), (vec![], None));
    }
}
