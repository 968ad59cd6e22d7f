//! Receivers that were made over the API, and which receivers are disabled.
//! Those of the config are not kept here, only whether one is disabled. Every
//! change by a person stands in the audit log, without any secret.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::outbox::{DeadLetter, Delivery, delivery_key, removal};
use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::{
    Actor, AuditAction, AuditEvent, IncidentId, Receiver, ReceiverKind, ReceiverName, Timestamp, Wanted,
};
use crate::ports::{Expect, Order, Table, Write};

/// That a receiver is sent nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What is kept of a receiver.
#[derive(Debug, Clone)]
pub struct ReceiverRecord {
    /// Its settings; `None` where they stand in the config.
    pub receiver: Option<Receiver>,
    /// Whether it is disabled.
    pub disabled: Option<Disabled>,
    /// The version to be named when it is changed.
    pub version: u64,
}

/// The form on disk. It holds the secrets in the clear: they are needed to
/// sign, and the state's folder is the daemon's own.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: Option<StoredSettings>,
    disabled: Option<Disabled>,
}

#[derive(Serialize, Deserialize)]
struct StoredSettings {
    kind: ReceiverKind,
    url: String,
    replicas: Vec<String>,
    secret: Option<String>,
    old_secret: Option<String>,
    wanted: Wanted,
}

impl StoredSettings {
    fn of(receiver: &Receiver) -> Self {
        let bare = |secret: &SecretString| secret.expose_secret().to_owned();
        StoredSettings {
            kind: receiver.kind,
            url: bare(&receiver.url),
            replicas: receiver.replicas.iter().map(bare).collect(),
            secret: receiver.secret.as_ref().map(bare),
            old_secret: receiver.old_secret.as_ref().map(bare),
            wanted: receiver.wanted.clone(),
        }
    }

    fn named(self, name: ReceiverName) -> Receiver {
        Receiver {
            name,
            kind: self.kind,
            url: self.url.into(),
            replicas: self.replicas.into_iter().map(SecretString::from).collect(),
            secret: self.secret.map(SecretString::from),
            old_secret: self.old_secret.map(SecretString::from),
            letterhead: None,
            wanted: self.wanted,
        }
    }
}

impl Registry {
    /// All that is kept of receivers, by name.
    pub async fn receiver_records(&self) -> Result<Vec<(ReceiverName, ReceiverRecord)>, RegistryError> {
        let found = self.store.scan(Table::Receivers, "", None, Order::Upwards, usize::MAX).await?;
        let mut records = Vec::new();
        for (key, value) in found {
            let stored: Stored = decode(Table::Receivers, &key, &value)?;
            let name = ReceiverName::try_from(key)?;
            let receiver = stored.settings.map(|settings| settings.named(name.clone()));
            let (disabled, version) = (stored.disabled, value.version);
            records.push((name, ReceiverRecord { receiver, disabled, version }));
        }
        Ok(records)
    }

    /// Keeps a new receiver.
    ///
    /// # Errors
    /// Where there is one of this name.
    pub async fn create_receiver(&self, receiver: &Receiver, remark: Remark) -> Result<(), RegistryError> {
        let expect = match self.stored(&receiver.name).await? {
            Some((Stored { settings: Some(_), .. }, _)) => {
                return Err(RegistryError::ReceiverExists(receiver.name.clone()));
            }
            Some((_, version)) => Expect::Version(version),
            None => Expect::Absent,
        };
        self.put_receiver(receiver, expect, AuditAction::ReceiverCreated, remark).await
    }

    /// Gives a receiver other settings, all of them, and sends to it again
    /// where it was disabled.
    ///
    /// # Errors
    /// Where there is none of this name, or it has moved on from the version that
    /// was `seen`.
    pub async fn change_receiver(
        &self,
        receiver: &Receiver,
        seen: Option<u64>,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let expect = Expect::Version(self.existing(&receiver.name, seen).await?);
        self.put_receiver(receiver, expect, AuditAction::ReceiverChanged, remark).await
    }

    async fn put_receiver(
        &self,
        receiver: &Receiver,
        expect: Expect,
        action: AuditAction,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let stored = Stored { settings: Some(StoredSettings::of(receiver)), disabled: None };
        let key = receiver.name.to_string();
        let after = serde_json::json!({"kind": receiver.kind, "wanted": receiver.wanted});
        let event = self.receiver_event(&receiver.name, action, after, remark);
        Ok(self.commit(vec![put(Table::Receivers, key, expect, &stored)?, append_audit(&event)?]).await?)
    }

    /// Removes a receiver with all that is on its way to it.
    ///
    /// # Errors
    /// Where there is none of this name, or it has moved on from the version that
    /// was `seen`.
    pub async fn remove_receiver(
        &self,
        name: &ReceiverName,
        seen: Option<u64>,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let version = self.existing(name, seen).await?;
        let expect = Expect::Version(version);
        let mut writes = vec![Write::Delete { table: Table::Receivers, key: name.to_string(), expect }];
        let prefix = format!("{name}/");
        for table in [Table::Deliveries, Table::DeadLetters, Table::Delivered] {
            let found = self.store.scan(table, &prefix, None, Order::Upwards, usize::MAX).await?;
            let gone =
                found.into_iter().map(|(key, _)| Write::Delete { table, key, expect: Expect::Anything });
            writes.extend(gone);
        }
        let after = serde_json::Value::Null;
        let event = self.receiver_event(name, AuditAction::ReceiverRemoved, after, remark);
        writes.push(append_audit(&event)?);
        Ok(self.commit(writes).await?)
    }

    /// Sends nothing more to a receiver.
    pub async fn disable_receiver(&self, name: &ReceiverName, reason: String) -> Result<(), RegistryError> {
        let remark = Remark { by: Actor::Daemon, comment: Some(reason.clone()), request_id: None };
        let disabled = Some(Disabled { at: self.now(), reason });
        self.set_disabled(name, disabled, AuditAction::ReceiverDisabled, remark).await
    }

    /// Sends to a receiver again.
    pub async fn enable_receiver(&self, name: &ReceiverName, remark: Remark) -> Result<(), RegistryError> {
        self.set_disabled(name, None, AuditAction::ReceiverEnabled, remark).await
    }

    async fn set_disabled(
        &self,
        name: &ReceiverName,
        disabled: Option<Disabled>,
        action: AuditAction,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let (stored, expect) = match self.stored(name).await? {
            Some((stored, version)) => (Stored { disabled, ..stored }, Expect::Version(version)),
            None => (Stored { settings: None, disabled }, Expect::Absent),
        };
        let record = put(Table::Receivers, name.to_string(), expect, &stored)?;
        let after = serde_json::json!({"disabled": stored.disabled.is_some()});
        let event = self.receiver_event(name, action, after, remark);
        Ok(self.commit(vec![record, append_audit(&event)?]).await?)
    }

    /// Writes down that a receiver was sent a test, and what came of it.
    pub async fn receiver_tested(
        &self,
        name: &ReceiverName,
        outcome: &str,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let after = serde_json::json!(outcome);
        let event = self.receiver_event(name, AuditAction::ReceiverTested, after, remark);
        Ok(self.commit(vec![append_audit(&event)?]).await?)
    }

    /// Queues a dead letter again.
    ///
    /// # Errors
    /// Where there is none of this number, the receiver has taken a later notice
    /// of the same subject, or it would be told of a beginning and of no end.
    pub async fn send_again(
        &self,
        name: &ReceiverName,
        number: u64,
        remark: Remark,
    ) -> Result<Delivery, RegistryError> {
        let key = delivery_key(name, number);
        let found = self.read::<DeadLetter>(Table::DeadLetters, &key).await?;
        let missing = || RegistryError::NoSuchDeadLetter(name.clone(), number);
        let (dead, version) = found.ok_or_else(missing)?;
        let subject = &dead.delivery.notice.subject;
        let last = self.last_delivered(name, subject).await?;
        if last.is_some_and(|last| last.number > number) {
            return Err(RegistryError::WouldOvertake(name.clone(), number));
        }
        if dead.delivery.notice.kind.goes_on() && self.is_over_unsaid(name, &dead.delivery).await? {
            return Err(RegistryError::WouldNotEnd(name.clone(), number));
        }
        let delivery = Delivery { attempts: 0, due_at: self.now(), last_error: None, ..dead.delivery };
        let tenant = delivery.notice.tenant.clone();
        let after = serde_json::json!({"receiver": name, "number": number, "notice": delivery.notice.id});
        let event = self.receiver_event(name, AuditAction::NoticeSentAgain, after, remark);
        let event = AuditEvent { tenant, ..event };
        let writes = vec![
            removal(Table::DeadLetters, &delivery, Expect::Version(version)),
            put(Table::Deliveries, key, Expect::Absent, &delivery)?,
            append_audit(&event)?,
        ];
        self.commit(writes).await?;
        Ok(delivery)
    }

    /// Whether the incident that a notice tells of is over, and nothing later of
    /// it is there for the receiver: who was told of no beginning is told of no end.
    async fn is_over_unsaid(&self, name: &ReceiverName, of: &Delivery) -> Result<bool, RegistryError> {
        let Ok(id) = of.notice.subject.parse::<IncidentId>() else { return Ok(false) };
        match self.incident(id).await {
            Ok((incident, _)) if incident.resolved_at.is_none() => return Ok(false),
            Ok(_) | Err(RegistryError::NoSuchIncident(_)) => {}
            Err(error) => return Err(error),
        }
        let prefix = format!("{name}/");
        let is_later = |one: &Delivery| one.number > of.number && one.notice.subject == of.notice.subject;
        for (key, value) in
            self.store.scan(Table::Deliveries, &prefix, None, Order::Upwards, usize::MAX).await?
        {
            if is_later(&decode(Table::Deliveries, &key, &value)?) {
                return Ok(false);
            }
        }
        let dead = self.dead_letters(Some(name), None, usize::MAX).await?;
        Ok(!dead.iter().any(|one| is_later(&one.delivery)))
    }

    async fn stored(&self, name: &ReceiverName) -> Result<Option<(Stored, u64)>, RegistryError> {
        Ok(self.read(Table::Receivers, name.as_str()).await?)
    }

    /// The version of a receiver that was made over the API, where it is the one
    /// that was seen.
    async fn existing(&self, name: &ReceiverName, seen: Option<u64>) -> Result<u64, RegistryError> {
        let found = self.stored(name).await?.filter(|(stored, _)| stored.settings.is_some());
        let (_, version) = found.ok_or_else(|| RegistryError::NoSuchReceiver(name.clone()))?;
        match seen.is_none_or(|seen| seen == version) {
            true => Ok(version),
            false => Err(RegistryError::ReceiverMoved(name.clone())),
        }
    }

    /// The line of the log for what is done with a receiver now.
    fn receiver_event(
        &self,
        name: &ReceiverName,
        action: AuditAction,
        after: serde_json::Value,
        remark: Remark,
    ) -> AuditEvent {
        self.event(action, (None, None), [serde_json::json!({"receiver": name}), after], remark)
    }
}
