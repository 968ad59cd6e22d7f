//! Where usage is kept for long.

use crate::domain::{Resource, Step, Timestamp};
use crate::series::Frame;

/// Where usage is kept for long: apart from the state, in files that other
/// tools can read.
pub trait History: Send + Sync {
    /// Adds samples durably. The same samples may be added twice.
    fn append(&self, frame: &Frame) -> Result<(), HistoryError>;

    /// The samples of a resource from `since` on; an empty frame if there are
    /// none.
    fn load(&self, resource: Resource, step: Step, since: Timestamp) -> Result<Frame, HistoryError>;

    /// Leaves only the mean and the peak of each hour of days that lie before
    /// `full_since`, and removes what lies wholly before `since`. It may take
    /// several calls. What was thinned out is no longer loaded.
    fn retain(&self, full_since: Timestamp, since: Timestamp) -> Result<(), HistoryError>;

    /// Whether anything at all is kept of a resource: of whatever age, as single
    /// samples or by the hour, whole or damaged.
    fn holds(&self, resource: Resource) -> Result<bool, HistoryError>;

    /// What of it can't be read and is left out, in words that fit after "the
    /// history fails:", as far as somebody tried; `None` where all could be read.
    fn damage(&self) -> Option<String> {
        None
    }
}

/// A failure of the history; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// The disk, or a file on it.
    #[error("use the history file {path}: {message}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
}
