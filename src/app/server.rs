//! Serves the API and the pages on one listener.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::response::Response;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connections::Door;
use crate::api::{self, ApiState};
use crate::config::ConnectionLimits;
use crate::telemetry::Metrics;
use crate::web;

/// The routes of the API and the pages, which may be replaced while they are
/// served: a request is answered by those that stood when it came.
#[derive(Clone)]
pub struct Routes(Arc<RwLock<Router>>);

impl Routes {
    /// Over a state of the API.
    pub fn over(state: ApiState) -> Self {
        Routes(Arc::new(RwLock::new(routes(state))))
    }

    /// Answers by another state from now on.
    pub fn serve_instead(&self, state: ApiState) {
        *self.0.write() = routes(state);
    }
}

fn routes(state: ApiState) -> Router {
    api::router(state).merge(web::router()).layer(from_fn(web::or_page))
}

async fn answer(State(routes): State<Routes>, request: Request) -> Response {
    let now = routes.0.read().clone();
    match now.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Serves until `stop`; requests that run then are given `grace` to end.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    limits: ConnectionLimits,
    metrics: Arc<Metrics>,
    grace: Duration,
    stop: CancellationToken,
) {
    let all = Router::new().fallback(answer).with_state(routes);
    Door::new(all, limits, metrics).serve(listener, grace, stop).await;
}
