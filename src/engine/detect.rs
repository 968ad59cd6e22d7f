//! Judges every new sample; what is made of that is told by the incidents.

use std::sync::Arc;

use rayon::prelude::*;

use super::workspace::{Detection, Glance, JudgedSample};
use super::{Engine, EngineError, Progress, SeriesKey};
use crate::anomaly::{Detector, Judgement, NoveltyDetector};
use crate::domain::{Marker, TenantId};
use crate::registry::CalledUsual;
use crate::series::{Frame, UsageSeries};

/// What people said that bears on judging. It is dated, since after a start
/// the whole window is judged again.
struct Known {
    markers: Vec<Marker>,
    called_usual: CalledUsual,
}

impl Engine {
    /// Judges what was not judged yet; gives how many samples that were.
    pub(super) async fn detect(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let frames = self.workspace.all_frames();
        progress.begin("detect", frames.len());
        let (markers, called_usual) =
            (self.parts.registry.markers().await?, self.parts.registry.called_usual().await?);
        let known = Arc::new(Known { markers, called_usual });
        let mut judged = 0;
        for frame in frames {
            let (engine, known) = (Arc::clone(self), Arc::clone(&known));
            judged += self.parts.compute.run(move || engine.judge_frame(&frame, &known)).await?;
            progress.advance();
        }
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
                Detection::new(NoveltyDetector::new(self.settings().detector, series.step), series.start)
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
        let settings = self.settings();
        let rules = settings.incidents.run_rules();
        let ignores_drops = settings.incidents.ignore_drops.contains(&key.resource);
        let ignores_rises = settings.incidents.ignore_rises.contains(&key.resource);
        detection.detector.set_settings(settings.detector);
        for index in first..series.len() {
            let (at, value) = (series.at(index), series.values[index]);
            // Inside of a marker nothing is judged and nothing is learned.
            if known.markers.iter().any(|marker| marker.covers(&key.tenant, at)) {
                continue;
            }
            // A fault that goes on does not become the expectation, unless a person
            // called it usual, or it goes on for so long that it must be.
            let is_doubted = detection.run.since.is_some_and(|since| {
                at.since(since) < settings.incidents.longest_hold
                    && detection.run.counts(rules)
                    && !known.called_usual.covers(&key.tenant, key.resource, since)
            });
            detection.detector.doubt(is_doubted);
            let mut judgement = detection.detector.judge(at, value);
            let is_news = match value < judgement.expected {
                true => !ignores_drops,
                false => !ignores_rises,
            };
            if !is_news && !judgement.is_flat {
                judgement = no_event(judgement);
            }
            detection.remember(JudgedSample { at, value, judgement }, rules);
        }
        detection.judged_until = series.end();
        series.len() - first
    }
}

/// What is no news is neither said nor lasts; its score stays. A line that stands
/// still is news on either side.
fn no_event(judgement: Judgement) -> Judgement {
    Judgement { is_anomaly: false, lasts: false, ..judgement }
}
