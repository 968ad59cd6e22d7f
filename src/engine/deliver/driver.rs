//! Runs deliveries side by side until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use super::{Deliverer, UnderWay};
use crate::domain::ReceiverName;
use crate::ports::StoreError;
use crate::registry::RegistryError;
use crate::telemetry;

/// What a delivery was, and how it ended.
type Ended = ((ReceiverName, String), Result<(), RegistryError>);

/// Delivers until `stop`. Deliveries that run then are given `grace` to end;
/// one that is cut off is made again at the next start.
pub async fn drive_deliveries(deliverer: Arc<Deliverer>, grace: Duration, stop: CancellationToken) {
    let mut timer = deliverer.timer();
    let mut running: JoinSet<Ended> = JoinSet::new();
    let mut under_way = UnderWay::new();
    let renewing = tokio::spawn(renew_until(Arc::clone(&deliverer), stop.clone()));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = timer.tick() => {}
            () = deliverer.wake.notified() => {}
            Some(ended) = running.join_next() => note(ended, &mut under_way),
        }
        match deliverer.due(&under_way).await {
            Ok(due) => {
                for one in due {
                    let place = (one.receiver.name.clone(), one.delivery.notice.subject.clone());
                    under_way.insert(place.clone());
                    let deliverer = Arc::clone(&deliverer);
                    let notice = &one.delivery.notice;
                    let span = tracing::info_span!(
                        "deliver",
                        receiver = %one.receiver.name,
                        notice = %notice.id,
                        subject = notice.subject,
                        trace_id = Empty
                    );
                    let parent = notice.trace.as_deref().and_then(|trace| trace.parse().ok());
                    let attempt = async move { (place, deliverer.attempt(one).await) };
                    running.spawn(telemetry::traced(span, parent, attempt));
                }
            }
            Err(error) => tracing::error!("failed to {error}"),
        }
    }
    renewing.abort();
    let rest = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, rest).await.is_err() {
        tracing::warn!("stopping: gave up deliveries after {grace:?}; they are made again at the next start");
    }
}

/// Beside the deliveries, so that an Alertmanager that hangs delays nobody.
async fn renew_until(deliverer: Arc<Deliverer>, stop: CancellationToken) {
    let mut timer = deliverer.timer();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
        }
        if let Err(error) = deliverer.renew().await {
            tracing::error!("failed to {error}");
        }
    }
}

fn note(ended: Result<Ended, tokio::task::JoinError>, under_way: &mut UnderWay) {
    match ended {
        Ok((place, outcome)) => {
            under_way.remove(&place);
            match outcome {
                // The receiver was removed meanwhile.
                Ok(()) | Err(RegistryError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => tracing::error!("failed to {error}"),
            }
        }
        Err(error) => {
            // Nobody knows whose it was; what runs on meets its version.
            under_way.clear();
            tracing::error!("failed to deliver: {error}");
        }
    }
}
