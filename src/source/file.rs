//! Usage that is already there: frames that were read from a file or made by
//! the simulation, served as a Prometheus would serve them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ndarray::{Axis, Slice};

use crate::domain::{Resource, Step, TimeRange};
use crate::ports::{Fetched, SourceError, UsageSource};
use crate::series::{Aggregate, Frame, UsageSeries, resample};

/// Frames held in memory, one a resource.
#[derive(Debug, Clone)]
pub struct FileSource {
    step: Step,
    frames: BTreeMap<Resource, Frame>,
}

impl FileSource {
    /// Serves `frames` on the grid of `step`. Frames of one resource are joined.
    /// A frame on a finer grid is brought to this one by the mean of its
    /// samples, one on a coarser grid has gaps between them.
    pub fn from_frames(step: Step, frames: Vec<Frame>) -> Self {
        let mut joined = BTreeMap::new();
        for frame in frames {
            let frame = on_grid(frame, step);
            joined.entry(frame.resource).or_insert_with(|| Frame::empty(frame.resource, step)).extend(frame);
        }
        FileSource { step, frames: joined }
    }
}

#[async_trait]
impl UsageSource for FileSource {
    fn resources(&self) -> Vec<Resource> {
        self.frames.keys().copied().collect()
    }

    fn step(&self) -> Step {
        self.step
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let held = self.frames.get(&resource).ok_or(SourceError::NotConfigured(resource))?;
        let mut frame = Frame::empty(resource, self.step);
        for (tenant, series) in &held.series {
            let part = cut(series, range);
            if part.samples() > 0 {
                frame.series.insert(tenant.clone(), part);
            }
        }
        Ok(Fetched::whole(frame))
    }
}

/// The values whose instants lie in the range.
fn cut(series: &UsageSeries, range: TimeRange) -> UsageSeries {
    let before =
        |instant| TimeRange { start: series.start, end: instant }.points(series.step).min(series.len());
    let (from, to) = (before(range.start), before(range.end));
    let values = series.values.slice_axis(Axis(0), Slice::from(from..to.max(from))).to_owned();
    UsageSeries { start: series.at(from), step: series.step, values }
}

fn on_grid(mut frame: Frame, step: Step) -> Frame {
    if frame.step == step {
        return frame;
    }
    let finer = frame.step < step;
    frame.step = step;
    frame.series = std::mem::take(&mut frame.series)
        .into_iter()
        .filter_map(|(tenant, series)| {
            let series =
                if finer { resample(&series, step, Aggregate::Mean) } else { spread(&series, step)? };
            Some((tenant, series))
        })
        .collect();
    frame
}

/// The same samples on a finer grid; `None` without any.
fn spread(series: &UsageSeries, step: Step) -> Option<UsageSeries> {
    let samples = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
    let samples: Vec<_> = samples.map(|(index, value)| (series.at(index), *value)).collect();
    UsageSeries::from_samples(step, &samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn minutes(n: i64) -> Timestamp {
        Timestamp::from_seconds(n * 60)
    }

    fn frame(step: Step, tenant: &str, start: i64, values: &[f64]) -> Frame {
        let series = UsageSeries { start: minutes(start), step, values: values.to_vec().into() };
        let mut frame = Frame::empty(Resource::CpuCores, step);
        frame.series.insert(tenant.parse().unwrap(), series);
        frame
    }

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange { start: minutes(start), end: minutes(end) }
    }

    #[tokio::test]
    async fn cuts_what_lies_in_the_range_and_leaves_out_the_rest() {
        let source = FileSource::from_frames(
            Step::FIVE_MINUTES,
            vec![
                frame(Step::FIVE_MINUTES, "acme", 0, &[1.0, 2.0, f64::NAN, 4.0]),
                frame(Step::FIVE_MINUTES, "late", 60, &[9.0]),
            ],
        );
        assert_eq!(source.resources(), [Resource::CpuCores]);
        let fetched = source.fetch(Resource::CpuCores, range(5, 15)).await.unwrap();
        assert_eq!(fetched.frame.series.len(), 1);
        let acme = &fetched.frame.series[&"acme".parse().unwrap()];
        assert_eq!((acme.start, acme.len(), acme.values[0]), (minutes(5), 2, 2.0));
        assert!(acme.values[1].is_nan());
        for nothing in [range(10, 15), range(500, 600), range(-60, 0), range(15, 5)] {
            assert_eq!(source.fetch(Resource::CpuCores, nothing).await.unwrap().frame.series.len(), 0);
        }
        let missing = source.fetch(Resource::MemoryGb, range(0, 5)).await.unwrap_err();
        assert!(matches!(missing, SourceError::NotConfigured(Resource::MemoryGb)));
    }

    #[tokio::test]
    async fn frames_on_another_grid_are_brought_to_this_one() {
        let minute = Step::from_millis(60_000).unwrap();
        let source = FileSource::from_frames(
            Step::FIVE_MINUTES,
            vec![
                frame(minute, "fine", 0, &[1.0, 2.0, 3.0, 4.0, 5.0, 7.0]),
                frame(Step::HOUR, "coarse", 0, &[1.0, 2.0]),
            ],
        );
        let frame = source.fetch(Resource::CpuCores, range(0, 120)).await.unwrap().frame;
        assert_eq!(frame.series[&"fine".parse().unwrap()].values.to_vec(), [3.0, 7.0]);
        let coarse = &frame.series[&"coarse".parse().unwrap()];
        assert_eq!((coarse.len(), coarse.samples(), coarse.values[12]), (13, 2, 2.0));
    }
}
