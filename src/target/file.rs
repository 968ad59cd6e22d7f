//! One file a tenant in a folder, for whoever rolls quotas out from there, such
//! as a GitOps repository. A file is written beside its place, synced and moved
//! into it, so that no reader ever sees half of one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::domain::{QuotaChange, Resource, TenantId};
use crate::ports::{QuotaTarget, TargetError};

const NAME: &str = "file";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `tenant.yaml`.
    Yaml,
    /// `tenant.json`.
    Json,
}

/// Writes quotas to files.
#[derive(Debug, Clone)]
pub struct FileTarget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    format: FileFormat,
    /// Held while a file is read and written again.
    writing: Mutex<()>,
}

/// The quotas of one tenant.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    /// The tenant's id.
    tenant: String,
    /// Its quotas.
    quotas: BTreeMap<Resource, FileQuota>,
}

/// One quota.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileQuota {
    /// The limit, in `unit`.
    limit: f64,
    /// The resource's unit.
    unit: String,
    /// The generation of the quota.
    generation: u64,
    /// Why it was set.
    reason: String,
}

impl FileTarget {
    /// Over a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn new(folder: &Path, format: FileFormat) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let inner = Inner { folder: folder.to_owned(), format, writing: Mutex::default() };
        Ok(FileTarget(Arc::new(inner)))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, TargetError> + Send + 'static,
    ) -> Result<T, TargetError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(unreachable(&error.to_string())))
    }
}

impl Inner {
    fn path(&self, tenant: &TenantId) -> PathBuf {
        let ending = match self.format {
            FileFormat::Yaml => "yaml",
            FileFormat::Json => "json",
        };
        self.folder.join(format!("{tenant}.{ending}"))
    }

    fn load(&self, tenant: &TenantId) -> Result<Option<TenantFile>, TargetError> {
        let path = self.path(tenant);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreachable(&format!("{}: {error}", path.display()))),
        };
        let read = match self.format {
            FileFormat::Yaml => serde_saphyr::from_str(&text).map_err(|error| error.to_string()),
            FileFormat::Json => serde_json::from_str(&text).map_err(|error| error.to_string()),
        };
        read.map(Some).map_err(|message| {
            let mend = "mend it or move it away, and approve the change again";
            refused(&format!("{} can't be read: {message}; {mend}", path.display()))
        })
    }

    fn save(&self, tenant: &TenantId, file: &TenantFile) -> Result<(), TargetError> {
        let text = match self.format {
            FileFormat::Yaml => serde_saphyr::to_string(file).map_err(|error| error.to_string()),
            FileFormat::Json => serde_json::to_string_pretty(file).map_err(|error| error.to_string()),
        };
        let text = text.map_err(|message| refused(&message))?;
        let path = self.path(tenant);
        let write = || -> io::Result<()> {
            let mut beside = tempfile::NamedTempFile::new_in(&self.folder)?;
            beside.write_all(text.as_bytes())?;
            // Another one behind the last text of a YAML would belong to it.
            if !text.ends_with('\n') {
                beside.write_all(b"\n")?;
            }
            beside.as_file().sync_all()?;
            beside.persist(&path).map_err(|error| error.error)?;
            std::fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| unreachable(&format!("{}: {error}", path.display())))
    }

    fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError> {
        let _writing = self.writing.lock();
        let mut file = self.load(&change.tenant)?.unwrap_or_default();
        change.tenant.as_str().clone_into(&mut file.tenant);
        let quota = FileQuota {
            limit: change.to,
            unit: change.resource.unit().to_owned(),
            generation: change.parent_generation + 1,
            reason: change.reason.clone(),
        };
        file.quotas.insert(change.resource, quota);
        self.save(&change.tenant, &file)
    }
}

#[async_trait]
impl QuotaTarget for FileTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps(&self, _resource: Resource) -> bool {
        true
    }

    async fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError> {
        let change = change.clone();
        self.blocking(move |inner| inner.enforce(&change)).await
    }

    async fn read(&self, tenant: &TenantId, resource: Resource) -> Result<Option<f64>, TargetError> {
        let tenant = tenant.clone();
        self.blocking(move |inner| {
            let file = inner.load(&tenant)?;
            Ok(file.and_then(|file| file.quotas.get(&resource).map(|quota| quota.limit)))
        })
        .await
    }
}

fn unreachable(message: &str) -> TargetError {
    TargetError::Unreachable { target: NAME, message: message.to_owned() }
}

fn refused(message: &str) -> TargetError {
    TargetError::Refused { target: NAME, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(resource: Resource, to: f64) -> QuotaChange {
        QuotaChange {
            tenant: "acme".parse().unwrap(),
            resource,
            parent_generation: 3,
            from: 1.0,
            to,
            recommendation: None,
            rollout: None,
            rolls_back: false,
            reason: "it needs: more".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_file_holds_all_quotas_of_its_tenant() {
        for (format, name) in [(FileFormat::Yaml, "acme.yaml"), (FileFormat::Json, "acme.json")] {
            let folder = tempfile::tempdir().unwrap();
            let target = FileTarget::new(&folder.path().join("quotas"), format).unwrap();
            let acme = "acme".parse().unwrap();
            assert_eq!(target.read(&acme, Resource::CpuCores).await.unwrap(), None);
            for (resource, to) in
                [(Resource::CpuCores, 6.5), (Resource::MemoryGb, 32.0), (Resource::CpuCores, 7.0)]
            {
                target.enforce(&change(resource, to)).await.unwrap();
            }
            assert_eq!(target.read(&acme, Resource::CpuCores).await.unwrap(), Some(7.0));
            assert_eq!(target.read(&acme, Resource::MemoryGb).await.unwrap(), Some(32.0));
            let text = std::fs::read_to_string(folder.path().join("quotas").join(name)).unwrap();
            assert!(text.contains("cpu_cores") && text.contains("it needs: more"), "{text}");
            assert_eq!(std::fs::read_dir(folder.path().join("quotas")).unwrap().count(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_somebody_broke_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = FileTarget::new(folder.path(), FileFormat::Yaml).unwrap();
        let path = folder.path().join("acme.yaml");
        std::fs::write(&path, "tenant: acme\nquotas: [1\n").unwrap();
        let error = target.enforce(&change(Resource::CpuCores, 6.5)).await.unwrap_err();
        assert!(
            matches!(&error, TargetError::Refused { message, .. } if message.contains("acme.yaml")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tenant: acme\nquotas: [1\n");
    }
}
