//! From wishes to stages: which quota is changed when, and in which half.

use std::collections::BTreeMap;

use super::{Arm, Outcome, Rollout, RolloutChange, Strategy};
use crate::domain::{Quota, RecommendationId, RolloutId, TenantId};

/// What is wished for of one quota, before it is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Whose quota.
    pub tenant: TenantId,
    /// The quota that stands.
    pub quota: Quota,
    /// The limit wished for, in the resource's unit.
    pub to: f64,
    /// The other limit, for an A/B test.
    pub alternative: Option<f64>,
    /// The recommendation that asks for it.
    pub recommendation: Option<RecommendationId>,
}

impl Strategy {
    /// The stage of each tenant, from 0 on without a hole; the tenants come in
    /// the order in which chance has put them.
    fn stage(self, place: usize, tenants: usize) -> usize {
        match self {
            Strategy::AllAtOnce | Strategy::BlueGreen | Strategy::AbTest => 0,
            Strategy::Rolling { batch } => place / batch.max(1),
            Strategy::Canary { share } => {
                let first = ((tenants as f64 * share).ceil() as usize).clamp(1, tenants.max(1));
                usize::from(place >= first)
            }
        }
    }
}

impl Rollout {
    /// Puts wishes into stages. Which tenant comes first is chance, and the
    /// same for the same `id`; a tenant's quotas change in one stage.
    pub fn plan(id: RolloutId, strategy: Strategy, wishes: Vec<Wish>) -> Vec<RolloutChange> {
        let mut order: Vec<(u64, TenantId)> =
            wishes.iter().map(|wish| (lot(id, &wish.tenant), wish.tenant.clone())).collect();
        order.sort();
        order.dedup();
        let tenants = order.len();
        let places: BTreeMap<TenantId, usize> =
            order.into_iter().enumerate().map(|(place, (_, tenant))| (tenant, place)).collect();
        let mut changes: Vec<RolloutChange> = wishes
            .into_iter()
            .map(|wish| {
                let place = places[&wish.tenant];
                let arm = (strategy == Strategy::AbTest).then_some(if place.is_multiple_of(2) {
                    Arm::A
                } else {
                    Arm::B
                });
                let to = match arm {
                    Some(Arm::B) => wish.alternative.unwrap_or(wish.quota.limit),
                    _ => wish.to,
                };
                let outcome = if to == wish.quota.limit { Outcome::Kept } else { Outcome::Waiting };
                RolloutChange {
                    stage: strategy.stage(place, tenants),
                    resource: wish.quota.resource,
                    arm,
                    from: wish.quota.limit,
                    to,
                    generation: wish.quota.generation,
                    recommendation: wish.recommendation.filter(|_| arm != Some(Arm::B)),
                    outcome,
                    tenant: wish.tenant,
                }
            })
            .collect();
        changes.sort_by(|a, b| (a.stage, &a.tenant, a.resource).cmp(&(b.stage, &b.tenant, b.resource)));
        changes
    }
}

/// A tenant's place in the order of chance: FNV-1a over the rollout's id and the
/// tenant's, which is the same on every machine.
fn lot(id: RolloutId, tenant: &TenantId) -> u64 {
    let bytes = id.0.as_bytes().iter().chain(tenant.as_str().as_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of a short text hardly differ without this (splitmix64).
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}
