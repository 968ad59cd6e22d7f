//! What tenants spend: the price of what they used on each whole day, against
//! the forecast that is made from the days before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::explain::number;
use crate::cost::Prices;
use crate::domain::{Finding, FindingKind, Step, Tenant, TenantId, Timestamp};
use crate::forecast::{Past, Quantiles, forecast_all};
use crate::series::{Frame, UsageSeries, stats};

const DAY: Duration = Duration::from_secs(86_400);
/// Whole days that are looked at, and the least of them that make a forecast.
const DAYS: usize = 28;
const LEAST_DAYS: usize = 14;
/// The band is that between these quantiles.
const BAND: [f64; 3] = [0.05, 0.5, 0.95];
/// A week of days.
const SEASONS: [usize; 1] = [7];
/// A day counts where at least this share of its samples is there.
const WHOLE: f64 = 0.9;

/// The tenants whose spend on the day before `today` left its band.
pub(super) fn anomalies(
    tenants: &[Tenant],
    frames: &[Arc<Frame>],
    prices: &Prices,
    today: Timestamp,
    settings: &Settings,
) -> BTreeMap<TenantId, Finding> {
    let spends: Vec<(&Tenant, Vec<f64>)> = tenants
        .iter()
        .map(|tenant| (tenant, daily_spend(tenant, frames, prices, today)))
        .filter(|(_, days)| {
            let known = days.iter().filter(|spend| spend.is_finite()).count();
            days[DAYS - 1].is_finite() && known > LEAST_DAYS
        })
        .collect();
    let Ok(levels) = Quantiles::new(&BAND) else { return BTreeMap::new() };
    let pasts: Vec<ndarray::Array1<f64>> =
        spends.iter().map(|(_, days)| known_part(&days[..DAYS - 1])).collect();
    let views: Vec<Past<'_>> =
        pasts.iter().map(|past| Past { values: past.view(), seasons: &SEASONS }).collect();
    let forecasts = forecast_all(&views, 1, &levels);
    let mut found = BTreeMap::new();
    for ((tenant, days), forecast) in spends.iter().zip(forecasts) {
        let Ok(forecast) = forecast else { continue };
        let band = [0, 1, 2].map(|column| forecast.values[(0, column)]);
        let samples = days.iter().filter(|spend| spend.is_finite()).count();
        let currency = prices.currency().to_string();
        if let Some(finding) = judge(days[DAYS - 1], band, today, samples, &currency, settings) {
            found.insert(tenant.id.clone(), finding);
        }
    }
    found
}

/// Without the days before the first that is known.
fn known_part(days: &[f64]) -> ndarray::Array1<f64> {
    days.iter().copied().skip_while(|spend| !spend.is_finite()).collect()
}

fn judge(
    actual: f64,
    [low, middle, high]: [f64; 3],
    today: Timestamp,
    samples: usize,
    currency: &str,
    settings: &Settings,
) -> Option<Finding> {
    let least = settings.spend_change * middle.abs();
    let (lower, upper) = ((low - least).max(0.0), high + least);
    if (lower..=upper).contains(&actual) {
        return None;
    }
    let edge = if actual > upper { upper - middle } else { middle - lower };
    let (since, last_seen_at) = (today.minus(DAY), Timestamp::from_millis(today.millis() - 1));
    let text = format!(
        "What was used on the day of {since} costs {} {currency}; between {} and {} was expected.",
        number(actual),
        number(lower),
        number(upper)
    );
    Some(Finding {
        since,
        unit: format!("{currency}/day"),
        expected: Some(middle),
        lower: Some(lower),
        upper: Some(upper),
        actual: Some(actual),
        strength: if edge > 0.0 { (actual - middle).abs() / edge } else { 1.0 },
        confidence: BAND[2],
        samples: samples as u64,
        ..Finding::new(FindingKind::CostAnomaly, "spend_forecast", text, last_seen_at)
    })
}

/// What a tenant's usage costs on each of the [`DAYS`] before `today`, in the
/// currency of the prices; `NaN` for a day on which a priced resource was not whole.
fn daily_spend(tenant: &Tenant, frames: &[Arc<Frame>], prices: &Prices, today: Timestamp) -> Vec<f64> {
    let priced = frames.iter().filter_map(|frame| {
        let series = frame.series.get(&tenant.id)?;
        let hour = prices.of(tenant, frame.resource, today).ok()?.per_hour(1.0).ok()?;
        Some((series, hour.amount.to_string().parse::<f64>().ok()?))
    });
    let priced: Vec<(&UsageSeries, f64)> = priced.collect();
    let day = |ago: usize| today.minus(DAY * u32::try_from(ago).unwrap_or(u32::MAX));
    let spend = |day: Timestamp| match priced.is_empty() {
        true => f64::NAN,
        false => priced.iter().map(|(series, price)| day_mean(series, day) * 24.0 * price).sum(),
    };
    (1..=DAYS).rev().map(|ago| spend(day(ago))).collect()
}

fn day_mean(series: &UsageSeries, day: Timestamp) -> f64 {
    let wanted = Step::from_duration(DAY).map_or(0, |whole| whole.millis() / series.step.millis());
    let wanted = usize::try_from(wanted).unwrap_or(0);
    let Some(first) = series.index_of(day) else { return f64::NAN };
    let values: Vec<f64> = series.values.iter().skip(first).take(wanted).copied().collect();
    let known = values.iter().filter(|value| value.is_finite()).count();
    if (known as f64) < WHOLE * wanted as f64 { f64::NAN } else { stats::mean(&values).unwrap_or(f64::NAN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApplyMode, Resource, Tier};

    const BOOK: &str = "currency = \"USD\"\n[[price]]\nprovider = \"aws\"\nregion = \"*\"\n\
        resource = \"cpu_cores\"\non_demand = \"0.5\"\nsource = \"x\"\nlooked_up = \"2026-01-01\"\n";

    fn found(last_day: f64) -> BTreeMap<TenantId, Finding> {
        let start = Timestamp::from_seconds(0);
        let tenant = Tenant {
            id: "acme".parse().unwrap(),
            name: String::new(),
            tier: Tier::Premium,
            provider: "aws".to_owned(),
            region: "eu".to_owned(),
            apply_mode: ApplyMode::Observe,
            cadence: None,
            changes_per_day: None,
            template: None,
            created_at: start,
        };
        let usage = |hour: usize| match hour / 24 {
            27 => last_day,
            day => 2.0 + 0.1 * (day % 7) as f64 + 0.02 * (hour % 5) as f64,
        };
        let series = UsageSeries { start, step: Step::HOUR, values: (0..28 * 24).map(usage).collect() };
        let mut frame = Frame::empty(Resource::CpuCores, Step::HOUR);
        frame.series.insert(tenant.id.clone(), series);
        let prices = Prices::listed(crate::cost::PriceBook::from_toml(BOOK).unwrap());
        let today = start.plus(DAY * 28);
        anomalies(&[tenant], &[Arc::new(frame)], &prices, today, &Settings::default())
    }

    #[test]
    fn a_day_that_costs_twice_as_much_is_said() {
        assert!(found(2.4).is_empty());
        let dear = found(6.0);
        let finding = dear.values().next().unwrap();
        assert_eq!((finding.kind, finding.actual), (FindingKind::CostAnomaly, Some(72.0)));
        assert!(finding.strength > 1.0 && finding.upper < Some(50.0), "{finding:?}");
        assert!(found(0.1).len() == 1, "a fall is one as well");
    }
}
