//! The outbox: notices are written down in the commit of what they tell of, so
//! that neither can be without the other. From there each goes to the queue of
//! every receiver that wants it, and ends as delivered or as a dead letter.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Registry, RegistryError, decode, encode, put};
use crate::domain::{Notice, Receiver, ReceiverName, Tenant, Timestamp};
use crate::ports::{Batch, Expect, Order, StoreError, Table, Write};

/// Notices that are handed out in one commit.
const HAND_OUT_CHUNK: usize = 64;

/// Adds a notice to a batch. It is delivered once the batch is durable; the
/// order of the commits is the order of delivery.
///
/// # Errors
/// Where the notice can't be written as JSON.
pub fn enqueue(batch: &mut Batch, notice: &Notice) -> Result<(), StoreError> {
    batch.writes.push(Write::Append { table: Table::Notices, bytes: encode(notice)? });
    Ok(())
}

/// A notice on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// To whom.
    pub receiver: ReceiverName,
    /// The notice's number in the order of the commits.
    pub number: u64,
    /// What is told.
    pub notice: Notice,
    /// How often it was tried.
    pub attempts: u32,
    /// When it may be tried next.
    pub due_at: Timestamp,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A notice that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// The notice and its attempts.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// When it was given up.
    pub given_up_at: Timestamp,
}

/// The last notice that a receiver took of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastDelivered {
    /// Its number.
    pub number: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// The notice, where its receiver must be told of it again and again.
    pub going_on: Option<Notice>,
}

/// A receiver as the outbox sees it.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The receiver.
    pub receiver: Receiver,
    /// Why nothing more can be queued for it; `None` where it can.
    pub closed: Option<String>,
}

pub(super) fn delivery_key(receiver: &ReceiverName, number: u64) -> String {
    format!("{receiver}/{number:020}")
}

fn subject_key(receiver: &ReceiverName, subject: &str) -> String {
    format!("{receiver}/{subject}")
}

impl Registry {
    /// Hands new notices to the queues of the recipients that want them, and
    /// gives how many there were. The last notice stays as an empty place, so
    /// that numbers go on rising.
    pub async fn hand_out(&self, recipients: &[Recipient]) -> Result<usize, RegistryError> {
        let found = self.store.scan(Table::Notices, "", None, Order::Upwards, HAND_OUT_CHUNK).await?;
        let (now, mut writes, mut handed_out) = (self.now(), Vec::new(), 0);
        let last = found.len().saturating_sub(1);
        for (index, (key, value)) in found.iter().enumerate() {
            let notice: Option<Notice> = decode(Table::Notices, key, value)?;
            let expect = Expect::Version(value.version);
            match (&notice, index == last) {
                (None, true) => {}
                (Some(_), true) => {
                    writes.push(put(Table::Notices, key.clone(), expect, &None::<Notice>)?);
                }
                (_, false) => {
                    writes.push(Write::Delete { table: Table::Notices, key: key.clone(), expect });
                }
            }
            let Some(notice) = notice else { continue };
            handed_out += 1;
            let number = number_of(Table::Notices, key)?;
            let chosen = self.chosen_receivers(&notice, recipients).await?;
            let wanting = recipients.iter().filter(|one| one.receiver.wanted.takes(&notice));
            let wanting = wanting.filter(|one| chosen.is_empty() || chosen.contains(&one.receiver.name));
            for recipient in wanting {
                writes.push(queued(recipient, number, &notice, now)?);
            }
        }
        if handed_out > 0 {
            self.commit(writes).await?;
        }
        Ok(handed_out)
    }

    /// The receivers that the template of a notice's tenant names, of those
    /// that there are; none where it names none, and then all are meant.
    async fn chosen_receivers(
        &self,
        notice: &Notice,
        recipients: &[Recipient],
    ) -> Result<Vec<ReceiverName>, RegistryError> {
        let Some(tenant) = &notice.tenant else { return Ok(Vec::new()) };
        let found: Option<(Tenant, u64)> = self.read(Table::Tenants, tenant.as_str()).await?;
        let template = found.and_then(|(tenant, _)| tenant.template);
        let mut named = template.map(|template| template.alert_receivers).unwrap_or_default();
        // If all of them are gone, everybody is told rather than nobody.
        named.retain(|name| recipients.iter().any(|one| one.receiver.name == *name));
        Ok(named)
    }

    /// What is on its way, by receiver and then in the order of the commits,
    /// each with its version.
    pub async fn deliveries(&self) -> Result<Vec<(Delivery, u64)>, RegistryError> {
        let found = self.store.scan(Table::Deliveries, "", None, Order::Upwards, usize::MAX).await?;
        let read = |(key, value): &(String, crate::ports::Versioned)| {
            Ok((decode(Table::Deliveries, key, value)?, value.version))
        };
        found.iter().map(read).collect()
    }

    /// The last notice that a receiver took of a subject.
    pub async fn last_delivered(
        &self,
        receiver: &ReceiverName,
        subject: &str,
    ) -> Result<Option<LastDelivered>, RegistryError> {
        let found = self.read(Table::Delivered, &subject_key(receiver, subject)).await?;
        Ok(found.map(|(last, _)| last))
    }

    /// Ends a delivery: the receiver has taken it. With `holds`, what goes on
    /// is kept, to be told again.
    pub async fn delivered(
        &self,
        delivery: &Delivery,
        version: u64,
        holds: bool,
    ) -> Result<(), RegistryError> {
        let notice = &delivery.notice;
        let going_on = (holds && notice.kind.goes_on()).then(|| notice.clone());
        let last = LastDelivered { number: delivery.number, at: self.now(), going_on };
        let key = subject_key(&delivery.receiver, &notice.subject);
        let writes = vec![
            removal(Table::Deliveries, delivery, Expect::Version(version)),
            put(Table::Delivered, key, Expect::Anything, &last)?,
        ];
        Ok(self.commit(writes).await?)
    }

    /// Writes down that an attempt failed and when the next one is due.
    pub async fn put_off(&self, delivery: &Delivery, version: u64) -> Result<(), RegistryError> {
        let key = delivery_key(&delivery.receiver, delivery.number);
        Ok(self.commit(vec![put(Table::Deliveries, key, Expect::Version(version), delivery)?]).await?)
    }

    /// Ends a delivery that does not succeed: it becomes a dead letter. Of the
    /// receiver's dead letters the newest `keep` stay.
    pub async fn give_up(&self, delivery: Delivery, version: u64, keep: usize) -> Result<(), RegistryError> {
        let mut writes = vec![removal(Table::Deliveries, &delivery, Expect::Version(version))];
        let (receiver, ends) = (delivery.receiver.clone(), !delivery.notice.kind.goes_on());
        let subject = subject_key(&receiver, &delivery.notice.subject);
        let last = self.read::<LastDelivered>(Table::Delivered, &subject).await?;
        if let Some((last, version)) = last.filter(|(last, _)| ends && last.going_on.is_some()) {
            // What has ended is not told on, even where its end can't be told.
            let quiet = LastDelivered { going_on: None, ..last };
            writes.push(put(Table::Delivered, subject, Expect::Version(version), &quiet)?);
        }
        writes.push(buried(delivery, self.now())?);
        self.commit(writes).await?;
        self.drop_oldest_dead(&receiver, keep).await
    }

    async fn drop_oldest_dead(&self, receiver: &ReceiverName, keep: usize) -> Result<(), RegistryError> {
        let prefix = format!("{receiver}/");
        let found = self.store.scan(Table::DeadLetters, &prefix, None, Order::Downwards, keep + 1).await?;
        let Some((oldest, _)) = found.get(keep) else { return Ok(()) };
        let expect = Expect::Anything;
        let delete = Write::Delete { table: Table::DeadLetters, key: oldest.clone(), expect };
        Ok(self.commit(vec![delete]).await?)
    }

    /// Up to `limit` dead letters beyond `after`, of one receiver or of all,
    /// by receiver and number. A dead letter's place is `receiver/number`.
    pub async fn dead_letters(
        &self,
        receiver: Option<&ReceiverName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, RegistryError> {
        let prefix = receiver.map(|name| format!("{name}/")).unwrap_or_default();
        let found = self.store.scan(Table::DeadLetters, &prefix, after, Order::Upwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::DeadLetters, key, value)?)).collect()
    }

    /// What goes on at a receiver.
    pub async fn going_on(&self, receiver: &ReceiverName) -> Result<Vec<Notice>, RegistryError> {
        let prefix = format!("{receiver}/");
        let found = self.store.scan(Table::Delivered, &prefix, None, Order::Upwards, usize::MAX).await?;
        let mut going_on = Vec::new();
        for (key, value) in &found {
            let last: LastDelivered = decode(Table::Delivered, key, value)?;
            going_on.extend(last.going_on);
        }
        Ok(going_on)
    }

    /// Forgets what was delivered before `instant` and does not go on.
    pub async fn forget_delivered(&self, instant: Timestamp) -> Result<(), RegistryError> {
        let found = self.store.scan(Table::Delivered, "", None, Order::Upwards, usize::MAX).await?;
        let mut writes = Vec::new();
        for (key, value) in found {
            let last: LastDelivered = decode(Table::Delivered, &key, &value)?;
            if last.at < instant && last.going_on.is_none() {
                let expect = Expect::Version(value.version);
                writes.push(Write::Delete { table: Table::Delivered, key, expect });
            }
        }
        if writes.is_empty() { Ok(()) } else { Ok(self.commit(writes).await?) }
    }
}

/// The first state of a notice at a recipient: queued, or given up at once.
fn queued(recipient: &Recipient, number: u64, notice: &Notice, now: Timestamp) -> Result<Write, StoreError> {
    let receiver = recipient.receiver.name.clone();
    let last_error = recipient.closed.clone();
    let closed = last_error.is_some();
    let delivery =
        Delivery { receiver, number, notice: notice.clone(), attempts: 0, due_at: now, last_error };
    if closed {
        return buried(delivery, now);
    }
    let key = delivery_key(&delivery.receiver, number);
    put(Table::Deliveries, key, Expect::Anything, &delivery)
}

fn buried(delivery: Delivery, now: Timestamp) -> Result<Write, StoreError> {
    let key = delivery_key(&delivery.receiver, delivery.number);
    put(Table::DeadLetters, key, Expect::Anything, &DeadLetter { delivery, given_up_at: now })
}

pub(super) fn removal(table: Table, delivery: &Delivery, expect: Expect) -> Write {
    Write::Delete { table, key: delivery_key(&delivery.receiver, delivery.number), expect }
}

fn number_of(table: Table, key: &str) -> Result<u64, StoreError> {
    key.parse().map_err(|_| StoreError::Corrupt {
        table,
        key: key.to_owned(),
        message: "the key is no number".to_owned(),
    })
}
