//! Why somebody does something: asked for wherever the answer stands in the
//! audit log for others to read.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, for everybody who looks at it later; it stands in the audit log. `comment` is taken as well.
    #[schema(min_length = 1)]
    #[serde(alias = "comment")]
    reason: String,
}

/// Why something is removed, which takes no body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyRemoved {
    /// Why; it stands in the audit log.
    pub reason: Option<String>,
}

impl Reason {
    /// The reason.
    ///
    /// # Errors
    /// 422 where there is none.
    pub fn given(self) -> Result<String, Problem> {
        match self.reason.trim().is_empty() {
            true => Err(Problem::unprocessable("say why in reason; it stands in the audit log")),
            false => Ok(self.reason),
        }
    }
}
