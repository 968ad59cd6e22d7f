//! Anomalies of one tenant that belong together: opened once, resolved once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Resource, TenantId, Timestamp};

/// A time in which a tenant's usage is not what its past would suggest. While
/// it is open, nothing is applied to the tenant automatically.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Whose usage.
    pub tenant: TenantId,
    /// Which resources are, or were, out of their band.
    pub resources: Vec<Resource>,
    /// The first anomalous sample.
    pub opened_at: Timestamp,
    /// The last anomalous sample so far.
    pub last_seen_at: Timestamp,
    /// The highest score so far, 0 to 1.
    pub peak_score: f64,
    /// When it ended; `None` while it is open.
    pub resolved_at: Option<Timestamp>,
}
