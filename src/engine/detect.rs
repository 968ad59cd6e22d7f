//! Judges every new sample, and opens and resolves incidents.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::workspace::{Detection, JudgedSample, Run};
use super::{Engine, EngineError, Progress, SeriesKey};
use crate::anomaly::{Detector, NoveltyDetector};
use crate::domain::{Incident, Resource, TenantId};
use crate::series::{Frame, UsageSeries};

impl Engine {
    /// Judges what was not judged yet; gives how many samples that were.
    pub(super) async fn detect(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let frames = self.workspace.all_frames();
        progress.begin("detect", frames.len());
        let mut judged = 0;
        for frame in frames {
            let engine = Arc::clone(self);
            judged += self.parts.compute.run(move || engine.judge_frame(&frame)).await?;
            progress.advance();
        }
        self.update_incidents().await?;
        Ok(judged)
    }

    fn judge_frame(&self, frame: &Frame) -> usize {
        let outcomes: Vec<(SeriesKey, Detection, usize)> = frame
            .series
            .par_iter()
            .map(|(tenant, series)| {
                let key = SeriesKey { tenant: tenant.clone(), resource: frame.resource };
                let known = self.workspace.detections.read().get(&key).cloned();
                let mut detection = known.unwrap_or_else(|| {
                    Detection::new(NoveltyDetector::new(self.settings.detector, series.step), series.start)
                });
                let judged = self.judge_series(&mut detection, series);
                (key, detection, judged)
            })
            .collect();
        let mut detections = self.workspace.detections.write();
        let mut total = 0;
        for (key, detection, judged) in outcomes {
            total += judged;
            detections.insert(key, detection);
        }
        total
    }

    fn judge_series(&self, detection: &mut Detection, series: &UsageSeries) -> usize {
        let new = series.end().since(detection.judged_until);
        let first = series.len().saturating_sub(series.step.count_in(new));
        for index in first..series.len() {
            let (at, value) = (series.at(index), series.values[index]);
            let judgement = detection.detector.judge(at, value);
            detection.remember(JudgedSample { at, value, judgement }, self.settings.close_after);
        }
        detection.judged_until = series.end();
        series.len() - first
    }

    /// Opens, continues and resolves incidents: one for each tenant of whose
    /// series at least one has been out of its band for long enough.
    async fn update_incidents(&self) -> Result<(), EngineError> {
        let mut out: BTreeMap<TenantId, Vec<(Resource, Run)>> = BTreeMap::new();
        for (key, detection) in self.workspace.detections.read().iter() {
            if detection.run.length >= self.settings.open_after {
                out.entry(key.tenant.clone()).or_default().push((key.resource, detection.run));
            }
        }
        let mut open = 0;
        for tenant in self.parts.registry.all_tenants().await? {
            let known = self.parts.registry.open_incident(&tenant.id).await?;
            let next = match (known.clone(), out.get(&tenant.id)) {
                (None, None) => continue,
                (known, Some(runs)) => {
                    open += 1;
                    grown(known, tenant.id, runs)
                }
                (Some(known), None) => Incident { resolved_at: Some(self.now()), ..known },
            };
            if known.as_ref() != Some(&next) {
                log_incident(known.is_none(), &next);
                self.parts.registry.put_incident(&next).await?;
            }
        }
        self.parts.metrics.open_incidents(open);
        Ok(())
    }
}

/// Says once that an incident began, and once that it ended.
fn log_incident(is_new: bool, incident: &Incident) {
    let (tenant, opened_at) = (&incident.tenant, incident.opened_at);
    if incident.resolved_at.is_some() {
        tracing::info!(%tenant, %opened_at, "an incident is over");
    } else if is_new {
        tracing::warn!(%tenant, %opened_at, score = incident.peak_score, "an incident is open");
    }
}

/// The incident with what its series say now.
fn grown(known: Option<Incident>, tenant: TenantId, runs: &[(Resource, Run)]) -> Incident {
    let since = runs.iter().filter_map(|(_, run)| run.since).min().unwrap_or_default();
    let mut incident = known.unwrap_or(Incident {
        tenant,
        resources: Vec::new(),
        opened_at: since,
        last_seen_at: since,
        peak_score: 0.0,
        resolved_at: None,
    });
    for (resource, run) in runs {
        if !incident.resources.contains(resource) {
            incident.resources.push(*resource);
        }
        incident.last_seen_at = incident.last_seen_at.max(run.last);
        incident.peak_score = incident.peak_score.max(run.peak_score);
    }
    incident.resources.sort();
    incident
}
