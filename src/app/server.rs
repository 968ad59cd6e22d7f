//! Serves the API and the pages on one listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiSettings, ApiState};
use crate::engine::{Deliverer, Engine};
use crate::ports::Keeper;
use crate::web;

/// Serves until `stop`; requests that run then are given `grace` to end.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    deliverer: Arc<Deliverer>,
    settings: ApiSettings,
    keeper: Option<Arc<dyn Keeper>>,
    grace: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let state = ApiState::new(engine, deliverer, settings).over(keeper).until(stop.clone());
    let routes = api::router(state).merge(web::router());
    let asked = stop.clone();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(async move { asked.cancelled().await });
    tokio::select! {
        served = async { server.await } => served.context("failed to serve the API"),
        () = async { stop.cancelled().await; tokio::time::sleep(grace).await } => {
            tracing::warn!("stopping: gave up open connections after {grace:?}");
            Ok(())
        }
    }
}
