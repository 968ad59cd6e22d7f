//! Samples as columns, and those columns as Parquet.

use std::collections::BTreeMap;
use std::io::Cursor;

use polars::prelude::{
    Column, DataFrame, DataType, Int64Chunked, IntoColumn, IntoSeries, NewChunkedArray, ParquetReader,
    ParquetWriter, PlSmallStr, PolarsResult, SerReader, TimeUnit, TimeZone,
};

use crate::domain::Timestamp;
use crate::series::table::unbroken;

/// Samples of one resource by tenant; the later added of two for one instant
/// counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Samples(pub BTreeMap<String, Vec<(Timestamp, f64)>>);

impl Samples {
    /// Adds samples of a tenant.
    pub fn extend(&mut self, tenant: &str, later: impl IntoIterator<Item = (Timestamp, f64)>) {
        match self.0.get_mut(tenant) {
            Some(known) => known.extend(later),
            None => drop(self.0.insert(tenant.to_owned(), later.into_iter().collect())),
        }
    }

    /// Adds later samples.
    pub fn append(&mut self, later: Samples) {
        for (tenant, samples) in later.0 {
            self.extend(&tenant, samples);
        }
    }

    /// Sorts by instant, and leaves one sample for each.
    pub fn keep_latest(&mut self) {
        for samples in self.0.values_mut() {
            let latest: BTreeMap<Timestamp, f64> = samples.drain(..).collect();
            samples.extend(latest);
        }
    }

    /// Leaves only those from `since` on.
    pub fn keep_from(&mut self, since: Timestamp) {
        self.0.values_mut().for_each(|samples| samples.retain(|(at, _)| *at >= since));
    }
}

/// The samples of a segment, a column each.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    tenants: Vec<&'a str>,
    /// Milliseconds since 1970.
    instants: Vec<i64>,
    values: Vec<f64>,
}

impl<'a> Rows<'a> {
    /// The rows of some samples.
    pub fn of(samples: &'a Samples) -> Self {
        let mut rows = Rows::default();
        for (tenant, of_tenant) in &samples.0 {
            rows.extend(tenant, of_tenant.iter().copied());
        }
        rows
    }

    /// Adds samples of a tenant.
    pub fn extend(&mut self, tenant: &'a str, samples: impl IntoIterator<Item = (Timestamp, f64)>) {
        for (at, value) in samples {
            self.instants.push(at.millis());
            self.values.push(value);
        }
        self.tenants.resize(self.values.len(), tenant);
    }

    /// The first and the last instant; `None` without rows.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.instants.iter().min()?, self.instants.iter().max()?);
        Some((Timestamp::from_millis(*first), Timestamp::from_millis(*last)))
    }

    /// The rows as a Parquet file, compressed with zstd.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let values = Column::new(PlSmallStr::from_static("y"), &self.values);
        write(&self.tenants, &self.instants, vec![values])
    }
}

/// Rows as a Parquet file, with the columns `tenant`, `ds` and others.
pub(super) fn write(tenants: &[&str], instants: &[i64], others: Vec<Column>) -> Result<Vec<u8>, String> {
    let write = || -> PolarsResult<Vec<u8>> {
        let instants = Int64Chunked::from_slice(PlSmallStr::from_static("ds"), instants)
            .into_datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC));
        let mut columns = vec![
            Column::new(PlSmallStr::from_static("tenant"), tenants),
            instants.into_series().into_column(),
        ];
        columns.extend(others);
        let mut frame = DataFrame::new(tenants.len(), columns)?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame)?;
        Ok(bytes)
    };
    write().map_err(|error| error.to_string())
}

/// The samples of a Parquet file; says what is wrong with one that has none.
pub(super) fn read_samples(bytes: Vec<u8>) -> Result<Samples, String> {
    read(bytes, &["tenant", "ds", "y"], parse)
}

/// What `parse` makes of some columns of a Parquet file.
pub(super) fn read<T>(
    bytes: Vec<u8>,
    columns: &[&str],
    parse: impl FnOnce(&DataFrame) -> PolarsResult<T>,
) -> Result<T, String> {
    let names = columns.iter().map(|name| (*name).to_owned()).collect();
    let parsed =
        unbroken(|| parse(&ParquetReader::new(Cursor::new(bytes)).with_columns(Some(names)).finish()?));
    parsed.ok_or_else(|| "it is no Parquet file".to_owned())?.map_err(|error| error.to_string())
}

/// The instants of the rows, in milliseconds since 1970.
pub(super) fn instants(frame: &DataFrame) -> PolarsResult<Vec<Option<i64>>> {
    let milliseconds = DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC));
    let column = frame.column("ds")?.cast(&milliseconds)?;
    Ok(column.datetime()?.physical().iter().collect())
}

fn parse(frame: &DataFrame) -> PolarsResult<Samples> {
    let (tenants, instants, values) =
        (frame.column("tenant")?.str()?, instants(frame)?, frame.column("y")?.f64()?);
    let mut samples = Samples::default();
    // Rows of a tenant mostly stand together.
    let (mut of, mut run) = ("", Vec::new());
    for ((tenant, at), value) in tenants.iter().zip(instants).zip(values.iter()) {
        let (Some(tenant), Some(at), Some(value)) = (tenant, at, value) else { continue };
        if tenant != of {
            samples.extend(of, run.drain(..));
            of = tenant;
        }
        if value.is_finite() {
            run.push((Timestamp::from_millis(at), value));
        }
    }
    samples.extend(of, run);
    samples.0.retain(|_, of_tenant| !of_tenant.is_empty());
    Ok(samples)
}
