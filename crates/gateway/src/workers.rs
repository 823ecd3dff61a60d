//! The threads that connections live on. Each has a runtime of its own, and a connection stays with the one that it
//! was given to: a request is read, judged, forwarded and answered on one thread, which has to wake no other and
//! shares no queue with it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Threads at most: beyond that many, what they still share costs more than another one gives.
const WORKERS_MAX: usize = 32;

thread_local! {
    /// Which worker this thread is, if it is one.
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many workers there are: one a core.
fn count() -> usize {
    available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX)
}

/// The threads, which end once this is dropped.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Held by each connection that lives there.
    load: Arc<()>,
    _end: oneshot::Sender<()>,
}

impl Workers {
    /// Starts them.
    ///
    /// # Errors
    /// Where the system gives no more threads.
    pub(crate) fn start() -> io::Result<Self> {
        (0..count())
            .map(Worker::start)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Lets a connection live on the worker that has the fewest.
    pub(crate) fn spawn<F>(&self, connections: &mut JoinSet<()>, connection: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let least = self.0.iter().min_by_key(|worker| Arc::strong_count(&worker.load));
        let Some(worker) = least else { return };
        let load = Arc::clone(&worker.load);
        let task = async move {
            connection.await;
            drop(load);
        };
        connections.spawn_on(task, &worker.runtime);
    }
}

impl Worker {
    fn start(index: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                INDEX.set(Some(index));
                let _ = runtime.block_on(ended);
                // What it still waits for elsewhere, such as a look at a file, is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            load: Arc::default(),
            _end: end,
        })
    }
}

/// A value for each worker, and one for all other threads together.
#[derive(Debug)]
pub(crate) struct PerWorker<T> {
    workers: Box<[T]>,
    others: T,
}

impl<T: Default> Default for PerWorker<T> {
    fn default() -> Self {
        Self {
            workers: (0..count()).map(|_| T::default()).collect(),
            others: T::default(),
        }
    }
}

impl<T> PerWorker<T> {
    /// This thread's.
    pub(crate) fn own(&self) -> &T {
        INDEX
            .get()
            .and_then(|index| self.workers.get(index))
            .unwrap_or(&self.others)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.workers.iter().chain([&self.others])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::thread::{ThreadId, current};

    #[tokio::test]
    async fn connections_are_spread_evenly_and_each_finds_its_threads_own_value() {
        let workers = Workers::start().unwrap();
        let mut connections = JoinSet::new();
        let seen: Arc<Mutex<HashMap<ThreadId, usize>>> = Arc::default();
        let own: Arc<PerWorker<Mutex<Vec<ThreadId>>>> = Arc::default();
        let (release, held) = tokio::sync::watch::channel(());
        for _ in 0..count() * 3 {
            let (seen, own, mut held) = (Arc::clone(&seen), Arc::clone(&own), held.clone());
            workers.spawn(&mut connections, async move {
                *seen.lock().unwrap().entry(current().id()).or_default() += 1;
                own.own().lock().unwrap().push(current().id());
                let _ = held.changed().await;
            });
        }
        drop(held);
        drop(release);
        while connections.join_next().await.is_some() {}
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), count());
        assert!(seen.values().all(|connections| *connections == 3), "{seen:?}");
        assert!(!seen.contains_key(&current().id()));
        for threads in own.workers.iter().map(|threads| threads.lock().unwrap()) {
            assert_eq!(threads.len(), 3);
            assert!(threads.iter().all(|thread| thread == threads.first().unwrap()));
        }
        assert!(own.others.lock().unwrap().is_empty());
        assert!(std::ptr::eq(own.own(), &raw const own.others));
    }
}
