//! From the series of many answers to one series a tenant, and to the reasons why some
//! could not be used.
//!
//! A fetch that was split must give what one query would have given, so a
//! tenant is judged over all parts: two series that name it are refused even
//! where they never meet in one answer.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Sample, Series};
use super::grid::{Grid, OffGrid};
use crate::domain::TenantId;
use crate::ports::{Asked, OddSamples, SourceError};
use crate::series::UsageSeries;

/// Gathers series on one grid.
pub(super) struct Assembly {
    asked: Asked,
    tenant_label: String,
    grid: Grid,
    max_series: usize,
    held: BTreeMap<TenantId, Held>,
    /// Tenants that more than one series names, and the labels of those.
    doubled: BTreeMap<TenantId, BTreeSet<String>>,
    refused: BTreeSet<String>,
    odd: OddSamples,
}

/// The one series of a tenant.
struct Held {
    labels: BTreeMap<String, String>,
    /// One value a grid point, `NaN` where there is none.
    values: Vec<f64>,
}

/// What was made of some answers.
pub(super) struct Gathered {
    /// By tenant, on the grid.
    pub series: BTreeMap<TenantId, UsageSeries>,
    /// Series that could not be used, each with the reason.
    pub refused: Vec<String>,
    /// How many samples of those that name a tenant were odd.
    pub odd: OddSamples,
}

impl Assembly {
    pub fn new(asked: Asked, tenant_label: &str, grid: Grid, max_series: usize) -> Self {
        Assembly {
            asked,
            tenant_label: tenant_label.to_owned(),
            grid,
            max_series,
            held: BTreeMap::new(),
            doubled: BTreeMap::new(),
            refused: BTreeSet::new(),
            odd: OddSamples::default(),
        }
    }

    /// Takes all series of an answer, away from the async threads.
    pub async fn take_all(mut self, answer: Vec<Series>) -> Result<Self, SourceError> {
        let asked = self.asked;
        let take = move || answer.into_iter().try_for_each(|series| self.take(series)).map(|()| self);
        aside(asked, take).await?
    }

    /// [Finishes](Self::finish) away from the async threads.
    pub async fn finished(self, points: usize, max_named: usize) -> Result<Gathered, SourceError> {
        aside(self.asked, move || self.finish(points, max_named)).await
    }

    /// Takes one series of an answer. What lies below zero in it is named and
    /// taken for a gap.
    pub fn take(&mut self, mut series: Series) -> Result<(), SourceError> {
        // As they came: below, what lies below zero becomes a gap as well.
        let odd = odd_among(&series.values);
        if let Some(below) = series.values.iter().find(|sample| sample.value < 0.0) {
            let Sample { at, value } = below;
            let labels = series.labels();
            let what = match self.asked {
                Asked::Availability | Asked::Latency => "a share",
                Asked::Usage(_) | Asked::Metered(_) => "usage",
            };
            self.refused.insert(format!(
                "{labels} is {value} at {at}; {what} is never below zero: mend the expression. What is below \
                 zero is left out"
            ));
            series
                .values
                .iter_mut()
                .filter(|sample| sample.value < 0.0)
                .for_each(|sample| sample.value = f64::NAN);
        }
        match self.tenant_of(&series) {
            Ok(tenant) => {
                self.odd.not_finite += odd.not_finite;
                self.odd.out_of_order += odd.out_of_order;
                self.place(tenant, series)?;
            }
            Err(reason) => {
                self.refused.insert(reason);
            }
        }
        let doubled: usize = self.doubled.values().map(BTreeSet::len).sum();
        let found = self.held.len() + doubled + self.refused.len();
        if found > self.max_series {
            return Err(SourceError::TooManySeries { asked: self.asked, found, limit: self.max_series });
        }
        Ok(())
    }

    fn tenant_of(&self, series: &Series) -> Result<TenantId, String> {
        let labels = || series.labels();
        let Some(name) = series.metric.get(&self.tenant_label).filter(|name| !name.is_empty()) else {
            return Err(format!(
                "{} has no label {:?}; keep it in the expression",
                labels(),
                self.tenant_label
            ));
        };
        if series.values.is_empty() {
            return Err(format!("{} holds histograms; take a number of them in the expression", labels()));
        }
        name.parse().map_err(|error| format!("{}: failed to {error}", labels()))
    }

    fn place(&mut self, tenant: TenantId, series: Series) -> Result<(), SourceError> {
        if let Some(labels) = self.doubled.get_mut(&tenant) {
            labels.insert(series.labels());
            return Ok(());
        }
        if let Some(held) = self.held.get_mut(&tenant) {
            if held.labels == series.metric {
                return write(&mut held.values, self.grid, self.asked, &series.values);
            }
            let first = Series { metric: std::mem::take(&mut held.labels), values: Vec::new() }.labels();
            self.held.remove(&tenant);
            self.doubled.insert(tenant, BTreeSet::from([first, series.labels()]));
            return Ok(());
        }
        let mut values = vec![f64::NAN; self.grid.points];
        write(&mut values, self.grid, self.asked, &series.values)?;
        self.held.insert(tenant, Held { labels: series.metric, values });
        Ok(())
    }

    /// What each tenant has at the first `points` of the grid, and at most
    /// `max_named` reasons with a last line that counts the rest.
    pub fn finish(self, points: usize, max_named: usize) -> Gathered {
        let whole = |(tenant, mut held): (TenantId, Held)| {
            held.values.truncate(points);
            Some((tenant, trimmed(held.values, self.grid)?))
        };
        let series = self.held.into_iter().filter_map(whole).collect();
        let doubled = self.doubled.into_iter().map(|(tenant, labels)| {
            let (count, first) = (labels.len(), labels.into_iter().take(2).collect::<Vec<_>>().join(" and "));
            format!(
                "{count} series name the tenant {tenant}, such as {first}; aggregate the expression by tenant"
            )
        });
        let mut refused: Vec<String> = doubled.chain(self.refused).collect();
        let more = refused.len().saturating_sub(max_named);
        if more > 0 {
            refused.truncate(max_named);
            refused.push(format!("{more} more series could not be used"));
        }
        Gathered { series, refused, odd: self.odd }
    }
}

/// What is odd in a series. What lies below zero is named apart, and not counted.
fn odd_among(samples: &[Sample]) -> OddSamples {
    let is_not_finite = |value: f64| value.is_nan() || value.is_infinite() && value.is_sign_positive();
    OddSamples {
        not_finite: samples.iter().filter(|sample| is_not_finite(sample.value)).count(),
        out_of_order: samples.windows(2).filter(|two| two[1].at <= two[0].at).count(),
    }
}

/// Does work on a thread that may take its time.
async fn aside<T: Send + 'static>(
    asked: Asked,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    let broken_off =
        |error| SourceError::Malformed { asked, message: format!("reading it broke off: {error}") };
    tokio::task::spawn_blocking(work).await.map_err(broken_off)
}

fn write(values: &mut [f64], grid: Grid, asked: Asked, samples: &[Sample]) -> Result<(), SourceError> {
    for sample in samples {
        let index = grid.index_of(sample.at).map_err(|OffGrid| SourceError::Malformed {
            asked,
            message: format!("a sample at {} lies beside the grid of the step that was asked for", sample.at),
        })?;
        // NaN is what the expression gave where it has no answer, as in 0/0.
        if let Some(index) = index.filter(|_| sample.value.is_finite()) {
            values[index] = sample.value;
        }
    }
    Ok(())
}

/// From the first to the last sample; `None` without any.
fn trimmed(mut values: Vec<f64>, grid: Grid) -> Option<UsageSeries> {
    let first = values.iter().position(|value| value.is_finite())?;
    let last = values.iter().rposition(|value| value.is_finite())?;
    values.truncate(last + 1);
    values.drain(..first);
    Some(UsageSeries { start: grid.at(first), step: grid.step, values: values.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resource;
    use crate::domain::{Step, Timestamp};

    const GRID: Grid = Grid { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, points: 4 };

    fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
        let metric = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sample =
            |(seconds, value): &(i64, f64)| Sample { at: Timestamp::from_seconds(*seconds), value: *value };
        Series { metric, values: samples.iter().map(sample).collect() }
    }

    fn assemble(parts: Vec<Series>) -> Gathered {
        let mut assembly = Assembly::new(Asked::Usage(Resource::CpuCores), "tenant", GRID, 10);
        for part in parts {
            assembly.take(part).unwrap();
        }
        assembly.finish(GRID.points, 3)
    }

    #[test]
    fn parts_of_one_series_are_joined_and_what_is_no_number_is_a_gap() {
        let acme = [("tenant", "acme")];
        let fetched = assemble(vec![
            series(&acme, &[(600, f64::INFINITY), (900, 4.0), (1200, 5.0)]),
            series(&acme, &[(0, f64::NAN), (300, 2.0)]),
            series(&[("tenant", "empty")], &[(0, f64::NAN)]),
        ]);
        assert_eq!(fetched.refused, Vec::<String>::new());
        assert_eq!(fetched.odd, OddSamples { not_finite: 3, out_of_order: 0 });
        assert_eq!(fetched.series.len(), 1);
        let usage = &fetched.series[&"acme".parse().unwrap()];
        assert_eq!((usage.start.seconds(), usage.len(), usage.samples()), (300, 3, 2));
        assert_eq!((usage.values[0], usage.values[2]), (2.0, 4.0));
    }

    #[test]
    fn what_lies_below_zero_is_named_and_left_out() {
        let fetched = assemble(vec![series(&[("tenant", "acme")], &[(0, 2.0), (300, -1.5), (600, 3.0)])]);
        let usage = &fetched.series[&"acme".parse().unwrap()];
        assert_eq!((usage.len(), usage.samples()), (3, 2));
        assert_eq!(fetched.odd, OddSamples::default(), "it is told of already");
        assert_eq!(
            fetched.refused,
            [
                "{tenant=\"acme\"} is -1.5 at 1970-01-01T00:05:00Z; usage is never below zero: mend the expression. \
              What is below zero is left out"
            ]
        );
        let mut shares = Assembly::new(Asked::Availability, "tenant", GRID, 10);
        shares.take(series(&[("tenant", "acme")], &[(0, -0.1)])).unwrap();
        let Gathered { series, refused, .. } = shares.finish(GRID.points, 3);
        assert!(series.is_empty() && refused[0].contains("; a share is never below zero"), "{refused:?}");
    }

    #[test]
    fn what_names_no_tenant_or_one_twice_is_refused_and_the_rest_goes_on() {
        let fetched = assemble(vec![
            series(&[("tenant", "good")], &[(0, 1.0)]),
            series(&[("job", "x")], &[(0, 1.0)]),
            series(&[("tenant", "../x")], &[(0, 1.0)]),
            series(&[("tenant", "two"), ("pod", "a")], &[(0, 1.0)]),
            series(&[("tenant", "two"), ("pod", "b")], &[(300, 1.0)]),
            series(&[("tenant", "two"), ("pod", "c")], &[(600, 1.0)]),
            series(&[("tenant", "shape")], &[]),
        ]);
        assert_eq!(fetched.series.keys().map(TenantId::as_str).collect::<Vec<_>>(), ["good"]);
        assert_eq!(fetched.refused.len(), 4);
        assert_eq!(
            fetched.refused[0],
            "3 series name the tenant two, such as {pod=\"a\", tenant=\"two\"} and {pod=\"b\", tenant=\"two\"}; \
             aggregate the expression by tenant"
        );
        assert_eq!(fetched.refused[1], "{job=\"x\"} has no label \"tenant\"; keep it in the expression");
        assert_eq!(fetched.refused[3], "1 more series could not be used");
    }

    #[test]
    fn samples_out_of_order_are_counted_and_put_in_their_places() {
        let acme = [("tenant", "acme")];
        let fetched = assemble(vec![
            series(&acme, &[(900, 4.0), (300, 2.0), (600, 3.0), (600, 3.5), (0, f64::NEG_INFINITY)]),
            series(&[("job", "x")], &[(300, f64::NAN), (0, f64::NAN)]),
        ]);
        assert_eq!(fetched.odd, OddSamples { not_finite: 0, out_of_order: 3 }, "of series that are used");
        let usage = &fetched.series[&"acme".parse().unwrap()];
        assert_eq!((usage.start.seconds(), usage.values.to_vec()), (300, vec![2.0, 3.5, 4.0]));
    }

    #[test]
    fn too_many_series_and_samples_beside_the_grid_end_it() {
        let mut assembly = Assembly::new(Asked::Usage(Resource::CpuCores), "tenant", GRID, 1);
        assembly.take(series(&[("tenant", "a")], &[(0, 1.0)])).unwrap();
        let error = assembly.take(series(&[], &[(0, 1.0)])).unwrap_err();
        assert!(matches!(error, SourceError::TooManySeries { found: 2, limit: 1, .. }));
        let error = assembly.take(series(&[("tenant", "a")], &[(7, 1.0)])).unwrap_err();
        assert!(error.to_string().contains("1970-01-01T00:00:07Z lies beside the grid"), "{error}");
    }
}
