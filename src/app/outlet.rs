//! From a config to what delivers notices.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::config::{self, Config};
use crate::domain::Receiver;
use crate::engine::{Backoff, Deliverer, DeliverySettings, Engine, Means};
use crate::notify::{Messenger, NotifierSettings};
use crate::security::Addresses;

/// Who is told, and how.
pub struct Outlet {
    receivers: Vec<Receiver>,
    deliveries: DeliverySettings,
    notifier: NotifierSettings,
}

impl Outlet {
    /// As a config has it.
    pub fn of(config: &Config) -> Self {
        let config::Notify { external_url, allowed_networks, attempts, limits, .. } = config.notify.clone();
        let notify = &config.notify;
        Outlet {
            receivers: config.receivers.clone(),
            deliveries: DeliverySettings {
                poll_every: notify.poll_every,
                backoff: Backoff {
                    waits: attempts.retry_waits,
                    jitter: attempts.retry_jitter,
                    longest_asked: attempts.longest_retry_after,
                },
                max_at_once: limits.max_at_once,
                max_at_once_per_receiver: limits.max_at_once_per_receiver,
                max_waiting: limits.max_waiting,
                max_dead_letters: limits.max_dead_letters,
                max_receivers: limits.max_receivers,
                max_replicas: limits.max_replicas,
                resend_every: notify.resend_every,
                remember: notify.remember,
            },
            notifier: NotifierSettings {
                time_limit: attempts.time_limit,
                max_message: limits.max_message,
                max_answer: limits.max_answer,
                addresses: Addresses::new(allowed_networks),
                external_url,
                resend_every: notify.resend_every,
            },
        }
    }
}

/// For engines that tell nobody: no receivers, and none can be made.
pub fn no_receivers() -> Outlet {
    let (second, kibibyte) = (Duration::from_secs(1), 1 << 10);
    Outlet {
        receivers: Vec::new(),
        deliveries: DeliverySettings {
            poll_every: second,
            backoff: Backoff { waits: Vec::new(), jitter: 0.0, longest_asked: second },
            max_at_once: 1,
            max_at_once_per_receiver: 1,
            max_waiting: 1,
            max_dead_letters: 1,
            max_receivers: 0,
            max_replicas: 0,
            resend_every: second,
            remember: second,
        },
        notifier: NotifierSettings {
            time_limit: second,
            max_message: kibibyte,
            max_answer: kibibyte,
            addresses: Addresses::new(Vec::new()),
            external_url: "http://127.0.0.1:7117".to_owned(),
            resend_every: second,
        },
    }
}

/// What delivers the notices of an engine.
///
/// # Errors
/// Where there is no TLS to be had.
pub fn deliverer_over(engine: &Engine, outlet: &Outlet) -> anyhow::Result<Arc<Deliverer>> {
    let metrics = Arc::clone(engine.metrics());
    Ok(Arc::new(Deliverer::new(engine.registry().clone(), means(outlet)?, metrics)))
}

/// What a deliverer goes by.
///
/// # Errors
/// Where there is no TLS to be had.
pub(super) fn means(outlet: &Outlet) -> anyhow::Result<Means> {
    let notifier = Messenger::new(outlet.notifier.clone()).context("failed to set up the notifier")?;
    Ok(Means {
        receivers: outlet.receivers.clone(),
        notifier: Arc::new(notifier),
        settings: outlet.deliveries.clone(),
    })
}
