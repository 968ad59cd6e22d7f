//! Makes the reports that are due, until told to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use super::super::{Deliverer, Engine};
use super::{ReportFailure, ReportSettings};
use crate::ports::StoreError;
use crate::registry::RegistryError;
use crate::telemetry;

/// Looks every so often whether a report is due, and makes it. After a start it
/// waits for the first cycle, since a report without usage would say nothing.
pub async fn drive_reports(engine: Arc<Engine>, deliverer: Arc<Deliverer>, stop: CancellationToken) {
    let mut timer = engine.timer(|settings| settings.reports.check_every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
        }
        let settings = engine.settings();
        if settings.reports.schedules.is_empty() || engine.workspace().last_cycle_at().is_none() {
            continue;
        }
        let span = tracing::info_span!("reports", trace_id = Empty);
        tokio::select! {
            // What is cut off here was not kept, and is made at the next start.
            () = stop.cancelled() => return,
            () = telemetry::traced(span, None, look(&engine, &deliverer, &settings.reports)) => {}
        }
    }
}

async fn look(engine: &Engine, deliverer: &Deliverer, settings: &ReportSettings) {
    let mut made = false;
    for schedule in &settings.schedules {
        match engine.make_due(schedule, settings).await {
            Ok(due) => made |= due.is_some(),
            // Somebody else made it.
            Err(ReportFailure::Registry(RegistryError::Store(StoreError::Conflict { .. }))) => {}
            Err(error) => tracing::error!(schedule = schedule.name, "failed to {error}"),
        }
    }
    if made {
        deliverer.wake();
        if let Err(error) = engine.forget_reports(settings.keep).await {
            tracing::error!("failed to {error}");
        }
    }
}
