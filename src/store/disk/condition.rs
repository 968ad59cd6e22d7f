//! How a store is doing, as its threads find out.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::ports::{StoreError, StoreHealth};

/// Shared between a store and its threads.
#[derive(Debug, Default)]
pub(super) struct Condition {
    found: Option<String>,
    failed: Mutex<Option<String>>,
    probe: Mutex<Option<String>>,
    disk_bytes: AtomicU64,
}

impl Condition {
    /// With what was found wrong when the store was opened, which stays until
    /// a backup is restored.
    pub fn new(found: Option<String>, disk_bytes: u64) -> Self {
        Condition { found, disk_bytes: AtomicU64::new(disk_bytes), ..Condition::default() }
    }

    /// Something failed after which it is unknown what is on the disk: nothing
    /// more is written until the store is opened again.
    pub fn fail(&self, message: &str) {
        let mut failed = self.failed.lock();
        if failed.is_none() {
            tracing::error!("the store takes no more writes: {message}");
            *failed = Some(message.to_owned());
        }
    }

    /// An error if the store failed.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.failed.lock() {
            Some(message) => Err(StoreError::Io(format!(
                "{message}; nothing more is written until the disk is in order and plimsoll is started again"
            ))),
            None => Ok(()),
        }
    }

    /// Notes how the last probe went.
    pub fn probed(&self, outcome: Result<(), String>, disk_bytes: u64) {
        self.disk_bytes.store(disk_bytes, Ordering::Relaxed);
        let mut probe = self.probe.lock();
        match (&*probe, &outcome) {
            (None, Err(message)) => tracing::error!("a probe of the store failed: {message}"),
            (Some(_), Ok(())) => tracing::info!("the store takes writes again"),
            _ => {}
        }
        *probe = outcome.err();
    }

    /// What a caller is told.
    pub fn health(&self) -> StoreHealth {
        let problem = self.failed.lock().clone().or_else(|| self.probe.lock().clone());
        StoreHealth {
            problem: problem.or_else(|| self.found.clone()),
            disk_bytes: self.disk_bytes.load(Ordering::Relaxed),
        }
    }
}
