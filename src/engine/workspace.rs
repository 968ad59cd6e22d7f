//! What the engine holds in memory: the recent usage, and what was made of it.
//! All of it can be made again from the history, so it is never stored. What is
//! large rests on the shelf: detectors, backtests and forecasts.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::Drift;
use super::forecasts::Forecasts;
use super::metering::Heard;
use super::pools::Pools;
use super::resting::Resting;
use super::sizing::Carried;
use super::sla::Served;
use crate::anomaly::{self, Judgement, NoveltyDetector};
use crate::domain::sla::GoodShares;
use crate::domain::{
    Finding, Meter, ModelVersion, Resource, Tenant, TenantId, TierFit, TimeRange, Timestamp, Verdict,
};
use crate::forecast::Abstention;
use crate::ports::{Asked, HistoryError, Shelf, SourceError};
use crate::rightsize::DatedForecast;
use crate::series::{Frame, UsageSeries};

/// Anomalous samples that are remembered of each series.
const ANOMALIES_KEPT: usize = 100;
/// Runs of anomalous samples that are remembered of each series.
const RUNS_KEPT: usize = 64;
/// Samples that are remembered of each series with their bands.
const RECENT_KEPT: usize = 48;

/// Names one usage series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Whose usage.
    pub tenant: TenantId,
    /// Of what.
    pub resource: Resource,
}

/// A forecast, or why there is none.
#[derive(Debug, Clone)]
pub struct ForecastRecord {
    /// The first instant after the usage that it was made from.
    pub fitted_to: Timestamp,
    /// The forecast of each coming hour's peak.
    pub forecast: Result<DatedForecast, Abstention>,
    /// The version of the models that made it, with its window and backtest.
    pub made_by: Arc<ModelVersion>,
}

/// A sample with what the detector said of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JudgedSample {
    /// When.
    pub at: Timestamp,
    /// The usage, in the resource's unit.
    pub value: f64,
    /// What the detector said.
    pub judgement: Judgement,
}

impl JudgedSample {
    /// How far it lies from what was expected, 1 at the band's edge.
    pub fn distance(&self) -> f64 {
        let Judgement { expected, band, .. } = self.judgement;
        let distance = (self.value - expected).abs() / band;
        if distance.is_finite() { distance } else { 0.0 }
    }
}

/// The state of one series' detector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Detection {
    pub detector: NoveltyDetector,
    /// The first instant that was not judged yet.
    pub judged_until: Timestamp,
    pub last: Option<JudgedSample>,
    /// The latest samples, for charts.
    pub recent: VecDeque<JudgedSample>,
    pub anomalies: VecDeque<JudgedSample>,
    /// Anomalous samples in a row, usual ones up to the limit let through.
    pub run: Run,
    /// When earlier runs that counted were, the oldest first.
    pub past_runs: VecDeque<TimeRange>,
    /// When a shift was taken as the new level last.
    pub new_level_at: Option<Timestamp>,
}

/// A run of anomalous samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Run {
    pub since: Option<Timestamp>,
    pub last: Timestamp,
    pub length: usize,
    pub quiet: usize,
    pub peak_score: f64,
    /// The sample that lay furthest out, and how far.
    pub worst: Option<JudgedSample>,
    pub strength: f64,
}

/// When a run begins to count, and when it is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RunRules {
    pub open_after: usize,
    pub open_distance: f64,
    pub close_after: usize,
    pub close_distance: f64,
}

impl Run {
    /// Whether it is long and far enough out for an incident. What was never
    /// seen before and a line that stands still need no distance.
    pub fn counts(&self, rules: RunRules) -> bool {
        self.length >= rules.open_after && (self.is_odd() || self.strength >= rules.open_distance)
    }

    /// When it was so far.
    fn span(&self) -> Option<TimeRange> {
        let end = self.last.plus(Duration::from_secs(1));
        self.since.map(|start| TimeRange { start, end })
    }

    fn is_odd(&self) -> bool {
        use anomaly::Kind::{FlatLine, Unseen};
        self.worst.is_some_and(|worst| matches!(worst.judgement.kind, Some(Unseen | FlatLine)))
    }

    fn add(&mut self, sample: JudgedSample) {
        let distance = sample.distance();
        self.since.get_or_insert(sample.at);
        self.last = sample.at;
        self.length += 1;
        self.quiet = 0;
        self.peak_score = self.peak_score.max(sample.judgement.score);
        // Inside of the band no sample is worse than one that is odd by itself.
        let is_further = distance > self.strength && (distance >= 1.0 || !self.is_odd());
        if self.worst.is_none() || is_further {
            (self.worst, self.strength) = (Some(sample), distance);
        }
    }
}

impl Detection {
    pub fn new(detector: NoveltyDetector, from: Timestamp) -> Self {
        Detection {
            detector,
            judged_until: from,
            last: None,
            recent: VecDeque::new(),
            anomalies: VecDeque::new(),
            run: Run::default(),
            past_runs: VecDeque::new(),
            new_level_at: None,
        }
    }

    pub fn remember(&mut self, sample: JudgedSample, rules: RunRules) {
        self.last = Some(sample);
        keep(&mut self.recent, sample, RECENT_KEPT);
        if sample.judgement.is_anomaly {
            keep(&mut self.anomalies, sample, ANOMALIES_KEPT);
        }
        if sample.judgement.is_new_level {
            self.run = Run::default();
            self.new_level_at = Some(sample.at);
            return;
        }
        // An event is said once and may last; its samples are the run. A run
        // goes on until samples are well inside the band again.
        let in_event = sample.judgement.is_anomaly || sample.judgement.lasts;
        let still_out = self.run.length > 0 && sample.distance() >= rules.close_distance;
        if in_event || still_out {
            self.run.add(sample);
        } else if self.run.length > 0 && sample.value.is_finite() {
            self.run.quiet += 1;
            if self.run.quiet >= rules.close_after {
                let over = std::mem::take(&mut self.run);
                if let Some(span) = over.span().filter(|_| over.counts(rules)) {
                    keep(&mut self.past_runs, span, RUNS_KEPT);
                }
            }
        }
    }
}

/// What each cycle asks of a series' detector without waking it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glance {
    pub judged_until: Timestamp,
    pub new_level_at: Option<Timestamp>,
    /// `None` where nothing is out.
    run: Option<Box<Run>>,
    past_runs: Box<[TimeRange]>,
}

impl Glance {
    /// What a detector shows.
    pub fn of(detection: &Detection) -> Self {
        Glance {
            judged_until: detection.judged_until,
            new_level_at: detection.new_level_at,
            run: (detection.run.length > 0).then(|| Box::new(detection.run)),
            past_runs: detection.past_runs.iter().copied().collect(),
        }
    }

    /// When the usage was unusual for long enough to count, in order: also where
    /// nobody was told, since it was over before it was looked at.
    pub fn runs(&self, rules: RunRules) -> impl Iterator<Item = TimeRange> {
        let present = self.run(rules).and_then(Run::span);
        self.past_runs.iter().copied().chain(present)
    }

    /// The run that goes on, where it counts.
    pub fn run(&self, rules: RunRules) -> Option<&Run> {
        self.run.as_deref().filter(|run| run.counts(rules))
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(one);
}

/// What is known of a series' anomalies.
#[derive(Debug, Clone)]
pub struct DetectionView {
    /// The last sample judged.
    pub last: Option<JudgedSample>,
    /// The anomalous samples, the oldest first.
    pub anomalies: Vec<JudgedSample>,
}

/// What the last cycle said of a quota.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// When it was said.
    pub at: Timestamp,
    /// What was said.
    pub kind: AssessmentKind,
    /// The most that the past, the forecast and the policies ask for, in the
    /// resource's unit; `None` where nothing can be said.
    pub needed: Option<f64>,
    /// What keeps the daemon from applying it by itself, for a tenant in
    /// approved mode.
    pub held_back_by: Option<Verdict>,
}

/// The three things that can be said of a quota.
#[derive(Debug, Clone, PartialEq)]
pub enum AssessmentKind {
    /// It should be another; the recommendation says which.
    Change(crate::domain::RecommendationId),
    /// It should stay, for this reason.
    Keep(String),
    /// Nothing can be said, for this reason.
    Abstain(String),
}

impl AssessmentKind {
    /// The name used in the API and in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            AssessmentKind::Change(_) => "change",
            AssessmentKind::Keep(_) => "keep",
            AssessmentKind::Abstain(_) => "abstain",
        }
    }
}

/// What is wrong with a resource's source, and since when.
#[derive(Debug, Clone)]
pub struct SourceProblem {
    /// Since when it has failed each time.
    pub since: Timestamp,
    /// What it said last.
    pub error: SourceError,
}

/// What is wrong with the spend of each tenant where something is.
pub(super) type SpendFindings = Arc<BTreeMap<TenantId, Finding>>;

/// How good each tenant's service was in one respect, as it was heard last.
#[derive(Debug, Default)]
pub(super) struct HeardShares {
    /// When the source was asked last; `None` before the first time.
    pub asked_at: Option<Timestamp>,
    /// When it answered last.
    pub heard_at: Option<Timestamp>,
    pub good: Arc<BTreeMap<TenantId, GoodShares>>,
}

/// The memory of the engine.
#[derive(Debug)]
pub struct Workspace {
    frames: RwLock<BTreeMap<Resource, Arc<Frame>>>,
    /// The newest sample of any tenant.
    newest: RwLock<BTreeMap<Resource, Timestamp>>,
    pub(super) forecasts: Forecasts,
    models: RwLock<BTreeMap<Resource, Vec<ModelVersion>>>,
    drift: RwLock<Vec<Drift>>,
    pub(super) detections: Resting<Detection>,
    pub(super) glances: RwLock<HashMap<SeriesKey, Glance>>,
    pub(super) walks: Resting<Carried>,
    pub(super) pools: Mutex<Pools>,
    tier_fits: RwLock<HashMap<TenantId, TierFit>>,
    assessments: RwLock<BTreeMap<SeriesKey, Assessment>>,
    source_problems: RwLock<BTreeMap<Resource, SourceProblem>>,
    /// What the history failed to do when it was asked last, by the resource whose
    /// usage it was to take, and without one where it was to make old usage small.
    history_failures: RwLock<BTreeMap<Option<Resource>, HistoryError>>,
    /// Why series were left out of the last answer to a question, where some were.
    refused: RwLock<BTreeMap<Asked, Vec<String>>>,
    /// Whether the source has answered since the start.
    source_has_answered: AtomicBool,
    /// Whether the source's clock and ours were found apart.
    clocks_apart: AtomicBool,
    last_cycle_at: RwLock<Option<Timestamp>>,
    /// When changes of quotas were measured last.
    pub(super) measured_at: Mutex<Option<Timestamp>>,
    pub(super) served: RwLock<BTreeMap<Served, HeardShares>>,
    pub(super) metered: RwLock<BTreeMap<Meter, Heard>>,
    /// What is wrong with what tenants spend, and of which day that is.
    pub(super) spend: RwLock<Option<(Timestamp, SpendFindings)>>,
}

impl Workspace {
    /// With nothing known yet.
    pub(super) fn new(shelf: &Arc<dyn Shelf>) -> Self {
        Workspace {
            frames: RwLock::default(),
            newest: RwLock::default(),
            forecasts: Forecasts::new(Arc::clone(shelf)),
            models: RwLock::default(),
            drift: RwLock::default(),
            detections: Resting::new(Arc::clone(shelf)),
            glances: RwLock::default(),
            walks: Resting::new(Arc::clone(shelf)),
            pools: Mutex::default(),
            tier_fits: RwLock::default(),
            assessments: RwLock::default(),
            source_problems: RwLock::default(),
            history_failures: RwLock::default(),
            refused: RwLock::default(),
            source_has_answered: AtomicBool::default(),
            clocks_apart: AtomicBool::default(),
            last_cycle_at: RwLock::default(),
            measured_at: Mutex::default(),
            served: RwLock::default(),
            metered: RwLock::default(),
            spend: RwLock::default(),
        }
    }

    /// Adds usage and forgets what lies before `since`.
    pub(super) fn extend(&self, newer: Frame, since: Timestamp) {
        let last = newer.series.values().filter_map(|series| Some(series.last_sample()?.0)).max();
        if let Some(last) = last {
            let mut newest = self.newest.write();
            let held = newest.entry(newer.resource).or_insert(last);
            *held = last.max(*held);
        }
        let mut frames = self.frames.write();
        let frame = frames
            .entry(newer.resource)
            .or_insert_with(|| Arc::new(Frame::empty(newer.resource, newer.step)));
        let frame = Arc::make_mut(frame);
        frame.extend(newer);
        frame.drop_before(since);
    }

    /// When the newest sample of a resource is from, of whatever tenant; `None`
    /// where no usage is known.
    pub fn newest_sample(&self, resource: Resource) -> Option<Timestamp> {
        self.newest.read().get(&resource).copied()
    }

    /// Keeps only what is known of these resources.
    pub(super) fn retain_resources(&self, measured: &[Resource]) {
        let stays = |resource: Resource| measured.contains(&resource);
        self.frames.write().retain(|resource, _| stays(*resource));
        self.models.write().retain(|resource, _| stays(*resource));
        self.source_problems.write().retain(|resource, _| stays(*resource));
        self.history_failures.write().retain(|of, _| of.is_none_or(stays));
        let left = Resource::ALL.into_iter().filter(|resource| !stays(*resource));
        left.for_each(|resource| self.forecasts.forget(resource));
        self.detections.retain(|key| stays(key.resource));
        self.glances.write().retain(|key, _| stays(key.resource));
        self.walks.retain(|key| stays(key.resource));
        self.assessments.write().retain(|key, _| stays(key.resource));
    }

    /// All usage held of a resource.
    pub fn frame(&self, resource: Resource) -> Option<Arc<Frame>> {
        self.frames.read().get(&resource).cloned()
    }

    /// All usage held.
    pub(super) fn all_frames(&self) -> Vec<Arc<Frame>> {
        self.frames.read().values().cloned().collect()
    }

    /// The usage held of one series.
    pub fn usage(&self, key: &SeriesKey) -> Option<UsageSeries> {
        self.frame(key.resource)?.series.get(&key.tenant).cloned()
    }

    /// The forecast of one series.
    pub fn forecast(&self, key: &SeriesKey) -> Option<Arc<ForecastRecord>> {
        self.forecasts.get(key).map(Arc::new)
    }

    /// The versions that forecast a resource right now, with their live scores:
    /// the champion, and the challenger where there is one.
    pub fn models(&self, resource: Resource) -> Vec<ModelVersion> {
        self.models.read().get(&resource).cloned().unwrap_or_default()
    }

    pub(super) fn put_models(&self, resource: Resource, versions: Vec<ModelVersion>) {
        self.models.write().insert(resource, versions);
    }

    /// The quotas that held at the target as others, when that was last looked at.
    pub fn drift(&self) -> Vec<Drift> {
        self.drift.read().clone()
    }

    pub(super) fn put_drift(&self, drift: Vec<Drift>) {
        *self.drift.write() = drift;
    }

    /// Keeps only the backtests of these tenants' quotas, and their tier fits.
    pub(super) fn retain_sizing(&self, tenants: &[Tenant]) {
        let known: HashSet<&TenantId> = tenants.iter().map(|tenant| &tenant.id).collect();
        self.walks.retain(|key| known.contains(&key.tenant));
        self.tier_fits.write().retain(|tenant, _| known.contains(tenant));
    }

    /// Which tier a tenant's demand fits, where that is another than its own.
    pub fn tier_fit(&self, tenant: &TenantId) -> Option<TierFit> {
        self.tier_fits.read().get(tenant).cloned()
    }

    pub(super) fn put_tier_fit(&self, tenant: &TenantId, fit: Option<TierFit>) {
        let mut fits = self.tier_fits.write();
        match fit {
            Some(fit) => fits.insert(tenant.clone(), fit),
            None => fits.remove(tenant),
        };
    }

    /// What is known of one series' anomalies.
    pub fn anomalies(&self, key: &SeriesKey) -> Option<DetectionView> {
        let detection = self.detections.get(key)?;
        Some(DetectionView { last: detection.last, anomalies: detection.anomalies.into() })
    }

    /// What the last cycle said of a tenant's quotas.
    pub fn assessments(&self, tenant: &TenantId) -> Vec<(Resource, Assessment)> {
        let first = SeriesKey { tenant: tenant.clone(), resource: Resource::ALL[0] };
        let assessments = self.assessments.read();
        assessments
            .range(first..)
            .take_while(|(key, _)| key.tenant == *tenant)
            .map(|(key, assessment)| (key.resource, assessment.clone()))
            .collect()
    }

    /// What the last cycle said of one quota.
    pub(super) fn assessment(&self, key: &SeriesKey) -> Option<Assessment> {
        self.assessments.read().get(key).cloned()
    }

    pub(super) fn assess(&self, key: SeriesKey, assessment: Assessment) {
        self.assessments.write().insert(key, assessment);
    }

    pub(super) fn held_back(&self, key: &SeriesKey, verdict: Option<Verdict>) {
        if let Some(assessment) = self.assessments.write().get_mut(key) {
            assessment.held_back_by = verdict;
        }
    }

    /// How many quotas the last cycle said `name` of.
    pub(super) fn count_assessments(&self, name: &str) -> usize {
        self.assessments.read().values().filter(|assessment| assessment.kind.name() == name).count()
    }

    /// What is wrong with the sources right now.
    pub fn source_problems(&self) -> Vec<(Resource, SourceProblem)> {
        self.source_problems.read().iter().map(|(resource, problem)| (*resource, problem.clone())).collect()
    }

    /// Notes a failure; gives whether it is a new one.
    pub(super) fn source_failed(&self, resource: Resource, now: Timestamp, error: SourceError) -> bool {
        let mut problems = self.source_problems.write();
        let known = problems.get(&resource).map(|problem| (problem.since, problem.error.to_string()));
        let since = known.as_ref().map_or(now, |(since, _)| *since);
        let is_new = known.is_none_or(|(_, message)| message != error.to_string());
        problems.insert(resource, SourceProblem { since, error });
        is_new
    }

    /// Notes that a source answers; gives whether it had failed before.
    pub(super) fn source_answered(&self, resource: Resource) -> bool {
        self.source_has_answered.store(true, Ordering::Relaxed);
        self.source_problems.write().remove(&resource).is_some()
    }

    /// What the history can't do right now, or one of several such things.
    pub(super) fn history_failure(&self) -> Option<HistoryError> {
        self.history_failures.read().values().next_back().cloned()
    }

    /// Notes that the history failed; gives whether all was well with it before.
    pub(super) fn history_failed(&self, of: Option<Resource>, error: HistoryError) -> bool {
        let mut failures = self.history_failures.write();
        let was_well = failures.is_empty();
        failures.insert(of, error);
        was_well
    }

    /// Notes that the history did not fail; gives whether by that all is well with it again.
    pub(super) fn history_worked(&self, of: Option<Resource>) -> bool {
        let mut failures = self.history_failures.write();
        failures.remove(&of).is_some() && failures.is_empty()
    }

    /// The questions to which the source's last answer held series that could not
    /// be used, each with the reasons.
    pub fn refused(&self) -> Vec<(Asked, Vec<String>)> {
        self.refused.read().iter().map(|(asked, reasons)| (*asked, reasons.clone())).collect()
    }

    /// Notes why series were left out of an answer; no reasons where it is clean.
    pub(super) fn put_refused(&self, asked: Asked, reasons: Vec<String>) {
        let mut refused = self.refused.write();
        if reasons.is_empty() {
            refused.remove(&asked);
        } else {
            refused.insert(asked, reasons);
        }
    }

    /// Keeps only what was left out of the answers to these questions.
    pub(super) fn retain_refused(&self, is_asked: impl Fn(Asked) -> bool) {
        self.refused.write().retain(|asked, _| is_asked(*asked));
    }

    /// Whether the source has answered since the start, for any resource.
    pub fn source_has_answered(&self) -> bool {
        self.source_has_answered.load(Ordering::Relaxed)
    }

    /// Notes whether the clocks are apart; gives whether that is new.
    pub(super) fn clocks_apart(&self, apart: bool) -> bool {
        self.clocks_apart.swap(apart, Ordering::Relaxed) != apart
    }

    pub(super) fn cycle_ended(&self, at: Timestamp) {
        *self.last_cycle_at.write() = Some(at);
    }

    /// When the last cycle ended.
    pub fn last_cycle_at(&self) -> Option<Timestamp> {
        *self.last_cycle_at.read()
    }
}
