//! Fits a resource's models: the first inside a cycle, later ones in the
//! background. The work is cut into pieces, so that a cycle never waits for
//! more than one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::generation::{Ahead, Due, Generation, SEASONS};
use super::lineup::Lineup;
use super::{Engine, EngineError, ForecastRecord};
use crate::domain::{ModelMember, ModelScore, ModelState, ModelVersion, Resource, Step, TenantId, Timestamp};
use crate::forecast::backtest::{self, Contender, Plan};
use crate::forecast::{Fleet, Past, Quantiles};
use crate::series::Frame;

/// Series that are fitted in one piece of work.
const PIECE: usize = 64;
/// Series that a version is backtested on, at most.
const BACKTESTED: usize = 64;
/// The backtest: so many days, each forecast from what came before it.
const BACKTESTED_DAYS: usize = 3;
/// Hours that a backtest needs to know before its first day.
const LEAST_KNOWN: usize = 48;
/// The newest versions of a resource that may be gone back to.
const VERSIONS_LOOKED_AT: usize = 100;

impl Engine {
    /// Fits the first models since the start, and puts them to use; gives how
    /// many forecasts were made.
    pub(super) async fn fit_first(self: &Arc<Self>, frame: &Arc<Frame>) -> Result<usize, EngineError> {
        let resource = frame.resource;
        let mut versions = self.parts.registry.models(resource, VERSIONS_LOOKED_AT).await?;
        let due = self.all_due(frame).await?;
        let sent_back_to = went_back_to(&versions);
        let (seen, reason) = match sent_back_to {
            Some(kept) => (
                until(&due, kept.window_to),
                format!("fitted to the usage of version {}, which a person went back to", kept.version),
            ),
            None => (Arc::clone(&due), "the first since the daemon started".to_owned()),
        };
        let (mut generation, mut made) = self.fit(resource, seen, ModelState::Champion, &reason).await?;
        if sent_back_to.is_some() {
            let engine = Arc::clone(self);
            let update = move || {
                let made = engine.lay_down(resource, generation.update(&due, Ahead::Whole));
                (generation, made)
            };
            (generation, made) = self.parts.compute.run(update).await?;
        }
        // Versions of an earlier run are not in memory any more.
        versions.retain(|one| matches!(one.state, ModelState::Champion | ModelState::Challenger));
        for one in &mut versions {
            one.state = ModelState::Retired;
            one.reason = "the daemon was started anew".to_owned();
        }
        versions.push((*generation.about).clone());
        self.parts.registry.put_models(&versions, None).await?;
        let lineup = Lineup::new(generation, self.now().plus(self.settings().refit_every));
        self.lineups.lock().insert(resource, Arc::new(Mutex::new(lineup)));
        Ok(made)
    }

    /// Begins to fit a challenger where that is due; the cycle goes on
    /// meanwhile.
    pub(super) fn refit_if_due(self: &Arc<Self>, resource: Resource) {
        let lineup = self.lineups.lock().get(&resource).cloned();
        let Some(lineup) = lineup else { return };
        {
            let mut lineup = lineup.lock();
            let now = self.now();
            if lineup.refitting || lineup.challenger.is_some() || now < lineup.next_refit {
                return;
            }
            lineup.refitting = true;
            lineup.next_refit = now.plus(self.settings().refit_every);
        }
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            // One after the other: each needs room, and cycles need the threads.
            let _turn = engine.refits.lock().await;
            match engine.fit_challenger(resource).await {
                Ok(challenger) => lineup.lock().challenge(challenger),
                Err(error) => {
                    tracing::warn!(%resource, "failed to {error}");
                    lineup.lock().refitting = false;
                }
            }
        });
    }

    /// Whether new models are being fitted, or wait for that.
    pub fn is_refitting(&self) -> bool {
        self.lineups.lock().values().any(|lineup| lineup.lock().refitting)
    }

    async fn fit_challenger(self: &Arc<Self>, resource: Resource) -> Result<Generation, EngineError> {
        let frame =
            self.workspace.frame(resource).unwrap_or_else(|| Arc::new(Frame::empty(resource, Step::HOUR)));
        let due = self.all_due(&frame).await?;
        // Else what comes meanwhile would be kept beside a second copy.
        drop(frame);
        let (challenger, _) = self.fit(resource, due, ModelState::Challenger, "fitted on its timer").await?;
        self.parts.registry.put_models(&[(*challenger.about).clone()], None).await?;
        Ok(challenger)
    }

    /// Fits once more what was in use before the version that is in use now, to
    /// the usage that it was fitted to. `None` where no such version is known.
    pub(super) async fn fit_previous(
        self: &Arc<Self>,
        frame: &Arc<Frame>,
        champion: &ModelVersion,
    ) -> Result<Option<Generation>, EngineError> {
        let versions = self.parts.registry.models(frame.resource, VERSIONS_LOOKED_AT).await?;
        let before = versions
            .iter()
            .find(|one| one.state == ModelState::Retired && one.window_to < champion.window_to);
        let Some(before) = before else { return Ok(None) };
        let seen = until(&self.all_due(frame).await?, before.window_to);
        if seen.is_empty() {
            return Ok(None);
        }
        let reason = format!("fitted again to the usage of version {}", before.version);
        let (generation, _) = self.fit(frame.resource, seen, ModelState::Retired, &reason).await?;
        Ok(Some(generation))
    }

    async fn all_due(self: &Arc<Self>, frame: &Arc<Frame>) -> Result<Arc<Vec<Due>>, EngineError> {
        Ok(Arc::new(self.due(frame, frame.series.keys().cloned().collect()).await?))
    }

    /// Fits series as a new version. The forecasts of a champion are put to use;
    /// gives how many were.
    async fn fit(
        self: &Arc<Self>,
        resource: Resource,
        due: Arc<Vec<Due>>,
        state: ModelState,
        reason: &str,
    ) -> Result<(Generation, usize), EngineError> {
        let compute = &self.parts.compute;
        let horizon = Step::HOUR.count_in(self.settings().horizon).max(1);
        let all = Arc::clone(&due);
        let learn = move || Fleet::learn(&pasts(&all), horizon, &Quantiles::for_peaks());
        let fleet = compute.run(learn).await?;
        let all = Arc::clone(&due);
        let about = ModelVersion {
            resource,
            version: self.parts.registry.next_model_version(resource).await?,
            state,
            reason: reason.to_owned(),
            fitted_at: self.now(),
            window_from: due.iter().map(|(_, hourly)| hourly.start()).min().unwrap_or_default(),
            window_to: due.iter().map(|(_, hourly)| hourly.end()).max().unwrap_or_default(),
            series: due.len() as u64,
            members: Vec::new(),
            backtest: compute.run(move || backtested(&all)).await?,
            live: None,
        };
        let (mut generation, mut made) = (Generation::new(about, fleet, &self.parts.shelf), 0);
        let mut weights = Weights::default();
        for first in (0..due.len()).step_by(PIECE) {
            let (piece, engine) = (Arc::clone(&due), Arc::clone(self));
            let fit = move || {
                let records = generation.take_in(&piece[first..(first + PIECE).min(piece.len())]);
                weights.add(&records);
                let is_used = state == ModelState::Champion;
                (generation, weights, if is_used { engine.lay_down(resource, records) } else { 0 })
            };
            let (fitted, added, put) = compute.run(fit).await?;
            (generation, weights) = (fitted, added);
            made += put;
        }
        generation.stand(ModelVersion { members: weights.mean(), ..(*generation.about).clone() });
        Ok((generation, made))
    }
}

/// Members that weigh less, as a share, are not named.
const LEAST_WEIGHT: f64 = 0.01;

/// What each member of the ensemble weighs, added up over series.
#[derive(Default)]
struct Weights {
    series: usize,
    of: BTreeMap<&'static str, f64>,
}

impl Weights {
    fn add(&mut self, records: &[(TenantId, ForecastRecord)]) {
        for dated in records.iter().filter_map(|(_, record)| record.forecast.as_ref().ok()) {
            self.series += 1;
            for verdict in &dated.forecast.members {
                let weight = verdict.outcome.as_ref().map_or(0.0, |share| share.weight);
                *self.of.entry(verdict.member).or_default() += weight;
            }
        }
    }

    /// The mean over the series, the heaviest first.
    fn mean(&self) -> Vec<ModelMember> {
        let mean = |(name, sum): (&&str, &f64)| ModelMember {
            name: (*name).to_owned(),
            weight: sum / self.series.max(1) as f64,
        };
        let mut all: Vec<ModelMember> = self.of.iter().map(mean).collect();
        all.retain(|one| one.weight >= LEAST_WEIGHT);
        all.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        all
    }
}

/// The version in use, where a person went back to it from one that was fitted
/// to newer usage, which must not come back with a restart.
fn went_back_to(versions: &[ModelVersion]) -> Option<&ModelVersion> {
    let champion = versions.iter().find(|one| one.state == ModelState::Champion)?;
    let sent_away =
        |one: &ModelVersion| one.state == ModelState::RolledBack && one.window_to > champion.window_to;
    versions.iter().any(sent_away).then_some(champion)
}

/// What was known before `end`.
fn until(due: &[Due], end: Timestamp) -> Arc<Vec<Due>> {
    let known = |(tenant, hourly): &Due| Some((tenant.clone(), hourly.clone().until(end)?));
    Arc::new(due.iter().filter_map(known).collect())
}

fn pasts(due: &[Due]) -> Vec<Past<'_>> {
    due.iter().map(|(_, hourly)| hourly.past()).collect()
}

/// What the way of forecasting is worth on the last days of some series; `None`
/// where none is long enough.
fn backtested(due: &[Due]) -> Option<ModelScore> {
    let (horizon, cuts, quantiles) = (SEASONS[0], BACKTESTED_DAYS, Quantiles::default());
    let plan = Plan { horizon, cuts, last: None, quantiles };
    let mut long: Vec<Past<'_>> = pasts(due);
    long.retain(|past| past.values.len() >= LEAST_KNOWN + plan.horizon * plan.cuts);
    let every = long.len().div_ceil(BACKTESTED).max(1);
    let sample: Vec<Past<'_>> = long.into_iter().step_by(every).collect();
    if sample.is_empty() {
        return None;
    }
    let base = backtest::run(&Contender::base(), &sample, &plan);
    let record = backtest::run(&Contender::combination(), &sample, &plan);
    let summary = record.summary(0..backtest::blocks(plan.horizon).len(), &base);
    let scores = record.cases.iter().filter_map(|case| case.outcome.as_ref().ok());
    let values = scores.flatten().map(|score| u64::from(score.steps)).sum();
    Some(ModelScore {
        values,
        quantile_loss: summary.quantile_loss,
        to_seasonal_naive: summary.against_base,
        scaled_error: summary.scaled_error,
        cover: summary.cover,
    })
}
