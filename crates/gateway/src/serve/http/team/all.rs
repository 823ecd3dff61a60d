//! A caller's way to all of its servers as one.

use super::super::listen::Whence;
use super::{Aggregates, Denied, Member, Mounts, Team};
use callgate_core::name::ServerName;
use std::sync::{Arc, PoisonError};

impl Team {
    /// The sessions of a caller with all of its servers.
    pub(in crate::serve::http) fn enter_all(
        &self,
        member: &Member,
        peer: Whence,
    ) -> Result<Arc<Aggregates>, Denied> {
        let mut state = self.let_in(member, peer)?;
        if let Some((seen, all)) = &state.all
            && *seen == state.changes
        {
            return Ok(Arc::clone(all));
        }
        let names: Vec<ServerName> = state.access.keys().cloned().collect();
        let mut mounts = Mounts::new();
        for name in names {
            if let Some(mount) = self.mount(member, &mut state, &name) {
                mounts.insert(name, mount);
            }
        }
        let all = state.all.take().map_or_else(
            || {
                let (recorder, settings) = (self.recorder.clone(), self.settings.clone());
                Arc::new(Aggregates::new(member.caller.clone(), recorder, settings))
            },
            |(_, all)| all,
        );
        all.settle(mounts);
        state.all = Some((state.changes, Arc::clone(&all)));
        Ok(all)
    }

    /// All servers as one, of each caller who uses them so.
    pub(super) fn all(&self) -> Vec<Arc<Aggregates>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members
            .values()
            .chain(std::iter::once(&self.local))
            .flat_map(Member::family)
            .filter_map(|member| member.state().all.as_ref().map(|(_, all)| Arc::clone(all)))
            .collect()
    }
}
