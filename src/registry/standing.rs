//! What each request to the API asks for, kept in memory: tokens, tenants and
//! the page of a tenant's quotas that gateways poll.
//!
//! An entry is read from the store at the first question and forgotten before
//! a write of it is acknowledged, because nobody else writes to the store. A
//! reader whom a write overtakes keeps nothing, so no answer is older than
//! what was acknowledged before it was asked for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use super::{Registry, RegistryError, TokenRecord};
use crate::domain::{Quota, Tenant, TenantId};
use crate::ports::{Batch, StoreError, Table, Write};

/// A tenant's quotas as they are sent.
#[derive(Debug, Clone)]
pub struct QuotaPage {
    /// The ETag: it is made from the body, so that a tenant that was removed and
    /// made again can't be taken for the one before.
    pub tag: String,
    /// The body.
    pub body: Arc<[u8]>,
}

/// See the module's text.
pub(super) struct Standing {
    kept: RwLock<Kept>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// Rises with each write of what may be kept.
    writes: u64,
    tokens: HashMap<String, Arc<TokenRecord>>,
    tenants: HashMap<String, Arc<Tenant>>,
    pages: HashMap<String, Arc<QuotaPage>>,
}

impl Default for Standing {
    fn default() -> Self {
        Standing { kept: RwLock::default(), changes: watch::Sender::new(0) }
    }
}

/// Whether a write is of something that may be kept.
pub(super) fn concerns(write: &Write) -> bool {
    place(write).is_some()
}

fn place(write: &Write) -> Option<(Table, &str)> {
    match write {
        Write::Put { table, key, .. } | Write::Delete { table, key, .. } => {
            matches!(table, Table::Tokens | Table::Tenants | Table::Quotas).then_some((*table, key.as_str()))
        }
        Write::Append { .. } => None,
    }
}

impl Standing {
    fn forget(&self, places: &[(Table, String)]) {
        let mut kept = self.kept.write();
        kept.writes += 1;
        for (table, key) in places {
            match table {
                Table::Tokens => drop(kept.tokens.remove(key)),
                Table::Tenants => drop(kept.tenants.remove(key)),
                _ => drop(kept.pages.remove(key.split('/').next().unwrap_or_default())),
            }
        }
        drop(kept);
        self.changes.send_modify(|writes| *writes += 1);
    }

    /// What is kept; else how many writes there were before it is read.
    fn look<T>(&self, at: impl FnOnce(&Kept) -> Option<&Arc<T>>) -> Result<Arc<T>, u64> {
        let kept = self.kept.read();
        at(&kept).map(Arc::clone).ok_or(kept.writes)
    }

    /// Keeps what was read while nothing was written, and gives it.
    fn keep<T>(&self, since: u64, read: T, put: impl FnOnce(&mut Kept, Arc<T>)) -> Arc<T> {
        let read = Arc::new(read);
        let mut kept = self.kept.write();
        if kept.writes == since {
            put(&mut kept, Arc::clone(&read));
        }
        read
    }
}

impl Registry {
    /// Commits what may be kept in memory. It is seen through where the caller
    /// has gone, else the store could hold what the memory does not.
    pub(super) async fn commit_standing(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (store, standing) = (Arc::clone(&self.store), Arc::clone(&self.standing));
        let commit = tokio::spawn(async move {
            let owned = |(table, key): (Table, &str)| (table, key.to_owned());
            let places: Vec<_> = writes.iter().filter_map(place).map(owned).collect();
            let outcome = store.commit(Batch { writes }).await;
            // After a failure, too: nobody knows then what reached the disk.
            standing.forget(&places);
            outcome
        });
        commit.await.unwrap_or_else(|error| Err(StoreError::Io(error.to_string())))
    }

    /// Tells of each write of a token, a tenant or a quota.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.standing.changes.subscribe()
    }

    /// What is kept under a token's hash, from memory.
    pub async fn standing_token(&self, hash: &str) -> Result<Option<Arc<TokenRecord>>, RegistryError> {
        let since = match self.standing.look(|kept| kept.tokens.get(hash)) {
            Ok(kept) => return Ok(Some(kept)),
            Err(since) => since,
        };
        let Some(token) = self.token(hash).await? else { return Ok(None) };
        let key = hash.to_owned();
        Ok(Some(self.standing.keep(since, token, |kept, token| drop(kept.tokens.insert(key, token)))))
    }

    /// One tenant, from memory.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn standing_tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, RegistryError> {
        let since = match self.standing.look(|kept| kept.tenants.get(id.as_str())) {
            Ok(kept) => return Ok(kept),
            Err(since) => since,
        };
        let tenant = self.tenant(id).await?;
        let key = id.to_string();
        Ok(self.standing.keep(since, tenant, |kept, tenant| drop(kept.tenants.insert(key, tenant))))
    }

    /// The page of a tenant's quotas, from memory; `make` makes it of the quotas
    /// where they have changed.
    ///
    /// # Errors
    /// Where there is no such tenant.
    pub async fn quota_page(
        &self,
        id: &TenantId,
        make: impl FnOnce(Vec<Quota>) -> QuotaPage,
    ) -> Result<Arc<QuotaPage>, RegistryError> {
        let since = match self.standing.look(|kept| kept.pages.get(id.as_str())) {
            Ok(kept) => return Ok(kept),
            Err(since) => since,
        };
        let page = make(self.quotas(id).await?);
        let key = id.to_string();
        Ok(self.standing.keep(since, page, |kept, page| drop(kept.pages.insert(key, page))))
    }
}
