//! Usage from Prometheus, or from anything that speaks its HTTP API.
//!
//! A range is put on the step's grid. A short one is asked for whole; before a
//! long one is split, the series are counted at instants spread over it, so
//! that no query returns more samples than the limit. `fetch` asks for less
//! where the server finds that too much, and `pace` holds how fast it is asked.
//!
//! What can't be seen from here: Prometheus 2 repeats a sample for up to five
//! minutes (its `--query.lookback-delta`), and one that is exactly that old
//! too, so a gap begins one point late on a grid of five minutes. Prometheus 3
//! does not.

mod answer;
mod assembly;
mod client;
mod failure;
mod fetch;
mod grid;
mod pace;
mod settings;
mod share;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

pub use settings::{PrometheusSettings, Retry};

use crate::config::{SECONDS, WINDOW};
use crate::domain::{Meter, Resource, Step, TimeRange, Timestamp};
use crate::ports::{Asked, BrokenOff, Fetched, Measured, SourceError, UsageSource};
use crate::series::{Frame, UsageSeries};
use assembly::{Assembly, Gathered};
use client::{Client, Query, When, back_on_the_points, read_series};
use failure::Failure;
use fetch::{Fetch, Portion};
use grid::Grid;

/// The most points that Prometheus itself gives for one series.
const MAX_POINTS: usize = 11_000;

/// Series are counted at one instant more than this.
const COUNTED_PARTS: u32 = 20;

/// How long a server that found a query too much is asked for less. After that
/// it may have been idle, or set otherwise.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// A Prometheus that is asked one expression a resource.
pub struct PrometheusSource {
    settings: PrometheusSettings,
    client: Client,
    /// What a server that found a query too much did answer, and when that was.
    learned: Mutex<BTreeMap<Resource, (Portion, Instant)>>,
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
        Ok(PrometheusSource { client: Client::new(&settings)?, settings, learned: Mutex::default() })
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

    /// The usage that the text of an answer gives for a range: what a fetch makes
    /// of one that it was sent.
    ///
    /// # Errors
    /// As [`UsageSource::fetch`].
    pub fn read(&self, resource: Resource, range: TimeRange, answer: &[u8]) -> Result<Fetched, SourceError> {
        let (asked, grid) = (Asked::Usage(resource), Grid::inside(range, self.settings.step));
        Ok(fetched(resource, grid, self.gather(asked, grid, answer)?))
    }

    /// The one number of each tenant that the text of an answer gives at an
    /// instant: what a share or a meter makes of one that it was sent.
    ///
    /// # Errors
    /// As [`UsageSource::availability`].
    pub fn read_measured(&self, asked: Asked, at: Timestamp, answer: &[u8]) -> Result<Measured, SourceError> {
        Ok(measured(asked, self.gather(asked, second_of(at), answer)?))
    }

    /// What an answer without success means once there is nothing left to try,
    /// and how long its server asks to be left alone before.
    pub fn refusal(
        asked: Asked,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (SourceError, Option<Duration>) {
        let failure = Failure::of_status(asked, status, headers, body);
        let wait = match &failure {
            Failure::Passing { retry_after, .. } => *retry_after,
            Failure::TooMuch { .. } | Failure::Final(_) => None,
        };
        (failure.into_error(asked), wait)
    }

    fn gather(&self, asked: Asked, grid: Grid, answer: &[u8]) -> Result<Gathered, SourceError> {
        let series = read_series(asked, answer).map_err(|failure| failure.into_error(asked))?;
        let mut assembly = self.assembly(asked, grid);
        for series in back_on_the_points(series, grid) {
            assembly.take(series)?;
        }
        Ok(assembly.finish(grid.points, self.settings.max_refused_named))
    }

    /// What one query gives at the point of a grid.
    async fn ask_at(&self, asked: Asked, expression: &str, grid: Grid) -> Result<Gathered, SourceError> {
        let query = Query { asked, expression, when: When::Grid(grid) };
        let answer = self
            .client
            .ask(self.client.turn().await, query)
            .await
            .map_err(|failure| failure.into_error(asked))?;
        let assembly = self.assembly(asked, grid).take_all(answer.series).await?;
        assembly.finished(grid.points, self.settings.max_refused_named).await
    }

    fn expression(&self, resource: Resource) -> Result<&str, SourceError> {
        let expression = self.settings.expressions.get(&resource).map(String::as_str);
        expression.ok_or(SourceError::NotConfigured(resource))
    }

    /// What an expression gives over the window that ends at `at`, of each tenant
    /// of which it gives a number.
    async fn over_window(
        &self,
        asked: Asked,
        expression: &str,
        window: Duration,
        at: Timestamp,
    ) -> Result<Measured, SourceError> {
        let expression = expression.replace(WINDOW, &format!("{}s", window.as_secs()));
        Ok(measured(asked, self.ask_at(asked, &expression, second_of(at)).await?))
    }

    fn assembly(&self, asked: Asked, grid: Grid) -> Assembly {
        Assembly::new(asked, &self.settings.tenant_label, grid, self.settings.max_series)
    }

    /// How much one query may ask for: as much as was learned, and no more
    /// samples than the limit.
    async fn portion(
        &self,
        resource: Resource,
        expression: &str,
        grid: Grid,
    ) -> Result<Portion, SourceError> {
        let learned = self.learned.lock().get(&resource).copied();
        let learned = learned.filter(|(_, at)| at.elapsed() < REMEMBERED_FOR).map(|(portion, _)| portion);
        let most = learned.map_or(usize::MAX, |portion| portion.points);
        let within_limit = self.points_per_query(Asked::Usage(resource), expression, grid).await?;
        Ok(Portion {
            points: within_limit.min(grid.points).min(most),
            depth: learned.map_or(0, |portion| portion.depth),
        })
    }

    /// Keeps what a fetch found to be as much as the server can take.
    fn learn(&self, resource: Resource, began_with: Portion, ended_with: Portion) {
        if began_with != ended_with {
            self.learned.lock().insert(resource, (ended_with, Instant::now()));
        }
    }

    /// How many points one query may have so that its answer stays below the
    /// limit of samples.
    async fn points_per_query(
        &self,
        asked: Asked,
        expression: &str,
        grid: Grid,
    ) -> Result<usize, SourceError> {
        let points_of =
            |series: usize| (self.settings.max_samples_per_query / series.max(1)).clamp(1, MAX_POINTS);
        let limit = self.settings.max_series;
        let at_worst = points_of(limit);
        if grid.points <= at_worst {
            return Ok(at_worst);
        }
        // On lines of its own, so that a comment in it ends before the bracket.
        let expression = format!("count(\n{expression}\n)");
        let query = Query { asked, expression: &expression, when: When::Spread(grid, COUNTED_PARTS) };
        let answer = match self.client.ask(self.client.turn().await, query).await {
            // Even counting is too much at once: take small parts, which may work.
            Err(Failure::TooMuch { .. }) => return Ok(at_worst),
            answer => answer.map_err(|failure| failure.into_error(asked))?,
        };
        let counts = answer.series.iter().flat_map(|series| &series.values).map(|sample| sample.value);
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
        let expression = self.expression(resource)?;
        if grid.points == 0 {
            return Ok(Fetched::whole(Frame::empty(resource, grid.step)));
        }
        let portion = self.portion(resource, expression, grid).await?;
        let what = (asked, expression, self.settings.tenant_label.as_str());
        let fetch = Fetch::new(&self.client, what, portion, self.settings.retry.max_halvings);
        let parts: Vec<_> = grid.split(portion.points).into_iter().map(|part| fetch.part(part)).collect();
        // One more than run at once, so that one answer is read meanwhile; in
        // order, so that what is there before a failure is whole.
        let mut answers = stream::iter(parts).buffered(self.settings.max_queries_at_once + 1);
        let mut assembly = self.assembly(asked, grid);
        let mut broken_off = None;
        while let Some(part) = answers.next().await {
            assembly = assembly.take_all(part.series).await?;
            if let Some((until, failure)) = part.broken_off {
                broken_off = Some(BrokenOff { until, error: failure.into_error(asked) });
                break;
            }
        }
        drop(answers);
        self.learn(resource, portion, fetch.portion());
        let points = match broken_off {
            Some(BrokenOff { until, error }) if until <= grid.start => return Err(error),
            Some(BrokenOff { until, .. }) => TimeRange { start: grid.start, end: until }.points(grid.step),
            None => grid.points,
        };
        let gathered = assembly.finished(points, self.settings.max_refused_named).await?;
        Ok(Fetched { broken_off, ..fetched(resource, grid, gathered) })
    }

    fn clock_ahead(&self) -> i64 {
        self.client.clock_ahead()
    }

    fn knows_availability(&self) -> bool {
        self.settings.availability.is_some()
    }

    async fn availability(&self, window: Duration, at: Timestamp) -> Result<Measured, SourceError> {
        let Some(expression) = &self.settings.availability else { return Ok(Measured::default()) };
        self.over_window(Asked::Availability, expression, window, at).await
    }

    fn knows_latency(&self) -> bool {
        self.settings.latency.is_some()
    }

    async fn latency(
        &self,
        within_ms: f64,
        window: Duration,
        at: Timestamp,
    ) -> Result<Measured, SourceError> {
        let Some(expression) = &self.settings.latency else { return Ok(Measured::default()) };
        let expression = expression.replace(SECONDS, &(within_ms / 1000.0).to_string());
        self.over_window(Asked::Latency, &expression, window, at).await
    }

    fn meters(&self) -> Vec<Meter> {
        self.settings.meters.keys().copied().collect()
    }

    async fn metered(&self, meter: Meter, window: Duration, at: Timestamp) -> Result<Measured, SourceError> {
        let Some(expression) = self.settings.meters.get(&meter) else { return Ok(Measured::default()) };
        self.over_window(Asked::Metered(meter), expression, window, at).await
    }
}

/// The instant of a question that has one number for each tenant.
fn second_of(at: Timestamp) -> Grid {
    let step = Step::ONE_SECOND;
    Grid { start: at.floor_to(step), step, points: 1 }
}

/// A share from 0 to 1, or an amount from 0 up, of each tenant that has a number.
fn measured(asked: Asked, gathered: Gathered) -> Measured {
    let Gathered { series, refused, .. } = gathered;
    let most = match asked {
        Asked::Availability | Asked::Latency => 1.0,
        Asked::Usage(_) | Asked::Metered(_) => f64::INFINITY,
    };
    // 0/0 of a tenant without requests is no share.
    let number = |series: UsageSeries| series.values.iter().copied().find(|value| value.is_finite());
    let bounded = |(id, series)| Some((id, number(series)?.clamp(0.0, most)));
    Measured { by_tenant: series.into_iter().filter_map(bounded).collect(), refused }
}

fn fetched(resource: Resource, grid: Grid, gathered: Gathered) -> Fetched {
    let Gathered { series, refused, odd } = gathered;
    Fetched { refused, odd, ..Fetched::whole(Frame { series, ..Frame::empty(resource, grid.step) }) }
}
