//! Whose the tasks of a shared child are. Another's is not found, and of a task's changes only the session is told
//! whose call has made it.

use super::{Owner, ViewId};
use crate::tasks::{ID_BYTES_MAX, TASKS_MAX, asks_only};
use callgate_wire::{Object, RawJson, Request};
use std::collections::{HashMap, VecDeque};

/// The tasks that one process has made.
#[derive(Debug, Default)]
pub(super) struct SharedTasks {
    by_id: HashMap<Box<str>, (Owner, ViewId)>,
    in_order: HashMap<Owner, VecDeque<Box<str>>>,
}

impl SharedTasks {
    /// Notes the task that a result tells of, if it does. A task has one owner: whoever is told of it first.
    pub(super) fn note(&mut self, owner: &Owner, view: ViewId, result: &RawJson<'_>) {
        let Some(id) = made_by(result).filter(|id| id.len() <= ID_BYTES_MAX) else {
            return;
        };
        if self.by_id.contains_key(id.as_str()) {
            return;
        }
        let id: Box<str> = id.into();
        let own = self.in_order.entry(owner.clone()).or_default();
        if own.len() >= TASKS_MAX
            && let Some(oldest) = own.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        own.push_back(id.clone());
        self.by_id.insert(id, (owner.clone(), view));
    }

    /// Whether a request asks for tasks of this owner alone; those that ask for none do.
    pub(super) fn may_ask(&self, owner: &Owner, request: &Request<'_>) -> bool {
        asks_only(&request.method, request.params.as_ref(), |id| {
            self.is_of(owner, id)
        })
    }

    /// The session whose call has made the task that a notification tells of.
    pub(super) fn maker(&self, params: Option<&Object<'_>>) -> Option<ViewId> {
        let id = params?.get("taskId")?.as_str()?;
        self.by_id.get(id.as_ref()).map(|(_, view)| *view)
    }

    fn is_of(&self, owner: &Owner, id: RawJson<'_>) -> bool {
        id.as_str()
            .and_then(|id| self.by_id.get(id.as_ref()))
            .is_some_and(|(of, _)| of == owner)
    }
}

/// The id of the task that a result says was made: 2025-11-25 has it in a member of its own.
fn made_by(result: &RawJson<'_>) -> Option<String> {
    let result = result.as_object()?;
    let is_task = || result.get("resultType").and_then(|kind| kind.as_str()).as_deref() == Some("task");
    let id = match result.get("task").and_then(|task| task.as_object()) {
        Some(task) => task.get("taskId"),
        None if is_task() => result.get("taskId"),
        None => None,
    };
    Some(id?.as_str()?.into_owned())
}
