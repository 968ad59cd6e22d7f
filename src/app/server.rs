//! Serves the API and the pages on one listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use futures::TryFutureExt;
use hyper::Request;
use hyper::body::Incoming;
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

    /// The answer to a request.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let (now, wants_page) = (self.0.read().clone(), web::wants_page(&request));
        now.oneshot(request)
            .map_ok(move |response| if wants_page { web::or_page(response) } else { response })
    }
}

fn routes(state: ApiState) -> Router {
    api::router(state).merge(web::router())
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
    Door::new(routes, limits, metrics).serve(listener, grace, stop).await;
}
