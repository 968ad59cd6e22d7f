//! From a config to what delivers notices.

use std::path::Path;
use std::sync::Arc;

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

/// What a demo's config would say: whoever tries webhooks out does so at home.
const DEMO: &str = r#"
[prometheus]
url = "http://127.0.0.1:9090"
[resources.cpu_cores]
expression = "tenant_cpu_cores"
[notify]
allowed_networks = ["127.0.0.0/8", "::1/128"]
"#;

/// For a demo: no receivers, but those that are made over the API, at this
/// machine's own addresses as well.
///
/// # Errors
/// Never, as long as what stands here is a config.
pub fn demo_receivers() -> anyhow::Result<Outlet> {
    Ok(Outlet::of(&Config::from_text(DEMO, Path::new("the demo's config"), &|_| None)?))
}

/// For engines that tell nobody: no receivers, and none can be made.
///
/// # Errors
/// As [`demo_receivers`].
pub fn no_receivers() -> anyhow::Result<Outlet> {
    let Outlet { receivers, deliveries, notifier } = demo_receivers()?;
    Ok(Outlet { receivers, deliveries: DeliverySettings { max_receivers: 0, ..deliveries }, notifier })
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
