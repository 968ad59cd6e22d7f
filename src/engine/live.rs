//! What may change while the engine runs, as when the config is read again: the
//! source, the target, the prices and all settings. They change together and at
//! one instant; whoever asks for them holds what stood then until it is done.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Engine, Settings};
use crate::cost::Prices;
use crate::ports::{QuotaTarget, UsageSource};

/// What may change while the engine runs.
#[derive(Clone)]
pub struct Live {
    /// Where usage comes from.
    pub source: Arc<dyn UsageSource>,
    /// Where quotas are enforced.
    pub target: Arc<dyn QuotaTarget>,
    /// What quotas cost; `None` where nobody said.
    pub prices: Option<Arc<Prices>>,
    /// All settings.
    pub settings: Arc<Settings>,
}

impl Engine {
    /// Goes on with another source, target, prices and settings, and begins a
    /// cycle at once. What runs right now may end with those before.
    pub fn change(&self, live: Live) {
        self.live.send_replace(live);
        self.wake();
    }

    /// How the engine is set now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.live.borrow().settings)
    }

    /// What quotas cost.
    pub fn prices(&self) -> Option<Arc<Prices>> {
        self.live.borrow().prices.clone()
    }

    pub(super) fn source(&self) -> Arc<dyn UsageSource> {
        Arc::clone(&self.live.borrow().source)
    }

    pub(super) fn target(&self) -> Arc<dyn QuotaTarget> {
        Arc::clone(&self.live.borrow().target)
    }

    /// A timer whose distance follows the settings.
    pub(super) fn timer(&self, every: fn(&Settings) -> Duration) -> Timer<Live> {
        Timer::new(self.live.subscribe(), move |live| every(&live.settings))
    }
}

/// Ticks at once, and then so long after the tick before as the settings say by
/// then. A tick that comes late does not hasten the next one.
pub(super) struct Timer<T> {
    settings: watch::Receiver<T>,
    every: Box<dyn Fn(&T) -> Duration + Send + Sync>,
    last: Option<Instant>,
}

impl<T> Timer<T> {
    pub(super) fn new(
        settings: watch::Receiver<T>,
        every: impl Fn(&T) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Timer { settings, every: Box::new(every), last: None }
    }

    /// Waits for the next tick; nothing is lost where that is given up.
    pub(super) async fn tick(&mut self) {
        while let Some(last) = self.last {
            let next = last + (self.every)(&self.settings.borrow_and_update());
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                () = changed(&mut self.settings) => {}
            }
        }
        self.last = Some(Instant::now());
    }
}

/// Waits until the settings change; for ever where nobody can change them.
async fn changed<T>(settings: &mut watch::Receiver<T>) {
    if settings.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_follows_what_is_set_while_it_waits() {
        let (set, settings) = watch::channel(Duration::from_secs(3600));
        let mut timer = Timer::new(settings, |every| *every);
        timer.tick().await;
        let begun = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            set.send_replace(Duration::from_millis(20));
            pending::<()>().await;
        });
        timer.tick().await;
        timer.tick().await;
        assert!(begun.elapsed() >= Duration::from_millis(40), "{:?}", begun.elapsed());
    }
}
