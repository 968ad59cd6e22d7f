//! Judges every new sample; what is made of that is told by the incidents.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::workspace::{Detection, Glance, JudgedSample, RunRules};
use super::{Engine, EngineError, Progress, SeriesKey};
use crate::anomaly::{Detector, Judgement, Kind, Learning, NoveltyDetector};
use crate::domain::{Incident, Marker, TenantId};
use crate::series::{Frame, UsageSeries};

/// What people said that bears on judging.
struct Known {
    markers: Vec<Marker>,
    /// Tenants whose open incident somebody called usual.
    called_usual: BTreeSet<TenantId>,
    /// Tenants whose open incident somebody takes care of.
    cared_for: BTreeSet<TenantId>,
}

impl Known {
    /// What may be learned of a tenant's fault that goes on.
    fn learning(&self, tenant: &TenantId) -> Learning {
        if self.called_usual.contains(tenant) {
            Learning::All
        } else if self.cared_for.contains(tenant) {
            Learning::Nothing
        } else {
            Learning::OnlyShifts
        }
    }
}

impl Engine {
    /// Judges what was not judged yet; gives how many samples that were.
    pub(super) async fn detect(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let frames = self.workspace.all_frames();
        progress.begin("detect", frames.len());
        let open = self.parts.registry.open_incidents().await?;
        let tenants = |wanted: fn(&Incident) -> bool| {
            let of = open.values().filter(move |(incident, _)| wanted(incident));
            of.map(|(incident, _)| incident.tenant.clone()).collect()
        };
        let known = Arc::new(Known {
            markers: self.parts.registry.markers().await?,
            called_usual: tenants(Incident::is_false),
            cared_for: tenants(|incident| incident.acknowledged.is_some()),
        });
        let mut judged = 0;
        for frame in frames {
            let (engine, known) = (Arc::clone(self), Arc::clone(&known));
            judged += self.parts.compute.run(move || engine.judge_frame(&frame, &known)).await?;
            progress.advance();
        }
        self.update_incidents().await?;
        Ok(judged)
    }

    fn judge_frame(&self, frame: &Frame, known: &Known) -> usize {
        // What is held of tenants that left goes with their usage.
        let stays =
            |key: &SeriesKey| key.resource != frame.resource || frame.series.contains_key(&key.tenant);
        self.workspace.detections.retain(stays);
        self.workspace.glances.write().retain(|key, _| stays(key));
        let judge = |(tenant, series): (&TenantId, &UsageSeries)| {
            let key = SeriesKey { tenant: tenant.clone(), resource: frame.resource };
            let judged_until = self.workspace.glances.read().get(&key).map(|glance| glance.judged_until);
            if judged_until.is_some_and(|until| until >= series.end()) {
                return 0;
            }
            let mut detection = self.workspace.detections.get(&key).unwrap_or_else(|| {
                Detection::new(NoveltyDetector::new(self.settings.detector, series.step), series.start)
            });
            let judged = self.judge_series(&mut detection, &key, series, known);
            self.workspace.detections.put(&key, &detection);
            self.workspace.glances.write().insert(key, Glance::of(&detection));
            judged
        };
        frame.series.par_iter().map(judge).sum()
    }

    fn judge_series(
        &self,
        detection: &mut Detection,
        key: &SeriesKey,
        series: &UsageSeries,
        known: &Known,
    ) -> usize {
        let new = series.end().since(detection.judged_until);
        let first = series.len().saturating_sub(series.step.count_in(new));
        let rules = self.run_rules();
        let ignores_drops = self.settings.incidents.ignore_drops.contains(&key.resource);
        for index in first..series.len() {
            let (at, value) = (series.at(index), series.values[index]);
            // Inside of a marker nothing is judged and nothing is learned.
            if known.markers.iter().any(|marker| marker.covers(&key.tenant, at)) {
                continue;
            }
            // A fault that goes on does not become the expectation, unless it
            // goes on for so long that it must be taken as the new way.
            let lasted = detection.run.since.map(|since| at.since(since));
            let held = lasted.is_some_and(|lasted| lasted < self.settings.incidents.longest_hold)
                && detection.run.counts(rules);
            let learning = if held { known.learning(&key.tenant) } else { Learning::All };
            detection.detector.set_learning(learning);
            let mut judgement = detection.detector.judge(at, value);
            if ignores_drops {
                judgement = without_drop(judgement, value);
            }
            detection.remember(JudgedSample { at, value, judgement }, rules);
        }
        detection.judged_until = series.end();
        series.len() - first
    }

    fn run_rules(&self) -> RunRules {
        self.settings.incidents.run_rules()
    }
}

/// A drop of a resource whose drops are no news is none: it is neither said
/// nor lasts. Its score stays.
fn without_drop(judgement: Judgement, value: f64) -> Judgement {
    let flat = judgement.kind == Some(Kind::FlatLine);
    let drop = value < judgement.expected && !flat;
    if drop { Judgement { is_anomaly: false, lasts: false, ..judgement } } else { judgement }
}
