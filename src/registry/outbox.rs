//! The outbox: notices are written down in the commit of what they tell of, so
//! that neither can be without the other.

use super::encode;
use crate::domain::Notice;
use crate::ports::{Batch, StoreError, Table, Write};

/// Adds a notice to a batch. It is delivered once the batch is durable; the
/// order of the commits is the order of delivery.
///
/// # Errors
/// Where the notice can't be written as JSON.
pub fn enqueue(batch: &mut Batch, notice: &Notice) -> Result<(), StoreError> {
    batch.writes.push(Write::Append { table: Table::Notices, bytes: encode(notice)? });
    Ok(())
}
