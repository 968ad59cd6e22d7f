//! Forecasts every series of which an hour more is known.
//!
//! Fitted models are carried on with each hour. They are fitted anew on their
//! own timer, in the background; what comes of it forecasts beside the models in
//! use, and takes their place if it lost less. Only a resource's first models
//! are fitted inside a cycle: without them there is nothing to forecast with.

use std::sync::Arc;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::generation::{Due, Generation};
use super::hourly::Hourly;
use super::lineup::{Decision, Lineup, standing};
use super::{ComputeError, Engine, EngineError, ForecastRecord, Progress, SeriesKey};
use crate::domain::{Actor, AuditAction, ModelState, ModelVersion, Resource, Step, TenantId, TimeRange};
use crate::registry::{CalledUsual, RegistryError, Remark, Replacement};
use crate::series::Frame;

/// Series that are forecast in one piece of work.
const AT_ONCE: usize = 1024;

/// Why the models before could not be taken back; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// There are none.
    #[error(
        "go back to the models before of {0}: no others were in use, or the usage that they were fitted to is not kept any more"
    )]
    NothingBefore(Resource),
    /// The state could not be written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Heavy work did not end well.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// They could not be fitted again.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Makes the forecasts that are due; gives how many.
    pub(super) async fn learn(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let frames = self.workspace.all_frames();
        progress.begin("learn", frames.len());
        let mut made = 0;
        for frame in frames {
            made += self.learn_frame(frame).await?;
            progress.advance();
        }
        Ok(made)
    }

    async fn learn_frame(self: &Arc<Self>, frame: Arc<Frame>) -> Result<usize, EngineError> {
        let resource = frame.resource;
        let tenants = self.tenants_due(&frame);
        if tenants.is_empty() {
            return Ok(0);
        }
        let lineup = self.lineups.lock().get(&resource).cloned();
        let Some(lineup) = lineup else {
            let made = self.fit_first(&frame).await?;
            self.show_models(resource);
            return Ok(made);
        };
        let mut made = 0;
        for some in tenants.chunks(AT_ONCE) {
            let due = self.due(&frame, some.to_vec()).await?;
            let (engine, lineup) = (Arc::clone(self), Arc::clone(&lineup));
            let carry_on = move || {
                let made = lineup.lock().update(&due, &engine.workspace.forecasts);
                engine.lay_down(resource, made)
            };
            made += self.parts.compute.run(carry_on).await?;
        }
        let (engine, of_all) = (Arc::clone(self), Arc::clone(&lineup));
        let decide = move || {
            let mut lineup = of_all.lock();
            lineup.retain(|tenant| frame.series.contains_key(tenant));
            lineup.decide(engine.now(), engine.settings().trial)
        };
        let decision = self.parts.compute.run(decide).await?;
        if let Some(decision) = decision {
            let (by, comment) = (Actor::Daemon, Some(decision.reason.clone()));
            let remark = Remark { by, comment, request_id: None };
            self.record_decision(decision, AuditAction::ModelReplaced, remark).await?;
        }
        self.show_models(resource);
        self.refit_if_due(resource);
        Ok(made)
    }

    /// Puts forecasts where they are looked for; gives how many.
    pub(super) fn lay_down(&self, resource: Resource, made: Vec<(TenantId, ForecastRecord)>) -> usize {
        let count = made.len();
        let horizon = Step::HOUR.count_in(self.settings().horizon).max(1);
        made.into_par_iter().for_each(|(tenant, record)| {
            self.workspace.forecasts.put(SeriesKey { tenant, resource }, &record, horizon);
        });
        count
    }

    /// The tenants of whose usage an hour more is known than their forecast
    /// saw.
    fn tenants_due(&self, frame: &Frame) -> Vec<TenantId> {
        let is_due = |tenant: &TenantId| {
            let key = SeriesKey { tenant: tenant.clone(), resource: frame.resource };
            let end = frame.series.get(tenant).map(|series| series.end().floor_to(Step::HOUR));
            let known = self.workspace.forecasts.fitted_to(&key);
            known.is_none_or(|fitted_to| end.is_some_and(|end| end > fitted_to))
        };
        frame.series.keys().filter(|tenant| is_due(tenant)).cloned().collect()
    }

    /// What the models see of these tenants.
    pub(super) async fn due(
        self: &Arc<Self>,
        frame: &Arc<Frame>,
        tenants: Vec<TenantId>,
    ) -> Result<Vec<Due>, EngineError> {
        let settings = self.settings();
        let since = self.now().minus(settings.window);
        let longest = settings.incidents.longest_hold;
        let hidden = self.parts.registry.times_not_to_learn(since, longest).await?;
        let usual = self.parts.registry.called_usual().await?;
        let (engine, frame) = (Arc::clone(self), Arc::clone(frame));
        let look = move || {
            let one = |tenant: TenantId| {
                let hourly = Hourly::of(frame.series.get(&tenant)?, settings.time_zone);
                let key = SeriesKey { tenant, resource: frame.resource };
                let mut spans = hidden.spans(&key.tenant, key.resource);
                spans.extend(engine.unusual_spans(&key, &usual));
                Some((key.tenant, hourly.without(&spans)))
            };
            tenants.into_par_iter().filter_map(one).collect()
        };
        Ok(self.parts.compute.run(look).await?)
    }

    /// When a series was unusual by the detector's word, each time for as long as
    /// a fault may hold, but for what a person called usual. This covers what no
    /// incident tells of, too: faults in usage from before the first start, or
    /// from while the daemon was away.
    fn unusual_spans(&self, key: &SeriesKey, usual: &CalledUsual) -> Vec<TimeRange> {
        let incidents = &self.settings().incidents;
        let glances = self.workspace.glances.read();
        let runs = glances.get(key).into_iter().flat_map(|glance| glance.runs(incidents.run_rules()));
        runs.filter(|run| !usual.covers(&key.tenant, key.resource, run.start))
            .map(|run| TimeRange { end: run.end.min(run.start.plus(incidents.longest_hold)), ..run })
            .collect()
    }

    /// Writes down how a comparison ended.
    pub(super) async fn record_decision(
        &self,
        decision: Decision,
        action: AuditAction,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let Decision { versions, replaced, reason } = decision;
        let Some(last) = versions.last() else { return Ok(()) };
        let (resource, version) = (last.resource, last.version);
        tracing::info!(%resource, version, state = ?last.state, "{reason}");
        let replacement = replaced.map(|before| Replacement { before, after: version, action, remark });
        self.parts.registry.put_models(&versions, replacement).await
    }

    /// Puts the versions in use where the API reads them, and into the metrics.
    fn show_models(&self, resource: Resource) {
        let lineup = self.lineups.lock().get(&resource).cloned();
        let Some(lineup) = lineup else { return };
        let lineup = lineup.lock();
        let champion = standing(&lineup.champion, ModelState::Champion, lineup.champion.about.reason.clone());
        let live = champion.live;
        let (loss, cover) = (live.and_then(|live| live.quantile_loss), live.and_then(|live| live.cover));
        self.parts.metrics.forecasting(resource.name(), champion.version, loss, cover);
        let challenger = lineup.challenger.as_ref();
        let challenger =
            challenger.map(|one| standing(one, ModelState::Challenger, one.about.reason.clone()));
        self.workspace.put_models(resource, std::iter::once(champion).chain(challenger).collect());
    }

    /// Goes back to the models that were used before the present ones. After a
    /// restart they are not in memory any more, and are fitted again to the usage
    /// of their time. New ones are not fitted until the refit interval is over.
    ///
    /// # Errors
    /// Where there are none, or the state can't be written.
    pub async fn roll_back_models(
        self: &Arc<Self>,
        resource: Resource,
        remark: Remark,
    ) -> Result<Vec<ModelVersion>, RollBackError> {
        let lineup = self.lineups.lock().get(&resource).cloned();
        let lineup = lineup.ok_or(RollBackError::NothingBefore(resource))?;
        let next_refit = self.now().plus(self.settings().refit_every);
        let reason = remark.comment.clone().unwrap_or_default();
        let recalled = self.recall_previous(resource, &lineup).await?;
        // A cycle may hold the models for a moment.
        let roll_back = move || {
            let mut lineup = lineup.lock();
            lineup.previous = lineup.previous.take().or(recalled);
            lineup.roll_back(&reason, next_refit)
        };
        let decision = self.parts.compute.run_blocking(roll_back).await?;
        let decision = decision.ok_or(RollBackError::NothingBefore(resource))?;
        let versions = decision.versions.clone();
        self.record_decision(decision, AuditAction::ModelRolledBack, remark).await?;
        self.workspace.forecasts.forget(resource);
        self.show_models(resource);
        self.wake();
        Ok(versions)
    }

    /// The champion before, fitted again where it is not in memory.
    async fn recall_previous(
        self: &Arc<Self>,
        resource: Resource,
        lineup: &Arc<Mutex<Lineup>>,
    ) -> Result<Option<Generation>, RollBackError> {
        let held = Arc::clone(lineup);
        let look = move || {
            let lineup = held.lock();
            (lineup.previous.is_some(), Arc::clone(&lineup.champion.about))
        };
        let (in_memory, champion) = self.parts.compute.run_blocking(look).await?;
        match self.workspace.frame(resource) {
            Some(frame) if !in_memory => Ok(self.fit_previous(&frame, &champion).await?),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
