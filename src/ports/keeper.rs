//! All that is kept, as one: copied and looked through while it is in use.

use std::io;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoreError;

/// A place in what is kept, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreFinding {
    /// The file, or the key and its table.
    pub place: String,
    /// What is wrong, or what was done about it.
    pub message: String,
}

/// What a look at all that is kept gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreCheck {
    /// Values of the state that were read.
    pub values: u64,
    /// Files that were read: of values that lie in files, and of the history.
    pub files: u64,
    /// What is not as it was written; empty where all is well.
    pub findings: Vec<StoreFinding>,
}

/// All that is kept, state and history, while it is in use. Both block for
/// long: call them off the async threads.
pub trait Keeper: Send + Sync {
    /// Writes all of it, as it is at one moment, as one archive. Others write
    /// on meanwhile. What can't be read is left out and found.
    fn back_up(&self, out: &mut dyn io::Write) -> Result<StoreCheck, StoreError>;

    /// Reads all of it, and holds it against what guards it.
    fn check(&self) -> Result<StoreCheck, StoreError>;
}
