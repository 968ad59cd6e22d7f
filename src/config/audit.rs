//! How the audit log is signed for, and how long it is kept.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::units::days;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Where the key and the checkpoints are.
    pub folder: PathBuf,
    /// How often a checkpoint is signed.
    pub checkpoint_every: Duration,
    /// How long lines are kept.
    pub keep: Duration,
}

impl Audit {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "Each line of the audit log holds the hash of the line before. Signed checkpoints say how \
                     long the log is and what stands for all of it; `plimsoll audit verify` holds the log \
                     against them. Only checkpoints that left this host show that the end was cut off: copy the \
                     file, or have a receiver take the kind audit_checkpoint.";
        let mut section = reader.section("audit", about);
        Audit {
            folder: section.path(
                "folder",
                "The folder of the key that signs (audit.key, made at the first start) and of the signed \
                 checkpoints (checkpoints.txt, added to). Best on another disk than the state.",
                "plimsoll-data/audit",
            ),
            checkpoint_every: section.duration(
                "checkpoint_every",
                "How often a checkpoint is signed, if the log has grown.",
                Duration::from_secs(3600),
                Duration::from_secs(1)..=days(7),
            ),
            keep: section.duration(
                "keep",
                "How long lines are kept. Older ones are removed as far as a checkpoint was signed for them, \
                 and a line with the hashes of what was removed takes their place.",
                days(3650),
                days(1)..=days(36_500),
            ),
        }
    }
}
