//! Runs cycles on a timer, or when woken, until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use super::{CycleReport, Engine, EngineError, Silent};
use crate::telemetry;

/// Runs a cycle at once and then as often as the settings say, until `stop`. The step that
/// runs then is given `grace` to end, and is given up after that: each step may
/// be cut anywhere without harm.
pub async fn drive(engine: Arc<Engine>, grace: Duration, stop: CancellationToken) {
    let mut timer = engine.timer(|settings| settings.every);
    let mut number = 0_u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
            () = engine.wake.notified() => {}
        }
        number += 1;
        let span = tracing::info_span!("cycle", cycle = number, trace_id = Empty);
        let cycle = telemetry::traced(span, None, async {
            let outcome = engine.cycle(&Silent).await;
            say(&outcome);
        });
        tokio::pin!(cycle);
        tokio::select! {
            () = &mut cycle => {}
            () = stop.cancelled() => {
                let step = engine.doing().unwrap_or("nothing");
                tracing::info!(step, "stopping: waiting for the running step");
                if tokio::time::timeout(grace, cycle).await.is_err() {
                    let step = engine.doing().unwrap_or(step);
                    tracing::warn!(step, "stopping: gave up the running step after {grace:?}");
                    return;
                }
            }
        }
    }
}

/// Says how a cycle ended.
fn say(outcome: &Result<CycleReport, EngineError>) {
    match outcome {
        Ok(report) => tracing::info!(
            samples = report.samples,
            forecasts = report.forecasts,
            judged = report.judged,
            proposed = report.proposed,
            applied = report.applied,
            took = ?report.steps.iter().map(|(_, took)| *took).sum::<Duration>(),
            "cycle ended"
        ),
        Err(error) => tracing::error!("failed to {error}"),
    }
}
