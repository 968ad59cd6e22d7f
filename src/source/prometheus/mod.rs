//! Usage from Prometheus, or from anything that speaks its HTTP API.
//!
//! A range is put on the step's grid. A short one is asked for whole; before a
//! long one is split, the series are counted at instants spread over it, so
//! that no query returns more samples than the limit. A part that the server
//! finds too large, or takes too long over, is halved, and so are the parts
//! that follow it.
//!
//! What can't be seen from here: Prometheus 2 repeats a sample for up to five
//! minutes (its `--query.lookback-delta`), and one that is exactly that old
//! too, so a gap begins one point late on a grid of five minutes. Prometheus 3
//! does not.

mod answer;
mod assembly;
mod client;
mod failure;
mod grid;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

pub use settings::{PrometheusSettings, Retry};

use crate::config::WINDOW;
use crate::domain::{Resource, Step, TenantId, TimeRange, Timestamp};
use crate::ports::{Asked, Fetched, SourceError, UsageSource};
use crate::series::{Frame, UsageSeries};
use answer::Series;
use assembly::{Assembly, Gathered};
use client::{Client, Query, When};
use failure::Failure;
use grid::Grid;

/// The most points that Prometheus itself gives for one series.
const MAX_POINTS: usize = 11_000;

/// Series are counted at one instant more than this.
const COUNTED_PARTS: u32 = 20;

/// A Prometheus that is asked one expression a resource.
pub struct PrometheusSource {
    settings: PrometheusSettings,
    client: Client,
}

impl PrometheusSource {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// [`SourceError::Settings`] where they can't work.
    pub fn new(settings: PrometheusSettings) -> Result<Self, SourceError> {
        if let Some(problem) = settings.problem() {
            return Err(SourceError::Settings(problem));
        }
        Ok(PrometheusSource { client: Client::new(&settings)?, settings })
    }

    /// The usage at the last grid point at or before `at`: a frame of one value
    /// a tenant.
    ///
    /// # Errors
    /// As [`UsageSource::fetch`].
    pub async fn instant(&self, resource: Resource, at: Timestamp) -> Result<Fetched, SourceError> {
        let grid = Grid { start: at.floor_to(self.settings.step), step: self.settings.step, points: 1 };
        let gathered = self.ask_at(Asked::Usage(resource), self.expression(resource)?, grid).await?;
        Ok(fetched(resource, grid, gathered))
    }

    /// What one query gives at the point of a grid.
    async fn ask_at(&self, asked: Asked, expression: &str, grid: Grid) -> Result<Gathered, SourceError> {
        let query = Query { asked, expression, when: When::Grid(grid) };
        let answer = self.client.ask(query).await.map_err(|failure| failure.into_error(asked))?;
        let mut assembly = self.assembly(asked, grid);
        for series in answer {
            assembly.take(series)?;
        }
        Ok(assembly.finish(self.settings.max_refused_named))
    }

    fn expression(&self, resource: Resource) -> Result<&str, SourceError> {
        let expression = self.settings.expressions.get(&resource).map(String::as_str);
        expression.ok_or(SourceError::NotConfigured(resource))
    }

    fn assembly(&self, asked: Asked, grid: Grid) -> Assembly<'_> {
        Assembly::new(asked, &self.settings.tenant_label, grid, self.settings.max_series)
    }

    /// How many points one query may have so that its answer stays below the
    /// limit of samples.
    async fn points_per_query(&self, fetch: &Fetch<'_>, grid: Grid) -> Result<usize, SourceError> {
        let points_of =
            |series: usize| (self.settings.max_samples_per_query / series.max(1)).clamp(1, MAX_POINTS);
        let at_worst = points_of(self.settings.max_series);
        if grid.points <= at_worst {
            return Ok(at_worst);
        }
        let (asked, limit) = (fetch.asked, self.settings.max_series);
        // On lines of its own, so that a comment in it ends before the bracket.
        let expression = format!("count(\n{}\n)", fetch.expression);
        let query = Query { asked, expression: &expression, when: When::Spread(grid, COUNTED_PARTS) };
        let answer = match self.client.ask(query).await {
            // Even counting is too much at once: take small parts, which may work.
            // Where time ran out they would most likely only take longer to fail.
            Err(Failure::TooMuch { timed_out: false, .. }) => return Ok(at_worst),
            answer => answer.map_err(|failure| failure.into_error(asked))?,
        };
        let counts = answer.iter().flat_map(|series| &series.values).map(|sample| sample.value);
        let found = counts.fold(0.0, f64::max) as usize;
        if found > limit {
            return Err(SourceError::TooManySeries { asked, found, limit });
        }
        Ok(points_of(found))
    }
}

#[async_trait]
impl UsageSource for PrometheusSource {
    fn resources(&self) -> Vec<Resource> {
        self.settings.expressions.keys().copied().collect()
    }

    fn step(&self) -> Step {
        self.settings.step
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let (asked, grid) = (Asked::Usage(resource), Grid::inside(range, self.settings.step));
        let mut fetch = Fetch {
            client: &self.client,
            asked,
            expression: self.expression(resource)?,
            most_points: AtomicUsize::new(grid.points),
            least_points: 1,
        };
        if grid.points == 0 {
            return Ok(Fetched { frame: Frame::empty(resource, grid.step), refused: Vec::new() });
        }
        let points = self.points_per_query(&fetch, grid).await?.min(grid.points);
        fetch.most_points = AtomicUsize::new(points);
        fetch.least_points = points.checked_shr(self.settings.retry.max_halvings).unwrap_or(0).max(1);
        let parts: Vec<_> = grid.split(points).into_iter().map(|part| fetch.part(part)).collect();
        let mut answers = stream::iter(parts).buffer_unordered(self.settings.max_queries_at_once);
        let mut assembly = self.assembly(asked, grid);
        while let Some(answer) = answers.next().await {
            for series in answer.map_err(|failure| failure.into_error(asked))? {
                assembly.take(series)?;
            }
        }
        Ok(fetched(resource, grid, assembly.finish(self.settings.max_refused_named)))
    }

    fn knows_availability(&self) -> bool {
        self.settings.availability.is_some()
    }

    async fn availability(
        &self,
        window: Duration,
        at: Timestamp,
    ) -> Result<BTreeMap<TenantId, f64>, SourceError> {
        let Some(expression) = &self.settings.availability else { return Ok(BTreeMap::new()) };
        let expression = expression.replace(WINDOW, &format!("{}s", window.as_secs()));
        let step = Step::ONE_SECOND;
        let grid = Grid { start: at.floor_to(step), step, points: 1 };
        let gathered = self.ask_at(Asked::Availability, &expression, grid).await?;
        for reason in &gathered.refused {
            tracing::warn!("the availability is left out: {reason}");
        }
        // 0/0 of a tenant without requests is no share.
        let share = |series: UsageSeries| series.values.iter().copied().find(|share| share.is_finite());
        let shares = gathered.series.into_iter().filter_map(|(id, series)| Some((id, share(series)?)));
        Ok(shares.map(|(id, share)| (id, share.clamp(0.0, 1.0))).collect())
    }
}

fn fetched(resource: Resource, grid: Grid, gathered: Gathered) -> Fetched {
    let Gathered { series, refused } = gathered;
    Fetched { frame: Frame { series, ..Frame::empty(resource, grid.step) }, refused }
}

/// One fetch under way.
struct Fetch<'a> {
    client: &'a Client,
    asked: Asked,
    expression: &'a str,
    /// The most points a query; falls when the server found one too large.
    most_points: AtomicUsize,
    /// A query of no more points is not halved again.
    least_points: usize,
}

impl Fetch<'_> {
    /// The series of one part, in as many queries as it takes.
    async fn part(&self, whole: Grid) -> Result<Vec<Series>, Failure> {
        let mut series = Vec::new();
        let mut waiting = vec![whole];
        while let Some(part) = waiting.pop() {
            let most = self.most_points.load(Ordering::Relaxed);
            if part.points > most {
                waiting.extend(part.split(most));
                continue;
            }
            let query = Query { asked: self.asked, expression: self.expression, when: When::Grid(part) };
            match self.client.ask(query).await {
                Ok(answer) => series.extend(answer),
                Err(Failure::TooMuch { message, .. }) if part.points > self.least_points => {
                    let half = part.points.div_ceil(2);
                    self.most_points.fetch_min(half, Ordering::Relaxed);
                    tracing::debug!(asked = %self.asked, points = half, "asking for less: {message}");
                    waiting.push(part);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(series)
    }
}
