//! CloudEvents 1.0 as JSON in structured mode.

use serde_json::json;

use super::message::Message;
use crate::domain::Notice;
use crate::ports::DeliveryError;

/// The event; its source is this daemon.
///
/// # Errors
/// Where it can't be written as JSON.
pub fn message(notice: &Notice, source: &str) -> Result<Message, DeliveryError> {
    let event = json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": notice.kind.event_type(),
        "subject": notice.subject,
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": notice,
    });
    Message::json("application/cloudevents+json; charset=utf-8", &event)
}
