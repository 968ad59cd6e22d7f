//! Runs cycles on a timer, or when woken, until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Engine, Silent};

/// Runs a cycle at once and then every `every`, until `stop`. The step that
/// runs then is given `grace` to end, and is given up after that: each step may
/// be cut anywhere without harm.
pub async fn drive(engine: Arc<Engine>, every: Duration, grace: Duration, stop: CancellationToken) {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
            () = engine.wake.notified() => {}
        }
        let cycle = engine.cycle(&Silent);
        tokio::pin!(cycle);
        let outcome = tokio::select! {
            outcome = &mut cycle => outcome,
            () = stop.cancelled() => {
                let step = engine.doing().unwrap_or("nothing");
                tracing::info!(step, "stopping: waiting for the running step");
                match tokio::time::timeout(grace, cycle).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        let step = engine.doing().unwrap_or(step);
                        tracing::warn!(step, "stopping: gave up the running step after {grace:?}");
                        return;
                    }
                }
            }
        };
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
}
