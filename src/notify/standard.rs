//! Standard Webhooks 1.0: type, timestamp and data, signed with one secret or,
//! while it is rotated, with two.

use serde_json::json;

use super::message::{Message, unsendable};
use crate::domain::{Notice, Receiver, Timestamp};
use crate::ports::DeliveryError;
use crate::security::SigningSecret;

/// The signed message. The id stays the same on every attempt; the timestamp
/// is that of the attempt, so that receivers can refuse replays.
///
/// # Errors
/// Where there is no secret, or none that can be used.
pub fn message(receiver: &Receiver, notice: &Notice, now: Timestamp) -> Result<Message, DeliveryError> {
    let body = json!({"type": notice.kind.event_type(), "timestamp": notice.at, "data": notice});
    let mut message = Message::json("application/json", &body)?;
    let (id, seconds) = (notice.id.to_string(), now.seconds());
    let mut signatures = Vec::new();
    for secret in receiver.secret.iter().chain(&receiver.old_secret) {
        let secret = SigningSecret::parse(secret).map_err(|error| unsendable(format!("can't {error}")))?;
        signatures.push(secret.sign(&id, seconds, &message.body));
    }
    if signatures.is_empty() {
        return Err(unsendable("the receiver has no signing secret".to_owned()));
    }
    message.headers = vec![
        ("webhook-id", id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    Ok(message)
}
