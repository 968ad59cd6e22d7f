//! Permission as a type. Only this file can make an [`Approved`] value, and
//! only from a clean [`Verdict`] and the word of as many people as it needs;
//! `apply` takes nothing else.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FirstWord, Objection, Timestamp, TwoPeople, Verdict, WhyTwo};

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

/// What people's approvals mean, and how many of them may wait.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRules {
    /// When two different people are needed.
    pub two_people: TwoPeople,
    /// How long the first one's word waits for the second one's.
    pub second_within: Duration,
    /// The most requests that may wait for a second person at once.
    pub max_requests: usize,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        ApprovalRules {
            two_people: TwoPeople::default(),
            second_within: Duration::from_secs(3 * 86_400),
            max_requests: 1_000,
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
    #[serde(default)]
    first: Option<FirstWord>,
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
    /// Why one person's word is not enough; `None` where it is.
    pub needs_two: Option<WhyTwo>,
    /// The word of the first person, where this is the second's.
    pub first: Option<FirstWord>,
}

impl Approval {
    /// What stands against it where it needs two different people.
    fn too_few(&self) -> Option<Objection> {
        let because = self.needs_two.clone()?;
        match (&self.first, &self.by) {
            (Some(first), by) if first.by == *by => Some(Objection::SamePersonTwice { by: by.clone() }),
            (Some(_), Actor::Person(_)) => None,
            _ => Some(Objection::NeedsTwoPeople { because }),
        }
    }
}

/// Approves `item` if nothing stands against it and enough people are for it;
/// else gives the verdict back.
pub fn approve<T>(item: T, mut verdict: Verdict, approval: Approval) -> Result<Approved<T>, Verdict> {
    verdict.objections.extend(approval.too_few());
    if verdict.is_clean() {
        let Approval { by, at, comment, request_id, needs_two: _, first } = approval;
        Ok(Approved { item, by, at, comment, request_id, first })
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

    /// The word of the first person, where two were needed.
    pub fn first(&self) -> Option<&FirstWord> {
        self.first.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tier;
    use super::*;

    fn word() -> Approval {
        let at = Timestamp::from_seconds(1);
        Approval { by: Actor::Daemon, at, comment: None, request_id: None, needs_two: None, first: None }
    }

    #[test]
    fn nothing_is_approved_against_an_objection() {
        let verdict = Verdict { objections: vec![Objection::Expired { at: Timestamp::from_seconds(0) }] };
        assert_eq!(approve("quota", verdict.clone(), word()), Err(verdict));
        assert_eq!(approve("quota", Verdict::default(), word()).unwrap().item(), &"quota");
    }

    #[test]
    fn two_are_two_different_people() {
        let person = |name: &str| Actor::Person(name.to_owned());
        let first = |by| Some(FirstWord { by, at: word().at, comment: None, request: None });
        let needs_two = Some(WhyTwo::Tier { tier: Tier::EnterprisePlus });
        let objections = |by, first| {
            let word = Approval { by, needs_two: needs_two.clone(), first, ..word() };
            approve("quota", Verdict::default(), word).err().map(|verdict| verdict.objections)
        };
        let alone = Objection::NeedsTwoPeople { because: WhyTwo::Tier { tier: Tier::EnterprisePlus } };
        assert_eq!(objections(person("ann"), None), Some(vec![alone.clone()]));
        assert_eq!(objections(Actor::Daemon, None), Some(vec![alone.clone()]));
        assert_eq!(objections(Actor::Daemon, first(person("ann"))), Some(vec![alone]));
        let twice = Objection::SamePersonTwice { by: person("ann") };
        assert_eq!(objections(person("ann"), first(person("ann"))), Some(vec![twice]));
        assert_eq!(objections(person("ben"), first(person("ann"))), None);
    }
}
