//! What is posted: a body with its type and headers.

use serde_json::Value;

use crate::domain::{Notice, NoticeKind};
use crate::ports::DeliveryError;

/// A body with its type and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The type of the body.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A JSON body.
    ///
    /// # Errors
    /// Where it can't be written as JSON.
    pub fn json(content_type: &'static str, body: &Value) -> Result<Self, DeliveryError> {
        let body = serde_json::to_vec(body).map_err(|error| unsendable(error.to_string()))?;
        Ok(Message { content_type, headers: Vec::new(), body })
    }
}

/// Where people see what a notice is about: a page of the dashboard, or the
/// report itself.
pub fn page(notice: &Notice, external_url: &str) -> String {
    let path = match notice.kind {
        NoticeKind::IncidentOpened | NoticeKind::IncidentWorsened | NoticeKind::IncidentResolved => {
            format!("/incidents/{}", notice.subject)
        }
        NoticeKind::IncidentsSummarised => {
            let tenant = notice.tenant.as_ref();
            tenant.map_or("/incidents".to_owned(), |tenant| format!("/incidents?tenant={tenant}"))
        }
        NoticeKind::AuditCheckpoint => "/audit".to_owned(),
        NoticeKind::Report => notice.report().map(|report| report.path).unwrap_or_default(),
        NoticeKind::Test => "/".to_owned(),
    };
    format!("{}{path}", external_url.trim_end_matches('/'))
}

/// A message that could not be made.
pub fn unsendable(message: String) -> DeliveryError {
    DeliveryError::Failed { message, retry_after: None }
}
