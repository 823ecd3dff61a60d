//! Deadlines: whatever a server does not answer in time is given up, and said to be.

use super::{GIVEN_UP_MAX, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a late answer is still told from one that nobody asked for.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Watches a session's deadlines for as long as anyone holds it.
pub(super) fn watch(session: &Arc<Session>) {
    let weak = Arc::downgrade(session);
    tokio::spawn(async move {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(session) = weak.upgrade() else { return };
            session.sweep().await;
        }
    });
}

impl Session {
    async fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let overdue: Vec<_> = {
            let mut state = self.lock();
            if state.given_up.len() >= GIVEN_UP_MAX / 2 {
                state
                    .given_up
                    .retain(|_, given_up| now.duration_since(given_up.since) < REMEMBERED);
            }
            let is_overdue = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
            state
                .pending
                .iter()
                .filter(|(_, pending)| is_overdue(pending.clock.deadline))
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
