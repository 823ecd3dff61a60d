//! Deadlines: whatever a server does not answer in time is given up, and said to be.

use super::pending::{Pending, Target};
use super::{GIVEN_UP_MAX, Session, State, Watch};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a late answer is still told from one that nobody asked for.
const REMEMBERED: Duration = Duration::from_secs(600);

impl Session {
    /// Watches deadlines for as long as requests wait; a session that is idle has no task. The caller holds the
    /// table, in which a request now stands.
    pub(super) fn watch_deadlines(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.watch, Watch::On) == Watch::On {
            return;
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(session) = weak.upgrade() else { return };
                session.sweep().await;
                let mut state = session.lock();
                // What stands in for another request has no deadline of its own.
                let is_relay = |pending: &Pending| matches!(pending.target, Target::Relay(_));
                if state.pending.values().all(is_relay) {
                    state.watch = Watch::Off;
                    return;
                }
            }
        });
    }

    async fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let overdue: Vec<_> = {
            let mut state = self.lock();
            if state.given_up.len() >= GIVEN_UP_MAX / 2 {
                state
                    .given_up
                    .retain(|_, given_up| now.duration_since(given_up.since) < REMEMBERED);
            }
            state
                .pending
                .iter()
                .filter(|(_, pending)| pending.clock.is_overdue(now))
                .map(|(key, _)| key.clone())
                .collect()
        };
        for key in overdue {
            self.expire(&key).await;
        }
        for key in self.left_behind() {
            self.cancel_abandoned(&key).await;
        }
    }
}
