//! Signals. The first one asks the daemon to stop, the second one stops it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a process that a second signal stopped answers: 128 + SIGTERM.
const STOPPED_AT_ONCE: i32 = 143;

/// A token that the first SIGTERM or Ctrl-C cancels.
pub fn on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => {
            tokio::spawn(watch(terminate, interrupt, asked));
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!("failed to listen for signals: {error}; only kill -9 will stop this process");
        }
    }
    stop
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    let name = either(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "stopping; a second signal stops at once");
    stop.cancel();
    let name = either(&mut terminate, &mut interrupt).await;
    tracing::warn!(signal = name, "stopped at once");
    std::process::exit(STOPPED_AT_ONCE);
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
