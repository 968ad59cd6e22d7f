//! Times in which nobody is alerted: silences, which only keep alerts back,
//! and markers of deploys and maintenance, in which usage is not judged or
//! learned from either.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Actor, DomainError, Resource, TenantId, Timestamp};

/// Keeps the alerts of a tenant, a resource or both back for a time.
/// Incidents are still written down and hold changes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    /// Whose alerts; `null` for all tenants.
    pub tenant: Option<TenantId>,
    /// Alerts about which resource; `null` for all.
    pub resource: Option<Resource>,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after. Lifting a silence moves it.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Actor,
    /// When it was lifted; `null` where it was not.
    pub lifted_at: Option<Timestamp>,
}

impl Silence {
    /// Whether it covers alerts of this tenant about this resource now. What
    /// concerns no single resource is covered by a silence of all.
    pub fn covers(&self, tenant: &TenantId, resource: Option<Resource>, now: Timestamp) -> bool {
        self.is_active(now)
            && self.tenant.as_ref().is_none_or(|own| own == tenant)
            && self.resource.is_none_or(|own| Some(own) == resource)
    }

    /// Whether it holds now.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// What a marker tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkerKind {
    /// Something new was rolled out.
    Deploy,
    /// Somebody works on the platform.
    Maintenance,
}

impl MarkerKind {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            MarkerKind::Deploy => "deploy",
            MarkerKind::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for MarkerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for MarkerKind {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let found =
            [MarkerKind::Deploy, MarkerKind::Maintenance].into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| DomainError::UnknownMarkerKind(text.to_owned()))
    }
}

/// A time in which usage is odd for a known reason: it is neither judged nor
/// learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Marker {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    /// What it tells of.
    pub kind: MarkerKind,
    /// Whose usage; `null` for all tenants.
    pub tenant: Option<TenantId>,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after.
    pub until: Timestamp,
    /// What was done.
    pub text: String,
    /// Who wrote it down.
    pub by: Actor,
}

impl Marker {
    /// Whether this tenant's usage at this instant lies inside.
    pub fn covers(&self, tenant: &TenantId, at: Timestamp) -> bool {
        self.from <= at && at < self.until && self.tenant.as_ref().is_none_or(|own| own == tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_covers_what_it_names_while_it_lasts() {
        let acme: TenantId = "acme".parse().unwrap();
        let at = Timestamp::from_seconds;
        let mut silence = Silence {
            id: Uuid::from_u128(1),
            tenant: Some(acme.clone()),
            resource: Some(Resource::CpuCores),
            from: at(10),
            until: at(20),
            reason: "known".to_owned(),
            by: Actor::Daemon,
            lifted_at: None,
        };
        assert!(silence.covers(&acme, Some(Resource::CpuCores), at(10)));
        assert!(!silence.covers(&acme, Some(Resource::CpuCores), at(20)));
        assert!(!silence.covers(&acme, Some(Resource::MemoryGb), at(15)));
        assert!(!silence.covers(&acme, None, at(15)), "it names a resource");
        assert!(!silence.covers(&"b".parse().unwrap(), Some(Resource::CpuCores), at(15)));
        silence.resource = None;
        assert!(silence.covers(&acme, None, at(15)));
    }
}
