//! Old usage by the hour: mean, peak and number of samples, in segments of
//! their own beside the full samples.
//!
//! What forecasts, detection and right-sizing are made from is never thinned
//! out: a mean hides the peaks that a quota must hold. These files are for
//! people and their tools, who look back further than the daemon does.

use std::collections::BTreeMap;

use polars::prelude::{Column, PlSmallStr};

use super::columns::{self, Samples};
use crate::domain::Timestamp;

/// Milliseconds in an hour.
const HOUR: i64 = 3_600_000;

/// What is left of an hour's samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hour {
    /// Their mean.
    pub mean: f64,
    /// The highest.
    pub peak: f64,
    /// How many there were.
    pub samples: u32,
}

/// The hours of one resource by tenant and the instant at which they begin.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Hours(pub BTreeMap<String, BTreeMap<Timestamp, Hour>>);

impl Hours {
    /// The hours of samples, of which there is one for each instant.
    pub fn of(samples: &Samples) -> Self {
        let mut hours = Hours::default();
        for (tenant, samples) in &samples.0 {
            let of_tenant = hours.0.entry(tenant.clone()).or_default();
            let begin = |at: Timestamp| at.millis().div_euclid(HOUR) * HOUR;
            for of_hour in samples.chunk_by(|a, b| begin(a.0) == begin(b.0)) {
                let values = || of_hour.iter().map(|(_, value)| *value);
                let hour = Hour {
                    mean: values().sum::<f64>() / of_hour.len() as f64,
                    peak: values().fold(f64::NEG_INFINITY, f64::max),
                    samples: u32::try_from(of_hour.len()).unwrap_or(u32::MAX),
                };
                of_tenant.insert(Timestamp::from_millis(begin(of_hour[0].0)), hour);
            }
        }
        hours
    }

    /// Adds later hours; of two for one instant the later counts.
    pub fn append(&mut self, later: Hours) {
        for (tenant, hours) in later.0 {
            self.0.entry(tenant).or_default().extend(hours);
        }
    }

    /// The begin of the first and of the last hour; `None` without any.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let instants = || self.0.values().flat_map(BTreeMap::keys).copied();
        Some((instants().min()?, instants().max()?))
    }

    /// As a Parquet file with the columns `tenant`, `ds`, `y` (the mean),
    /// `peak` and `samples`.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let rows = || self.0.iter().flat_map(|(tenant, hours)| hours.iter().map(move |hour| (tenant, hour)));
        let tenants: Vec<&str> = rows().map(|(tenant, _)| tenant.as_str()).collect();
        let instants: Vec<i64> = rows().map(|(_, (at, _))| at.millis()).collect();
        let of = |what: fn(&Hour) -> f64| rows().map(|(_, (_, hour))| what(hour)).collect::<Vec<_>>();
        let samples: Vec<u32> = rows().map(|(_, (_, hour))| hour.samples).collect();
        let others = vec![
            Column::new(PlSmallStr::from_static("y"), of(|hour| hour.mean)),
            Column::new(PlSmallStr::from_static("peak"), of(|hour| hour.peak)),
            Column::new(PlSmallStr::from_static("samples"), samples),
        ];
        columns::write(&tenants, &instants, others)
    }

    /// From such a file; says what is wrong with one that is none.
    pub fn read(bytes: Vec<u8>) -> Result<Self, String> {
        columns::read(bytes, &["tenant", "ds", "y", "peak", "samples"], |frame| {
            let (tenants, instants) = (frame.column("tenant")?.str()?, columns::instants(frame)?);
            let (means, peaks) = (frame.column("y")?.f64()?, frame.column("peak")?.f64()?);
            let counts = frame.column("samples")?.u32()?;
            let mut hours = Hours::default();
            let rows = tenants.iter().zip(instants).zip(means.iter()).zip(peaks.iter()).zip(counts.iter());
            for ((((tenant, at), mean), peak), samples) in rows {
                let (Some(tenant), Some(at), Some(mean), Some(peak), Some(samples)) =
                    (tenant, at, mean, peak, samples)
                else {
                    continue;
                };
                let of_tenant = hours.0.entry(tenant.to_owned()).or_default();
                of_tenant.insert(Timestamp::from_millis(at), Hour { mean, peak, samples });
            }
            Ok(hours)
        })
    }
}
