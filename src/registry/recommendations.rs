//! Recommendations and what becomes of them. At most one waits for each quota;
//! a newer one takes its place.

use serde::{Deserialize, Serialize};

use super::refusals::put_refusal;
use super::{Registry, RegistryError, Remark, SCAN_CHUNK, append_audit, decode, put, resource_key};
use crate::domain::{
    Actor, AuditAction, AuditEvent, Recommendation, RecommendationId, RecommendationState, Refusal, Resource,
    TenantId, Timestamp, WhyTwo,
};
use crate::ports::{Expect, Order, StoreError, Table, Versioned, Write};

/// Two proposals nearer than this, as a share, are the same.
const SAME_WITHIN: f64 = 0.02;

/// A recommendation and what has become of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecommendationRecord {
    /// The recommendation, never changed.
    pub recommendation: Recommendation,
    /// What has become of it.
    pub state: RecommendationState,
}

/// What proposing did.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposed {
    /// The recommendation waits now.
    New(RecommendationId),
    /// One that says the same was waiting, and still is.
    Known(RecommendationId),
}

impl Proposed {
    /// The recommendation that waits now.
    pub fn id(&self) -> RecommendationId {
        match self {
            Proposed::New(id) | Proposed::Known(id) => *id,
        }
    }
}

/// Which recommendations a listing shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this tenant.
    pub tenant: Option<TenantId>,
    /// Those of this resource.
    pub resource: Option<Resource>,
    /// Those in this state, by its name.
    pub state: Option<String>,
}

impl RecommendationRecord {
    /// Whether nobody would gain from a proposal of this limit beside it: it is on
    /// its way, and ends before a new one is of use, or it says the same. One that
    /// was rejected is not put to the same people again until it would have
    /// expired.
    pub fn covers(&self, limit: f64, generation: u64, now: Timestamp) -> bool {
        let of_same = self.recommendation.parent_generation == generation;
        let on_its_way = match &self.state {
            RecommendationState::Approved { .. } => true,
            // Nor does a new one pull the rug from under what one person approved.
            RecommendationState::AwaitsSecond { until, .. } => *until > now && of_same,
            _ => false,
        };
        let near = (limit / self.recommendation.proposed - 1.0).abs() <= SAME_WITHIN;
        on_its_way || near && of_same && self.recommendation.expires_at > now
    }
}

impl Filter {
    fn takes(&self, record: &RecommendationRecord) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == record.recommendation.tenant)
            && self.resource.is_none_or(|resource| resource == record.recommendation.resource)
            && self.state.as_deref().is_none_or(|state| state == record.state.name())
    }
}

/// How one ends of which nothing is needed any more.
pub(super) const WITHOUT_NEED: RecommendationState = RecommendationState::Superseded { by: None };

impl Registry {
    /// [Proposes](Self::propose_after) in the place of what is waiting now.
    #[cfg(test)]
    pub async fn propose(&self, new: Recommendation) -> Result<Proposed, RegistryError> {
        let waiting = self.waiting(&new.tenant, new.resource).await?;
        self.propose_after(waiting, new).await
    }

    /// Lets a recommendation wait for a decision, in the place of what was
    /// [waiting](Self::waiting) for the same quota. One that says the same is
    /// dropped. Who decided since then is not overruled: the write is in conflict.
    pub async fn propose_after(
        &self,
        waiting: Option<(RecommendationRecord, u64)>,
        new: Recommendation,
    ) -> Result<Proposed, RegistryError> {
        let mut writes = Vec::new();
        let mut ended = None;
        if let Some((waiting, version)) = waiting {
            if waiting.covers(new.proposed, new.parent_generation, self.now()) {
                return Ok(Proposed::Known(waiting.recommendation.id));
            }
            if waiting.state.is_open() {
                let state = superseding_state(&waiting.recommendation, self.now(), &new);
                writes.extend(self.put_state(&waiting, version, &state)?);
                ended = Some((waiting.recommendation, state));
            }
        }
        let id = new.id;
        writes.push(put(Table::Waiting, resource_key(&new.tenant, new.resource), Expect::Anything, &id)?);
        writes.push(record_write(&new, RecommendationState::Proposed, Expect::Absent)?);
        self.commit(writes).await?;
        if let Some((recommendation, state)) = &ended {
            tell_of_end(recommendation, state);
        }
        self.expiries.look_at(resource_key(&new.tenant, new.resource), new.expires_at);
        Ok(Proposed::New(id))
    }

    /// [Takes back](Self::take_back) what is waiting now.
    #[cfg(test)]
    pub async fn withdraw(&self, tenant: &TenantId, resource: Resource) -> Result<(), RegistryError> {
        match self.waiting(tenant, resource).await? {
            Some((waiting, version)) => self.take_back(&waiting, version).await,
            None => Ok(()),
        }
    }

    /// Takes back what is known to wait, unless somebody has spoken of it: the
    /// quota fits now, or nothing can be said of it any more.
    pub async fn take_back(&self, waiting: &RecommendationRecord, version: u64) -> Result<(), RegistryError> {
        if waiting.state != RecommendationState::Proposed {
            return Ok(());
        }
        self.end_waiting(waiting, version, WITHOUT_NEED).await
    }

    /// One recommendation.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn recommendation(&self, id: RecommendationId) -> Result<RecommendationRecord, RegistryError> {
        Ok(self.recommendation_with_version(id).await?.0)
    }

    /// Up to `limit` recommendations that the filter takes, the newest first,
    /// of those older than `before`.
    pub async fn recommendations(
        &self,
        filter: &Filter,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecommendationRecord>, RegistryError> {
        self.newest(Table::Recommendations, before.map(str::to_owned), limit, |key, value| {
            let record: RecommendationRecord = decode(Table::Recommendations, key, value)?;
            Ok(filter.takes(&record).then_some(record))
        })
        .await
    }

    /// All recommendations that wait for a decision, the newest first.
    pub async fn all_waiting(&self) -> Result<Vec<RecommendationRecord>, RegistryError> {
        self.newest(Table::Recommendations, None, usize::MAX, |key, value| {
            let record: RecommendationRecord = decode(Table::Recommendations, key, value)?;
            Ok(record.state.is_open().then_some(record))
        })
        .await
    }

    /// The recommendation, while it waits for a decision.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn still_waiting(&self, id: RecommendationId) -> Result<Option<Recommendation>, RegistryError> {
        let record = self.recommendation(id).await?;
        Ok(record.state.is_open().then_some(record.recommendation))
    }

    /// Says no to a recommendation.
    ///
    /// # Errors
    /// Where it waits no more.
    pub async fn reject(
        &self,
        id: RecommendationId,
        by: Actor,
        reason: String,
        request_id: Option<String>,
    ) -> Result<RecommendationRecord, RegistryError> {
        let (record, version) = self.recommendation_with_version(id).await?;
        if !record.state.is_open() {
            return Err(RegistryError::AlreadyDecided { id, state: record.state.told() });
        }
        let at = self.now();
        let event = AuditEvent {
            at,
            actor: by.clone(),
            action: AuditAction::RecommendationRejected,
            tenant: Some(record.recommendation.tenant.clone()),
            resource: Some(record.recommendation.resource),
            before: serde_json::json!(record.recommendation.current),
            after: serde_json::json!(record.recommendation.current),
            reason: reason.clone(),
            request_id,
        };
        let refusal = Refusal {
            current: record.recommendation.current,
            refused: record.recommendation.proposed,
            by: by.clone(),
            at,
            reason: reason.clone(),
        };
        let state = RecommendationState::Rejected { by, at, reason };
        let Recommendation { tenant, resource, .. } = &record.recommendation;
        let remembered = put_refusal(tenant, *resource, &refusal)?;
        // It stays the one that was last put to people, so that the same is not
        // proposed again at once.
        let expect = Expect::Version(version);
        let write = record_write(&record.recommendation, state.clone(), expect)?;
        self.commit(vec![write, remembered, append_audit(&event)?]).await?;
        Ok(RecommendationRecord { state, ..record })
    }

    /// Keeps the first person's word on a recommendation that needs two.
    ///
    /// # Errors
    /// Where it waits no more, or all changes are stopped.
    pub async fn give_first_word(
        &self,
        id: RecommendationId,
        remark: Remark,
        needs_two: WhyTwo,
        until: Timestamp,
    ) -> Result<RecommendationRecord, RegistryError> {
        let (record, version) = self.recommendation_with_version(id).await?;
        if !record.state.is_open() {
            return Err(RegistryError::AlreadyDecided { id, state: record.state.told() });
        }
        let Recommendation { tenant, resource, current, proposed, .. } = &record.recommendation;
        let (about, limits) = ((Some(tenant.clone()), Some(*resource)), [current, proposed]);
        let mut event = self.event(
            AuditAction::FirstApprovalGiven,
            about,
            limits.map(|limit| serde_json::json!(limit)),
            remark.clone(),
        );
        if event.reason.is_empty() {
            event.reason = needs_two.to_string();
        }
        let Remark { by, comment, .. } = remark;
        let state = RecommendationState::AwaitsSecond { by, at: event.at, comment, needs_two, until };
        let write = record_write(&record.recommendation, state.clone(), Expect::Version(version))?;
        self.commit_unless_paused(vec![write, append_audit(&event)?]).await?;
        let look_at = until.min(record.recommendation.expires_at);
        self.expiries.look_at(resource_key(tenant, *resource), look_at);
        Ok(RecommendationRecord { state, ..record })
    }

    /// Takes the first person's word off a recommendation where the second one
    /// did not come in time; then it waits as it did before. Gives until when it
    /// may still come.
    pub(super) async fn expire_first_word(
        &self,
        record: &RecommendationRecord,
        version: u64,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let RecommendationState::AwaitsSecond { until, .. } = &record.state else { return Ok(None) };
        if *until > self.now() {
            return Ok(Some(*until));
        }
        let state = RecommendationState::Proposed;
        self.commit(self.put_state(record, version, &state)?).await?;
        let Recommendation { id, tenant, resource, .. } = &record.recommendation;
        tracing::info!(recommendation = %id, %tenant, %resource, "the first approval lapsed");
        Ok(None)
    }

    /// What gives a record another state without anybody's decision: a first
    /// approval lapses by that.
    fn put_state(
        &self,
        record: &RecommendationRecord,
        version: u64,
        state: &RecommendationState,
    ) -> Result<Vec<Write>, StoreError> {
        let mut writes: Vec<Write> = self.lapse(record, state)?.into_iter().collect();
        writes.push(record_write(&record.recommendation, state.clone(), Expect::Version(version))?);
        Ok(writes)
    }

    /// The line of the log that says what became of a first person's word, where
    /// there was one.
    fn lapse(
        &self,
        record: &RecommendationRecord,
        becomes: &RecommendationState,
    ) -> Result<Option<Write>, StoreError> {
        let RecommendationState::AwaitsSecond { by, .. } = &record.state else { return Ok(None) };
        let why = match becomes {
            RecommendationState::Stale { .. } => "the quota was changed by something else first",
            RecommendationState::Expired => "the recommendation has expired",
            RecommendationState::Superseded { by: None } => "the tenant was removed",
            _ => "no second person came in time",
        };
        let Recommendation { tenant, resource, current, proposed, .. } = &record.recommendation;
        let event = self.event(
            AuditAction::FirstApprovalLapsed,
            (Some(tenant.clone()), Some(*resource)),
            [current, proposed].map(|limit| serde_json::json!(limit)),
            Remark { by: Actor::Daemon, comment: Some(format!("{by} approved it; {why}")), request_id: None },
        );
        append_audit(&event).map(Some)
    }

    /// The recommendation that was last put to people for a quota, with its
    /// version: it waits for a decision, is on its way, or was rejected.
    pub async fn waiting(
        &self,
        tenant: &TenantId,
        resource: Resource,
    ) -> Result<Option<(RecommendationRecord, u64)>, RegistryError> {
        let key = resource_key(tenant, resource);
        match self.read::<RecommendationId>(Table::Waiting, &key).await? {
            Some((id, _)) => self.recommendation_with_version(id).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn recommendation_with_version(
        &self,
        id: RecommendationId,
    ) -> Result<(RecommendationRecord, u64), RegistryError> {
        let found = self.read(Table::Recommendations, &id.to_string()).await?;
        found.ok_or(RegistryError::NoSuchRecommendation(id))
    }

    /// Ends one that waits without anybody's decision.
    pub(super) async fn end_waiting(
        &self,
        record: &RecommendationRecord,
        version: u64,
        state: RecommendationState,
    ) -> Result<(), RegistryError> {
        let recommendation = &record.recommendation;
        let key = resource_key(&recommendation.tenant, recommendation.resource);
        let mut writes = vec![Write::Delete { table: Table::Waiting, key, expect: Expect::Anything }];
        writes.extend(self.put_state(record, version, &state)?);
        self.commit(writes).await?;
        tell_of_end(recommendation, &state);
        Ok(())
    }

    /// What ends the recommendation that waits for a quota whose tenant is removed,
    /// and it. Nothing is ended if another is proposed meanwhile.
    pub(super) async fn end_with_tenant(
        &self,
        tenant: &TenantId,
        resource: Resource,
    ) -> Result<(Vec<Write>, Option<Recommendation>), RegistryError> {
        let key = resource_key(tenant, resource);
        let named = self.read::<RecommendationId>(Table::Waiting, &key).await?;
        let expect = named.map_or(Expect::Absent, |(_, version)| Expect::Version(version));
        let mut writes = vec![Write::Delete { table: Table::Waiting, key, expect }];
        let Some((id, _)) = named else { return Ok((writes, None)) };
        let found = self.read::<RecommendationRecord>(Table::Recommendations, &id.to_string()).await?;
        let Some((record, version)) = found.filter(|(record, _)| record.state.is_open()) else {
            return Ok((writes, None));
        };
        writes.extend(self.put_state(&record, version, &WITHOUT_NEED)?);
        Ok((writes, Some(record.recommendation)))
    }

    /// Removes decided recommendations older than `instant`; gives how many.
    /// What is younger is not read: their ids rise with time.
    pub async fn forget_recommendations_before(&self, instant: Timestamp) -> Result<usize, RegistryError> {
        let mut cursor: Option<String> = None;
        let mut forgotten = 0;
        loop {
            let chunk = self
                .store
                .scan(Table::Recommendations, "", cursor.as_deref(), Order::Upwards, SCAN_CHUNK)
                .await?;
            let (writes, all_older) = self.old_ones(&chunk, instant)?;
            forgotten += writes.len();
            if !writes.is_empty() {
                self.commit(writes).await?;
            }
            match chunk.last() {
                Some((key, _)) if chunk.len() == SCAN_CHUNK && all_older => cursor = Some(key.clone()),
                _ => return Ok(forgotten),
            }
        }
    }

    /// What takes the decided ones of some older than `instant` away, and
    /// whether all of them are older.
    fn old_ones(
        &self,
        chunk: &[(String, Versioned)],
        instant: Timestamp,
    ) -> Result<(Vec<Write>, bool), StoreError> {
        let mut writes = Vec::new();
        for (key, value) in chunk {
            let record: RecommendationRecord = decode(Table::Recommendations, key, value)?;
            if record.recommendation.created_at >= instant {
                return Ok((writes, false));
            }
            if !record.state.is_open() && !matches!(record.state, RecommendationState::Approved { .. }) {
                writes.push(Write::Delete {
                    table: Table::Recommendations,
                    key: key.clone(),
                    expect: Expect::Version(value.version),
                });
            }
        }
        Ok((writes, true))
    }
}

/// What becomes of the one that waited.
fn superseding_state(waiting: &Recommendation, now: Timestamp, new: &Recommendation) -> RecommendationState {
    if waiting.parent_generation != new.parent_generation {
        RecommendationState::Stale { found_generation: new.parent_generation }
    } else if waiting.expires_at <= now {
        RecommendationState::Expired
    } else {
        RecommendationState::Superseded { by: Some(new.id) }
    }
}

/// Tells of the end of one that nobody decided on, once that is committed. A whole
/// fleet's may end in one cycle, so it is said as quietly as that they were proposed.
pub(super) fn tell_of_end(recommendation: &Recommendation, state: &RecommendationState) {
    let Recommendation { id, tenant, resource, .. } = recommendation;
    match state {
        RecommendationState::Superseded { by: Some(newer) } => {
            tracing::debug!(recommendation = %id, %tenant, %resource, %newer, "superseded");
        }
        RecommendationState::Superseded { by: None } => {
            tracing::debug!(recommendation = %id, %tenant, %resource, "taken back");
        }
        RecommendationState::Stale { found_generation } => {
            let generation = *found_generation;
            tracing::debug!(recommendation = %id, %tenant, %resource, generation, "stale");
        }
        RecommendationState::Expired => {
            tracing::debug!(recommendation = %id, %tenant, %resource, "expired");
        }
        _ => {}
    }
}

fn record_write(
    recommendation: &Recommendation,
    state: RecommendationState,
    expect: Expect,
) -> Result<Write, StoreError> {
    let record = RecommendationRecord { recommendation: recommendation.clone(), state };
    put(Table::Recommendations, recommendation.id.to_string(), expect, &record)
}
