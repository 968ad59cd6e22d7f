//! What a template can say, section by section. Every value can be left open;
//! in a resolved template all are there that a tier gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{ReceiverName, Resource};
use super::{Colour, Country, Link, Network, Picture, RegionName, ResourceQuotas};

/// A section whose values can all be left open.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$about])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }
    };
}

section! {
    /// All that a template can say.
    Settings {
        /// What a new tenant may use, in the unit that each name says.
        resource_quotas: ResourceQuotas,
        /// How a tenant is guarded.
        security_config: SecurityConfig,
        /// Which AI features a tenant may use, and how much.
        ai_config: AiConfig,
        /// How a tenant is watched.
        monitoring_config: MonitoringConfig,
        /// How pages and reports look for a tenant of the tier WHITE_LABEL.
        branding: Branding,
        /// Where a tenant's work may run.
        regions: Vec<RegionName>,
        /// Where a tenant's data may lie.
        data_residency: DataResidency,
        /// How a tenant comes back after a disaster.
        disaster_recovery: DisasterRecovery,
    }
}

/// How strictly a tenant is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityLevel {
    /// TLS.
    Basic,
    /// And AES-256 at rest, and a second factor.
    Enhanced,
    /// And end-to-end encryption, and zero trust.
    Maximum,
    /// And keys in a hardware security module.
    Classified,
}

/// A catalogue of controls that a tenant must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum ComplianceFramework {
    /// The General Data Protection Regulation of the EU.
    #[serde(rename = "GDPR")]
    Gdpr,
    /// The Health Insurance Portability and Accountability Act.
    #[serde(rename = "HIPAA")]
    Hipaa,
    /// The Sarbanes-Oxley Act.
    #[serde(rename = "SOX")]
    Sox,
    /// The Payment Card Industry Data Security Standard.
    #[serde(rename = "PCI_DSS")]
    PciDss,
    /// ISO/IEC 27001.
    #[serde(rename = "ISO_27001")]
    Iso27001,
    /// The Federal Risk and Authorization Management Program.
    #[serde(rename = "FEDRAMP")]
    FedRamp,
}

section! {
    /// How a tenant is guarded.
    SecurityConfig {
        /// How strictly.
        level: SecurityLevel,
        /// Whether approvals for the tenant need a second factor.
        mfa_required: bool,
        /// From where the tenant may be acted for; from anywhere where empty.
        ip_whitelist: Vec<Network>,
        /// The countries from which the tenant may be used; all where empty.
        geo_restrictions: Vec<Country>,
        /// Whether every caller must prove who it is, inside the platform too.
        zero_trust_networking: bool,
        /// Whether changes are written to the audit log; it can't be off.
        audit_logging: bool,
        /// Whether only the tenant holds the keys to its data.
        end_to_end_encryption: bool,
        /// The catalogues of controls that must be met.
        compliance_frameworks: Vec<ComplianceFramework>,
    }
}

section! {
    /// Which AI features a tenant may use, and how much.
    AiConfig {
        /// Recommendations from the tenant's own data.
        recommendation_engine: bool,
        /// Judging the mood of texts.
        sentiment_analysis: bool,
        /// Understanding of language.
        natural_language_processing: bool,
        /// Understanding of pictures.
        computer_vision: bool,
        /// Models that choose themselves.
        automl: bool,
        /// Hours of training a month.
        model_training_quota_hours: f64,
        /// Requests to models a day.
        inference_requests_per_day: u64,
        /// Models that the tenant brings.
        custom_models_allowed: bool,
        /// Work on GPUs.
        gpu_acceleration: bool,
        /// Training over several regions whose data stays where it is.
        federated_learning: bool,
    }
}

section! {
    /// How a tenant is watched.
    MonitoringConfig {
        /// PromQL by resource, for the platform's own scraping.
        #[schema(value_type = Option<BTreeMap<String, String>>)]
        scrape_expressions: BTreeMap<Resource, String>,
        /// What is promised.
        sla_targets: SlaTargets,
        /// Who is told of the tenant's incidents; everybody where empty.
        alert_receivers: Vec<ReceiverName>,
        /// Pages that show the tenant.
        dashboards: Vec<Link>,
    }
}

section! {
    /// What a tenant is promised.
    SlaTargets {
        /// The share of samples in which demand may lie above a quota.
        violation_budget: f64,
        /// The share of time in which the service answers, in percent.
        availability_percent: f64,
        /// How long 99 of 100 answers may take, in milliseconds.
        latency_p99_ms: f64,
    }
}

section! {
    /// How pages and reports look.
    Branding {
        /// The name in the place of the platform's.
        product_name: String,
        /// The logo. Reports show either; pages load nothing from elsewhere and
        /// show one that is written here as a data URL.
        logo_url: Picture,
        /// The colour of headings and buttons.
        primary_color: Colour,
        /// The colour of what stands out.
        accent_color: Colour,
    }
}

section! {
    /// Where a tenant's data may lie.
    DataResidency {
        /// The countries; anywhere where empty.
        countries: Vec<Country>,
        /// Whether copies may leave them for recovery.
        copies_may_leave: bool,
    }
}

section! {
    /// How a tenant comes back after a disaster.
    DisasterRecovery {
        /// The region that takes over; one of `regions`.
        failover_region: RegionName,
        /// How much work may be lost, in minutes.
        recovery_point_minutes: u64,
        /// How long it may take, in minutes.
        recovery_time_minutes: u64,
    }
}
