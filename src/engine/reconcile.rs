//! Compares what the target enforces with what the registry says, and tells of
//! quotas that hold there as others, or sets them right. It goes its own way
//! beside the cycle, since a target may be slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use utoipa::ToSchema;

use super::apply::UnderWay;
use super::{Engine, EngineError};
use crate::domain::{Actor, AuditAction, Quota, QuotaChange, Resource, TenantId, Timestamp};
use crate::ports::TargetError;
use crate::registry::Remark;
use crate::telemetry;

/// How a target is compared with the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// How often.
    pub every: Duration,
    /// Whether what differs is set right, and not told of only.
    pub repair: bool,
    /// The most questions to the target at once.
    pub at_once: usize,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        ReconcileSettings { every: Duration::from_secs(3600), repair: false, at_once: 4 }
    }
}

/// A quota that holds at the target as another than the registry's.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Drift {
    /// Whose quota.
    pub tenant: TenantId,
    /// Which quota.
    pub resource: Resource,
    /// What the registry says, in the resource's unit.
    pub registry: f64,
    /// What holds at the target; `None` where it knows none.
    pub target: Option<f64>,
    /// Whether it was set right.
    pub repaired: bool,
    /// When it was found.
    pub found_at: Timestamp,
}

impl Drift {
    /// Whether another of the same quota is the same, found again.
    fn is_still(&self, later: &Drift) -> bool {
        let what = |drift: &Drift| (drift.registry, drift.target, drift.repaired);
        what(self) == what(later)
    }
}

/// Reconciles every so often, until `stop`. A target that keeps no quotas of
/// its own is left alone.
pub async fn drive_reconciler(engine: Arc<Engine>, stop: CancellationToken) {
    let mut timer = engine.timer(|settings| settings.reconcile.every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
        }
        let target = engine.target();
        if !Resource::ALL.iter().any(|resource| target.keeps(*resource)) {
            continue;
        }
        let span = tracing::info_span!("reconcile", trace_id = Empty);
        let work = telemetry::traced(span, None, engine.reconcile(engine.settings().reconcile));
        tokio::select! {
            () = stop.cancelled() => return,
            outcome = work => if let Err(error) = outcome {
                tracing::error!("failed to {error}");
            }
        }
    }
}

impl Engine {
    async fn reconcile(&self, settings: ReconcileSettings) -> Result<(), EngineError> {
        let mut found = Vec::new();
        for tenant in self.parts.registry.all_tenants().await? {
            let quotas = self.parts.registry.quotas_if_there(&tenant.id).await?;
            let target = self.target();
            let kept = quotas.into_iter().filter(|quota| target.keeps(quota.resource));
            let looks = kept.map(|quota| self.look(&tenant.id, quota));
            let looked: Vec<_> = stream::iter(looks).buffered(settings.at_once.max(1)).collect().await;
            for look in looked {
                match look {
                    Ok(Some((quota, target))) => {
                        found.push(self.drifted(&tenant.id, &quota, target, settings.repair).await?);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        // What can't be read now is looked at the next time.
                        tracing::warn!(tenant = %tenant.id, "failed to {error}");
                        break;
                    }
                }
            }
        }
        let left = found.iter().filter(|drift| !drift.repaired).count();
        self.parts.metrics.drifted(left);
        self.say_what_is_new(&found);
        self.workspace.put_drift(found);
        Ok(())
    }

    /// Says once what differs: a target that nobody mends would be told of each
    /// time.
    fn say_what_is_new(&self, found: &[Drift]) {
        let before = self.workspace.drift();
        let known: HashMap<_, _> =
            before.iter().map(|drift| ((&drift.tenant, drift.resource), drift)).collect();
        let is_known = |drift: &Drift| {
            known.get(&(&drift.tenant, drift.resource)).is_some_and(|before| before.is_still(drift))
        };
        let mut fresh = found.iter().filter(|drift| !is_known(drift));
        let Some(Drift { tenant, resource, registry, target, .. }) = fresh.next() else { return };
        let more = fresh.count();
        tracing::warn!(%tenant, %resource, registry, ?target, more, "the target enforces another quota");
    }

    /// A quota with what holds at the target, where that is another.
    async fn look(
        &self,
        tenant: &TenantId,
        quota: Quota,
    ) -> Result<Option<(Quota, Option<f64>)>, TargetError> {
        let target = self.target().read(tenant, quota.resource).await?;
        Ok((target != Some(quota.limit)).then_some((quota, target)))
    }

    async fn drifted(
        &self,
        tenant: &TenantId,
        quota: &Quota,
        target: Option<f64>,
        repair: bool,
    ) -> Result<Drift, EngineError> {
        let resource = quota.resource;
        let mut drift = Drift {
            tenant: tenant.clone(),
            resource,
            registry: quota.limit,
            target,
            repaired: false,
            found_at: self.now(),
        };
        let change = QuotaChange {
            tenant: tenant.clone(),
            resource,
            parent_generation: quota.generation - 1,
            from: target.unwrap_or(quota.limit),
            to: quota.limit,
            recommendation: None,
            rollout: None,
            rolls_back: false,
            reason: "set right: the target enforced another quota".to_owned(),
        };
        if !repair || self.parts.registry.pause().await?.is_some() {
            return Ok(drift);
        }
        // A change that is on its way explains the difference.
        let Some(_under_way) = UnderWay::mark(self, &change) else { return Ok(drift) };
        let is_open = self.parts.registry.open_change(tenant, resource).await?.is_some();
        let stands = self.parts.registry.quota(tenant, resource).await? == *quota;
        if is_open || !stands {
            return Ok(drift);
        }
        let remark = Remark { by: Actor::Daemon, comment: Some(change.reason.clone()), request_id: None };
        let values = [serde_json::json!(target), serde_json::json!(quota.limit)];
        let about = (Some(tenant.clone()), Some(resource));
        self.parts.registry.write_event(AuditAction::TargetRepaired, about, values, remark).await?;
        match self.target().enforce(&change).await {
            Ok(()) => drift.repaired = true,
            Err(error) => tracing::warn!(%tenant, %resource, "failed to {error}"),
        }
        Ok(drift)
    }
}
