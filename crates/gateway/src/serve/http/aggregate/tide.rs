//! Whether the servers of a caller are still those that something was begun with.

use tokio::sync::watch;

/// Counts the changes. While it is odd, the servers are about to be others, and become them with the next request.
#[derive(Debug, Default)]
pub(super) struct Tide(watch::Sender<u64>);

/// As of one moment.
#[derive(Debug)]
pub(super) struct Since {
    count: u64,
    now: watch::Receiver<u64>,
}

impl Tide {
    /// The servers are about to be others.
    pub(super) fn turn(&self) {
        self.0.send_modify(|count| *count = (*count | 1).wrapping_add(2));
    }

    /// Those that there are now are in force.
    pub(super) fn settle(&self) {
        self.0.send_if_modified(|count| {
            let is_odd = *count % 2 == 1;
            if is_odd {
                *count = count.wrapping_add(1);
            }
            is_odd
        });
    }

    /// As of now. To be asked for before the servers are looked at.
    pub(super) fn since(&self) -> Since {
        let now = self.0.subscribe();
        let count = *now.borrow();
        Since { count, now }
    }
}

impl Since {
    /// Resolves once the servers are others, or are about to be.
    pub(super) async fn over(&mut self) {
        let count = self.count;
        let is_over = |now: &u64| *now != count || *now % 2 == 1;
        if self.now.wait_for(is_over).await.is_err() {
            // Whoever counts has gone: nothing changes any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn is_over(since: &mut Since) -> bool {
        since.over().now_or_never().is_some()
    }

    #[test]
    fn what_was_begun_before_a_change_is_over_and_what_is_begun_after_it_is_not() {
        let tide = Tide::default();
        let mut before = tide.since();
        tide.settle();
        assert!(!is_over(&mut before), "nothing has changed");
        tide.turn();
        let mut meanwhile = tide.since();
        assert!(is_over(&mut before) && is_over(&mut meanwhile));
        tide.settle();
        let mut after = tide.since();
        assert!(is_over(&mut before) && is_over(&mut meanwhile), "for good");
        assert!(!is_over(&mut after));
        tide.settle();
        assert!(!is_over(&mut after));
        // One change upon another is one more.
        tide.turn();
        let mut between = tide.since();
        tide.turn();
        tide.settle();
        assert!(is_over(&mut between) && is_over(&mut after));
    }
}
