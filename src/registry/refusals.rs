//! What was turned down or rolled back, by quota: the last of each, so that it
//! is not proposed again for a while.

use super::{put, resource_key};
use crate::domain::{Refusal, Resource, TenantId};
use crate::ports::{Expect, StoreError, Table, Write};

/// Remembers a refusal.
pub(super) fn put_refusal(
    tenant: &TenantId,
    resource: Resource,
    refusal: &Refusal,
) -> Result<Write, StoreError> {
    put(Table::Refusals, resource_key(tenant, resource), Expect::Anything, refusal)
}
