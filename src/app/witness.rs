//! Signs for the audit log from time to time, and lets what was signed leave
//! the state: into a file, and to the receivers that want it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::Engine;
use crate::security::Signer;

/// The key that signs, as PKCS #8.
const KEY_FILE: &str = "audit.key";
/// The signed checkpoints, one after the other.
const CHECKPOINTS_FILE: &str = "checkpoints.txt";

/// Signs for an engine's audit log.
pub struct Witness {
    engine: Arc<Engine>,
    signer: Signer,
    file: PathBuf,
    every: Duration,
    keep: Duration,
}

impl Witness {
    /// With the key that lies in the config's folder, or a new one.
    ///
    /// # Errors
    /// Where the folder can't be used, or the key in it is none.
    pub fn of(config: &Config, engine: Arc<Engine>) -> anyhow::Result<Self> {
        let folder = &config.audit.folder;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to create the folder {}", folder.display()))?;
        let signer = signer(&folder.join(KEY_FILE))?;
        tracing::info!(key = %signer.verifier(), "signing for the audit log");
        Ok(Witness {
            engine,
            signer,
            file: folder.join(CHECKPOINTS_FILE),
            every: config.audit.checkpoint_every,
            keep: config.audit.keep,
        })
    }

    /// Signs until `stop`, and once more then.
    pub async fn run(self, stop: CancellationToken) {
        let mut timer = tokio::time::interval_at(tokio::time::Instant::now() + self.every, self.every);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                _ = timer.tick() => false,
            };
            if let Err(error) = self.sign().await {
                tracing::error!("failed to sign for the audit log: {error:#}");
            }
            if stopping {
                return;
            }
        }
    }

    async fn sign(&self) -> anyhow::Result<()> {
        let registry = self.engine.registry();
        let Some(signed) = registry.sign_checkpoint(&self.signer, self.engine.notice_id()).await? else {
            return Ok(());
        };
        append(&self.file, &signed.note)
            .with_context(|| format!("failed to write the checkpoint to {}", self.file.display()))?;
        let removed = registry.cut_audit_before(registry.now().minus(self.keep)).await?;
        if removed > 0 {
            tracing::info!(removed, "removed old lines of the audit log");
        }
        Ok(())
    }
}

/// The key in a file, made at the first time and readable by its owner only.
fn signer(file: &Path) -> anyhow::Result<Signer> {
    let named = || format!("failed to use the key {}", file.display());
    match std::fs::read(file) {
        Ok(bytes) => Signer::from_key(&bytes).with_context(named),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = Signer::new_key()?;
            keep(file, &key).with_context(named)?;
            Ok(Signer::from_key(&key)?)
        }
        Err(error) => Err(error).with_context(named),
    }
}

/// Writes a new file, whole or not at all: a key that is cut off would hold up
/// every later start.
fn keep(file: &Path, key: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    // For its owner only.
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    made.write_all(key)?;
    made.as_file().sync_all()?;
    made.persist_noclobber(file).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

fn append(file: &Path, note: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().append(true).create(true).open(file)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_a_torn_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEY_FILE);
        let made = signer(&file).unwrap().verifier().to_string();
        assert_eq!(signer(&file).unwrap().verifier().to_string(), made);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let error = signer(&file).err().unwrap();
        assert!(format!("{error:#}").contains("audit.key"), "{error:#}");
        assert_eq!(std::fs::read(&file).unwrap().len(), whole.len() / 2, "what is there stays");
    }
}
