//! How long a piece of work kept its thread. By the wall's clock that would hold
//! the time in which other threads had the processor, which is nobody's fault:
//! so what counts is the processor's time, and the wall's where the thread also
//! waited for something, as for a disk or a lock.

use std::time::{Duration, Instant};

/// Work below this by the wall's clock is not looked at more closely.
const SHORT: Duration = Duration::from_micros(500);

/// A piece of work of this thread that has begun.
pub(super) struct Busy {
    begun: Instant,
    thread: Option<Thread>,
}

/// What the thread had used up.
#[derive(Clone, Copy)]
struct Thread {
    processor: Duration,
    /// Times that it gave up the processor to wait.
    waits: i64,
}

impl Thread {
    #[cfg(target_os = "linux")]
    fn now() -> Option<Thread> {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::time::{ClockId, clock_gettime};

        let processor = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?.into();
        let waits = getrusage(UsageWho::RUSAGE_THREAD).ok()?.voluntary_context_switches();
        Some(Thread { processor, waits })
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Option<Thread> {
        None
    }
}

impl Busy {
    pub fn begin() -> Self {
        Busy { begun: Instant::now(), thread: Thread::now() }
    }

    /// How long the work kept the thread; by the wall where the thread can't be asked.
    pub fn took(&self) -> Duration {
        let wall = self.begun.elapsed();
        if wall <= SHORT {
            return wall;
        }
        match self.thread.zip(Thread::now()) {
            Some((before, now)) if now.waits == before.waits => {
                now.processor.saturating_sub(before.processor)
            }
            _ => wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_computes_and_what_waits_is_busy() {
        let (busy, begun) = (Busy::begin(), Instant::now());
        std::thread::sleep(20 * SHORT);
        assert!(busy.took() >= 20 * SHORT);
        let busy = Busy::begin();
        while busy
            .thread
            .zip(Thread::now())
            .is_some_and(|(before, now)| now.processor < before.processor + 8 * SHORT)
        {
            std::hint::black_box(begun);
        }
        assert!(busy.thread.is_none() || busy.took() >= 8 * SHORT, "{:?}", busy.took());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_others_had_of_the_processor_does_not_count() {
        // Four threads a processor, all at work: each has a quarter of the time.
        let threads = 4 * std::thread::available_parallelism().unwrap().get();
        let work = || {
            let busy = Busy::begin();
            let until = Instant::now() + Duration::from_millis(200);
            while Instant::now() < until {}
            (busy.took(), busy.begun.elapsed())
        };
        let all: Vec<_> = (0..threads).map(|_| std::thread::spawn(work)).collect();
        let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        let (took, wall) =
            all.iter().fold((Duration::ZERO, Duration::ZERO), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(took < wall.mul_f64(0.8), "{took:?} of {wall:?}");
    }
}
