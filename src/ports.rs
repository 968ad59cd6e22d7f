//! The holes in the wall of the engine: what it needs from outside, as traits.
//! Adapters live in `source`, `store`, `target` and `notify`; only `app` names them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{Notice, QuotaChange, Receiver, Resource, TenantId, Timestamp};
use crate::security::AddressError;

#[cfg(test)]
pub mod hands;
mod history;
mod keeper;
mod reload;
mod shelf;
mod source;

pub use history::{History, HistoryError};
pub use keeper::{Keeper, StoreCheck, StoreFinding};
pub use reload::{ReloadAnswer, ReloadAsked, ReloadRefused, Reloaded, Reloads};
pub use shelf::{Place, Shelf, ShelfError};
pub use source::{Asked, BrokenOff, Fetched, Measured, OddSamples, SourceError, UsageSource};

/// The present. Passed in, so that a year of operation can be simulated.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The tables of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Tenants, by id.
    Tenants,
    /// Quotas, by tenant and resource.
    Quotas,
    /// Recommendations with their state, by id.
    Recommendations,
    /// The id of the recommendation that was last put to people and has not
    /// ended, by tenant and resource.
    Waiting,
    /// What was last turned down or rolled back, by tenant and resource.
    Refusals,
    /// Changes that people asked for and a second person must approve, by id.
    ChangeRequests,
    /// Changes that were approved and not yet seen through, by tenant and resource.
    Intents,
    /// The switch that stops all changes, while it stands.
    Pause,
    /// Changes that were carried out, by tenant, resource and time.
    Changes,
    /// Incidents, by id.
    Incidents,
    /// The id of the incident that is open, by tenant.
    OpenIncidents,
    /// The alerts that were sent and kept back of a day, by tenant.
    AlertBudgets,
    /// Silences, by id.
    Silences,
    /// Markers of deploys and maintenance, by id.
    Markers,
    /// Notices that were not yet handed to the receivers, in the order of
    /// their commits, and the last one that was.
    Notices,
    /// Notices on their way, by receiver and number.
    Deliveries,
    /// Notices that were given up, by receiver and number.
    DeadLetters,
    /// The last notice that a receiver took of each subject.
    Delivered,
    /// Receivers that were made over the API, and which ones are disabled.
    Receivers,
    /// The newest version of each template, by name.
    Templates,
    /// All versions of templates, by name and number.
    TemplateVersions,
    /// Hashes of tokens.
    Tokens,
    /// Versions of the forecasting models, by resource and number.
    Models,
    /// Up to where usage was collected, by resource.
    Watermarks,
    /// The audit log: appended to, never changed.
    Audit,
    /// Signed checkpoints of the audit log, by its length.
    Checkpoints,
    /// Reports that were made on schedule, by id.
    Reports,
    /// When each schedule's report was made last, by the schedule's name.
    ReportRuns,
    /// Rollouts, by id.
    Rollouts,
    /// The ids of the rollouts that are not over.
    OpenRollouts,
    /// Answers to writes with an Idempotency-Key, by the hash of caller and key.
    Answers,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 31] = [
        Table::Tenants,
        Table::Quotas,
        Table::Recommendations,
        Table::Waiting,
        Table::Refusals,
        Table::ChangeRequests,
        Table::Intents,
        Table::Pause,
        Table::Changes,
        Table::Incidents,
        Table::OpenIncidents,
        Table::AlertBudgets,
        Table::Silences,
        Table::Markers,
        Table::Notices,
        Table::Deliveries,
        Table::DeadLetters,
        Table::Delivered,
        Table::Receivers,
        Table::Templates,
        Table::TemplateVersions,
        Table::Tokens,
        Table::Models,
        Table::Watermarks,
        Table::Audit,
        Table::Checkpoints,
        Table::Reports,
        Table::ReportRuns,
        Table::Rollouts,
        Table::OpenRollouts,
        Table::Answers,
    ];

    /// The name under which a store keeps it. Never change one.
    pub fn name(self) -> &'static str {
        match self {
            Table::Tenants => "tenants",
            Table::Quotas => "quotas",
            Table::Recommendations => "recommendations",
            Table::Waiting => "waiting",
            Table::Refusals => "refusals",
            Table::ChangeRequests => "change_requests",
            Table::Intents => "intents",
            Table::Pause => "pause",
            Table::Changes => "changes",
            Table::Incidents => "incidents",
            Table::OpenIncidents => "open_incidents",
            Table::AlertBudgets => "alert_budgets",
            Table::Silences => "silences",
            Table::Markers => "markers",
            Table::Notices => "notices",
            Table::Deliveries => "deliveries",
            Table::DeadLetters => "dead_letters",
            Table::Delivered => "delivered",
            Table::Receivers => "receivers",
            Table::Templates => "templates",
            Table::TemplateVersions => "template_versions",
            Table::Tokens => "tokens",
            Table::Models => "models",
            Table::Watermarks => "watermarks",
            Table::Audit => "audit",
            Table::Checkpoints => "checkpoints",
            Table::Reports => "reports",
            Table::ReportRuns => "report_runs",
            Table::Rollouts => "rollouts",
            Table::OpenRollouts => "open_rollouts",
            Table::Answers => "answers",
        }
    }

    /// Whether appended values hang together: each begins with the SHA-256 of
    /// the value before it, the first with zeros. None can be changed, left out
    /// or moved unseen then.
    pub fn is_chained(self) -> bool {
        self == Table::Audit
    }
}

/// A stored value with its version, which rises by one with every write of its
/// key; the first is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The version.
    pub version: u64,
    /// The value.
    pub bytes: Vec<u8>,
}

/// What must hold for a key before a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// The key is not there.
    Absent,
    /// The key is there at this version.
    Version(u64),
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Puts a value.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: String,
        /// What must hold before.
        expect: Expect,
        /// The value.
        bytes: Vec<u8>,
    },
    /// Removes a key; a key that is not there is no failure unless expected.
    Delete {
        /// Where.
        table: Table,
        /// Which key.
        key: String,
        /// What must hold before.
        expect: Expect,
    },
    /// Adds a value under the table's next number: a key of 20 digits that
    /// begins at 1 and leaves no number out, in the order of the commits. In a
    /// chained table the hash of the value before is put in front of it.
    Append {
        /// Where.
        table: Table,
        /// The value.
        bytes: Vec<u8>,
    },
}

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The writes. No two may name the same key.
    pub writes: Vec<Write>,
}

/// The key of the `number`th appended value.
pub fn append_key(number: u64) -> String {
    format!("{number:020}")
}

/// Where state is kept. What `commit` has answered survives `kill -9` and, as
/// far as the disk keeps its word, the loss of power.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value of a key.
    async fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// The values of some keys, one for each in their order.
    async fn get_all(&self, table: Table, keys: Vec<String>) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in &keys {
            found.push(self.get(table, key).await?);
        }
        Ok(found)
    }

    /// Up to `limit` values in the order of `order`, of keys that begin with
    /// `prefix` and lie beyond `after` (above it upwards, below it downwards).
    async fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, Versioned)>, StoreError>;

    /// Writes the batch if all that it expects holds, and answers once it is
    /// durable. Else nothing of it is written and the first key that stood
    /// against it is named.
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Whether a write could be made durable lately, and how large it is.
    async fn health(&self) -> StoreHealth;

    /// How many commits wait to be made durable.
    fn waiting(&self) -> usize {
        0
    }
}

/// The direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key.
    Upwards,
    /// From the largest key.
    Downwards,
}

/// How a store is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreHealth {
    /// What is wrong; `None` while all is well.
    pub problem: Option<String>,
    /// Bytes on disk, as far as known.
    pub disk_bytes: u64,
}

/// A failure of a store; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Something else was written first.
    #[error("write {key:?} of {table}: it was changed by somebody else", table = table.name())]
    Conflict {
        /// The table.
        table: Table,
        /// The key that did not stand as expected.
        key: String,
    },
    /// A batch may name a key once.
    #[error("write {key:?} of {table}: the batch names it twice", table = table.name())]
    Repeated {
        /// The table.
        table: Table,
        /// The key.
        key: String,
    },
    /// The disk, or what lies on it.
    #[error("use the store: {0}")]
    Io(String),
    /// The bytes are not what was written.
    #[error("read {key:?} of {table}: {message}", table = table.name())]
    Corrupt {
        /// The table.
        table: Table,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// All of it is being read already.
    #[error("read all of the store: a backup or a check is under way; wait until it is over")]
    Busy,
    /// The store has been closed.
    #[error("use the store: it is closed")]
    Closed,
}

/// Where quotas are enforced.
#[async_trait]
pub trait QuotaTarget: Send + Sync {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// Whether it holds quotas of this resource of its own, which may then
    /// differ from the registry's. What it does not keep is enforced by whoever
    /// polls the registry.
    fn keeps(&self, resource: Resource) -> bool;

    /// Makes the change hold. It may be called twice with the same change.
    async fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError>;

    /// The limit that holds there now, `None` where the target has none.
    async fn read(&self, tenant: &TenantId, resource: Resource) -> Result<Option<f64>, TargetError>;
}

/// A failure of a target; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum TargetError {
    /// It may work later.
    #[error("reach {target}: {message}")]
    Unreachable {
        /// The target.
        target: &'static str,
        /// What is wrong.
        message: String,
    },
    /// It will not work like this.
    #[error("change the quota at {target}: {message}")]
    Refused {
        /// The target.
        target: &'static str,
        /// What it said.
        message: String,
    },
}

/// A file that goes with a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// What it is called: the same on every attempt.
    pub name: String,
    /// The type of its content.
    pub media_type: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What is told, with what goes with it.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The notice.
    pub notice: &'a Notice,
    /// The notice of the same subject that goes on at the receiver, for
    /// receivers that hold a state.
    pub before: Option<&'a Notice>,
    /// The file, for receivers that take files.
    pub enclosure: Option<&'a Enclosure>,
}

/// How receivers are told.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells a receiver, once.
    async fn deliver(
        &self,
        receiver: &Receiver,
        telling: Telling<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError>;

    /// Whether a receiver may be told at its address, as far as the address
    /// itself says it: a name is looked up only when it is told.
    ///
    /// # Errors
    /// Where it may not.
    fn check_address(&self, receiver: &Receiver) -> Result<(), AddressError>;

    /// Whether a receiver takes files.
    fn takes_files(&self, receiver: &Receiver) -> bool;

    /// Tells a receiver again what goes on there.
    async fn renew(
        &self,
        receiver: &Receiver,
        going_on: &[Notice],
        now: Timestamp,
    ) -> Result<(), DeliveryError>;

    /// Whether a receiver must be told again and again of what goes on.
    fn holds_state(&self, receiver: &Receiver) -> bool;
}

/// A notice that was not taken; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeliveryError {
    /// The receiver wants nothing more, ever.
    #[error("deliver: the receiver answered 410, so it is gone for good")]
    Gone,
    /// It may work later.
    #[error("deliver: {message}")]
    Failed {
        /// What is wrong.
        message: String,
        /// How long the receiver asked to be left alone.
        retry_after: Option<Duration>,
    },
}
