//! What a cycle reads of quotas, for many at once: a read of its own for each
//! would cost more than all that is made of it. Records are told apart and made
//! by whoever has the time for it.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::{RecommendationRecord, Registry, RegistryError, decode, resource_key};
use crate::domain::{Quota, RecommendationId, Refusal, Resource, TenantId};
use crate::ports::{StoreError, Table, Versioned};

/// A record that was read and is not made yet.
pub struct Unread<T> {
    table: Table,
    key: String,
    found: Option<Versioned>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Unread<T> {
    /// The record with its version; `None` where there is none.
    ///
    /// # Errors
    /// Where it is not what was written.
    pub fn record(&self) -> Result<Option<(T, u64)>, RegistryError> {
        let Some(found) = &self.found else { return Ok(None) };
        Ok(Some((decode(self.table, &self.key, found)?, found.version)))
    }
}

/// A quota and what was said of it, not made yet.
pub struct Before {
    quota: Unread<Quota>,
    waiting: Option<Unread<RecommendationRecord>>,
    refusal: Unread<Refusal>,
}

/// A quota, and what was said of it last.
pub struct Stands {
    /// The quota.
    pub quota: Quota,
    /// See [`Registry::waiting`].
    pub waiting: Option<(RecommendationRecord, u64)>,
    /// The last refusal of the quota; it may be over.
    pub refusal: Option<Refusal>,
}

impl Before {
    /// What stands; `None` where there is no such quota.
    ///
    /// # Errors
    /// Where a record is not what was written.
    pub fn stands(&self) -> Result<Option<Stands>, RegistryError> {
        let Some((quota, _)) = self.quota.record()? else { return Ok(None) };
        let refusal = self.refusal.record()?.map(|(refusal, _)| refusal);
        let waiting = self.waiting.as_ref().map(Unread::record).transpose()?.flatten();
        Ok(Some(Stands { quota, waiting, refusal }))
    }
}

impl Registry {
    /// The quotas of these tenants, for each tenant those of `resources` in their order.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn quotas_of(
        &self,
        tenants: &[&TenantId],
        resources: &[Resource],
    ) -> Result<Vec<Vec<Unread<Quota>>>, RegistryError> {
        let all = self.read_all(Table::Quotas, keys(tenants, resources)).await?;
        Ok(by_tenant(all, resources.len()))
    }

    /// The same with what was said of each.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn before_sizing(
        &self,
        tenants: &[&TenantId],
        resources: &[Resource],
    ) -> Result<Vec<Vec<Before>>, RegistryError> {
        let keys = keys(tenants, resources);
        // First, so that what is approved meanwhile is no longer as it was read.
        let mut waiting = self.all_that_wait(keys.clone()).await?.into_iter();
        let refusals = self.read_all(Table::Refusals, keys.clone()).await?;
        let quotas = self.read_all(Table::Quotas, keys).await?;
        let before = |(quota, refusal)| Before { quota, refusal, waiting: waiting.next().flatten() };
        let all = quotas.into_iter().zip(refusals).map(before).collect();
        Ok(by_tenant(all, resources.len()))
    }

    /// What was last put to people for each quota.
    async fn all_that_wait(
        &self,
        keys: Vec<String>,
    ) -> Result<Vec<Option<Unread<RecommendationRecord>>>, RegistryError> {
        let named: Vec<Unread<RecommendationId>> = self.read_all(Table::Waiting, keys).await?;
        let id = |one: &Unread<RecommendationId>| Ok(one.record()?.map(|(id, _)| id.to_string()));
        let ids: Vec<Option<String>> = named.iter().map(id).collect::<Result<_, RegistryError>>()?;
        let known = ids.iter().flatten().cloned().collect();
        let mut records = self.read_all(Table::Recommendations, known).await?.into_iter();
        Ok(ids.into_iter().map(|id| id.and_then(|_| records.next())).collect())
    }

    async fn read_all<T>(&self, table: Table, keys: Vec<String>) -> Result<Vec<Unread<T>>, StoreError> {
        let found = self.store.get_all(table, keys.clone()).await?;
        let unread = |(key, found)| Unread { table, key, found, of: PhantomData };
        Ok(keys.into_iter().zip(found).map(unread).collect())
    }
}

fn keys(tenants: &[&TenantId], resources: &[Resource]) -> Vec<String> {
    let of_tenant = |tenant| resources.iter().map(move |resource| resource_key(tenant, *resource));
    tenants.iter().copied().flat_map(of_tenant).collect()
}

fn by_tenant<T>(all: Vec<T>, each: usize) -> Vec<Vec<T>> {
    let mut all = all.into_iter();
    let next = || Some(all.by_ref().take(each).collect::<Vec<T>>()).filter(|some| !some.is_empty());
    std::iter::from_fn(next).collect()
}
