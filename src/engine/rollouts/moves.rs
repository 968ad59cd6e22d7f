//! Gives tenants the template of a rollout, and what they had before.

use super::super::EngineError;
use super::Engine;
use super::carry::{Turn, remark_of};
use crate::domain::rollout::{Outcome, Rollout, TemplateAndTier, TemplateChange};
use crate::domain::{TenantId, Timestamp};
use crate::registry::{RegistryError, Remark};

/// Why a tenant gets nothing, and gives nothing back.
const MOVED: &str = "somebody has changed its template or its tier since";

impl Engine {
    /// Gives up to `most` tenants of the stage the template, and says whether
    /// more of them could get it now.
    pub(super) async fn move_some(&self, rollout: &mut Rollout, most: usize) -> Result<bool, EngineError> {
        let (stage, begun_at, remark) = (rollout.stage, rollout.created_at, remark_of(rollout));
        let Some(template) = &mut rollout.template else { return Ok(false) };
        let mut tried = 0;
        for index in 0..template.moves.len() {
            let one = &template.moves[index];
            if one.stage != stage || one.outcome != Outcome::Waiting {
                continue;
            }
            if tried == most {
                return Ok(true);
            }
            tried += 1;
            let way = (&TemplateChange::before(one), &template.after(one));
            let outcome = match self.turn_tenant(&one.tenant, begun_at, way, remark.clone()).await? {
                Turn::Made(at) => Outcome::Applied { at },
                Turn::Never(why) => Outcome::Refused { why },
                Turn::Later => continue,
            };
            template.moves[index].outcome = outcome;
        }
        Ok(false)
    }

    /// Gives up to `most` tenants back what they had before.
    pub(super) async fn move_some_back(
        &self,
        rollout: &mut Rollout,
        most: usize,
    ) -> Result<bool, EngineError> {
        let (begun_at, remark) = (rollout.created_at, remark_of(rollout));
        let Some(template) = &mut rollout.template else { return Ok(false) };
        let mut tried = 0;
        for index in 0..template.moves.len() {
            let one = &template.moves[index];
            let (before, after) = (TemplateChange::before(one), template.after(one));
            // A process that was cut may have moved it without a word here.
            let may_be_moved = one.applied_at().is_some()
                || one.outcome == Outcome::Waiting && self.stands_on(&one.tenant, &after).await?;
            if !may_be_moved {
                if one.outcome == Outcome::Waiting {
                    template.moves[index].outcome = Outcome::Kept;
                }
                continue;
            }
            if tried == most {
                return Ok(true);
            }
            tried += 1;
            let outcome =
                match self.turn_tenant(&one.tenant, begun_at, (&after, &before), remark.clone()).await? {
                    Turn::Made(at) => Outcome::RolledBack { at },
                    Turn::Never(why) => Outcome::Left { why },
                    Turn::Later => continue,
                };
            template.moves[index].outcome = outcome;
        }
        Ok(false)
    }

    /// Moves a tenant, unless it stands where it is to stand already.
    async fn turn_tenant(
        &self,
        id: &TenantId,
        begun_at: Timestamp,
        (from, to): (&TemplateAndTier, &TemplateAndTier),
        remark: Remark,
    ) -> Result<Turn, EngineError> {
        let registry = &self.parts.registry;
        let tenant = match registry.tenant(id).await {
            Err(error @ RegistryError::NoSuchTenant(_)) => return Ok(Turn::Never(error.to_string())),
            other => other?,
        };
        if tenant.created_at > begun_at {
            return Ok(Turn::Never("the tenant was removed and made anew since".to_owned()));
        }
        match registry.move_tenant(id, from, to, remark).await {
            Ok(true) => Ok(Turn::Made(self.now())),
            Ok(false) => Ok(Turn::Never(MOVED.to_owned())),
            Err(error @ RegistryError::NoSuchTenant(_)) => Ok(Turn::Never(error.to_string())),
            Err(RegistryError::Paused(_) | RegistryError::TenantMoved(_)) => Ok(Turn::Later),
            Err(error) => Err(error.into()),
        }
    }

    async fn stands_on(&self, id: &TenantId, on: &TemplateAndTier) -> Result<bool, RegistryError> {
        match self.parts.registry.tenant(id).await {
            Ok(tenant) => Ok(tenant.template.as_ref() == Some(&on.template) && tenant.tier == on.tier),
            Err(RegistryError::NoSuchTenant(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
