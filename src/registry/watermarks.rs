//! Up to where usage was collected.

use super::{Registry, RegistryError, put};
use crate::domain::{Resource, Timestamp};
use crate::ports::{Expect, Table};

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
}
