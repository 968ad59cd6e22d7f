//! A fleet in one file: tenants, their quotas, and their usage.
//!
//! The columns are those of a usage table, `unique_id` ("tenant/resource"),
//! `ds`, `y`, and beside them `tenant`, `name`, `tier`, `apply_mode`,
//! `resource` and `quota`. Gaps are left out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::timeline::{check_length, most_frequent};
use super::{Column, Format, Samples, Table, TableError, Texts, TimeKind, openmetrics, parquet, sink, text};
use crate::domain::{ApplyMode, DomainError, Resource, Step, TenantId, Tier, Timestamp};
use crate::series::{Frame, UsageSeries};

/// Tenants and their usage, all on one step.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The step of all series.
    pub step: Step,
    /// The tenants, in the file's order.
    pub tenants: Vec<FleetTenant>,
    /// The usage, one frame a resource.
    pub frames: Vec<Frame>,
}

/// A tenant of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetTenant {
    /// Its id.
    pub id: TenantId,
    /// The name that people read.
    pub name: String,
    /// Its plan.
    pub tier: Tier,
    /// What it wishes to happen to its recommendations.
    pub apply_mode: ApplyMode,
    /// Its quotas, in each resource's unit.
    pub quotas: BTreeMap<Resource, f64>,
}

/// The samples of one tenant's resource.
pub(super) struct FleetSeries<'a> {
    pub(super) tenant: &'a FleetTenant,
    pub(super) resource: Resource,
    pub(super) quota: f64,
    pub(super) usage: &'a UsageSeries,
}

impl FleetSeries<'_> {
    /// The samples that are no gaps.
    pub(super) fn samples(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        let known = self.usage.values.iter().enumerate().filter(|(_, value)| value.is_finite());
        known.map(|(index, value)| (self.usage.at(index), *value))
    }
}

impl Fleet {
    /// The series of a tenant, in the order of the frames.
    pub(super) fn series_of<'a>(&'a self, tenant: &'a FleetTenant) -> impl Iterator<Item = FleetSeries<'a>> {
        self.frames.iter().filter_map(move |frame| {
            let quota = tenant.quotas.get(&frame.resource).copied();
            Some(FleetSeries {
                tenant,
                resource: frame.resource,
                quota: quota.unwrap_or_else(|| tenant.tier.default_quota(frame.resource)),
                usage: frame.series.get(&tenant.id)?,
            })
        })
    }

    /// The fleet as tables, one a tenant, the first of them empty.
    fn parts(&self) -> impl Iterator<Item = Table> {
        std::iter::once(table_of(std::iter::empty()))
            .chain(self.tenants.iter().map(|tenant| table_of(self.series_of(tenant))))
    }
}

/// The rows of some series.
fn table_of<'a>(series: impl Iterator<Item = FleetSeries<'a>>) -> Table {
    const TEXTS: [&str; 6] = ["unique_id", "tenant", "name", "tier", "apply_mode", "resource"];
    let (mut times, mut values, mut quotas) = (Vec::new(), Vec::new(), Vec::new());
    let mut texts: [Texts; 6] = Default::default();
    for one in series {
        let FleetSeries { tenant, resource, .. } = &one;
        let unique_id = format!("{}/{resource}", tenant.id);
        let (tier, mode) = (tenant.tier.name(), tenant.apply_mode.name());
        let cells = [unique_id.as_str(), tenant.id.as_str(), &tenant.name, tier, mode, resource.name()];
        for (at, value) in one.samples() {
            times.push(at);
            values.push(value);
            quotas.push(one.quota);
            texts.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        }
    }
    let mut table = Table::new();
    let mut samples = Some((Column::Times(times), Column::Numbers(values)));
    for (name, column) in TEXTS.into_iter().zip(texts) {
        table.set(name, Column::Text(column));
        // The columns of a usage table come first.
        if let Some((times, values)) = samples.take() {
            table.set("ds", times);
            table.set("y", values);
        }
    }
    table.set("quota", Column::Numbers(quotas));
    table
}

/// Writes a fleet, whole or not at all: `.parquet`, `.csv` (or `-`), or
/// OpenMetrics text as `.om`, `.openmetrics` or `.txt`.
///
/// # Errors
/// Where the ending names no format, or the disk fails.
pub fn write_fleet(path: &Path, fleet: &Fleet) -> Result<(), TableError> {
    match FleetFormat::of(path)? {
        FleetFormat::OpenMetrics => sink::write_whole(path, |out| openmetrics::write(out, fleet)),
        FleetFormat::Table(Format::Csv) => {
            sink::write_whole(path, |out| text::write_parts(out, fleet.parts()))
        }
        FleetFormat::Table(Format::Parquet) => {
            sink::write_whole(path, |out| parquet::write_parts(out, fleet.parts()))
        }
    }
}

/// Checks that a fleet could be written under this name.
///
/// # Errors
/// Where the ending names no format.
pub fn check_fleet_output(path: &Path) -> Result<(), TableError> {
    FleetFormat::of(path).map(|_| ())
}

enum FleetFormat {
    Table(Format),
    OpenMetrics,
}

impl FleetFormat {
    fn of(path: &Path) -> Result<Self, TableError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "om" | "openmetrics" | "txt" => Ok(FleetFormat::OpenMetrics),
            _ => Format::of(path).map(FleetFormat::Table).map_err(|_| TableError::Ending {
                file: path.display().to_string(),
                endings: ".parquet, .csv, .om, .openmetrics or .txt",
            }),
        }
    }
}

/// Reads a fleet from `.parquet`, `.csv` or `-`. Of the columns beside
/// `unique_id`, `ds` and `y` only `tier` must be there; where the others are
/// missing, tenant and resource are the two parts of `unique_id`, the quota is
/// the tier's, and the apply mode is observe.
///
/// # Errors
/// Names the column that is missing, or the row that can't be used.
pub fn read_fleet(path: &Path) -> Result<Fleet, TableError> {
    read_rows(&super::read(path)?, None)
}

/// As [`read_fleet`], of tenants that are of `tier` where the file does not say.
///
/// # Errors
/// As [`read_fleet`].
pub fn read_fleet_as(path: &Path, tier: Tier) -> Result<Fleet, TableError> {
    read_rows(&super::read(path)?, Some(tier))
}

fn read_rows(table: &Table, tier: Option<Tier>) -> Result<Fleet, TableError> {
    let samples = Samples::of_usage(table)?;
    if samples.kind == TimeKind::Steps && table.rows() > 0 {
        let cell = samples.at[0].to_string();
        return Err(table.bad_cell(0, "ds", &cell, "use times such as 2026-11-23T05:00:00Z"));
    }
    if tier.is_none() && table.column("tier").is_none() {
        return Err(table.missing("tier"));
    }
    let step = common_step(&samples);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); samples.ids.len()];
    for (row, series) in samples.series.iter().enumerate() {
        rows[*series].push(row);
    }
    let mut tenants: Vec<FleetTenant> = Vec::new();
    let mut places: BTreeMap<TenantId, usize> = BTreeMap::new();
    let mut frames: BTreeMap<Resource, Frame> = BTreeMap::new();
    for (id, rows) in samples.ids.iter().zip(rows) {
        let Some(first) = rows.first().copied() else { continue };
        let head = Head { table, row: first, id, tier };
        let (tenant, resource, quota) = head.read().map_err(|reason| TableError::Domain {
            file: table.name.clone(),
            place: table.place(first),
            reason,
        })?;
        let known: Vec<(Timestamp, f64)> =
            rows.iter().map(|row| (Timestamp::from_millis(samples.at[*row]), samples.values[*row])).collect();
        check_length(table, id, known.len(), points(step, &known))?;
        if let Some(series) = UsageSeries::from_samples(step, &known) {
            let frame = frames.entry(resource).or_insert_with(|| Frame::empty(resource, step));
            frame.series.insert(tenant.id.clone(), series);
        }
        let place = *places.entry(tenant.id.clone()).or_insert_with(|| {
            tenants.push(tenant);
            tenants.len() - 1
        });
        tenants[place].quotas.insert(resource, quota);
    }
    Ok(Fleet { step, tenants, frames: frames.into_values().collect() })
}

/// How many grid points lie between the first and the last of some samples.
fn points(step: Step, samples: &[(Timestamp, f64)]) -> i128 {
    let millis = || samples.iter().map(|(at, _)| i128::from(at.millis()));
    let span = millis().max().unwrap_or_default() - millis().min().unwrap_or_default();
    span / i128::from(step.millis()) + 1
}

/// The most frequent distance of neighbouring rows over all series; 5 minutes
/// where there is none.
fn common_step(samples: &Samples) -> Step {
    let mut order: Vec<usize> = (0..samples.at.len()).collect();
    let key = |row: &usize| (samples.series[*row], samples.at[*row]);
    if !order.is_sorted_by_key(key) {
        order.sort_by_key(key);
    }
    let pairs = order.windows(2).filter(|pair| samples.series[pair[0]] == samples.series[pair[1]]);
    let distances = pairs
        .map(|pair| samples.at[pair[1]].saturating_sub(samples.at[pair[0]]))
        .filter(|distance| *distance > 0);
    let step = most_frequent(distances);
    step.and_then(|millis| Step::from_millis(millis).ok()).unwrap_or(Step::FIVE_MINUTES)
}

/// The first row of a series, which tells whose it is.
struct Head<'a> {
    table: &'a Table,
    row: usize,
    id: &'a str,
    tier: Option<Tier>,
}

impl Head<'_> {
    fn cell(&self, name: &str) -> Option<Cow<'_, str>> {
        self.table.column(name).map(|column| column.cell(self.row)).filter(|cell| !cell.is_empty())
    }

    fn read(&self) -> Result<(FleetTenant, Resource, f64), DomainError> {
        let (before, after) = self.id.rsplit_once('/').unwrap_or((self.id, ""));
        let id: TenantId = self.cell("tenant").unwrap_or(Cow::Borrowed(before)).parse()?;
        let resource: Resource = self.cell("resource").unwrap_or(Cow::Borrowed(after)).parse()?;
        let tier: Tier = match (self.cell("tier"), self.tier) {
            (None, Some(tier)) => tier,
            (cell, _) => cell.unwrap_or_default().parse()?,
        };
        let apply_mode = self.cell("apply_mode").map_or(Ok(ApplyMode::Observe), |cell| cell.parse())?;
        let quota = self.cell("quota").map(|cell| cell.trim().parse().unwrap_or(f64::NAN));
        let quota = match quota {
            Some(quota) => crate::domain::quota::checked_limit(resource, quota)?,
            None => tier.default_quota(resource),
        };
        let name = self.cell("name").map_or_else(|| id.to_string(), Cow::into_owned);
        Ok((FleetTenant { id, name, tier, apply_mode, quotas: BTreeMap::new() }, resource, quota))
    }
}
