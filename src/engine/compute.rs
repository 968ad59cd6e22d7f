//! Heavy work, away from the threads that answer requests: a rayon pool behind
//! a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, oneshot};

/// A pool of threads for heavy work.
#[derive(Debug)]
pub struct Compute {
    pool: Arc<rayon::ThreadPool>,
    places: Semaphore,
    most: usize,
    /// Works that wait for a place.
    waiting: AtomicUsize,
    /// Whether work is done at once where it is asked for.
    #[cfg(test)]
    here: bool,
}

/// Heavy work that did not end well; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The threads could not be started.
    #[error("start the threads for heavy work: {0}")]
    Start(String),
    /// The work panicked.
    #[error("finish heavy work: it panicked, which is a bug in plimsoll")]
    Panicked,
}

impl Compute {
    /// A pool of `threads` (0 for one a core) that takes up to `queue` works at
    /// once; more wait for a place.
    ///
    /// # Errors
    /// Where the threads can't be started.
    pub fn new(threads: usize, queue: usize) -> Result<Self, ComputeError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("compute-{number}"))
            .build()
            .map_err(|error| ComputeError::Start(error.to_string()))?;
        let most = queue.max(1);
        Ok(Compute {
            pool: Arc::new(pool),
            places: Semaphore::new(most),
            most,
            waiting: AtomicUsize::new(0),
            #[cfg(test)]
            here: false,
        })
    }

    /// One that does all work at once where it is asked for, so that what comes
    /// after what does not depend on how long anything takes.
    #[cfg(test)]
    pub fn here() -> Self {
        Compute { here: true, ..Compute::new(1, 1).unwrap() }
    }

    /// How many works have a place, and how many wait for one.
    pub fn load(&self) -> (usize, usize) {
        let running = self.most.saturating_sub(self.places.available_permits());
        (running, self.waiting.load(Ordering::Relaxed))
    }

    /// Runs work on the pool; inside it rayon's parallel iterators use the pool.
    ///
    /// # Errors
    /// Where the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        #[cfg(test)]
        if self.here {
            return Ok(self.pool.install(work));
        }
        // The semaphore is never closed, so a place always comes.
        let _place = {
            let _waiting = Waiting::begin(&self.waiting);
            self.places.acquire().await
        };
        let (answer, answered) = oneshot::channel();
        self.pool.spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // Nobody may be waiting any more; then the answer is not needed.
            let _ = answer.send(outcome.map_err(|_| ComputeError::Panicked));
        });
        answered.await.unwrap_or(Err(ComputeError::Panicked))
    }

    /// Runs work that waits for the disk, on threads made for waiting.
    ///
    /// # Errors
    /// Where the work panics.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        #[cfg(test)]
        if self.here {
            return Ok(work());
        }
        tokio::task::spawn_blocking(work).await.map_err(|_| ComputeError::Panicked)
    }
}

/// Counts a work as waiting until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_for_a_place_is_counted() {
        let compute = Arc::new(Compute::new(1, 1).unwrap());
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let held = Arc::clone(&compute);
        let first = tokio::spawn(async move { held.run(move || gone.recv()).await });
        while compute.load() != (1, 0) {
            tokio::task::yield_now().await;
        }
        let held = Arc::clone(&compute);
        let second = tokio::spawn(async move { held.run(|| ()).await });
        while compute.load() != (1, 1) {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        first.await.unwrap().unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(compute.load(), (0, 0));
    }

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_no_end() {
        let compute = Compute::new(2, 1).unwrap();
        assert_eq!(compute.run(|| 2 + 2).await, Ok(4));
        assert_eq!(compute.run(|| panic!("on purpose")).await, Err::<(), _>(ComputeError::Panicked));
        assert_eq!(compute.run(|| 1).await, Ok(1));
    }
}
