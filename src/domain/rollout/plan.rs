//! From wishes to stages: which quota is changed when, and in which half.

use std::collections::BTreeMap;

use super::{Arm, Outcome, Rollout, RolloutChange, Strategy, TenantMove};
use crate::domain::{Quota, RecommendationId, TenantId};

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

/// Where chance has put each tenant.
struct Places {
    strategy: Strategy,
    of: BTreeMap<TenantId, usize>,
}

impl Places {
    fn new<'t>(name: &str, strategy: Strategy, tenants: impl Iterator<Item = &'t TenantId>) -> Self {
        let mut order: Vec<(u64, TenantId)> =
            tenants.map(|tenant| (lot(name, tenant), tenant.clone())).collect();
        order.sort();
        order.dedup();
        let of = order.into_iter().enumerate().map(|(place, (_, tenant))| (tenant, place)).collect();
        Places { strategy, of }
    }

    fn stage(&self, tenant: &TenantId) -> usize {
        self.strategy.stage(self.of[tenant], self.of.len())
    }

    fn arm(&self, tenant: &TenantId) -> Option<Arm> {
        let arm = if self.of[tenant].is_multiple_of(2) { Arm::A } else { Arm::B };
        (self.strategy == Strategy::AbTest).then_some(arm)
    }
}

impl Rollout {
    /// Puts wishes and tenants that get a template into stages. Which tenant
    /// comes first is chance, and the same for the same `name`; all of a tenant
    /// changes in one stage.
    pub fn plan(
        name: &str,
        strategy: Strategy,
        wishes: Vec<Wish>,
        mut moves: Vec<TenantMove>,
    ) -> (Vec<RolloutChange>, Vec<TenantMove>) {
        let tenants = wishes.iter().map(|wish| &wish.tenant).chain(moves.iter().map(|one| &one.tenant));
        let places = Places::new(name, strategy, tenants);
        let mut changes: Vec<RolloutChange> = wishes.into_iter().map(|wish| planned(wish, &places)).collect();
        changes.sort_by(|a, b| (a.stage, &a.tenant, a.resource).cmp(&(b.stage, &b.tenant, b.resource)));
        for one in &mut moves {
            (one.stage, one.arm) = (places.stage(&one.tenant), places.arm(&one.tenant));
            if one.arm == Some(Arm::B) {
                one.outcome = Outcome::Kept;
            }
        }
        moves.sort_by(|a, b| (a.stage, &a.tenant).cmp(&(b.stage, &b.tenant)));
        (changes, moves)
    }
}

fn planned(wish: Wish, places: &Places) -> RolloutChange {
    let arm = places.arm(&wish.tenant);
    let to = match arm {
        Some(Arm::B) => wish.alternative.unwrap_or(wish.quota.limit),
        _ => wish.to,
    };
    RolloutChange {
        stage: places.stage(&wish.tenant),
        resource: wish.quota.resource,
        arm,
        from: wish.quota.limit,
        to,
        generation: wish.quota.generation,
        recommendation: wish.recommendation.filter(|_| arm != Some(Arm::B)),
        outcome: if to == wish.quota.limit { Outcome::Kept } else { Outcome::Waiting },
        tenant: wish.tenant,
    }
}

/// A tenant's place in the order of chance: FNV-1a over the rollout's name and the
/// tenant's id, which is the same on every machine, and in a dry run.
fn lot(name: &str, tenant: &TenantId) -> u64 {
    // No id holds a zero byte, so that no two pairs read alike.
    let bytes = name.as_bytes().iter().chain(&[0]).chain(tenant.as_str().as_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of a short text hardly differ without this (splitmix64).
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}
