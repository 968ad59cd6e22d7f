//! How receivers are told: each kind's form of a notice, and the ways in which
//! it goes there: posted, mailed, written to a folder. Nothing here decides what
//! is sent or when.

mod alertmanager;
mod cloudevents;
mod email;
mod folder;
mod http;
mod message;
mod slack;
mod standard;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use secrecy::ExposeSecret;

pub use http::{SetupError, judge};

use crate::domain::{Notice, Receiver, ReceiverKind, Timestamp};
use crate::ports::{DeliveryError, Notifier, Telling};
use crate::security::{AddressError, Addresses, check_url, shown_url};
use http::Http;
use message::Message;

/// How notices are posted.
#[derive(Debug, Clone)]
pub struct NotifierSettings {
    /// How long one attempt may take, answer included.
    pub time_limit: Duration,
    /// The largest message, in bytes; a larger one goes without its detail.
    pub max_message: usize,
    /// How much of an answer is read, in bytes.
    pub max_answer: usize,
    /// Which addresses may be connected to.
    pub addresses: Addresses,
    /// Where people find this daemon.
    pub external_url: String,
    /// How often an Alertmanager is told again what goes on.
    pub resend_every: Duration,
}

/// Tells receivers of every kind.
pub struct Messenger {
    http: Http,
    /// Replicas whose last post failed, so that each failure is said once.
    failing: Mutex<HashSet<String>>,
    settings: NotifierSettings,
}

impl Messenger {
    /// A notifier with these settings.
    ///
    /// # Errors
    /// Where there is no TLS to be had.
    pub fn new(settings: NotifierSettings) -> Result<Self, SetupError> {
        Ok(Messenger { http: Http::new(&settings)?, failing: Mutex::default(), settings })
    }

    fn message(
        &self,
        receiver: &Receiver,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<Message, DeliveryError> {
        let url = &self.settings.external_url;
        match receiver.kind {
            ReceiverKind::StandardWebhooks => standard::message(receiver, notice, now),
            ReceiverKind::AlertmanagerWebhook => alertmanager::webhook(receiver, notice, url),
            ReceiverKind::Cloudevents => cloudevents::message(notice, url),
            ReceiverKind::Slack => slack::message(notice, url),
            ReceiverKind::Alertmanager => self.alerts(&[(notice, alertmanager::is_over(notice))], now),
            ReceiverKind::Email | ReceiverKind::Folder => Err(message::unsendable(format!(
                "nothing is posted to a receiver of the kind {}",
                receiver.kind.name()
            ))),
        }
    }

    /// Alerts for an Alertmanager; `true` for those that are over. The others
    /// end by themselves where they are not told again, as Prometheus' do.
    fn alerts(&self, notices: &[(&Notice, bool)], now: Timestamp) -> Result<Message, DeliveryError> {
        let lasts_until = now.plus(4 * self.settings.resend_every);
        alertmanager::alerts(notices, now, lasts_until, &self.settings.external_url)
    }

    /// A message that is not too large: the notice's detail is left out first.
    fn bounded(
        &self,
        receiver: &Receiver,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<Message, DeliveryError> {
        let message = self.message(receiver, notice, now)?;
        if message.body.len() <= self.settings.max_message {
            return Ok(message);
        }
        let detail = serde_json::json!({"left_out": "the notice was larger than notify.max_message"});
        self.message(receiver, &Notice { detail, ..notice.clone() }, now)
    }

    /// Posts alerts to all replicas; one that takes them is enough, since what
    /// goes on is told again, and what is not told again ends by itself.
    async fn post_to_replicas(
        &self,
        receiver: &Receiver,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let urls = std::iter::once(&receiver.url).chain(&receiver.replicas);
        let posts = urls.map(|url| {
            let address = format!("{}/api/v2/alerts", url.expose_secret().trim_end_matches('/'));
            async move {
                let outcome = self.http.post(&address, message, now).await;
                self.say_of_replica(receiver, url.expose_secret(), outcome.as_ref().err());
                outcome
            }
        });
        let mut failure = Ok(());
        let mut taken = 0;
        for outcome in join_all(posts).await {
            match outcome {
                Ok(()) => taken += 1,
                Err(error) => failure = Err(error),
            }
        }
        if taken > 0 { Ok(()) } else { failure }
    }

    /// Says that one of several replicas began to fail, and that it works again.
    fn say_of_replica(&self, receiver: &Receiver, url: &str, error: Option<&DeliveryError>) {
        if receiver.replicas.is_empty() {
            return;
        }
        let (receiver, replica) = (&receiver.name, shown_url(url));
        let place = format!("{receiver}/{url}");
        match error {
            Some(error) if self.failing.lock().insert(place.clone()) => {
                tracing::warn!(%receiver, replica, "failed to {error}; other replicas are told as well");
            }
            None if self.failing.lock().remove(&place) => {
                tracing::info!(%receiver, replica, "the replica takes alerts again");
            }
            _ => {}
        }
    }
}

#[async_trait]
impl Notifier for Messenger {
    fn check_address(&self, receiver: &Receiver) -> Result<(), AddressError> {
        // Only whoever runs the daemon names folders and mail servers.
        if receiver.kind.is_of_config() {
            return Ok(());
        }
        let mut urls = std::iter::once(&receiver.url).chain(&receiver.replicas);
        urls.try_for_each(|url| self.http.check_literal(&check_url(url.expose_secret())?))
    }

    async fn deliver(
        &self,
        receiver: &Receiver,
        telling: Telling<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let Telling { notice, before, enclosure } = telling;
        match receiver.kind {
            ReceiverKind::Email => {
                return email::send(receiver, notice, enclosure, &self.settings).await;
            }
            ReceiverKind::Folder => return folder::write(receiver, notice, enclosure).await,
            _ => {}
        }
        if !receiver.kind.is_alertmanager() {
            let message = self.bounded(receiver, notice, now)?;
            return self.http.post(receiver.url.expose_secret(), &message, now).await;
        }
        // An alert is known by its labels: where they have changed, the one
        // that goes on is ended under those that it has.
        let changed = before.filter(|before| alertmanager::labels(before) != alertmanager::labels(notice));
        let mut alerts: Vec<(Notice, bool)> = Vec::new();
        if let Some(before) = changed {
            alerts.push((Notice { at: notice.at, ..before.clone() }, true));
        }
        if changed.is_none() || !alertmanager::is_over(notice) {
            alerts.push((notice.clone(), alertmanager::is_over(notice)));
        }
        let alerts: Vec<(&Notice, bool)> = alerts.iter().map(|(notice, over)| (notice, *over)).collect();
        self.post_to_replicas(receiver, &self.alerts(&alerts, now)?, now).await
    }

    async fn renew(
        &self,
        receiver: &Receiver,
        going_on: &[Notice],
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        for chunk in going_on.chunks(alertmanager::ALERTS_AT_ONCE) {
            let alerts: Vec<(&Notice, bool)> =
                chunk.iter().map(|notice| (notice, alertmanager::is_over(notice))).collect();
            self.post_to_replicas(receiver, &self.alerts(&alerts, now)?, now).await?;
        }
        Ok(())
    }

    fn takes_files(&self, receiver: &Receiver) -> bool {
        matches!(receiver.kind, ReceiverKind::Email | ReceiverKind::Folder)
    }

    fn holds_state(&self, receiver: &Receiver) -> bool {
        receiver.kind.is_alertmanager()
    }
}
