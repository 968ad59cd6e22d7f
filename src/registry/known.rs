//! A short index of all incidents, in memory: when each ended, and which
//! samples it spoils.
//!
//! A cycle asks for these for each resource, and months of incidents of many
//! tenants would be read from the store and decoded each time. The store is
//! read once, at the first question; each write of an incident keeps the index
//! true, because nobody else writes to the store.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{MappedMutexGuard, MutexGuard};

use super::{Registry, RegistryError, decode};
use crate::domain::{Incident, Resource, TenantId, TimeRange, Timestamp};
use crate::ports::{Batch, Table};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct IncidentIndex {
    /// By key; `None` for a record of version 0.1, which says nothing of what
    /// was found.
    known: BTreeMap<String, Option<Known>>,
}

/// What is known of one incident.
#[derive(Debug)]
struct Known {
    tenant: TenantId,
    resolved_at: Option<Timestamp>,
    spoiled: Vec<(Resource, TimeRange)>,
    called_usual: Vec<(Resource, TimeRange)>,
}

impl Known {
    fn of(incident: &Incident) -> Self {
        Known {
            tenant: incident.tenant.clone(),
            resolved_at: incident.resolved_at,
            spoiled: incident.anomalous_spans().collect(),
            called_usual: incident.called_usual_spans().collect(),
        }
    }
}

/// Version 0.1 kept incidents under tenant and time.
pub(super) fn is_of_today(key: &str) -> bool {
    !key.contains('/')
}

impl IncidentIndex {
    fn note(&mut self, incident: &Incident) {
        self.known.insert(incident.id.to_string(), Some(Known::of(incident)));
    }

    /// The keys of those that were over before `instant`.
    pub fn over_before(&self, instant: Timestamp) -> Vec<String> {
        let is_over = |known: &Known| known.resolved_at.is_some_and(|resolved_at| resolved_at < instant);
        let over = self.known.iter().filter(|(_, known)| known.as_ref().is_none_or(is_over));
        over.map(|(key, _)| key.clone()).collect()
    }

    pub fn forget(&mut self, keys: &[String]) {
        keys.iter().for_each(|key| drop(self.known.remove(key)));
    }

    /// The times that spoil samples since `since`, by tenant and resource, each
    /// for `longest` at most.
    pub fn spoiled_since(
        &self,
        since: Timestamp,
        longest: Duration,
    ) -> BTreeMap<(TenantId, Resource), Vec<TimeRange>> {
        let mut times: BTreeMap<_, Vec<TimeRange>> = BTreeMap::new();
        for known in self.known.values().flatten() {
            for (resource, span) in &known.spoiled {
                let end = span.end.min(span.start.plus(longest));
                if end > since {
                    let spans = times.entry((known.tenant.clone(), *resource)).or_default();
                    spans.push(TimeRange { start: span.start, end });
                }
            }
        }
        times
    }
}

/// When usage was unusual and a person called it usual, by tenant and resource.
#[derive(Debug, Clone, Default)]
pub struct CalledUsual(BTreeMap<(TenantId, Resource), Vec<TimeRange>>);

impl CalledUsual {
    /// Whether this instant of a series lies in such a time.
    pub fn covers(&self, tenant: &TenantId, resource: Resource, at: Timestamp) -> bool {
        let spans = self.0.get(&(tenant.clone(), resource));
        spans.is_some_and(|spans| spans.iter().any(|span| span.start <= at && at < span.end))
    }
}

impl Registry {
    /// When usage was unusual and a person called it usual.
    pub async fn called_usual(&self) -> Result<CalledUsual, RegistryError> {
        let mut usual = CalledUsual::default();
        for known in self.incident_index().await?.known.values().flatten() {
            for (resource, span) in &known.called_usual {
                usual.0.entry((known.tenant.clone(), *resource)).or_default().push(*span);
            }
        }
        Ok(usual)
    }

    /// The index, held until the guard is dropped: nobody writes an incident
    /// meanwhile.
    pub(super) async fn incident_index(&self) -> Result<MappedMutexGuard<'_, IncidentIndex>, RegistryError> {
        let mut held = self.incident_index.lock().await;
        if held.is_none() {
            let read = |key: &str, value: &crate::ports::Versioned| {
                if !is_of_today(key) {
                    return Ok(Some((key.to_owned(), None)));
                }
                let incident: Incident = decode(Table::Incidents, key, value)?;
                Ok(Some((key.to_owned(), Some(Known::of(&incident)))))
            };
            let all = self.newest(Table::Incidents, None, usize::MAX, read).await?;
            *held = Some(IncidentIndex { known: all.into_iter().collect() });
        }
        Ok(MutexGuard::map(held, |index| index.get_or_insert_default()))
    }

    /// Commits a batch that writes this incident, and notes it in the index.
    pub(super) async fn commit_incident(
        &self,
        incident: &Incident,
        batch: Batch,
    ) -> Result<(), RegistryError> {
        let mut index = self.incident_index().await?;
        self.store.commit(batch).await?;
        index.note(incident);
        Ok(())
    }
}
