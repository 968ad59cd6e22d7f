//! Permission as a type. Only this file can make an [`Approved`] value, and
//! only from a clean [`Verdict`]; `apply` takes nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, Verdict};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Actor {
    /// The bearer of a token, by the token's name.
    Person(String),
    /// The daemon, inside the guardrails of approved mode or for its upkeep.
    Daemon,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Person(name) => f.pad(name),
            Actor::Daemon => f.pad("plimsoll"),
        }
    }
}

/// Something that was judged and may now be done. It can be stored and read
/// back, so that an approved change survives a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved<T> {
    item: T,
    by: Actor,
    at: Timestamp,
    comment: Option<String>,
    request_id: Option<String>,
}

/// A person's or the daemon's word, as it is put to [`approve`].
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Whose word it is.
    pub by: Actor,
    /// When it was given.
    pub at: Timestamp,
    /// What they said.
    pub comment: Option<String>,
    /// The request that carried it.
    pub request_id: Option<String>,
}

/// Approves `item` if nothing stands against it; else gives the verdict back.
pub fn approve<T>(item: T, verdict: Verdict, approval: Approval) -> Result<Approved<T>, Verdict> {
    if verdict.is_clean() {
        let Approval { by, at, comment, request_id } = approval;
        Ok(Approved { item, by, at, comment, request_id })
    } else {
        Err(verdict)
    }
}

impl<T> Approved<T> {
    /// What was approved.
    pub fn item(&self) -> &T {
        &self.item
    }

    /// Who approved it.
    pub fn by(&self) -> &Actor {
        &self.by
    }

    /// When it was approved.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What the approver said.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The request that carried the approval.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Objection;
    use super::*;

    fn word() -> Approval {
        Approval { by: Actor::Daemon, at: Timestamp::from_seconds(1), comment: None, request_id: None }
    }

    #[test]
    fn nothing_is_approved_against_an_objection() {
        let verdict = Verdict { objections: vec![Objection::Expired { at: Timestamp::from_seconds(0) }] };
        assert_eq!(approve("quota", verdict.clone(), word()), Err(verdict));
        assert_eq!(approve("quota", Verdict::default(), word()).unwrap().item(), &"quota");
    }
}
