//! Threads for what takes its time: the engine's steps, deliveries, and answers
//! that are made from much. Those that take requests in and answer polls of
//! quotas are others, so that nobody there waits behind a report.

use std::future::Future;

use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How many of the threads that may wait for the disk are for polls,
/// and how many for work.
pub fn share_out(threads: usize) -> (usize, usize) {
    let for_polls = (threads / 4).max(1);
    (for_polls, threads.saturating_sub(for_polls).max(1))
}

/// A runtime of its own; what runs on it is given up when this is dropped.
pub struct WorkThreads(Option<Runtime>, Handle);

impl WorkThreads {
    /// Starts a thread for each core, and up to so many that wait for the disk.
    ///
    /// # Errors
    /// Where the threads can't be started.
    pub fn start(most_waiting: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("plimsoll-work")
            .enable_all()
            .max_blocking_threads(most_waiting)
            .build()
            .context("failed to start the threads for work")?;
        let handle = runtime.handle().clone();
        Ok(WorkThreads(Some(runtime), handle))
    }

    /// By which others run something on them.
    pub fn handle(&self) -> Handle {
        self.1.clone()
    }

    /// Runs a task on them.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.1.spawn(task)
    }
}

impl Drop for WorkThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may be dropped on an async thread, which must not wait.
            runtime.shutdown_background();
        }
    }
}
