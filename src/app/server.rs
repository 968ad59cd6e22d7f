//! Serves the API and the pages on one listener.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections::Door;
use crate::api::{self, ApiState};
use crate::config::ConnectionLimits;
use crate::telemetry::Metrics;
use crate::web;

/// Serves until `stop`; requests that run then are given `grace` to end.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    limits: ConnectionLimits,
    metrics: Arc<Metrics>,
    grace: Duration,
    stop: CancellationToken,
) {
    let routes = api::router(state).merge(web::router());
    Door::new(routes, limits, metrics).serve(listener, grace, stop).await;
}
