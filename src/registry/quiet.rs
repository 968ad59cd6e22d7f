//! Silences and markers. Each change is written with its line in the audit log.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::{AuditAction, Marker, Silence, Timestamp};
use crate::ports::{Expect, Table, Write};

impl Registry {
    /// Keeps alerts back for a time.
    pub async fn add_silence(
        &self,
        silence: &Silence,
        request_id: Option<String>,
    ) -> Result<(), RegistryError> {
        let by = silence.by.clone();
        let remark = Remark { by, comment: Some(silence.reason.clone()), request_id };
        let about = (silence.tenant.clone(), silence.resource);
        let event = self.event(AuditAction::SilenceCreated, about, [Value::Null, json!(silence)], remark);
        let write = put(Table::Silences, silence.id.to_string(), Expect::Absent, silence)?;
        Ok(self.commit(vec![write, append_audit(&event)?]).await?)
    }

    /// All silences, the oldest first.
    pub async fn silences(&self) -> Result<Vec<Silence>, RegistryError> {
        let found = self.everything(Table::Silences).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Silences, key, value)?)).collect()
    }

    /// Lets alerts through again. Lifting what is over changes nothing.
    ///
    /// # Errors
    /// Where there is no such silence.
    pub async fn lift_silence(&self, id: Uuid, remark: Remark) -> Result<Silence, RegistryError> {
        let found = self.read::<Silence>(Table::Silences, &id.to_string()).await?;
        let (before, version) = found.ok_or(RegistryError::NoSuchSilence(id))?;
        let now = self.now();
        if before.until <= now {
            return Ok(before);
        }
        let after = Silence { until: now, lifted_at: Some(now), ..before.clone() };
        let about = (after.tenant.clone(), after.resource);
        let event = self.event(AuditAction::SilenceLifted, about, [json!(before), json!(after)], remark);
        let write = put(Table::Silences, id.to_string(), Expect::Version(version), &after)?;
        self.commit(vec![write, append_audit(&event)?]).await?;
        Ok(after)
    }

    /// Writes a deploy or a maintenance down.
    pub async fn add_marker(&self, marker: &Marker, request_id: Option<String>) -> Result<(), RegistryError> {
        let remark = Remark { by: marker.by.clone(), comment: Some(marker.text.clone()), request_id };
        let about = (marker.tenant.clone(), None);
        let event = self.event(AuditAction::MarkerCreated, about, [Value::Null, json!(marker)], remark);
        let write = put(Table::Markers, marker.id.to_string(), Expect::Absent, marker)?;
        Ok(self.commit(vec![write, append_audit(&event)?]).await?)
    }

    /// All markers, the oldest first.
    pub async fn markers(&self) -> Result<Vec<Marker>, RegistryError> {
        let found = self.everything(Table::Markers).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Markers, key, value)?)).collect()
    }

    /// Strikes a marker out.
    ///
    /// # Errors
    /// Where there is no such marker.
    pub async fn remove_marker(&self, id: Uuid, remark: Remark) -> Result<(), RegistryError> {
        let (key, table) = (id.to_string(), Table::Markers);
        let (marker, version) =
            self.read::<Marker>(table, &key).await?.ok_or(RegistryError::NoSuchMarker(id))?;
        let about = (marker.tenant.clone(), None);
        let event = self.event(AuditAction::MarkerRemoved, about, [json!(marker), Value::Null], remark);
        let delete = Write::Delete { table, key, expect: Expect::Version(version) };
        Ok(self.commit(vec![delete, append_audit(&event)?]).await?)
    }

    /// Forgets silences and markers that ended before `instant`.
    pub async fn forget_quiet_before(&self, instant: Timestamp) -> Result<(), RegistryError> {
        let over = |until: Timestamp| until < instant;
        let silences = self.silences().await?.into_iter().filter(|one| over(one.until));
        let silences = silences.map(|one| (Table::Silences, one.id));
        let markers = self.markers().await?.into_iter().filter(|one| over(one.until));
        let markers = markers.map(|one| (Table::Markers, one.id));
        let expect = Expect::Anything;
        let deletes: Vec<Write> = silences
            .chain(markers)
            .map(|(table, id)| Write::Delete { table, key: id.to_string(), expect })
            .collect();
        if deletes.is_empty() { Ok(()) } else { Ok(self.commit(deletes).await?) }
    }
}
