//! The switch that stops all changes of quotas at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, Timestamp};

/// Nothing is applied, by nobody, until somebody resumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// Who stopped it.
    pub by: Actor,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}
