//! Heavy work, away from the threads that answer requests: a rayon pool behind
//! a bounded queue.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

/// A pool of threads for heavy work.
#[derive(Debug)]
pub struct Compute {
    pool: Arc<rayon::ThreadPool>,
    places: Semaphore,
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
        Ok(Compute { pool: Arc::new(pool), places: Semaphore::new(queue.max(1)) })
    }

    /// Runs work on the pool; inside it rayon's parallel iterators use the pool.
    ///
    /// # Errors
    /// Where the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        // The semaphore is never closed, so a place always comes.
        let _place = self.places.acquire().await;
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
        tokio::task::spawn_blocking(work).await.map_err(|_| ComputeError::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_no_end() {
        let compute = Compute::new(2, 1).unwrap();
        assert_eq!(compute.run(|| 2 + 2).await, Ok(4));
        assert_eq!(compute.run(|| panic!("on purpose")).await, Err::<(), _>(ComputeError::Panicked));
        assert_eq!(compute.run(|| 1).await, Ok(1));
    }
}
