//! Whether usage is too old to be acted upon, and what the clocks have to do
//! with it.
//!
//! Usage is stale where its newest sample is older than `stale_after`: the
//! source fails, answers with nothing, or the tenant's exporter is silent.
//! Recommendations that rest on it are shown with that mark, and the policy
//! lets the daemon apply none of them.

use std::time::Duration;

use super::{Engine, SeriesKey};
use crate::domain::{Resource, Timestamp};
use crate::series::UsageSeries;

/// Clocks that are further apart than this are worth a word.
const APART: Duration = Duration::from_secs(30);
/// A clock further behind than this is not waited for: more likely something
/// between here and the source dates its answers wrongly.
const BELIEVED: Duration = Duration::from_secs(3600);

impl Engine {
    /// When the newest sample of a series is from, where that is too long ago.
    pub fn stale_since(&self, key: &SeriesKey) -> Option<Timestamp> {
        self.last_sample_at(key).filter(|at| self.is_stale(*at))
    }

    /// The resources whose usage is stale for all tenants, each with the time of
    /// its newest sample.
    pub fn stale_resources(&self) -> Vec<(Resource, Timestamp)> {
        let newest = |resource| Some((resource, self.workspace.newest_sample(resource)?));
        let known = self.resources().into_iter().filter_map(newest);
        known.filter(|(_, at)| self.is_stale(*at)).collect()
    }

    pub(super) fn is_stale(&self, last_sample_at: Timestamp) -> bool {
        self.now().since(last_sample_at) > self.settings().stale_after
    }

    /// The last sample known of a series, for judging whether it is stale.
    pub(super) fn last_sample_at(&self, key: &SeriesKey) -> Option<Timestamp> {
        let frame = self.workspace.frame(key.resource)?;
        frame.series.get(&key.tenant)?.last_sample().map(|(at, _)| at)
    }

    /// The present as the source has it, where its clock is behind ours: what
    /// comes after that it can't know yet.
    pub(super) fn present_of_source(&self) -> Timestamp {
        let behind = Duration::from_millis(self.source().clock_ahead().min(0).unsigned_abs());
        if behind > BELIEVED { self.now() } else { self.now().minus(behind) }
    }

    /// What is wrong between the source's clock and ours, in words.
    pub fn clock_problem(&self) -> Option<String> {
        let ahead = self.source().clock_ahead();
        let apart = Duration::from_millis(ahead.unsigned_abs());
        let words = humantime::format_duration(Duration::from_secs(apart.as_secs()));
        let side = if ahead < 0 { "behind" } else { "ahead of" };
        (apart > APART).then(|| format!("the source's clock is {words} {side} ours; set both by NTP"))
    }

    /// Measures how old the usage is that is held.
    pub(super) fn measure_freshness(&self, resources: &[Resource]) {
        for resource in Resource::ALL {
            let Some(frame) = self.workspace.frame(resource).filter(|_| resources.contains(&resource)) else {
                self.parts.metrics.not_measured(resource.name());
                continue;
            };
            let is_stale =
                |series: &&UsageSeries| series.last_sample().is_none_or(|(at, _)| self.is_stale(at));
            let stale = frame.series.values().filter(is_stale).count();
            let newest = self.workspace.newest_sample(resource).map(Timestamp::as_seconds);
            self.parts.metrics.freshness(resource.name(), newest, stale);
        }
    }

    /// Measures how far the clocks are apart, and says it once where it is too far.
    pub(super) fn watch_clocks(&self) {
        self.parts.metrics.clock_ahead(self.source().clock_ahead() as f64 / 1000.0);
        let problem = self.clock_problem();
        let is_new = self.workspace.clocks_apart(problem.is_some());
        if let Some(problem) = problem.filter(|_| is_new) {
            tracing::warn!("{problem}");
        }
    }
}
