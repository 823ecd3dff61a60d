//! What changes while a team is served: servers that come, go or become others, and rights that end.
//!
//! A caller's right and the servers that it leads to are put in force together, caller by caller, so that no call
//! reaches a server as it is now under the policy of before, or the reverse.

use super::super::aggregate::{Aggregates, Mounts};
use super::super::sessions::{Sessions, Upstream};
use super::{Access, Behind, Member, MemberState, Servers, Source, Team};
use crate::gate::PolicySlot;
use callgate_core::limit::StoreTime;
use callgate_core::name::ServerName;
use callgate_core::program::Program;
use callgate_store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long requests that a server which is another now was asked may go on.
const LEAVE_GRACE: Duration = Duration::from_secs(5);
/// How often is looked whether requests that were let in have found their session.
const LEAVE_PERIOD: Duration = Duration::from_millis(20);

/// What a team is to be from now on.
#[derive(Debug)]
pub struct Change {
    /// The servers that stay as they are, with their sessions.
    pub kept: BTreeSet<ServerName>,
    /// Servers that are new, or others than before under the same name.
    pub servers: BTreeMap<ServerName, Upstream>,
    /// What callers on this machine may use until the first grant is made.
    pub local: Access,
    /// Where grants come from.
    pub source: Box<dyn Source>,
}

impl Team {
    /// Puts a change in force, for every caller. Once it returns, no request is let in to what there was before, and
    /// no call is judged by it that was let in afterwards. Sessions with a server that is another now end once what
    /// they have begun is over, and within 5 s; those with a server that is gone carry no further call.
    ///
    /// # Errors
    /// [`StoreError`] where the grants cannot be read; nothing has changed then.
    pub async fn change(self: &Arc<Self>, change: Change) -> Result<(), StoreError> {
        let _turn = self.reading.lock().await;
        let team = Arc::clone(self);
        let put = tokio::task::spawn_blocking(move || {
            let roll = change.source.roll()?;
            let before = team.servers.load_full();
            team.servers
                .store(Arc::new(after(&before, &change.kept, change.servers)));
            team.local_access.store(Arc::new(change.local));
            team.source.store(Arc::new(change.source));
            team.put_in_force(roll);
            Ok(())
        });
        put.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn after(before: &Servers, kept: &BTreeSet<ServerName>, servers: BTreeMap<ServerName, Upstream>) -> Servers {
    let stay = before.iter().filter(|(name, _)| kept.contains(*name));
    let mut all: Servers = stay
        .map(|(name, behind)| (name.clone(), Arc::clone(behind)))
        .collect();
    for (name, upstream) in servers {
        let behind = Behind::after(before.get(&name).map(|behind| &**behind), upstream);
        all.insert(name, Arc::new(behind));
    }
    all
}

impl Behind {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            health: Arc::default(),
            tasks: Arc::default(),
        }
    }

    /// The same server told something else still has the tasks that it had.
    fn after(before: Option<&Self>, upstream: Upstream) -> Self {
        let same = before.filter(|before| before.upstream.is_where(&upstream));
        let tasks = same.map(|same| Arc::clone(&same.tasks)).unwrap_or_default();
        Self {
            tasks,
            ..Self::new(upstream)
        }
    }
}

impl MemberState {
    /// Its sessions with servers as they are now.
    fn by_name(&self) -> Mounts {
        let mounted = self.mounts.iter();
        mounted
            .map(|(name, mount)| (name.clone(), Arc::clone(&mount.sessions)))
            .collect()
    }

    /// All of its sessions, those that are leaving among them.
    pub(super) fn sessions(&self) -> Vec<Arc<Sessions>> {
        let mounted = self.mounts.values().map(|mount| Arc::clone(&mount.sessions));
        mounted
            .chain(self.leaving.iter().filter_map(Weak::upgrade))
            .collect()
    }
}

impl Member {
    /// Puts a right in force: open sessions are judged by the policies that it names, and those with servers
    /// that it does not name end.
    pub(super) fn put(&self, access: &Access, expires: Option<StoreTime>, servers: &Arc<Servers>) {
        let mut state = self.state();
        let nothing = Access::new();
        let access = if state.has_left { &nothing } else { access };
        state.expires = expires;
        if !Arc::ptr_eq(&state.servers, servers) || !state.access.keys().eq(access.keys()) {
            state.changes = state.changes.wrapping_add(1);
        }
        let are_others = !reached(&state.access, &state.servers).eq(reached(access, servers));
        if let Some((_, all)) = state.all.as_ref().filter(|_| are_others) {
            all.turn();
        }
        state.servers = Arc::clone(servers);
        let before = state.mounts.len();
        let mut gone = Vec::new();
        for sessions in std::mem::take(&mut state.leaving)
            .iter()
            .filter_map(Weak::upgrade)
        {
            deny_all(&sessions);
            if access.contains_key(&sessions.gate().server) {
                state.leaving.push(Arc::downgrade(&sessions));
            } else {
                gone.push(sessions);
            }
        }
        for (server, mount) in std::mem::take(&mut state.mounts) {
            match (access.get(&server), servers.get(&server)) {
                (Some(policy), Some(behind)) if Arc::ptr_eq(behind, &mount.behind) => {
                    mount.sessions.gate().judge_by(Arc::clone(policy));
                    state.mounts.insert(server, mount);
                }
                (Some(_), behind) => {
                    if let Some(own) = &self.tasks
                        && behind.is_none_or(|now| !now.upstream.is_where(&mount.behind.upstream))
                    {
                        own.forget(&server);
                    }
                    if behind.is_none() {
                        deny_all(&mount.sessions);
                    }
                    state.leaving.push(Arc::downgrade(&mount.sessions));
                    see_off(mount.sessions);
                }
                (None, _) => gone.push(mount.sessions),
            }
        }
        // What is left without a server ends; so does what is left of a caller who is gone.
        let all = state.all.take_if(|_| access.is_empty());
        let shrunk = state.all.as_ref().filter(|_| state.mounts.len() < before);
        let shrunk = shrunk.map(|(_, all)| (Arc::clone(all), state.by_name()));
        let guests = if access.is_empty() {
            state.guests.take_all()
        } else {
            state.guests.all()
        };
        state.access.clone_from(access);
        // Under the lock: whoever comes next puts all servers there again.
        if let Some((open, left)) = shrunk {
            open.put(left);
        }
        drop(state);
        end_all(gone, all.map(|(_, all)| all));
        for guest in guests {
            guest.put(access, expires, servers);
        }
    }

    /// Ends its sessions.
    pub(super) fn end(&self) {
        let mut state = self.state();
        let gone = state.sessions();
        let all = state.all.take();
        let guests = state.guests.all();
        state.mounts.clear();
        state.leaving.clear();
        drop(state);
        end_all(gone, all.map(|(_, all)| all));
        for guest in guests {
            guest.end();
        }
    }
}

/// The servers that a right leads to, each as the very one that it is.
fn reached<'a>(
    access: &'a Access,
    servers: &'a Servers,
) -> impl Iterator<Item = (&'a ServerName, *const Behind)> {
    let behind = |name| Some((name, Arc::as_ptr(servers.get(name)?)));
    access.keys().filter_map(behind)
}

fn deny_all(sessions: &Sessions) {
    let nothing = PolicySlot::new(Arc::new(Program::deny_all()));
    sessions.gate().judge_by(nothing);
}

/// Ends sessions whose caller has no right to them any more: what is being judged is denied from now on.
fn end_all(gone: Vec<Arc<Sessions>>, all: Option<Arc<Aggregates>>) {
    if gone.is_empty() && all.is_none() {
        return;
    }
    if let Some(all) = &all {
        all.shut();
    }
    for sessions in &gone {
        deny_all(sessions);
        sessions.shut();
    }
    spawn(async move {
        if let Some(all) = all {
            all.close_all().await;
        }
        futures_util::future::join_all(gone.iter().map(|sessions| sessions.close_all())).await;
    });
}

/// Ends sessions that nothing leads to any more, once what they have begun is over.
fn see_off(sessions: Arc<Sessions>) {
    spawn(async move {
        let over = async {
            // Requests that were let in hold them too, until they have found their session.
            while Arc::strong_count(&sessions) > 1 {
                tokio::time::sleep(LEAVE_PERIOD).await;
            }
            sessions.drained().await;
        };
        let _ = tokio::time::timeout(LEAVE_GRACE, over).await;
        sessions.close_all().await;
    });
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}
