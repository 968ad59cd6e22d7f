//! The registry itself is the target: gateways and schedulers poll the quotas
//! from the API, so that a change holds as soon as it is written down.

use async_trait::async_trait;

use crate::domain::{QuotaChange, Resource, TenantId};
use crate::ports::{QuotaTarget, TargetError};

/// Enforces nothing by itself; whoever polls the API does.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistryTarget;

#[async_trait]
impl QuotaTarget for RegistryTarget {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn keeps(&self, _resource: Resource) -> bool {
        false
    }

    async fn enforce(&self, _change: &QuotaChange) -> Result<(), TargetError> {
        Ok(())
    }

    async fn read(&self, _tenant: &TenantId, _resource: Resource) -> Result<Option<f64>, TargetError> {
        Ok(None)
    }
}
