//! A small write every so often, the whole way to the disk, so that one that
//! takes no writes is known before somebody needs it.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use tokio::sync::mpsc::WeakSender;
use tokio::sync::mpsc::error::TrySendError;

use super::layout::Layout;
use super::writer::Job;
use super::{DiskSettings, Shared};
use crate::store::files;

/// Probes until `stop` hangs up.
pub(super) fn run(
    shared: &Arc<Shared>,
    layout: &Layout,
    settings: &DiskSettings,
    queue: &WeakSender<Job>,
    stop: &Receiver<()>,
) {
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(settings.probe_interval) {
        if let Some(outcome) = probe(settings, queue) {
            shared.condition.probed(outcome, files::size_of(layout.root()));
        }
    }
}

/// How a probe went; `None` if it could not get into the queue.
fn probe(settings: &DiskSettings, queue: &WeakSender<Job>) -> Option<Result<(), String>> {
    let (send, receive) = mpsc::sync_channel(1);
    // Nobody listens any more once the time is up.
    let answer = Box::new(move |outcome| drop(send.try_send(outcome)));
    match queue.upgrade()?.try_send(Job { batch: None, answer }) {
        Ok(()) => {}
        // The probes before found out whether the writer is busy or stuck.
        Err(TrySendError::Full(_)) => return None,
        Err(TrySendError::Closed(_)) => return Some(Err("the thread that writes is gone".to_owned())),
    }
    Some(match receive.recv_timeout(settings.probe_limit) {
        Ok(outcome) => outcome.map_err(|error| format!("failed to {error}")),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("a small write did not get to the disk within {:?}", settings.probe_limit))
        }
        Err(RecvTimeoutError::Disconnected) => Err("the thread that writes broke off".to_owned()),
    })
}
