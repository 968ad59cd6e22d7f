//! The text that Slack's incoming webhooks take, and those of Mattermost and
//! Rocket.Chat with them.

use serde_json::json;

use super::message::{Message, page};
use crate::domain::{Notice, NoticeKind};
use crate::ports::DeliveryError;

/// One text, with the title in bold and a link to the dashboard.
///
/// # Errors
/// Where it can't be written as JSON.
pub fn message(notice: &Notice, external_url: &str) -> Result<Message, DeliveryError> {
    let state = match notice.kind {
        NoticeKind::IncidentResolved => "resolved".to_owned(),
        _ => notice.severity.to_string(),
    };
    let tenant = notice.tenant.as_ref().map(|tenant| format!("\nTenant: {tenant}")).unwrap_or_default();
    let (title, text) = (escaped(&notice.title), escaped(&notice.text));
    let page = page(notice, external_url);
    let text = format!("*[{state}] {title}*\n{text}{tenant}\nSince: {}\n{page}", notice.since);
    Message::json("application/json", &json!({"text": text}))
}

/// Slack reads these three as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
