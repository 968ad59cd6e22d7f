//! A customer of the platform.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AssignedTemplate, Cadence, DomainError, Tier, Timestamp};

/// A tenant's name in labels, URLs and files: 1 to 128 of `a-z A-Z 0-9 . _ -`,
/// beginning with a letter or digit. A copy of it shares the text: each series
/// of a tenant is found by it in many places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins_well && text.len() <= 128 && text.chars().all(allowed) {
            Ok(TenantId(text.into()))
        } else {
            Err(DomainError::BadTenantId(text))
        }
    }
}

impl FromStr for TenantId {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        TenantId::try_from(text.to_owned())
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> String {
        id.0.to_string()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What may happen to a recommendation for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApplyMode {
    /// It is only shown.
    Observe,
    /// A person approves each one.
    Review,
    /// The daemon applies it by itself, inside the guardrails.
    Approved,
}

impl ApplyMode {
    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            ApplyMode::Observe => "observe",
            ApplyMode::Review => "review",
            ApplyMode::Approved => "approved",
        }
    }
}

impl fmt::Display for ApplyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ApplyMode {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        [ApplyMode::Observe, ApplyMode::Review, ApplyMode::Approved]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| DomainError::UnknownApplyMode(text.to_owned()))
    }
}

/// A customer of the platform. Its quotas are kept beside it, one record a
/// resource, each with a generation of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// The value of the tenant label in Prometheus.
    pub id: TenantId,
    /// The name that people read.
    pub name: String,
    /// The plan that it is on.
    pub tier: Tier,
    /// The provider whose prices apply.
    pub provider: String,
    /// The region whose prices apply.
    pub region: String,
    /// What may happen to its recommendations.
    pub apply_mode: ApplyMode,
    /// How often its quotas are meant to change; `None` for the config's.
    #[serde(default)]
    pub cadence: Option<Cadence>,
    /// The most changes of a quota a day that its owner allows; `None` for the
    /// config's.
    #[serde(default)]
    pub changes_per_day: Option<f64>,
    /// The template that it was made from, with what the daemon sees to.
    #[serde(default)]
    pub template: Option<AssignedTemplate>,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl Tenant {
    /// Whether the same bounds, settings and prices hold for another's quotas.
    pub fn has_the_plan_of(&self, other: &Tenant) -> bool {
        let Tenant { tier, template, provider, region, .. } = self;
        (tier, template, provider, region) == (&other.tier, &other.template, &other.provider, &other.region)
    }
}

/// Where capacity is bought, which decides its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'a> {
    /// The provider, as in the price book.
    pub provider: &'a str,
    /// The region, as in the price book.
    pub region: &'a str,
}

impl<'a> From<&'a Tenant> for Site<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Site { provider: &tenant.provider, region: &tenant.region }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_would_break_a_url_or_a_label_are_refused() {
        for good in ["acme", "a", "Acme-2.eu_west", &"x".repeat(128)] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        for bad in ["", "-acme", "a/b", "a b", "ä", "../x", &"x".repeat(129)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }
}
