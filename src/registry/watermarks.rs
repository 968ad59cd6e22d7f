//! Up to where usage was collected.

use super::{Registry, RegistryError, put};
use crate::domain::{Resource, Timestamp};
use crate::ports::{Expect, Table, Write};

impl Registry {
    /// The first instant of a resource's usage that was not collected yet.
    pub async fn watermark(&self, resource: Resource) -> Result<Option<Timestamp>, RegistryError> {
        Ok(self.read(Table::Watermarks, resource.name()).await?.map(|(at, _)| at))
    }

    /// Moves it. Samples must be kept safely before it moves beyond them.
    pub async fn set_watermark(&self, resource: Resource, at: Timestamp) -> Result<(), RegistryError> {
        let key = resource.name().to_owned();
        Ok(self.commit(vec![put(Table::Watermarks, key, Expect::Anything, &at)?]).await?)
    }

    /// Forgets it, so that the resource is collected anew from as far back as the
    /// first time.
    pub async fn forget_watermark(&self, resource: Resource) -> Result<(), RegistryError> {
        let key = resource.name().to_owned();
        let forget = Write::Delete { table: Table::Watermarks, key, expect: Expect::Anything };
        Ok(self.commit(vec![forget]).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ports::hands::Hands;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn one_that_was_forgotten_is_set_anew() {
        let (kept, early) = (Resource::MemoryGb, Timestamp::from_seconds(1_000));
        let registry = Registry::new(Arc::new(MemoryStore::default()), Arc::new(Hands::at(early)));
        let lost = Resource::CpuCores;
        registry.forget_watermark(lost).await.unwrap();
        for resource in [kept, lost] {
            registry.set_watermark(resource, early).await.unwrap();
        }
        registry.forget_watermark(lost).await.unwrap();
        assert_eq!(registry.watermark(lost).await.unwrap(), None);
        assert_eq!(registry.watermark(kept).await.unwrap(), Some(early), "the others stay");
        registry.set_watermark(lost, early).await.unwrap();
        assert_eq!(registry.watermark(lost).await.unwrap(), Some(early));
    }
}
