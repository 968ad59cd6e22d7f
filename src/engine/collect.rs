//! Brings in usage: first a bounded look back, then only what is new since the
//! watermark.
//!
//! Each slice is kept in the history before the watermark moves beyond it, so
//! a crash in between fetches a slice twice and loses nothing. Neither does a
//! history that takes nothing for a while.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Engine, EngineError, Progress};
use crate::domain::{Actor, ApplyMode, Resource, Tenant, TenantId, Tier, TimeRange, Timestamp};
use crate::ports::{Asked, BrokenOff, Fetched, HistoryError, SourceError, UsageSource};
use crate::registry::{NewTenant, RegistryError};
use crate::series::Frame;

/// Tenants that are registered at the same time, of those that usage names.
const REGISTERED_AT_ONCE: usize = 64;

/// What can go wrong with one resource.
enum CollectError {
    Source(SourceError),
    Engine(EngineError),
}

impl Engine {
    /// Collects what is new of every resource; gives how many samples came in.
    pub(super) async fn collect(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let source = self.source();
        let resources = source.resources();
        // The config may have been read again, and measure others since.
        self.workspace.retain_resources(&resources);
        self.workspace.retain_refused(|asked| source.answers(asked));
        self.lineups.lock().retain(|resource, _| resources.contains(resource));
        progress.begin("collect", resources.len());
        let outcomes = join_all(resources.iter().map(|resource| async {
            let outcome = self.collect_resource(&*source, *resource).await;
            progress.advance();
            outcome
        }))
        .await;
        let mut samples = 0;
        // One source that is down fails for all resources: that is one line.
        let mut news: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (resource, outcome) in resources.iter().copied().zip(outcomes) {
            match outcome {
                Ok(count) => {
                    samples += count;
                    if self.workspace.source_answered(resource) {
                        tracing::info!(%resource, "the source answers again");
                    }
                }
                Err(CollectError::Source(error)) => {
                    if let Some(message) = self.note_source_failure(resource, error) {
                        news.entry(message).or_default().push(resource.name());
                    }
                }
                Err(CollectError::Engine(error)) => return Err(error),
            }
        }
        for (message, resources) in news {
            tracing::warn!(resources = resources.join(", "), "failed to {message}");
        }
        self.watch_clocks();
        let engine = Arc::clone(self);
        self.parts.compute.run(move || engine.measure_freshness(&resources)).await?;
        self.discover().await?;
        let engine = Arc::clone(self);
        let settings = self.settings();
        let (full_since, since) = (self.now().minus(settings.keep_full), self.now().minus(settings.keep));
        let retain = move || engine.parts.history.retain(full_since, since);
        let retained = self.parts.compute.run_blocking(retain).await?;
        self.note_history(None, retained);
        self.parts.metrics.history_failing(self.history_problem().is_some());
        Ok(samples)
    }

    /// What is wrong with the history, in words that fit after "the history fails:":
    /// what it can't write, and what of it can't be read.
    pub fn history_problem(&self) -> Option<String> {
        let unwritten = self.workspace.history_failure().map(|failure| format!("failed to {failure}"));
        let problems: Vec<String> = unwritten.into_iter().chain(self.parts.history.damage()).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// Notes how the history took the usage of a resource, or, without one, how it
    /// made old usage small, and says it where that is news; gives whether it did.
    fn note_history(&self, of: Option<Resource>, outcome: Result<(), HistoryError>) -> bool {
        match outcome {
            Ok(()) => {
                if self.workspace.history_worked(of) {
                    tracing::info!("the history is written again");
                }
                true
            }
            Err(error) => {
                let message = error.to_string();
                if self.workspace.history_failed(of, error) {
                    tracing::error!("failed to {message}; this is tried again in each cycle");
                }
                false
            }
        }
    }

    /// Notes a failure; gives its message where it is not the one before.
    fn note_source_failure(&self, resource: Resource, error: SourceError) -> Option<String> {
        self.parts.metrics.source_failed(resource.name());
        let message = error.to_string();
        self.workspace.source_failed(resource, self.now(), error).then_some(message)
    }

    async fn collect_resource(
        self: &Arc<Self>,
        source: &dyn UsageSource,
        resource: Resource,
    ) -> Result<usize, CollectError> {
        let (step, settings) = (source.step(), self.settings());
        // What lies after it has not settled, or is in the future of a source
        // whose clock is behind, which it only says with an answer.
        let settled = || {
            let settled = self.present_of_source().minus(settings.settle);
            settled.floor_to(step).plus(step.duration())
        };
        let oldest = settled().minus(settings.backfill).floor_to(step);
        let watermark = self.parts.registry.watermark(resource).await;
        let watermark = watermark.map_err(|error| CollectError::Engine(error.into()))?;
        let mut start = watermark.map_or(oldest, |watermark| watermark.max(oldest));
        let mut samples = 0;
        while start < settled() {
            let range = TimeRange { start, end: start.plus(settings.slice).min(settled()) };
            let mut fetched = source.fetch(resource, range).await.map_err(CollectError::Source)?;
            let broken_off = fetched.broken_off.take();
            let until = broken_off.as_ref().map_or(range.end, |broken_off| broken_off.until);
            let until = until.min(settled()).max(start);
            let kept = self.keep(resource, until, fetched).await.map_err(CollectError::Engine)?;
            if let Some(BrokenOff { error, .. }) = broken_off {
                return Err(CollectError::Source(error));
            }
            // The watermark stays before what could not be kept, so what comes after it waits.
            let Some(kept) = kept else { break };
            samples += kept;
            start = range.end;
        }
        Ok(samples)
    }

    /// Keeps what was fetched, and only then marks what lies before `until` as collected;
    /// gives how many samples that were. `None` where the history did not take them: they
    /// are held all the same, and fetched again, when each takes its own place in memory.
    async fn keep(
        self: &Arc<Self>,
        resource: Resource,
        until: Timestamp,
        fetched: Fetched,
    ) -> Result<Option<usize>, EngineError> {
        self.tell_of_refused(Asked::Usage(resource), fetched.refused);
        self.parts.metrics.odd_samples(resource.name(), fetched.odd.not_finite, fetched.odd.out_of_order);
        let samples = fetched.frame.samples();
        let mut is_kept = true;
        if samples > 0 {
            let frame = Arc::new(fetched.frame);
            is_kept = self.append(resource, Arc::clone(&frame)).await?;
            let (engine, since) = (Arc::clone(self), self.now().minus(self.settings().window));
            let hold = move || engine.workspace.extend(Arc::unwrap_or_clone(frame), since);
            self.parts.compute.run(hold).await?;
        }
        if is_kept {
            self.parts.registry.set_watermark(resource, until).await?;
        }
        let collected = is_kept.then_some(samples);
        let held = self.workspace.frame(resource).map_or(0, |frame| frame.series.len());
        // What comes again is counted once.
        self.parts.metrics.collected(resource.name(), collected.unwrap_or(0), held);
        Ok(collected)
    }

    /// Adds usage to the history; gives whether it took it.
    async fn append(self: &Arc<Self>, resource: Resource, frame: Arc<Frame>) -> Result<bool, EngineError> {
        let engine = Arc::clone(self);
        let append = move || engine.parts.history.append(&frame);
        let appended = self.parts.compute.run_blocking(append).await?;
        Ok(self.note_history(Some(resource), appended))
    }

    /// Tells of the series that an answer left out: in the log, in the metrics and
    /// to whoever looks, until an answer to the same question is clean.
    pub(super) fn tell_of_refused(&self, asked: Asked, reasons: Vec<String>) {
        for refused in &reasons {
            // By the metric's label, so that one leads to the other.
            tracing::warn!(resource = %asked.name(), "left out a series: {refused}");
        }
        self.parts.metrics.left_out(asked.name(), reasons.len());
        self.workspace.put_refused(asked, reasons);
    }

    /// Registers tenants that usage names and nobody registered, where that is
    /// wished for; else counts them.
    async fn discover(self: &Arc<Self>) -> Result<(), EngineError> {
        let (engine, tenants) = (Arc::clone(self), self.parts.registry.all_tenants().await?);
        let registered = tenants.len();
        let look = move || engine.not_among(&tenants);
        let unknown = self.parts.compute.run(look).await?;
        let settings = self.settings();
        let Some(tier) = settings.discover else {
            self.parts.metrics.unknown_tenants(unknown.len());
            return Ok(());
        };
        let room = settings.max_tenants.saturating_sub(registered);
        self.parts.metrics.unknown_tenants(unknown.len().saturating_sub(room));
        let register = unknown.into_iter().take(room).map(|id| self.register(id, tier));
        // Commits that wait together share a sync of the disk.
        stream::iter(register).buffered(REGISTERED_AT_ONCE).try_collect().await
    }

    /// Registers a tenant that usage names, unless somebody just did.
    async fn register(&self, id: TenantId, tier: Tier) -> Result<(), EngineError> {
        let settings = self.settings();
        let new = NewTenant {
            id,
            name: None,
            tier,
            provider: settings.provider.clone(),
            region: settings.region.clone(),
            apply_mode: ApplyMode::Observe,
            template: None,
            quotas: Default::default(),
        };
        match self.parts.registry.create_tenant(new, Actor::Daemon, None).await {
            Ok(_) | Err(RegistryError::TenantExists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The tenants that usage names and that are not among these.
    fn not_among(&self, tenants: &[Tenant]) -> Vec<TenantId> {
        let known: HashSet<&TenantId> = tenants.iter().map(|tenant| &tenant.id).collect();
        let frames = self.workspace.all_frames();
        let seen = frames.iter().flat_map(|frame| frame.series.keys());
        let unknown: BTreeSet<&TenantId> = seen.filter(|id| !known.contains(id)).collect();
        unknown.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
