//! Delivers notices: hands them out from the outbox to the receivers' queues,
//! and sees each delivery through to its end. It takes no input but the state,
//! so that a crash costs nothing but a repetition.
//!
//! Of the deliveries of one receiver and subject only the first is tried, so
//! that an incident's end can't overtake its beginning. A receiver that hangs
//! takes up only its own share of what may run at once.

mod backoff;
mod driver;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub use backoff::Backoff;
pub use driver::drive_deliveries;

use super::live::Timer;
use super::reports;
use crate::domain::{Notice, NoticeKind, Receiver, ReceiverName, Severity, Timestamp};
use crate::ports::{DeliveryError, Notifier, Telling};
use crate::registry::outbox::{Delivery, Recipient};
use crate::registry::{Disabled, Registry, RegistryError, Remark};
use crate::telemetry::{self, Metrics};

/// So many times what has ended is told again to receivers that hold a state:
/// until a replica that missed it has let it go by itself.
const ENDS_RENEWED: u32 = 4;
/// What the clock may cut off the present. A wait is this much longer, so that
/// nobody comes back before a receiver's `Retry-After` is over.
const TICK: Duration = Duration::from_millis(1);
/// How often what was delivered long ago is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How deliveries are made.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How often the outbox is looked at.
    pub poll_every: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// The most deliveries that run at once.
    pub max_at_once: usize,
    /// The most of them to one receiver.
    pub max_at_once_per_receiver: usize,
    /// The most notices that wait for one receiver.
    pub max_waiting: usize,
    /// The most dead letters that are kept of one receiver.
    pub max_dead_letters: usize,
    /// The most receivers that the API makes.
    pub max_receivers: usize,
    /// The most replicas of a receiver that the API makes.
    pub max_replicas: usize,
    /// How often a receiver that holds a state is told again what goes on.
    pub resend_every: Duration,
    /// How long it is remembered what a receiver took last of a subject.
    pub remember: Duration,
}

/// Where a receiver's settings stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the config.
    Config,
    /// In the state; the API made it.
    Api,
}

/// A receiver with what is known of it.
#[derive(Debug, Clone)]
pub struct KnownReceiver {
    /// The receiver.
    pub receiver: Receiver,
    /// Where its settings stand.
    pub origin: Origin,
    /// Whether it is disabled.
    pub disabled: Option<Disabled>,
    /// The version to be named when it is changed; `None` where it stands in the
    /// config.
    pub version: Option<u64>,
}

/// Who is told, and how: what may change while the deliverer runs.
pub struct Means {
    /// The receivers of the config.
    pub receivers: Vec<Receiver>,
    /// What tells them.
    pub notifier: Arc<dyn Notifier>,
    /// How deliveries are made.
    pub settings: DeliverySettings,
}

/// Delivers notices; shared behind an `Arc`.
pub struct Deliverer {
    registry: Registry,
    means: watch::Sender<Arc<Means>>,
    metrics: Arc<Metrics>,
    /// Wakes the driver before its time.
    wake: Notify,
    /// Receivers whose last attempt failed, so that each failure is said once.
    failing: Mutex<HashSet<ReceiverName>>,
    renewed_at: Mutex<HashMap<ReceiverName, Timestamp>>,
    /// Held while a receiver that holds a state is told something, so that what
    /// has ended is not told on.
    telling: Mutex<HashMap<ReceiverName, Arc<tokio::sync::Mutex<()>>>>,
    forgot_at: Mutex<Option<Timestamp>>,
}

/// A delivery that may be tried now, with its version.
#[derive(Debug, Clone)]
struct Due {
    receiver: Receiver,
    delivery: Delivery,
    version: u64,
}

/// The deliveries that run, by receiver and subject.
type UnderWay = HashSet<(ReceiverName, String)>;

impl Deliverer {
    /// Delivers what is in the registry to the configured receivers and those
    /// of the registry.
    pub fn new(registry: Registry, means: Means, metrics: Arc<Metrics>) -> Self {
        Deliverer {
            registry,
            means: watch::Sender::new(Arc::new(means)),
            metrics,
            wake: Notify::new(),
            failing: Mutex::default(),
            renewed_at: Mutex::default(),
            telling: Mutex::default(),
            forgot_at: Mutex::default(),
        }
    }

    /// Goes on with other means. Deliveries that run end with those before.
    pub fn change(&self, means: Means) {
        self.means.send_replace(Arc::new(means));
        self.wake();
    }

    fn means(&self) -> Arc<Means> {
        Arc::clone(&self.means.borrow())
    }

    /// A timer that follows how often the outbox is to be looked at.
    fn timer(&self) -> Timer<Arc<Means>> {
        Timer::new(self.means.subscribe(), |means| means.settings.poll_every)
    }

    /// Looks at the outbox before its time.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// All receivers by name. A name of the config stands before the same name
    /// of the API.
    pub async fn receivers(&self) -> Result<BTreeMap<ReceiverName, KnownReceiver>, RegistryError> {
        let mut records: BTreeMap<_, _> = self.registry.receiver_records().await?.into_iter().collect();
        let mut known = BTreeMap::new();
        for receiver in &self.means().receivers {
            let disabled = records.remove(&receiver.name).and_then(|record| record.disabled);
            let found =
                KnownReceiver { receiver: receiver.clone(), origin: Origin::Config, disabled, version: None };
            known.insert(receiver.name.clone(), found);
        }
        for (name, record) in records {
            if let Some(receiver) = record.receiver {
                let (disabled, version) = (record.disabled, Some(record.version));
                known.insert(name, KnownReceiver { receiver, origin: Origin::Api, disabled, version });
            }
        }
        Ok(known)
    }

    /// One receiver.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub async fn receiver(&self, name: &ReceiverName) -> Result<KnownReceiver, RegistryError> {
        let found = self.receivers().await?.remove(name);
        found.ok_or_else(|| RegistryError::NoSuchReceiver(name.clone()))
    }

    /// Makes a receiver, or gives one that there is other settings; `true`
    /// where it is new.
    ///
    /// # Errors
    /// Where it stands in the config, it is not the version that was `seen`, or
    /// there are too many of them or of its replicas.
    pub async fn put(
        &self,
        receiver: &Receiver,
        seen: Option<u64>,
        remark: Remark,
    ) -> Result<bool, RegistryError> {
        let (replicas, most) = (receiver.replicas.len(), self.means().settings.max_replicas);
        if replicas > most {
            return Err(RegistryError::TooManyReplicas(replicas, most));
        }
        self.means().notifier.check_address(receiver)?;
        let known = self.receivers().await?;
        match known.get(&receiver.name).map(|known| known.origin) {
            Some(Origin::Config) => Err(RegistryError::ReceiverOfConfig(receiver.name.clone())),
            Some(Origin::Api) => self.registry.change_receiver(receiver, seen, remark).await.map(|()| false),
            None if seen.is_some() => Err(RegistryError::NoSuchReceiver(receiver.name.clone())),
            None => {
                let made = known.values().filter(|known| known.origin == Origin::Api).count();
                if made >= self.means().settings.max_receivers {
                    return Err(RegistryError::TooManyReceivers(made));
                }
                self.registry.create_receiver(receiver, remark).await.map(|()| true)
            }
        }
    }

    /// Removes a receiver.
    ///
    /// # Errors
    /// Where there is none of this name, it stands in the config, or it is not
    /// the version that was `seen`.
    pub async fn remove(
        &self,
        name: &ReceiverName,
        seen: Option<u64>,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        match self.receiver(name).await?.origin {
            Origin::Api => self.registry.remove_receiver(name, seen, remark).await,
            Origin::Config => Err(RegistryError::ReceiverOfConfig(name.clone())),
        }
    }

    /// Sends to a receiver again that had said that it is gone.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub async fn enable(&self, name: &ReceiverName, remark: Remark) -> Result<(), RegistryError> {
        self.receiver(name).await?;
        self.registry.enable_receiver(name, remark).await
    }

    /// Puts a dead letter back on its way.
    ///
    /// # Errors
    /// Where there is none of this number, it would overtake what came after, or
    /// the receiver is disabled.
    pub async fn send_again(
        &self,
        name: &ReceiverName,
        number: u64,
        remark: Remark,
    ) -> Result<Delivery, RegistryError> {
        let known = self.receivers().await?;
        if known.get(name).is_some_and(|known| known.disabled.is_some()) {
            return Err(RegistryError::ReceiverIsDisabled(name.clone()));
        }
        self.registry.send_again(name, number, remark).await
    }

    /// Sends a test to a receiver, once and at once, past all queues. Gives
    /// what went wrong, if anything did.
    ///
    /// # Errors
    /// Where there is none of this name, or the test can't be written down.
    pub async fn test(
        &self,
        name: &ReceiverName,
        id: uuid::Uuid,
        remark: Remark,
    ) -> Result<Result<(), DeliveryError>, RegistryError> {
        let known = self.receiver(name).await?;
        let notice = test_notice(name, id, self.registry.now());
        let telling = Telling { notice: &notice, before: None, enclosure: None };
        let outcome = self.means().notifier.deliver(&known.receiver, telling, notice.at).await;
        let said =
            outcome.as_ref().map_or_else(|error| format!("failed to {error}"), |()| "taken".to_owned());
        self.registry.receiver_tested(name, &said, remark).await?;
        Ok(outcome)
    }

    /// Hands out what is new, and gives what may be tried now and does not run
    /// already, as far as there is room.
    async fn due(&self, under_way: &UnderWay) -> Result<Vec<Due>, RegistryError> {
        let known = self.receivers().await?;
        let means = self.means();
        let settings = &means.settings;
        let waiting = self.registry.deliveries().await?;
        let recipients = recipients(settings, &known, &waiting);
        let waiting = match self.registry.hand_out(&recipients, settings.max_dead_letters).await? {
            0 => waiting,
            _ => self.registry.deliveries().await?,
        };
        let now = self.registry.now();
        let oldest = waiting.iter().map(|(delivery, _)| delivery.notice.at).min();
        self.metrics.outbox(waiting.len(), oldest.map_or(Duration::ZERO, |at| now.since(at)));
        let mut seen = HashSet::new();
        let mut running: HashMap<ReceiverName, usize> = HashMap::new();
        for (receiver, _) in under_way {
            *running.entry(receiver.clone()).or_default() += 1;
        }
        let mut due = Vec::new();
        for (delivery, version) in waiting {
            let place = (delivery.receiver.clone(), delivery.notice.subject.clone());
            let first = seen.insert(place.clone());
            if under_way.contains(&place) {
                continue;
            }
            let Some(known) = known.get(&delivery.receiver).filter(|known| known.disabled.is_none()) else {
                self.bury(delivery, version, "the receiver is disabled or no more").await?;
                continue;
            };
            let share = running.entry(delivery.receiver.clone()).or_default();
            let room = *share < settings.max_at_once_per_receiver
                && under_way.len() + due.len() < settings.max_at_once;
            if first && room && delivery.due_at <= now {
                *share += 1;
                due.push(Due { receiver: known.receiver.clone(), delivery, version });
            }
        }
        Ok(due)
    }

    /// Tries what is due, one after another, until nothing is; for whoever has
    /// no driver.
    #[cfg(test)]
    pub(super) async fn deliver_what_is_due(&self) -> Result<(), RegistryError> {
        loop {
            let due = self.due(&UnderWay::new()).await?;
            if due.is_empty() {
                return self.renew().await;
            }
            for one in due {
                self.attempt(one).await?;
            }
        }
    }

    /// Tries a delivery once and writes down what came of it.
    async fn attempt(&self, due: Due) -> Result<(), RegistryError> {
        let Due { receiver, mut delivery, version } = due;
        let means = self.means();
        let (notifier, settings) = (&means.notifier, &means.settings);
        let last = self.registry.last_delivered(&receiver.name, &delivery.notice.subject).await?;
        if last.as_ref().is_some_and(|last| last.number > delivery.number) {
            return self.bury(delivery, version, "a later notice of the same subject was taken").await;
        }
        let holds = notifier.holds_state(&receiver);
        let telling = self.telling.lock().entry(receiver.name.clone()).or_default().clone();
        let _telling = if holds { Some(telling.lock().await) } else { None };
        let before = last.and_then(|last| last.going_on).filter(|notice| notice.kind.goes_on());
        let now = self.registry.now();
        let enclosure = match delivery.notice.report().filter(|_| notifier.takes_files(&receiver)) {
            Some(report) => match reports::enclosure(&self.registry, &report).await? {
                Ok(file) => Some(file),
                Err(why) => return self.bury(delivery, version, &why).await,
            },
            None => None,
        };
        let telling =
            Telling { notice: &delivery.notice, before: before.as_ref(), enclosure: enclosure.as_ref() };
        let outcome = notifier.deliver(&receiver, telling, now).await;
        self.say_once(&receiver.name, outcome.as_ref().err());
        delivery.attempts += 1;
        let kind = receiver.kind.name();
        match outcome {
            Ok(()) => {
                self.metrics.delivered(kind, "taken");
                tracing::info!(attempts = delivery.attempts, kind = %delivery.notice.kind, "delivered");
                self.registry.delivered(&delivery, version, holds).await
            }
            Err(DeliveryError::Gone) => {
                self.metrics.delivered(kind, "gone");
                let reason = "it answered 410, so it is gone for good";
                self.registry.disable_receiver(&receiver.name, reason.to_owned()).await?;
                self.bury(delivery, version, reason).await
            }
            Err(DeliveryError::Failed { message, retry_after }) => {
                let wait = settings.backoff.wait(delivery.attempts, retry_after, rand::random());
                let Some(wait) = wait else {
                    self.metrics.delivered(kind, "given_up");
                    return self.bury(delivery, version, &message).await;
                };
                self.metrics.delivered(kind, "failed");
                let due_at = self.registry.now().plus(wait).plus(TICK);
                self.registry
                    .put_off(&Delivery { due_at, last_error: Some(message), ..delivery }, version)
                    .await
            }
        }
    }

    async fn bury(&self, delivery: Delivery, version: u64, why: &str) -> Result<(), RegistryError> {
        let (receiver, number) = (&delivery.receiver, delivery.number);
        tracing::warn!(%receiver, number, notice = %delivery.notice.id, "gave up a notice: {why}");
        let delivery = Delivery { last_error: Some(why.to_owned()), ..delivery };
        self.registry.give_up(delivery, version, self.means().settings.max_dead_letters).await
    }

    /// Says that a receiver began to fail, and that it works again; not each
    /// attempt.
    fn say_once(&self, receiver: &ReceiverName, error: Option<&DeliveryError>) {
        match error {
            Some(DeliveryError::Gone) => tracing::warn!(%receiver, "failed to {}", DeliveryError::Gone),
            Some(error) if self.failing.lock().insert(receiver.clone()) => {
                tracing::warn!(%receiver, "failed to {error}; it is tried again");
            }
            Some(error) => tracing::debug!(%receiver, "failed to {error}"),
            None if self.failing.lock().remove(receiver) => {
                tracing::info!(%receiver, "it takes notices again")
            }
            None => {}
        }
    }

    /// Tells receivers that hold a state what goes on there, where it is time.
    async fn renew(&self) -> Result<(), RegistryError> {
        let now = self.registry.now();
        let means = self.means();
        let (notifier, settings) = (&means.notifier, &means.settings);
        for known in self.receivers().await?.into_values().filter(|known| known.disabled.is_none()) {
            let receiver = known.receiver;
            let last = self.renewed_at.lock().get(&receiver.name).copied();
            let is_time = last.is_none_or(|at| now.since(at) >= settings.resend_every);
            if !notifier.holds_state(&receiver) || !is_time {
                continue;
            }
            let telling = self.telling.lock().entry(receiver.name.clone()).or_default().clone();
            let _telling = telling.lock().await;
            let ends_since = now.minus(ENDS_RENEWED * settings.resend_every);
            let going_on = self.registry.going_on(&receiver.name, ends_since).await?;
            if !going_on.is_empty() {
                let outcome = notifier.renew(&receiver, &going_on, now).await;
                self.say_once(&receiver.name, outcome.as_ref().err());
            }
            self.renewed_at.lock().insert(receiver.name, now);
        }
        let is_time = self.forgot_at.lock().is_none_or(|at| now.since(at) >= FORGET_EVERY);
        if is_time {
            self.registry.forget_delivered(now.minus(settings.remember)).await?;
            *self.forgot_at.lock() = Some(now);
        }
        Ok(())
    }
}

/// Who gets what is handed out, and what waits for them already.
fn recipients(
    settings: &DeliverySettings,
    known: &BTreeMap<ReceiverName, KnownReceiver>,
    waiting: &[(Delivery, u64)],
) -> Vec<Recipient> {
    let mut queues: HashMap<&ReceiverName, Vec<&str>> = HashMap::new();
    for (delivery, _) in waiting {
        queues.entry(&delivery.receiver).or_default().push(&delivery.notice.subject);
    }
    let recipient = |known: &KnownReceiver| {
        let queue = queues.get(&known.receiver.name).map(Vec::as_slice).unwrap_or_default();
        let full = queue.len() >= settings.max_waiting;
        let closed = match &known.disabled {
            Some(disabled) => Some(disabled.reason.clone()),
            None => full.then(|| "as many notices wait as notify.max_waiting allows".to_owned()),
        };
        let awaits = queue.iter().map(|subject| (*subject).to_owned()).collect();
        Recipient { receiver: known.receiver.clone(), closed, awaits }
    };
    known.values().map(recipient).collect()
}

fn test_notice(name: &ReceiverName, id: uuid::Uuid, now: Timestamp) -> Notice {
    Notice {
        id,
        at: now,
        since: now,
        kind: NoticeKind::Test,
        tenant: None,
        severity: Severity::Info,
        subject: id.to_string(),
        title: format!("A test of the receiver {name}"),
        text: "Somebody tried whether notices of Plimsoll arrive here. There is nothing to do.".to_owned(),
        detail: serde_json::json!({"receiver": name}),
        trace: telemetry::traceparent(),
        only_for: Vec::new(),
    }
}
