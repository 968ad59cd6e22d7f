//! Many recommendations approved at once, after a dry run.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, DryRun, Query};
use super::problem::Problem;
use crate::domain::{Money, PerMonth, RecommendationId, Resource, TenantId, Tier};
use crate::engine::{BatchOutcome, Chosen, Direction, Word};
use crate::registry::RecommendationRecord;

/// Which recommendations that wait are approved: those that all of it holds for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchToApprove {
    /// Of these tenants; of all that the token reaches where it is left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    tenants: Vec<TenantId>,
    /// Of tenants of this tier.
    tier: Option<Tier>,
    /// Of this resource.
    resource: Option<Resource>,
    /// Which way they lead.
    direction: Option<Direction>,
    /// The least confidence, 0 to 1.
    #[serde(default)]
    least_confidence: f64,
    /// The most that are approved, the newest first; `server.max_page` where it is left out, and never more.
    #[schema(minimum = 1)]
    most: Option<usize>,
    /// What the approver says.
    comment: Option<String>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchItem {
    /// The recommendation.
    id: RecommendationId,
    /// Its tenant.
    tenant: TenantId,
    /// Its resource.
    resource: Resource,
    /// The quota that stood, in the resource's unit.
    from: f64,
    /// The quota that it asks for.
    to: f64,
    /// How far it can be trusted, 0 to 1.
    confidence: f64,
    /// What it saves in a month; negative where it costs more.
    saving: Option<Money<PerMonth>>,
    /// What comes of it.
    outcome: BatchOutcome,
    /// Why it is refused, or needs two.
    why: Option<String>,
}

/// What comes of all.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// Whether nothing was changed.
    dry_run: bool,
    /// One by one, the newest first.
    items: Vec<BatchItem>,
    /// How many more waited, and were left for the next time.
    left: usize,
    /// What those save in a month that are carried out, or would be; missing where a price is.
    saving: Option<Money<PerMonth>>,
}

/// Approve many recommendations. Each is judged and carried out as if it were approved alone: what needs two people waits
/// for a second one, and what is refused does not keep the others back. The code of a second factor counts for all of
/// one request; without one those are refused whose tenants ask for it.
#[utoipa::path(post, path = "/v1/recommendations/approve", tag = "recommendations", security(("token" = [])),
    params(DryRun),
    request_body = BatchToApprove,
    responses(
        (status = 200, body = Batch),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn approve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Query(DryRun { dry_run }): Query<DryRun>,
    Body(batch): Body<BatchToApprove>,
) -> Result<Json<Batch>, Problem> {
    let BatchToApprove { tenants, tier, resource, direction, least_confidence, most, comment } = batch;
    if !(0.0..=1.0).contains(&least_confidence) {
        return Err(Problem::unprocessable("least_confidence is a share from 0 to 1"));
    }
    if most == Some(0) {
        return Err(Problem::unprocessable("most is at least 1"));
    }
    let tenants = if tenants.is_empty() { caller.tenants().to_vec() } else { tenants };
    for tenant in &tenants {
        state.engine.registry().tenant(tenant).await?;
    }
    caller.reach_all(&state, &tenants).await?;
    let chosen = Chosen { tenants, tier, resource, direction, least_confidence };
    let mut records = state.engine.chosen(&chosen).await?;
    let most = most.unwrap_or(usize::MAX).clamp(1, state.settings.max_page);
    let left = records.len().saturating_sub(most);
    records.truncate(most);
    let concerned: BTreeSet<TenantId> =
        records.iter().map(|record| record.recommendation.tenant.clone()).collect();
    let kept_from = caller.kept_from(&state, &concerned, !dry_run).await?;
    let mut items = Vec::with_capacity(records.len());
    for record in &records {
        let remark = caller.remark(comment.clone());
        let word = match kept_from.get(&record.recommendation.tenant) {
            Some(why) => (BatchOutcome::Refused, Some(why.clone())),
            None if dry_run => state.engine.try_word(record, remark).await,
            None => state.engine.give_word(record, remark).await,
        };
        items.push(item(record, word));
    }
    let carried_out =
        |one: &&BatchItem| matches!(one.outcome, BatchOutcome::WouldApply | BatchOutcome::Applied);
    let savings: Option<Vec<Money<PerMonth>>> =
        items.iter().filter(carried_out).map(|one| one.saving).collect();
    let saving = savings.and_then(|all| Money::sum(all.first()?.currency, all.iter().copied()).ok());
    Ok(Json(Batch { dry_run, items, left, saving }))
}

fn item(record: &RecommendationRecord, (outcome, why): Word) -> BatchItem {
    let one = &record.recommendation;
    BatchItem {
        id: one.id,
        tenant: one.tenant.clone(),
        resource: one.resource,
        from: one.current,
        to: one.proposed,
        confidence: one.confidence,
        saving: one.cost.as_ref().map(|cost| cost.saving),
        outcome,
        why,
    }
}
