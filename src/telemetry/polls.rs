//! How long the async threads are kept busy at once: each task's polls are timed,
//! as a histogram by the task's name, and those that take longer than a
//! millisecond are named in the log. Work that computes or waits for a disk
//! belongs on other threads. What other threads had of the processor meanwhile
//! is left out, but where the task waited for something, too.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::busy::Busy;

/// The longest that a poll should take.
pub const LONGEST_POLL: Duration = Duration::from_millis(1);
/// How often it is measured how late tasks come to their turn.
const EVERY: Duration = Duration::from_millis(100);
/// In seconds; one of them is the longest poll.
const BUCKETS: [f64; 11] = [1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.25, 1.0];

type Labels = [(&'static str, &'static str); 1];

/// The polls of all tasks.
#[derive(Debug, Clone)]
pub struct Polls {
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    long: Family<Labels, Counter>,
    late: Family<Labels, Histogram, fn() -> Histogram>,
}

impl Default for Polls {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        Polls {
            durations: Family::new_with_constructor(histogram),
            long: Family::default(),
            late: Family::new_with_constructor(histogram),
        }
    }
}

impl Polls {
    pub(super) fn register(&self, registry: &mut Registry) {
        let about = "Time that a task kept an async thread busy at once";
        registry.register_with_unit("async_poll_duration", about, Unit::Seconds, self.durations.clone());
        let about = "Times that a task kept an async thread busy for longer than a millisecond";
        registry.register("async_long_polls", about, self.long.clone());
        let about = "How late a task came to its turn after a timer, which ticks once a millisecond";
        registry.register_with_unit("async_schedule_delay", about, Unit::Seconds, self.late.clone());
    }

    /// Times the polls of a task, or of a part of one.
    pub fn timed<F>(&self, task: &'static str, future: F) -> Timed<F> {
        let labels = [("task", task)];
        let (durations, long) =
            (self.durations.get_or_create(&labels).clone(), self.long.get_or_create(&labels).clone());
        Timed { future, task, durations, long }
    }

    /// Measures how late tasks come to their turn on these threads, for ever.
    pub async fn measure_delays(self, threads: &'static str) {
        loop {
            let begun = Instant::now();
            tokio::time::sleep(EVERY).await;
            self.was_late(threads, begun.elapsed().saturating_sub(EVERY));
        }
    }

    pub(super) fn was_late(&self, threads: &'static str, by: Duration) {
        self.late.get_or_create(&[("threads", threads)]).observe(by.as_secs_f64());
    }
}

pin_project! {
    /// A future whose polls are timed.
    #[derive(Debug)]
    pub struct Timed<F> {
        #[pin]
        future: F,
        task: &'static str,
        durations: Histogram,
        long: Counter,
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let timed = self.project();
        let busy = Busy::begin();
        let outcome = timed.future.poll(context);
        let took = busy.took();
        timed.durations.observe(took.as_secs_f64());
        if took > LONGEST_POLL {
            timed.long.inc();
            tracing::debug!(task = *timed.task, ?took, "kept an async thread busy");
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_blocks_is_counted_by_its_name_and_one_that_waits_is_not() {
        let polls = Polls::default();
        polls.timed("blocks", async { std::thread::sleep(2 * LONGEST_POLL) }).await;
        polls.timed("waits", tokio::time::sleep(20 * LONGEST_POLL)).await;
        let long = |task| polls.long.get_or_create(&[("task", task)]).get();
        assert_eq!((long("blocks"), long("waits")), (1, 0));
    }
}
