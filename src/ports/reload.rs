//! How a part of the daemon asks for its config to be read again. Whoever reads
//! it does that for one caller after the other.

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

/// What came of reading the config again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// The keys that count now as they are written now.
    pub taken: Vec<String>,
    /// The keys that were changed and count from the next start on.
    pub needs_restart: Vec<String>,
}

/// A config that was not taken, with all that is wrong with it; reads well
/// after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("take the config again, nothing is changed: {}", problems.join("; "))]
pub struct ReloadRefused {
    /// What is wrong, each with its place and its mend.
    pub problems: Vec<String>,
}

/// What a caller gets.
pub type ReloadAnswer = Result<Reloaded, ReloadRefused>;

/// A call, by the place for its answer.
pub type ReloadAsked = oneshot::Sender<ReloadAnswer>;

/// Asks for the config to be read again.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<ReloadAsked>);

impl Reloads {
    /// With the end where the calls arrive.
    pub fn channel() -> (Reloads, mpsc::Receiver<ReloadAsked>) {
        let (asks, asked) = mpsc::channel(1);
        (Reloads(asks), asked)
    }

    /// Asks, and waits for the answer; `None` where nobody reads it any more.
    pub async fn ask(&self) -> Option<ReloadAnswer> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        answered.await.ok()
    }
}
