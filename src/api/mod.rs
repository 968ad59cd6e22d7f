//! The HTTP API under `/v1`, and what operators ask under `/-/`.
//!
//! The API adds no rule of its own: it reads requests, calls the engine and
//! the registry, and writes answers. Errors are problem documents (RFC 9457).
//! Routes and the OpenAPI document are made from the same lines, so that they
//! can't differ.

mod access;
mod allocation;
mod analysis;
mod audit;
mod auth;
mod batch;
mod change_requests;
mod costs;
mod document;
mod drift;
mod etag;
mod extract;
mod fleet;
mod guard;
mod idempotency;
mod incidents;
mod metering;
mod models;
mod observe;
mod operations;
mod page;
mod pause;
mod problem;
mod quiet;
mod quotas;
mod reason;
mod receivers;
mod recommendations;
mod reports;
mod rollouts;
mod sessions;
mod settings;
mod sla;
mod store;
mod summary;
mod template_files;
mod templates;
mod tenant_metrics;
mod tenants;
mod tokens;

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::AccessSettings;
use problem::Problem;
pub use sessions::SessionSettings;

use crate::engine::{Deliverer, Engine, ReportSettings};
use crate::ports::{Keeper, Reloads};
use crate::registry::TemplateLimits;

/// How the API is set.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The largest body that is read, in bytes.
    pub max_body: usize,
    /// How long an answer may take.
    pub request_time_out: Duration,
    /// The most entries of a page.
    pub max_page: usize,
    /// The entries of a page where the caller asks for no number.
    pub default_page: usize,
    /// The most points of a usage answer.
    pub max_points: usize,
    /// How many callers may wait for a change of quotas at once.
    pub max_waiting: usize,
    /// How long one may wait.
    pub longest_wait: Duration,
    /// How long a deploy marker lasts where nobody says.
    pub deploy_quiet: Duration,
    /// The longest silence or marker.
    pub longest_quiet: Duration,
    /// How callers are held.
    pub access: AccessSettings,
    /// How many templates there may be.
    pub templates: TemplateLimits,
    /// How reports are made.
    pub reports: ReportSettings,
    /// Whether the usage is made up, which callers are told.
    pub simulated: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        ApiSettings {
            max_body: 1 << 20,
            request_time_out: Duration::from_secs(30),
            max_page: 500,
            default_page: 100,
            max_points: 11_000,
            max_waiting: 1000,
            longest_wait: Duration::from_secs(20),
            deploy_quiet: Duration::from_secs(1800),
            longest_quiet: Duration::from_secs(30 * 86_400),
            access: AccessSettings::default(),
            templates: TemplateLimits::default(),
            reports: ReportSettings::default(),
            simulated: false,
        }
    }
}

/// What every handler can reach: one pointer, since each request hands it on many
/// times.
#[derive(Clone)]
pub struct ApiState(Arc<Held>);

/// What the state holds.
#[derive(Clone)]
pub struct Held {
    engine: Arc<Engine>,
    deliverer: Arc<Deliverer>,
    settings: Arc<ApiSettings>,
    gate: Arc<auth::Gate>,
    fleet: Arc<fleet::Snapshot>,
    /// A place for each caller that may wait.
    waiting: Arc<Semaphore>,
    stop: CancellationToken,
    keeper: Option<Arc<dyn Keeper>>,
    /// How the config is read again; `None` where the daemon has none.
    reloads: Option<Reloads>,
    /// Where all but polls are answered; `None` where they come in.
    aside: Option<Handle>,
}

impl ApiState {
    /// The state over an engine and what delivers its notices.
    pub fn new(engine: Arc<Engine>, deliverer: Arc<Deliverer>, settings: ApiSettings) -> Self {
        let gate = Arc::new(auth::Gate::new(&settings.access));
        let waiting = Arc::new(Semaphore::new(settings.max_waiting));
        let (settings, fleet, stop) = (Arc::new(settings), Arc::default(), CancellationToken::new());
        let (keeper, reloads, aside) = (None, None, None);
        let held = Held { engine, deliverer, settings, gate, fleet, waiting, stop, keeper, reloads, aside };
        ApiState(Arc::new(held))
    }

    fn changed(mut self, change: impl FnOnce(&mut Held)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same over what is kept on disk.
    #[must_use]
    pub fn over(self, keeper: Option<Arc<dyn Keeper>>) -> Self {
        self.changed(|held| held.keeper = keeper)
    }

    /// The same, where callers can have the config read again.
    #[must_use]
    pub fn reloading(self, reloads: Reloads) -> Self {
        self.changed(|held| held.reloads = Some(reloads))
    }

    /// The same, where what may take its time is answered on other threads than
    /// those on which requests come in.
    #[must_use]
    pub fn aside(self, threads: Handle) -> Self {
        self.changed(|held| held.aside = Some(threads))
    }

    /// The same with other settings; whoever is logged in stays so.
    #[must_use]
    pub fn with(&self, settings: ApiSettings) -> Self {
        self.clone().changed(|held| {
            held.gate = Arc::new(held.gate.with(&settings.access));
            held.waiting = Arc::new(Semaphore::new(settings.max_waiting));
            held.settings = Arc::new(settings);
        })
    }

    /// The same, where nobody waits any longer once `stop` is cancelled.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        self.changed(|held| held.stop = stop)
    }
}

impl Deref for ApiState {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

#[derive(OpenApi)]
#[openapi(
    // What stands in queries only is not found by itself.
    components(schemas(
        crate::domain::ReportFormat,
        crate::domain::Language,
        crate::cost::ExportFormat,
        fleet::FleetOnly,
        fleet::FleetSort
    )),
    info(
        title = "Plimsoll",
        description = "How much each tenant needs: recommendations with their evidence, quotas, and the audit log."
    ),
    tags(
        (name = "tenants", description = "The platform's customers"),
        (name = "templates", description = "Named, versioned settings that tenants are made from"),
        (name = "quotas", description = "What each tenant may use"),
        (name = "recommendations", description = "What each quota should be, and why"),
        (name = "reports", description = "The fleet and each tenant as a file that people read"),
        (name = "costs", description = "What quotas cost, and what changing them has saved"),
        (name = "analysis", description = "Usage, forecasts, anomalies and incidents"),
        (name = "incidents", description = "What goes wrong with tenants, and when nobody is to be told"),
        (name = "receivers", description = "Who is told of incidents, and what they did not take"),
        (name = "tokens", description = "Who may call"),
        (name = "audit", description = "Who changed what, when and why"),
        (name = "rollouts", description = "Many changes as one: in stages, watched, and taken back"),
        (name = "operations", description = "Health and metrics of the daemon itself"),
    )
)]
struct Document;

/// All routes: the guarded ones need a bearer token, the open ones don't.
pub fn router(state: ApiState) -> Router {
    let (guarded, mut document) = guarded_routes().split_for_parts();
    let (open, open_document) = open_routes().split_for_parts();
    document.merge(open_document);
    if let Some(components) = &mut document.components {
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
    access::describe(&mut document);
    document::join_parts(&mut document);
    // Once for all who ask: it takes some milliseconds.
    let document = serde_json::to_vec(&document).map(Bytes::from).map_err(|error| Problem::internal(&error));
    let as_json = [(CONTENT_TYPE, "application/json")];
    let guarded = guarded
        .route(
            "/openapi.json",
            axum::routing::get(move || async move { document.map(|text| (as_json, text)) }),
        )
        .layer(from_fn_with_state(state.clone(), guard::guard));
    let around = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(DefaultBodyLimit::max(state.settings.max_body));
    guarded
        .merge(open)
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(around)
        .with_state(state)
}

fn guarded_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::get, tenants::change, tenants::remove))
        .routes(routes!(tenants::tier_fit))
        .routes(routes!(settings::get))
        .routes(routes!(sla::get))
        .routes(routes!(metering::get))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::get, templates::put, templates::remove))
        .routes(routes!(templates::clone))
        .routes(routes!(templates::versions))
        .routes(routes!(templates::version))
        .routes(routes!(templates::diff))
        .routes(routes!(template_files::export))
        .routes(routes!(template_files::import))
        .routes(routes!(quotas::list))
        .routes(routes!(quotas::get, quotas::put))
        .routes(routes!(quotas::roll_back))
        .routes(routes!(change_requests::list))
        .routes(routes!(change_requests::get))
        .routes(routes!(change_requests::approve))
        .routes(routes!(change_requests::reject))
        .routes(routes!(rollouts::list, rollouts::create))
        .routes(routes!(rollouts::get))
        .routes(routes!(rollouts::approve))
        .routes(routes!(rollouts::pause))
        .routes(routes!(rollouts::resume))
        .routes(routes!(rollouts::switch))
        .routes(routes!(rollouts::finish))
        .routes(routes!(rollouts::roll_back))
        .routes(routes!(drift::list))
        .routes(routes!(pause::get, pause::put, pause::remove))
        .routes(routes!(recommendations::list))
        .routes(routes!(recommendations::get))
        .routes(routes!(batch::approve))
        .routes(routes!(recommendations::approve))
        .routes(routes!(recommendations::reject))
        .routes(routes!(analysis::assessments))
        .routes(routes!(incidents::of_tenant))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::get))
        .routes(routes!(incidents::acknowledge))
        .routes(routes!(incidents::feedback))
        .routes(routes!(quiet::silences, quiet::silence))
        .routes(routes!(quiet::lift))
        .routes(routes!(quiet::markers, quiet::mark))
        .routes(routes!(quiet::unmark))
        .routes(routes!(analysis::forecast))
        .routes(routes!(analysis::anomalies))
        .routes(routes!(analysis::usage))
        .routes(routes!(models::list))
        .routes(routes!(models::roll_back))
        .routes(routes!(costs::fleet))
        .routes(routes!(costs::tenants))
        .routes(routes!(costs::savings))
        .routes(routes!(costs::plan))
        .routes(routes!(costs::focus))
        .routes(routes!(allocation::allocation))
        .routes(routes!(reports::list))
        .routes(routes!(reports::fleet))
        .routes(routes!(reports::of_tenant))
        .routes(routes!(reports::get))
        .routes(routes!(receivers::list))
        .routes(routes!(receivers::get, receivers::put, receivers::remove))
        .routes(routes!(receivers::enable))
        .routes(routes!(receivers::test))
        .routes(routes!(receivers::dead_letters))
        .routes(routes!(receivers::send_again))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::reset_second_factor))
        .routes(routes!(sessions::begin, sessions::end))
        .routes(routes!(tokens::own))
        .routes(routes!(tokens::begin_second_factor))
        .routes(routes!(tokens::confirm_second_factor))
        .routes(routes!(audit::list))
        .routes(routes!(audit::checkpoints))
        .routes(routes!(store::back_up))
        .routes(routes!(store::check))
        .routes(routes!(summary::get))
        .routes(routes!(fleet::list))
        .routes(routes!(fleet::one))
        .routes(routes!(operations::metrics))
        .routes(routes!(operations::reload))
        .routes(routes!(tenant_metrics::tenant_metrics))
}

fn open_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(operations::healthy)).routes(routes!(operations::ready))
}
