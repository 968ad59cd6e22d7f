//! Signs for the audit log from time to time, and lets what was signed leave
//! the state: into a file, and to the receivers that want it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
        Ok(bytes) => Ok(Signer::from_key(&bytes).with_context(named)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = Signer::new_key()?;
            let mut made = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .with_context(named)?;
            made.write_all(&key).and_then(|()| made.sync_all()).with_context(named)?;
            Ok(Signer::from_key(&key)?)
        }
        Err(error) => Err(error).with_context(named),
    }
}

fn append(file: &Path, note: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().append(true).create(true).open(file)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_all()
}
