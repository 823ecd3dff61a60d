//! Whose the tasks are at a server that several callers use with one set of credentials: the server may take
//! them all for one, and give any of them the task of another.

use callgate_core::name::GrantId;
use callgate_wire::mcp::method;
use callgate_wire::{Object, RawJson};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tasks of one grant that are remembered; beyond, the oldest is forgotten.
pub(crate) const TASKS_MAX: usize = 1_000;
/// A longer id is not remembered.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// The tasks that calls of each grant have made at one server, as long as the gateway runs.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<HashMap<GrantId, VecDeque<Box<str>>>>);

impl Tasks {
    /// Notes the task that a result tells of, if it does.
    pub(crate) fn note(&self, grant: &GrantId, result: RawJson<'_>) {
        let Some(result) = result.as_object() else { return };
        // 2025-11-25 has the task in a member of its own.
        let task = result.get("task").and_then(|task| task.as_object());
        let id = task.as_ref().unwrap_or(&result).get("taskId");
        let Some(id) = id
            .and_then(|id| id.as_str())
            .filter(|id| id.len() <= ID_BYTES_MAX)
        else {
            return;
        };
        let mut all = self.all();
        let own = all.entry(grant.clone()).or_default();
        if own.iter().any(|own| **own == *id) {
            return;
        }
        if own.len() >= TASKS_MAX {
            own.pop_front();
        }
        own.push_back(id.as_ref().into());
    }

    /// Whether a request asks for tasks of this grant alone; those that ask for none do.
    pub(crate) fn may_ask(&self, grant: &GrantId, asked: &str, params: Option<&Object<'_>>) -> bool {
        asks_only(asked, params, |id| self.is_of(grant, id))
    }

    /// Forgets the tasks of a grant that is gone.
    pub(crate) fn forget(&self, grant: &GrantId) {
        self.all().remove(grant);
    }

    fn is_of(&self, grant: &GrantId, id: RawJson<'_>) -> bool {
        let all = self.all();
        id.as_str().is_some_and(|id| {
            all.get(grant)
                .is_some_and(|own| own.iter().any(|own| **own == *id))
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<GrantId, VecDeque<Box<str>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether all tasks that a request asks for are the caller's own; those that ask for none do.
pub(crate) fn asks_only(
    asked: &str,
    params: Option<&Object<'_>>,
    is_own: impl Fn(RawJson<'_>) -> bool,
) -> bool {
    if asked == method::SUBSCRIPTIONS_LISTEN {
        let filter = params.and_then(|params| params.get("notifications")?.as_object());
        return [params, filter.as_ref()]
            .into_iter()
            .filter_map(|place| place?.get("taskIds"))
            .all(|ids| ids.as_array().is_some_and(|ids| ids.iter().all(|id| is_own(*id))));
    }
    // A list does not say whose its tasks are.
    !asked.starts_with("tasks/") || params.and_then(|params| params.get("taskId")).is_some_and(is_own)
}
