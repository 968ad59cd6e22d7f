//! What tenants have used of the amounts that are granted to them for a day or a
//! month. The source counts, so nothing of it is kept but the last answer: after
//! a restart the source is asked again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::cost::month_of;
use crate::domain::template::{AiConfig, Resolved};
use crate::domain::{
    Finding, FindingKind, Meter, MeterState, Severity, Tenant, TenantId, TimeRange, Timestamp,
};
use crate::ports::Asked;

const DAY: Duration = Duration::from_secs(86_400);
/// A counter's increase over less is nothing that a source could tell.
const LEAST_WINDOW: Duration = Duration::from_secs(60);

/// What the source said of a meter.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// The period that it is of.
    period: TimeRange,
    at: Timestamp,
    used: Arc<BTreeMap<TenantId, f64>>,
}

/// Asks how much was used, again and again, until `stop`.
pub async fn drive_metering(engine: Arc<Engine>, stop: CancellationToken) {
    let mut timer = engine.timer(|settings| settings.metering_every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
        }
        if engine.meters().is_empty() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.ask_meters() => {}
        }
    }
}

impl Engine {
    /// What the source can count.
    pub fn meters(&self) -> Vec<Meter> {
        self.source().meters()
    }

    /// How each meter of a tenant stands that the source can count.
    pub fn meter_states(&self, tenant: &Tenant) -> Vec<MeterState> {
        let now = self.now();
        let known = self.workspace.metered.read();
        let state = |meter: Meter| {
            let period = period_of(meter, now);
            let heard = known.get(&meter).filter(|heard| heard.period == period);
            let used = heard.map(|heard| (heard.used.get(&tenant.id).copied().unwrap_or_default(), heard.at));
            MeterState::new(meter, granted(tenant, meter), period, used)
        };
        self.meters().into_iter().map(state).collect()
    }

    /// Asks the source for all meters.
    pub(super) async fn ask_meters(&self) {
        for meter in self.meters() {
            let now = self.now();
            let period = period_of(meter, now);
            let window = now.since(period.start);
            if window < LEAST_WINDOW {
                continue;
            }
            match self.source().metered(meter, window, now).await {
                Ok(measured) => {
                    self.tell_of_refused(Asked::Metered(meter), measured.refused);
                    let heard = Heard { period, at: now, used: Arc::new(measured.by_tenant) };
                    self.workspace.metered.write().insert(meter, heard);
                }
                Err(error) => {
                    tracing::warn!("failed to {error}; how much of it was used is as it was heard last");
                }
            }
        }
    }

    /// Whether there is a meter of which nothing was heard yet.
    pub(super) fn has_unheard_meter(&self) -> bool {
        let known = self.workspace.metered.read();
        self.meters().iter().any(|meter| !known.contains_key(meter))
    }

    /// The tenants that have used all up.
    pub(super) fn used_up(&self, tenants: &[Tenant]) -> BTreeMap<TenantId, Finding> {
        let one = |tenant: &Tenant| {
            let over: Vec<MeterState> =
                self.meter_states(tenant).into_iter().filter(MeterState::is_overrun).collect();
            Some((tenant.id.clone(), finding(&over, self.now())?))
        };
        tenants.iter().filter_map(one).collect()
    }
}

/// The day or the month that an instant lies in, in UTC.
fn period_of(meter: Meter, now: Timestamp) -> TimeRange {
    match meter {
        Meter::InferenceRequests => {
            let start = now.to_utc().map_or(now, |time| Timestamp::midnight(time.date_naive()));
            TimeRange { start, end: start.plus(DAY) }
        }
        Meter::TrainingHours => month_of(now),
    }
}

/// What a tenant's template grants it, or its tier.
fn granted(tenant: &Tenant, meter: Meter) -> f64 {
    let of_template = tenant.template.as_ref();
    let of_tier = || Resolved::of_tier(tenant.tier).settings.ai_config.unwrap_or_default();
    let of = |ai: AiConfig| match meter {
        Meter::InferenceRequests => ai.inference_requests_per_day.map(|requests| requests as f64),
        Meter::TrainingHours => ai.model_training_quota_hours,
    };
    let own = of_template.and_then(|template| match meter {
        Meter::InferenceRequests => template.inference_requests_per_day.map(|requests| requests as f64),
        Meter::TrainingHours => template.model_training_quota_hours,
    });
    own.or_else(|| of(of_tier())).unwrap_or_default()
}

/// A tenant has one finding of a kind; the meter that is over furthest gives the
/// figures.
fn finding(over: &[MeterState], now: Timestamp) -> Option<Finding> {
    let share = |state: &MeterState| state.used.unwrap_or_default() / state.limit.max(1.0);
    let worst = over.iter().max_by(|one, other| share(one).total_cmp(&share(other)))?;
    let text = |state: &MeterState| {
        let (what, period) = state.meter.words();
        let used = state.used.unwrap_or_default();
        format!(
            "All {what} of the {period} are used up: {used:.0} of {:.0}, until {} ({}).",
            state.limit,
            state.until,
            state.meter.setting()
        )
    };
    let texts: Vec<String> = over.iter().map(text).collect();
    Some(Finding {
        severity: Severity::Warning,
        unit: worst.meter.words().0.to_owned(),
        expected: Some(worst.limit),
        upper: Some(worst.limit),
        actual: worst.used,
        strength: share(worst).max(1.0),
        ..Finding::new(FindingKind::MeterUsedUp, "metering", texts.join(" "), now)
    })
}

#[cfg(test)]
mod tests;
