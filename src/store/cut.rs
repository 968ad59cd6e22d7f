//! A store for tests whose process is cut somewhere, as by kill -9: what was
//! committed before stands, and nothing is answered any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::MemoryStore;
use crate::ports::{Batch, Order, Store, StoreError, StoreHealth, Table, Versioned};

/// A store whose process is cut at its n-th commit: before it, or right after.
pub struct Cut {
    inner: Arc<MemoryStore>,
    left: AtomicUsize,
    after: bool,
}

impl Cut {
    /// A store over `inner` that is cut at its `commits`-th commit from now on:
    /// right after it, or before.
    pub fn at(inner: Arc<MemoryStore>, commits: usize, after: bool) -> Cut {
        Cut { inner, left: AtomicUsize::new(commits), after }
    }

    /// Has it cut at the so-many-th commit from now on.
    pub fn cut_in(&self, commits: usize) {
        self.left.store(commits, Ordering::SeqCst);
    }

    /// Whether it was cut.
    pub fn is_over(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    fn unless_over(&self) -> Result<(), StoreError> {
        if self.is_over() { Err(StoreError::Io("cut".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Cut {
    async fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.unless_over()?;
        self.inner.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, Versioned)>, StoreError> {
        self.unless_over()?;
        self.inner.scan(table, prefix, after, order, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.unless_over()?;
        let last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if !last || self.after {
            self.inner.commit(batch).await?;
        }
        self.unless_over()
    }

    async fn health(&self) -> StoreHealth {
        self.inner.health().await
    }
}
