//! Notices as e-mail: the title as subject, the text as text, and a report as a
//! file that hangs on it. The letter's id is the notice's, so that one that was
//! sent twice is known by it.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use super::NotifierSettings;
use super::message::{page, unsendable};
use crate::domain::{Notice, NoticeKind, Receiver};
use crate::ports::{DeliveryError, Enclosure};
use crate::telemetry::causes;

/// The host of the letters' ids.
const ID_HOST: &str = "plimsoll";

/// Hands a letter to the mail server. It counts as taken once the server has
/// said so for all of its addresses.
///
/// # Errors
/// Where the server can't be reached, or refuses.
pub async fn send(
    receiver: &Receiver,
    notice: &Notice,
    enclosure: Option<&Enclosure>,
    settings: &NotifierSettings,
) -> Result<(), DeliveryError> {
    let time_limit = settings.time_limit;
    let letter = letter(receiver, notice, enclosure, &settings.external_url)?;
    // What lettre says of a URL could repeat the password in it.
    let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(receiver.url.expose_secret())
        .map_err(|_| unsendable("the URL of the mail server can't be used".to_owned()))?;
    let server = server.timeout(Some(time_limit)).build();
    match tokio::time::timeout(time_limit, server.send(letter)).await {
        Ok(sent) => sent.map(|_| ()).map_err(|error| unsendable(causes(&error))),
        Err(_) => Err(unsendable("the mail server did not answer within notify.time_limit".to_owned())),
    }
}

fn letter(
    receiver: &Receiver,
    notice: &Notice,
    enclosure: Option<&Enclosure>,
    external_url: &str,
) -> Result<Message, DeliveryError> {
    let head = receiver.letterhead.as_ref();
    let head = head.ok_or_else(|| unsendable("the receiver has no addresses".to_owned()))?;
    let mailbox = |text: &str| {
        let read = text.parse::<Mailbox>();
        read.map_err(|error| unsendable(format!("{text:?} is no address: {error}")))
    };
    let mut builder = Message::builder()
        .from(mailbox(&head.from)?)
        .subject(subject(notice))
        .message_id(Some(format!("<{}@{ID_HOST}>", notice.id)))
        .date(std::time::UNIX_EPOCH + Duration::from_millis(notice.at.millis().max(0).unsigned_abs()));
    for address in &head.to {
        builder = builder.to(mailbox(address)?);
    }
    let text = SinglePart::plain(format!("{}\n\n{}\n", notice.text, page(notice, external_url)));
    let written = match enclosure {
        None => builder.singlepart(text),
        Some(file) => {
            let kind = ContentType::parse(file.media_type).map_err(|error| unsendable(error.to_string()))?;
            let file = Attachment::new(file.name.clone()).body(file.bytes.clone(), kind);
            builder.multipart(MultiPart::mixed().singlepart(text).singlepart(file))
        }
    };
    written.map_err(|error| unsendable(error.to_string()))
}

fn subject(notice: &Notice) -> String {
    let title = notice.title.split_whitespace().collect::<Vec<_>>().join(" ");
    match notice.kind {
        NoticeKind::Report | NoticeKind::Test | NoticeKind::AuditCheckpoint => title,
        NoticeKind::IncidentResolved => format!("[resolved] {title}"),
        _ => format!("[{}] {title}", notice.severity),
    }
}
