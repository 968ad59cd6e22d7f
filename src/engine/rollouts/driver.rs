//! Lets rollouts go on, again and again, until told to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Engine;

/// Looks after the rollouts until `stop`. It may be cut anywhere without harm.
pub async fn drive_rollouts(engine: Arc<Engine>, stop: CancellationToken) {
    let mut timer = engine.timer(|settings| settings.rollouts.check_every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = timer.tick() => {}
        }
        if let Err(error) = engine.advance_rollouts().await {
            tracing::error!("failed to {error}");
        }
    }
}
