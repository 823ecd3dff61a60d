//! Callers who are let in by an OAuth token: as a grant, each subject with sessions and tasks of its own.

use super::super::listen::Whence;
use super::{Access, Denied, Member, Team};
use crate::oauth::{Holder, OAuth, Rejected, texts};
use crate::tasks::Tasks;
use callgate_core::call::Caller;
use callgate_core::name::ServerName;
use callgate_store::Identity;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Subjects of one grant that are known at once; beyond, the one that was not seen for longest is forgotten, and
/// its sessions end.
const SUBJECTS_MAX: usize = 1_000;
/// Sets of claims that one subject comes with at once.
const CLAIM_SETS_MAX: usize = 8;
/// Streams last at most so long, whenever the token ends that they were opened with.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often a holder is looked for again where grants change meanwhile.
const TRIES_MAX: u32 = 5;
/// The claim that names a subject.
const SUBJECT: &str = "sub";

/// Who is let in as which grant: issuer, claim, value.
#[derive(Debug, Default)]
pub(super) struct Identities(HashMap<Box<str>, HashMap<Box<str>, ByValue>>);

type ByValue = HashMap<Box<str>, Arc<Member>>;

/// The grants that let a holder in.
enum Hosts {
    None,
    One(Arc<Member>),
    Several,
}

impl Identities {
    pub(super) fn add(&mut self, identities: Vec<Identity>, member: &Arc<Member>) {
        for identity in identities {
            let claims = self.0.entry(identity.issuer().into()).or_default();
            let values = claims.entry(identity.claim().into()).or_default();
            values.insert(identity.value().into(), Arc::clone(member));
        }
    }

    /// A grant that names the subject goes before those that name another claim.
    fn hosts(&self, holder: &Holder) -> Hosts {
        let Some(claims) = self.0.get(&*holder.issuer) else {
            return Hosts::None;
        };
        if let Some(member) = claims
            .get(SUBJECT)
            .and_then(|values| values.get(&*holder.subject))
        {
            return Hosts::One(Arc::clone(member));
        }
        let mut found = Hosts::None;
        for (claim, values) in claims {
            let held = holder.claims.get(claim).map(texts).into_iter().flatten();
            for member in held.filter_map(|value| values.get(value)) {
                found = match found {
                    Hosts::None => Hosts::One(Arc::clone(member)),
                    Hosts::One(other) if Arc::ptr_eq(&other, member) => Hosts::One(other),
                    Hosts::One(_) | Hosts::Several => return Hosts::Several,
                };
            }
        }
        found
    }
}

/// The tasks of one subject, by server.
#[derive(Debug, Default)]
pub(super) struct OwnTasks(Mutex<BTreeMap<ServerName, Arc<Tasks>>>);

impl OwnTasks {
    pub(super) fn at(&self, server: &ServerName) -> Arc<Tasks> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(server.clone()).or_default())
    }

    /// What the server of that name is now has none of them.
    pub(super) fn forget(&self, server: &ServerName) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(server);
    }
}

/// Those who are let in as one grant, by issuer and subject.
#[derive(Debug, Default)]
pub(super) struct Guests(HashMap<(Arc<str>, Arc<str>), Subject>);

#[derive(Debug)]
struct Subject {
    seen: Instant,
    tasks: Arc<OwnTasks>,
    sets: Vec<ClaimSet>,
}

/// What a subject claims. Another set of claims is judged otherwise, so its sessions are others.
#[derive(Debug)]
struct ClaimSet {
    seen: Instant,
    digest: [u8; 32],
    member: Arc<Member>,
}

impl Guests {
    pub(super) fn all(&self) -> Vec<Arc<Member>> {
        let sets = self.0.values().flat_map(|subject| &subject.sets);
        sets.map(|set| Arc::clone(&set.member)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Arc<Member>> {
        let sets = self.0.drain().flat_map(|(_, subject)| subject.sets);
        sets.map(|set| set.member).collect()
    }

    /// Removes those of whom `is_stranger` holds.
    fn take(&mut self, is_stranger: impl Fn(&Holder) -> bool) -> Vec<Arc<Member>> {
        let mut taken = Vec::new();
        for subject in self.0.values_mut() {
            subject.sets.retain(|set| {
                let gone = set.member.holder.as_deref().is_none_or(&is_stranger);
                if gone {
                    taken.push(Arc::clone(&set.member));
                }
                !gone
            });
        }
        self.0.retain(|_, subject| !subject.sets.is_empty());
        taken
    }

    /// The guest with a holder's claims, made where there is none, and those who had to make room.
    fn of(
        &mut self,
        holder: &Holder,
        make: impl FnOnce(&Arc<OwnTasks>) -> Member,
    ) -> (Arc<Member>, Vec<Arc<Member>>) {
        let now = Instant::now();
        let key = (Arc::clone(&holder.issuer), Arc::clone(&holder.subject));
        let mut gone = Vec::new();
        if self.0.len() >= SUBJECTS_MAX && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, subject)| subject.seen);
            if let Some(subject) = oldest
                .map(|(key, _)| key.clone())
                .and_then(|key| self.0.remove(&key))
            {
                gone.extend(subject.sets.into_iter().map(|set| set.member));
            }
        }
        let subject = self.0.entry(key).or_insert_with(|| Subject {
            seen: now,
            tasks: Arc::default(),
            sets: Vec::new(),
        });
        subject.seen = now;
        if let Some(set) = subject.sets.iter_mut().find(|set| set.digest == holder.digest) {
            set.seen = now;
            return (Arc::clone(&set.member), gone);
        }
        let member = Arc::new(make(&subject.tasks));
        subject.sets.push(ClaimSet {
            seen: now,
            digest: holder.digest,
            member: Arc::clone(&member),
        });
        if subject.sets.len() > CLAIM_SETS_MAX {
            subject.sets.sort_by_key(|set| std::cmp::Reverse(set.seen));
            gone.extend(subject.sets.pop().map(|set| set.member));
        }
        (member, gone)
    }
}

impl Member {
    /// Whoever holds a token of this grant's, with what the grant may use now.
    fn guest(&self, holder: &Holder) -> Arc<Self> {
        let mut state = self.state();
        let (access, expires) = (state.access.clone(), state.expires);
        let servers = Arc::clone(&state.servers);
        let (guest, gone) = state.guests.of(holder, |tasks| {
            let guest = Self {
                holder: Some(Arc::new(holder.clone())),
                tasks: Some(Arc::clone(tasks)),
                ..Self::new(self.caller_of(holder), None)
            };
            guest.put(&access, expires, &servers);
            guest
        });
        // While no other right can be put in force: whoever does that no longer finds them among the guests.
        gone.iter().for_each(|gone| gone.leave());
        guest
    }

    fn caller_of(&self, holder: &Holder) -> Caller {
        Caller {
            grant: self.caller.grant.clone(),
            label: Arc::clone(&self.caller.label),
            issuer: Some(Arc::clone(&holder.issuer)),
            subject: Some(Arc::clone(&holder.subject)),
            claims: holder.claims.clone(),
        }
    }

    /// Ends the guests whom this grant lets in no more.
    pub(super) fn end_strangers(self: &Arc<Self>, identities: &Identities) {
        let gone = self.state().guests.take(|holder| match identities.hosts(holder) {
            Hosts::One(host) => !Arc::ptr_eq(&host, self),
            Hosts::None | Hosts::Several => true,
        });
        gone.iter().for_each(|gone| gone.leave());
    }

    /// May use nothing any more.
    fn leave(&self) {
        let servers = {
            let mut state = self.state();
            // Whoever has seen it among the guests may still mean to put a right in force.
            state.has_left = true;
            Arc::clone(&state.servers)
        };
        self.put(&Access::new(), None, &servers);
    }
}

impl Team {
    /// Whose access tokens are accepted, where any are.
    #[must_use]
    pub const fn oauth(&self) -> Option<&Arc<OAuth>> {
        self.oauth.as_ref()
    }

    /// Whoever holds an OAuth token for the endpoint at `path`, and when the token ends.
    pub(in crate::serve::http) async fn by_jwt(
        &self,
        oauth: &OAuth,
        path: &str,
        token: &str,
        peer: Whence,
    ) -> Result<(Arc<Member>, Instant), Denied> {
        let now = self.token_time();
        let holder = oauth.holder(token, &oauth.resource(path), now.as_secs()).await;
        let holder = holder.map_err(|rejected| self.rejected(rejected, peer))?;
        let guest = self.guest(&holder, peer)?;
        let left = Duration::from_secs(holder.expires).saturating_sub(now);
        Ok((guest, Instant::now() + left.min(TOKEN_TIME_MAX)))
    }

    /// Records a request with a token in its URL.
    pub(in crate::serve::http) fn token_in_url(&self, peer: Whence) -> Denied {
        let slow = self.count_failure(peer);
        let reason = if slow { "too_many_failures" } else { "token_in_url" };
        self.recorder.auth_failure(None, None, peer, reason);
        if slow { Denied::Slow } else { Denied::TokenInUrl }
    }

    /// Records a token that is not accepted; what its sender cannot help is not held against its address.
    fn rejected(&self, rejected: Rejected, peer: Whence) -> Denied {
        let code = rejected.code();
        let holder = if let Rejected::Scope(holder) = &rejected {
            Some(&**holder)
        } else {
            None
        };
        let is_senders = holder.is_none() && rejected != Rejected::KeysUnavailable;
        let slow = is_senders && self.count_failure(peer);
        let reason = if slow { "too_many_failures" } else { code };
        self.recorder.auth_failure_of(holder, None, None, peer, reason);
        if slow { Denied::Slow } else { Denied::Jwt(rejected) }
    }

    fn guest(&self, holder: &Holder, peer: Whence) -> Result<Arc<Member>, Denied> {
        let refused = |denied, reason| {
            self.recorder
                .auth_failure_of(Some(holder), None, None, peer, reason);
            Err(denied)
        };
        for _ in 0..TRIES_MAX {
            let tokens = self.tokens.load_full();
            let host = match tokens.identities.hosts(holder) {
                Hosts::One(host) => host,
                Hosts::None => return refused(Denied::NoGrant, "no_grant"),
                Hosts::Several => return refused(Denied::SeveralGrants, "several_grants"),
            };
            let guest = host.guest(holder);
            // Where the grants have changed meanwhile, those who ended strangers may have come before this guest.
            if Arc::ptr_eq(&tokens, &self.tokens.load_full()) {
                return Ok(guest);
            }
        }
        refused(Denied::NoGrant, "no_grant")
    }

    /// Since the Unix epoch: the machine's time, or the store's where that is ahead, as it does not go back.
    fn token_time(&self) -> Duration {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        wall.max(Duration::from_nanos(self.recorder.store().now().0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Servers;
    use super::*;
    use crate::gate::PolicySlot;
    use callgate_core::json::Json;
    use callgate_core::name::GrantId;
    use callgate_core::program::Program;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn access() -> Access {
        let policy = PolicySlot::new(Arc::new(Program::deny_all()));
        Access::from([(ServerName::new("notes").unwrap(), policy)])
    }

    fn is(one: &Access, other: &Access) -> bool {
        one.values()
            .zip(other.values())
            .all(|(one, other)| Arc::ptr_eq(one, other))
            && one.len() == other.len()
    }

    fn holder(claims: u8) -> Holder {
        Holder {
            issuer: "https://login.example.com".into(),
            subject: "ana".into(),
            claims: Json::Null,
            digest: [claims; 32],
            expires: 0,
        }
    }

    fn host(access: &Access, servers: &Arc<Servers>) -> Arc<Member> {
        let caller = super::super::caller(GrantId::new("g").unwrap(), "label".into());
        let host = Arc::new(Member::new(caller, None));
        host.put(access, None, servers);
        host
    }

    #[test]
    fn whoever_is_pushed_out_while_its_right_changes_keeps_no_right_of_before() {
        let servers = Arc::default();
        let (before, after) = (access(), access());
        let host = host(&before, &servers);
        let first = host.guest(&holder(0));
        for claims in 1..CLAIM_SETS_MAX {
            host.guest(&holder(u8::try_from(claims).unwrap()));
        }
        assert!(is(&first.state().access, &before));
        let is_in_force = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Whoever pushes it out has to wait for it, as where a request of it is just being let in.
            let held = first.state();
            scope.spawn(|| host.guest(&holder(u8::MAX)));
            let is_among = |host: &Member| {
                host.state
                    .try_lock()
                    .is_ok_and(|state| state.guests.all().iter().any(|guest| Arc::ptr_eq(guest, &first)))
            };
            while is_among(&host) {
                std::thread::yield_now();
            }
            scope.spawn(|| {
                host.put(&after, None, &servers);
                is_in_force.store(true, Ordering::Release);
            });
            std::thread::sleep(Duration::from_millis(200));
            assert!(
                !(is(&held.access, &before) && is_in_force.load(Ordering::Acquire)),
                "the new right is in force, and it still has that of before"
            );
            drop(held);
        });
        assert!(first.state().access.is_empty());
        // Whoever has found it among the guests before it was pushed out gives it nothing either.
        first.put(&after, None, &servers);
        assert!(first.state().access.is_empty());
        for guest in host.state().guests.all() {
            assert!(is(&guest.state().access, &after));
        }
    }
}
