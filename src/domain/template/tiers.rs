//! What every tenant of a tier begins with.

use super::super::{Resource, Tier};
use super::{
    AiConfig, MonitoringConfig, ResourceQuotas, SecurityConfig, SecurityLevel, Settings, SlaTargets,
};

/// The settings of a tier. What asks effort of people, such as a second
/// factor, is never asked for by a tier alone, and the violation budget stands
/// in the config.
pub(super) fn defaults(tier: Tier) -> Settings {
    let quotas = Resource::ALL.map(|resource| (resource, tier.default_quota(resource)));
    let security = SecurityConfig {
        level: Some(SecurityLevel::Basic),
        mfa_required: Some(false),
        ip_whitelist: Some(Vec::new()),
        geo_restrictions: Some(Vec::new()),
        zero_trust_networking: Some(false),
        audit_logging: Some(true),
        end_to_end_encryption: Some(false),
        compliance_frameworks: Some(Vec::new()),
    };
    // Columns: FREE, STANDARD, PREMIUM, ENTERPRISE, ENTERPRISE_PLUS, WHITE_LABEL.
    let place = Tier::ALL.iter().position(|one| *one == tier).unwrap_or(0);
    let monitoring = MonitoringConfig {
        sla_targets: Some(SlaTargets {
            availability_percent: Some(tier.availability_percent()),
            ..SlaTargets::default()
        }),
        alert_receivers: Some(Vec::new()),
        dashboards: Some(Vec::new()),
        ..MonitoringConfig::default()
    };
    Settings {
        resource_quotas: Some(ResourceQuotas(quotas.into())),
        security_config: Some(security),
        ai_config: Some(ai(tier, place)),
        monitoring_config: Some(monitoring),
        ..Settings::default()
    }
}

fn ai(tier: Tier, place: usize) -> AiConfig {
    let from = |least: Tier| Some(tier >= least);
    AiConfig {
        recommendation_engine: Some(true),
        sentiment_analysis: from(Tier::Standard),
        natural_language_processing: from(Tier::Premium),
        computer_vision: from(Tier::Premium),
        automl: from(Tier::Enterprise),
        model_training_quota_hours: Some([0.0, 10.0, 100.0, 500.0, 2_000.0, 2_000.0][place]),
        inference_requests_per_day: Some([1_000, 10_000, 100_000, 1_000_000, 10_000_000, 10_000_000][place]),
        custom_models_allowed: from(Tier::Premium),
        gpu_acceleration: from(Tier::Enterprise),
        federated_learning: from(Tier::EnterprisePlus),
    }
}
