//! Many recommendations decided on with one word. Each goes the one way that all
//! go, and is told of by itself: what one of them comes to does not touch the
//! others.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Decided, Engine};
use crate::domain::{Objection, Recommendation, Resource, TenantId, Tier};
use crate::registry::{RecommendationRecord, RegistryError, Remark};

/// Which way a recommendation leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To a larger quota.
    Up,
    /// To a smaller one.
    Down,
}

/// Which of the recommendations that wait are meant: those that all of it holds
/// for.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Of one of these tenants; of any where there are none.
    pub tenants: Vec<TenantId>,
    /// Of tenants of this tier.
    pub tier: Option<Tier>,
    /// Of this resource.
    pub resource: Option<Resource>,
    /// Which way they lead.
    pub direction: Option<Direction>,
    /// The least confidence, 0 to 1.
    pub least_confidence: f64,
}

/// What comes of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchOutcome {
    /// It would be carried out.
    WouldApply,
    /// It would wait for a second person.
    WouldAwaitSecond,
    /// The quota stands as recommended.
    Applied,
    /// It waits for a second person.
    AwaitsSecond,
    /// It did not come about, or would not.
    Refused,
}

/// What comes of one of them, with why it is refused or needs two.
pub type Word = (BatchOutcome, Option<String>);

impl Chosen {
    fn takes(&self, one: &Recommendation) -> bool {
        let of_tenant = self.tenants.is_empty() || self.tenants.contains(&one.tenant);
        let leads = self.direction.is_none_or(|direction| match direction {
            Direction::Up => one.proposed > one.current,
            Direction::Down => one.proposed < one.current,
        });
        of_tenant
            && leads
            && self.tier.is_none_or(|tier| tier == one.tier)
            && self.resource.is_none_or(|resource| resource == one.resource)
            && one.confidence >= self.least_confidence
    }
}

impl Engine {
    /// The recommendations that wait for a decision and are chosen, the newest
    /// first.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn chosen(&self, chosen: &Chosen) -> Result<Vec<RecommendationRecord>, RegistryError> {
        let mut all = self.parts.registry.all_waiting().await?;
        all.retain(|record| chosen.takes(&record.recommendation));
        Ok(all)
    }

    /// Approves a recommendation, and says what came of it.
    pub async fn give_word(&self, record: &RecommendationRecord, remark: Remark) -> Word {
        match self.approve(record.recommendation.id, remark).await {
            Ok(Decided::Applied(_)) => (BatchOutcome::Applied, None),
            Ok(Decided::AwaitsSecond(_)) => (BatchOutcome::AwaitsSecond, None),
            Err(error) => (BatchOutcome::Refused, Some(format!("failed to {error}"))),
        }
    }

    /// What would come of an approval. Nothing is changed.
    pub async fn try_word(&self, record: &RecommendationRecord, remark: Remark) -> Word {
        match self.would_approve(record, remark).await {
            Err(error) => (BatchOutcome::Refused, Some(format!("failed to {error}"))),
            Ok(None) => (BatchOutcome::WouldApply, None),
            Ok(Some(verdict)) => match &verdict.objections[..] {
                [Objection::NeedsTwoPeople { because }] => {
                    (BatchOutcome::WouldAwaitSecond, Some(because.to_string()))
                }
                _ => (BatchOutcome::Refused, Some(verdict.to_string())),
            },
        }
    }
}
