//! The outbox: notices are written down in the commit of what they tell of, so
//! that neither can be without the other. From there each goes to the queue of
//! every receiver that wants it, and ends as delivered or as a dead letter.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Registry, RegistryError, decode, encode, put};
use crate::domain::{Notice, NoticeKind, Receiver, ReceiverName, Tenant, Timestamp};
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
    /// The notice, where its receiver must be told of it again and again; an
    /// end, for as long as a replica that has missed it may hold the rest.
    pub going_on: Option<Notice>,
}

/// A receiver as the outbox sees it.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The receiver.
    pub receiver: Receiver,
    /// Why nothing more can be queued for it; `None` where it can.
    pub closed: Option<String>,
    /// The subjects of what waits for it.
    pub awaits: HashSet<String>,
}

pub(super) fn delivery_key(receiver: &ReceiverName, number: u64) -> String {
    format!("{receiver}/{number:020}")
}

fn subject_key(receiver: &ReceiverName, subject: &str) -> String {
    format!("{receiver}/{subject}")
}

impl Registry {
    /// Hands new notices to the queues of the recipients that want them, and
    /// gives how many there were. The end of an incident goes to those who were
    /// told of it or are about to be, whatever they want by now. The last notice
    /// stays as an empty place, so that numbers go on rising. Of the dead letters
    /// of each recipient the newest `keep` stay.
    pub async fn hand_out(&self, recipients: &[Recipient], keep: usize) -> Result<usize, RegistryError> {
        let found = self.store.scan(Table::Notices, "", None, Order::Upwards, HAND_OUT_CHUNK).await?;
        let (now, mut writes, mut handed_out) = (self.now(), Vec::new(), 0);
        let mut queued_now = HashSet::new();
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
            let mut to = self.wanting(&notice, recipients).await?;
            if notice.kind == NoticeKind::IncidentResolved {
                to = self.told(&notice, recipients, &to, &queued_now).await?;
            }
            for recipient in to {
                writes.push(queued(recipient, number, &notice, now)?);
                match recipient.closed {
                    Some(_) => writes.extend(self.quietened(&recipient.receiver.name, &notice).await?),
                    None => drop(queued_now.insert((&recipient.receiver.name, notice.subject.clone()))),
                }
            }
        }
        if handed_out > 0 {
            self.commit(writes).await?;
            for recipient in recipients.iter().filter(|recipient| recipient.closed.is_some()) {
                self.drop_oldest_dead(&recipient.receiver.name, keep).await?;
            }
        }
        Ok(handed_out)
    }

    /// The recipients that get the end of an incident: who was told of it, by
    /// itself or in a day's summary, or is about to be, and of those that want it
    /// who asks for ends alone.
    async fn told<'a>(
        &self,
        end: &Notice,
        recipients: &'a [Recipient],
        wanting: &[&Recipient],
        queued_now: &HashSet<(&ReceiverName, String)>,
    ) -> Result<Vec<&'a Recipient>, RegistryError> {
        let mut told = Vec::new();
        for recipient in recipients {
            let receiver = &recipient.receiver;
            let wants = wanting.iter().any(|one| one.receiver.name == receiver.name);
            let mut is_told = false;
            for subject in [Some(end.subject.as_str()), end.summarised_in()].into_iter().flatten() {
                is_told |= recipient.awaits.contains(subject)
                    || queued_now.contains(&(&receiver.name, subject.to_owned()))
                    || self.last_delivered(&receiver.name, subject).await?.is_some();
            }
            if is_told && receiver.takes_ends() || wants && receiver.wanted.only_ends() {
                told.push(recipient);
            }
        }
        Ok(told)
    }

    /// What has ended is not told on, even where its end can't be told.
    async fn quietened(&self, receiver: &ReceiverName, end: &Notice) -> Result<Option<Write>, RegistryError> {
        let subject = subject_key(receiver, &end.subject);
        let last = self.read::<LastDelivered>(Table::Delivered, &subject).await?;
        let goes_on = |(last, _): &(LastDelivered, u64)| !end.kind.goes_on() && last.going_on.is_some();
        let Some((last, version)) = last.filter(goes_on) else { return Ok(None) };
        let quiet = LastDelivered { going_on: None, ..last };
        Ok(Some(put(Table::Delivered, subject, Expect::Version(version), &quiet)?))
    }

    /// The recipients that get a notice.
    async fn wanting<'a>(
        &self,
        notice: &Notice,
        recipients: &'a [Recipient],
    ) -> Result<Vec<&'a Recipient>, RegistryError> {
        let named = |names: &[ReceiverName], one: &Recipient| names.contains(&one.receiver.name);
        if !notice.only_for.is_empty() {
            return Ok(recipients.iter().filter(|one| named(&notice.only_for, one)).collect());
        }
        let chosen = self.chosen_receivers(notice, recipients).await?;
        let wanting = recipients.iter().filter(|one| one.receiver.wanted.takes(notice));
        Ok(wanting.filter(|one| chosen.is_empty() || named(&chosen, one)).collect())
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
        // An end is told again for a while as well: a replica may have missed it.
        let going_on = holds.then(|| notice.clone());
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
        let receiver = delivery.receiver.clone();
        writes.extend(self.quietened(&receiver, &delivery.notice).await?);
        writes.push(buried(delivery, self.now())?);
        self.commit(writes).await?;
        self.drop_oldest_dead(&receiver, keep).await
    }

    async fn drop_oldest_dead(&self, receiver: &ReceiverName, keep: usize) -> Result<(), RegistryError> {
        let prefix = format!("{receiver}/");
        let found = self.store.scan(Table::DeadLetters, &prefix, None, Order::Downwards, usize::MAX).await?;
        let delete = |(key, _): (String, _)| Write::Delete {
            table: Table::DeadLetters,
            key,
            expect: Expect::Anything,
        };
        let writes: Vec<Write> = found.into_iter().skip(keep).map(delete).collect();
        if writes.is_empty() { Ok(()) } else { Ok(self.commit(writes).await?) }
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

    /// What a receiver is to be told again: what goes on there, and what has
    /// ended since `ends_since`.
    pub async fn going_on(
        &self,
        receiver: &ReceiverName,
        ends_since: Timestamp,
    ) -> Result<Vec<Notice>, RegistryError> {
        let prefix = format!("{receiver}/");
        let found = self.store.scan(Table::Delivered, &prefix, None, Order::Upwards, usize::MAX).await?;
        let mut going_on = Vec::new();
        for (key, value) in &found {
            let last: LastDelivered = decode(Table::Delivered, key, value)?;
            let tells = |notice: &Notice| notice.kind.goes_on() || last.at >= ends_since;
            going_on.extend(last.going_on.filter(tells));
        }
        Ok(going_on)
    }

    /// Forgets what was delivered before `instant` and does not go on.
    pub async fn forget_delivered(&self, instant: Timestamp) -> Result<(), RegistryError> {
        let found = self.store.scan(Table::Delivered, "", None, Order::Upwards, usize::MAX).await?;
        let mut writes = Vec::new();
        for (key, value) in found {
            let last: LastDelivered = decode(Table::Delivered, &key, &value)?;
            if last.at < instant && last.going_on.is_none_or(|notice| !notice.kind.goes_on()) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::domain::{ReceiverKind, Severity, TenantId, Wanted};
    use crate::ports::hands::Hands;
    use crate::store::MemoryStore;

    const SUBJECT: &str = "an incident";

    fn registry() -> Registry {
        Registry::new(Arc::new(MemoryStore::default()), Arc::new(Hands::at(Timestamp::from_seconds(1000))))
    }

    fn recipient(name: &str, kind: ReceiverKind, wanted: Wanted) -> Recipient {
        let receiver = Receiver {
            name: name.parse().unwrap(),
            kind,
            url: "http://receiver.invalid/".to_owned().into(),
            secret: None,
            old_secret: None,
            replicas: Vec::new(),
            letterhead: None,
            wanted,
        };
        Recipient { receiver, closed: None, awaits: HashSet::new() }
    }

    async fn tell(registry: &Registry, kind: NoticeKind, severity: Severity) {
        let notice = Notice {
            id: Uuid::nil(),
            at: Timestamp::from_seconds(1000),
            since: Timestamp::from_seconds(1000),
            kind,
            tenant: Some("acme".parse::<TenantId>().unwrap()),
            severity,
            subject: SUBJECT.to_owned(),
            title: String::new(),
            text: String::new(),
            detail: serde_json::Value::Null,
            trace: None,
            only_for: Vec::new(),
        };
        let mut batch = Batch::default();
        enqueue(&mut batch, &notice).unwrap();
        registry.store.commit(batch).await.unwrap();
    }

    async fn queued_for(registry: &Registry) -> Vec<(String, NoticeKind)> {
        let waiting = registry.deliveries().await.unwrap();
        waiting.iter().map(|(one, _)| (one.receiver.to_string(), one.notice.kind)).collect()
    }

    #[tokio::test]
    async fn ends_go_to_those_who_were_told_and_to_nobody_else() {
        let registry = registry();
        let critical = Wanted { least_severity: Severity::Critical, ..Wanted::default() };
        let beginnings = Wanted { kinds: vec![NoticeKind::IncidentOpened], ..Wanted::default() };
        let all = [
            recipient("critical", ReceiverKind::Slack, critical),
            recipient("everything", ReceiverKind::Slack, Wanted::default()),
            recipient("opened", ReceiverKind::Slack, beginnings.clone()),
            recipient("state", ReceiverKind::Alertmanager, beginnings),
        ];
        tell(&registry, NoticeKind::IncidentOpened, Severity::Warning).await;
        registry.hand_out(&all, 10).await.unwrap();
        let opened = |name: &str| (name.to_owned(), NoticeKind::IncidentOpened);
        assert_eq!(queued_for(&registry).await, [opened("everything"), opened("opened"), opened("state")]);
        for (delivery, version) in registry.deliveries().await.unwrap() {
            registry.delivered(&delivery, version, delivery.receiver.as_str() == "state").await.unwrap();
        }
        // What they want has changed meanwhile: the tenant is none of theirs.
        let other = Wanted { tenants: vec!["other".parse().unwrap()], ..Wanted::default() };
        let now =
            [all[0].clone(), recipient("everything", ReceiverKind::Slack, other.clone()), all[2].clone()];
        let now = [&now[..], &[recipient("state", ReceiverKind::Alertmanager, other)]].concat();
        tell(&registry, NoticeKind::IncidentResolved, Severity::Critical).await;
        registry.hand_out(&now, 10).await.unwrap();
        let over = |name: &str| (name.to_owned(), NoticeKind::IncidentResolved);
        assert_eq!(queued_for(&registry).await, [over("everything"), over("state")]);
    }

    #[tokio::test]
    async fn an_end_that_meets_its_begin_on_the_way_is_told_as_well() {
        let registry = registry();
        let all = [recipient("everything", ReceiverKind::Slack, Wanted::default())];
        tell(&registry, NoticeKind::IncidentOpened, Severity::Warning).await;
        tell(&registry, NoticeKind::IncidentResolved, Severity::Warning).await;
        registry.hand_out(&all, 10).await.unwrap();
        assert_eq!(queued_for(&registry).await.len(), 2);
    }

    #[tokio::test]
    async fn a_state_ends_where_nobody_can_be_told() {
        let registry = registry();
        let mut all = [recipient("state", ReceiverKind::Alertmanager, Wanted::default())];
        let (name, long_ago) = (all[0].receiver.name.clone(), Timestamp::from_seconds(0));
        tell(&registry, NoticeKind::IncidentOpened, Severity::Warning).await;
        registry.hand_out(&all, 10).await.unwrap();
        let (delivery, version) = registry.deliveries().await.unwrap().remove(0);
        registry.delivered(&delivery, version, true).await.unwrap();
        assert_eq!(registry.going_on(&name, long_ago).await.unwrap().len(), 1);
        all[0].closed = Some("it is disabled".to_owned());
        tell(&registry, NoticeKind::IncidentResolved, Severity::Warning).await;
        registry.hand_out(&all, 10).await.unwrap();
        assert!(registry.going_on(&name, long_ago).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_end_is_told_again_for_a_while() {
        let registry = registry();
        let all = [recipient("state", ReceiverKind::Alertmanager, Wanted::default())];
        for kind in [NoticeKind::IncidentOpened, NoticeKind::IncidentResolved] {
            tell(&registry, kind, Severity::Warning).await;
            registry.hand_out(&all, 10).await.unwrap();
            let (delivery, version) = registry.deliveries().await.unwrap().remove(0);
            registry.delivered(&delivery, version, true).await.unwrap();
        }
        let name = &all[0].receiver.name;
        let told = |since| registry.going_on(name, Timestamp::from_seconds(since));
        assert_eq!(told(900).await.unwrap()[0].kind, NoticeKind::IncidentResolved);
        assert!(told(1001).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_the_newest_dead_letters_stay() {
        let registry = registry();
        let mut all = [recipient("gone", ReceiverKind::Slack, Wanted::default())];
        all[0].closed = Some("it is disabled".to_owned());
        for _ in 0..5 {
            tell(&registry, NoticeKind::IncidentOpened, Severity::Warning).await;
            registry.hand_out(&all, 2).await.unwrap();
        }
        let left = registry.dead_letters(None, None, 100).await.unwrap();
        let numbers: Vec<u64> = left.iter().map(|dead| dead.delivery.number).collect();
        assert_eq!(numbers, [4, 5]);
    }
}
