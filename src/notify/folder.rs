//! Notices as files of a folder: a report as it is, anything else as JSON. A
//! file appears under its name only once it is whole, and one that is written
//! again takes the place of the one before.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::message::unsendable;
use crate::domain::{Notice, Receiver};
use crate::ports::{DeliveryError, Enclosure};
use crate::series::table;

/// Writes the file.
///
/// # Errors
/// Where the folder can't be made or written to.
pub async fn write(
    receiver: &Receiver,
    notice: &Notice,
    enclosure: Option<&Enclosure>,
) -> Result<(), DeliveryError> {
    let folder = PathBuf::from(receiver.url.expose_secret());
    let (name, bytes) = match enclosure {
        Some(file) => (file.name.clone(), file.bytes.clone()),
        None => {
            let bytes = serde_json::to_vec_pretty(notice).map_err(|error| unsendable(error.to_string()))?;
            (format!("{}-{}.json", notice.kind, notice.id), bytes)
        }
    };
    let written = tokio::task::spawn_blocking(move || put(&folder, &name, &bytes)).await;
    written.unwrap_or_else(|error| Err(error.to_string())).map_err(unsendable)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} can't be made: {error}", folder.display()))?;
    table::write_bytes(&folder.join(name), bytes).map_err(|error| format!("can't {error}"))
}
