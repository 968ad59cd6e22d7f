//! Templates: named, versioned settings that tenants are made from.
//!
//! A template is written down as what it says itself. What it leaves open comes
//! from the template that it extends, and at the root from a tier. Every change
//! makes a new version, and a version names the version that it extends: so a
//! name and a version always mean the same values.

mod check;
mod difference;
mod flat;
mod quotas;
mod settings;
mod tiers;
mod words;
pub mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use check::{Fault, check};
pub use difference::{Difference, differences};
pub use quotas::ResourceQuotas;
pub use settings::{
    AiConfig, Branding, ComplianceFramework, DataResidency, DisasterRecovery, MonitoringConfig,
    SecurityConfig, SecurityLevel, Settings, SlaTargets,
};
pub use words::{Colour, Country, Link, Network, Picture, RegionName, TemplateName};

use super::{DomainError, ReceiverName, Tier};

/// The settings that the daemon sees to by itself; all others are kept and
/// shown, and it is for the platform to hold them. A name that ends with a dot
/// stands for all that begin with it.
const ENFORCED: [&str; 10] = [
    "ai_config.inference_requests_per_day",
    "ai_config.model_training_quota_hours",
    "resource_quotas.",
    "monitoring_config.alert_receivers",
    "monitoring_config.sla_targets.availability_percent",
    "monitoring_config.sla_targets.latency_p99_ms",
    "monitoring_config.sla_targets.violation_budget",
    "security_config.audit_logging",
    "security_config.ip_whitelist",
    "security_config.mfa_required",
];

/// Which template, and which version of it; written as `name@3`, or as `name`
/// for the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Extends {
    /// The template.
    pub name: TemplateName,
    /// Its version; `None` for the newest.
    pub version: Option<u64>,
}

impl FromStr for Extends {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let Some((name, version)) = text.split_once('@') else {
            return Ok(Extends { name: text.parse()?, version: None });
        };
        let version = version.parse().ok().filter(|version| *version > 0);
        let version = version.ok_or_else(|| DomainError::BadText {
            text: text.to_owned(),
            wanted: "a template and its version; write it like gold@3, or gold for the newest",
        })?;
        Ok(Extends { name: name.parse()?, version: Some(version) })
    }
}

impl TryFrom<String> for Extends {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Extends> for String {
    fn from(extends: Extends) -> String {
        extends.to_string()
    }
}

impl fmt::Display for Extends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// A template as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(from = "Flat")]
pub struct Template {
    /// Its name.
    pub name: TemplateName,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tier that it is made from, unless it extends another template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The template that it extends, unless it is made from a tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9_-]{0,63}(@[1-9][0-9]*)?$")]
    pub extends: Option<Extends>,
    /// What it says itself.
    #[serde(flatten)]
    pub settings: Settings,
}

/// The form in which a template is read: with `flatten`, unknown keys would
/// pass and no place could be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    name: TemplateName,
    description: Option<String>,
    tier: Option<Tier>,
    extends: Option<Extends>,
    resource_quotas: Option<ResourceQuotas>,
    security_config: Option<SecurityConfig>,
    ai_config: Option<AiConfig>,
    monitoring_config: Option<MonitoringConfig>,
    branding: Option<Branding>,
    regions: Option<Vec<RegionName>>,
    data_residency: Option<DataResidency>,
    disaster_recovery: Option<DisasterRecovery>,
}

impl From<Flat> for Template {
    fn from(flat: Flat) -> Self {
        let settings = Settings {
            resource_quotas: flat.resource_quotas,
            security_config: flat.security_config,
            ai_config: flat.ai_config,
            monitoring_config: flat.monitoring_config,
            branding: flat.branding,
            regions: flat.regions,
            data_residency: flat.data_residency,
            disaster_recovery: flat.disaster_recovery,
        };
        Template {
            name: flat.name,
            description: flat.description,
            tier: flat.tier,
            extends: flat.extends,
            settings,
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// What every tenant of a tier begins with.
    Tier {
        /// The tier.
        tier: Tier,
    },
    /// A template says so.
    Template {
        /// Its name.
        name: TemplateName,
        /// Its version.
        version: u64,
    },
    /// The daemon's config says so.
    Config {
        /// The key.
        key: String,
    },
    /// It was changed for this tenant.
    Tenant,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Tier { tier } => write!(f, "tier {tier}"),
            Origin::Template { name, version } => write!(f, "template {name}@{version}"),
            Origin::Config { key } => write!(f, "config {key}"),
            Origin::Tenant => f.write_str("tenant"),
        }
    }
}

/// Whether the daemon sees to a setting by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It does.
    Enforced,
    /// It keeps and shows it, and does nothing about it.
    DeclaredOnly,
}

impl Enforcement {
    /// Of the setting at a path such as `security_config.level`.
    pub fn of(path: &str) -> Self {
        let is = |name: &str| name == path || name.ends_with('.') && path.starts_with(name);
        if ENFORCED.iter().any(|name| is(name)) { Enforcement::Enforced } else { Enforcement::DeclaredOnly }
    }
}

/// One value with all that is to be known of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Setting {
    /// Its place, such as `security_config.level`.
    pub path: String,
    /// The value.
    pub value: serde_json::Value,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the daemon sees to it.
    pub enforcement: Enforcement,
}

/// All that holds under a template: its own values over those that it extends,
/// over those of the tier.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The tier at the root.
    pub tier: Tier,
    /// All values.
    pub settings: Settings,
    origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// What every tenant of a tier begins with.
    pub fn of_tier(tier: Tier) -> Self {
        Resolved::of(tier, &[])
    }

    /// What holds under a chain of templates with their versions, the root
    /// first, each laid over those before.
    pub fn of(tier: Tier, chain: &[(u64, &Template)]) -> Self {
        let mut values = BTreeMap::new();
        let mut lay = |settings: &Settings, origin: Origin| {
            for (path, value) in flat::flatten(settings) {
                values.insert(path, (value, origin.clone()));
            }
        };
        lay(&tiers::defaults(tier), Origin::Tier { tier });
        for (version, template) in chain {
            let origin = Origin::Template { name: template.name.clone(), version: *version };
            lay(&template.settings, origin);
        }
        let settings = flat::unflatten(values.iter().map(|(path, (value, _))| (path.as_str(), value)));
        let origins = values.into_iter().map(|(path, (_, origin))| (path, origin)).collect();
        Resolved { tier, settings, origins }
    }

    /// Each value with where it comes from, by path.
    pub fn values(&self) -> Vec<Setting> {
        let value = |(path, value): (String, serde_json::Value)| {
            let origin = self.origins.get(&path).cloned().unwrap_or(Origin::Tier { tier: self.tier });
            Setting { enforcement: Enforcement::of(&path), path, value, origin }
        };
        flat::flatten(&self.settings).into_iter().map(value).collect()
    }

    /// What the daemon sees to for a tenant of this template.
    pub fn assigned(&self, name: TemplateName, version: u64) -> AssignedTemplate {
        let security = self.settings.security_config.clone().unwrap_or_default();
        let monitoring = self.settings.monitoring_config.clone().unwrap_or_default();
        let targets = monitoring.sla_targets.unwrap_or_default();
        let ai = self.settings.ai_config.clone().unwrap_or_default();
        AssignedTemplate {
            name,
            version,
            violation_budget: targets.violation_budget,
            availability_percent: targets.availability_percent,
            latency_p99_ms: targets.latency_p99_ms,
            inference_requests_per_day: ai.inference_requests_per_day,
            model_training_quota_hours: ai.model_training_quota_hours,
            alert_receivers: monitoring.alert_receivers.unwrap_or_default(),
            mfa_required: security.mfa_required.unwrap_or_default(),
            ip_whitelist: security.ip_whitelist.unwrap_or_default(),
        }
    }
}

/// The template that a tenant was made from, with what the daemon sees to. A
/// version never changes its meaning, so this is kept with the tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AssignedTemplate {
    /// Its name.
    pub name: TemplateName,
    /// Its version.
    pub version: u64,
    /// The share of samples in which demand may lie above a quota; `None` for
    /// what the config promises the tier.
    pub violation_budget: Option<f64>,
    /// The share of time in which its service answers, in percent; `None` for
    /// what its tier is promised.
    #[serde(default)]
    pub availability_percent: Option<f64>,
    /// How long 99 of 100 answers may take, in milliseconds, where that is
    /// promised.
    #[serde(default)]
    pub latency_p99_ms: Option<f64>,
    /// The requests to models that are granted a day; `None` for its tier's.
    #[serde(default)]
    pub inference_requests_per_day: Option<u64>,
    /// The hours of training that are granted a month; `None` for its tier's.
    #[serde(default)]
    pub model_training_quota_hours: Option<f64>,
    /// Who is told of the tenant's incidents; everybody where empty.
    pub alert_receivers: Vec<ReceiverName>,
    /// Whether approvals for the tenant need a second factor.
    pub mfa_required: bool,
    /// From where the tenant may be acted for; from anywhere where empty.
    pub ip_whitelist: Vec<Network>,
}

#[cfg(test)]
mod tests;
