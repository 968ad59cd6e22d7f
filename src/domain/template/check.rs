//! The rules between the values of a template. The form of each value alone is
//! held by its type.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Tier;
use super::super::quota::LARGEST_QUOTA;
use super::{Resolved, SecurityLevel, Settings, Template};

/// The share of violations that can be promised.
const BUDGETS: RangeInclusive<f64> = 0.0001..=0.5;
/// The longest description or name, in characters.
const LONGEST_TEXT: usize = 1_000;
/// More than the hours of any month on a thousand machines.
const MOST_HOURS: f64 = 1e6;
/// The codes of ISO 3166-1 alpha-2 that are given out, as of 2024.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
                         BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE \
                         EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM \
                         HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC \
                         LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
                         NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
                         SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO \
                         TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";
/// A year, in minutes.
const MOST_MINUTES: u64 = 365 * 24 * 60;

/// Something that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The line of the text that was sent, from 1; `null` where it was no text.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// The place in the template, such as `security_config.level`.
    pub path: String,
    /// What is wrong, and how to mend it.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if self.path.is_empty() {
            write!(f, "{}", self.what)
        } else {
            write!(f, "{} {}", self.path, self.what)
        }
    }
}

impl Fault {
    /// About a value that is not in a text.
    pub fn at(path: &str, what: impl Into<String>) -> Self {
        Fault { line: None, column: None, path: path.to_owned(), what: what.into() }
    }
}

/// Everything that is wrong with a template, of which `resolved` is what holds
/// under it.
pub fn check(template: &Template, resolved: &Resolved) -> Vec<Fault> {
    let mut faults = Vec::new();
    let settings = &resolved.settings;
    if template.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
        faults.push(Fault::at("description", format!("is longer than {LONGEST_TEXT} characters")));
    }
    quotas(settings, resolved.tier, &mut faults);
    security(settings, &mut faults);
    ai(settings, &mut faults);
    monitoring(settings, &mut faults);
    branding(settings, resolved.tier, &mut faults);
    recovery(settings, &mut faults);
    faults
}

fn quotas(settings: &Settings, tier: Tier, faults: &mut Vec<Fault>) {
    for (resource, limit) in settings.resource_quotas.iter().flat_map(|quotas| &quotas.0) {
        let (floor, ceiling) = (tier.floor(*resource), tier.ceiling(*resource).unwrap_or(LARGEST_QUOTA));
        if !(floor..=ceiling).contains(limit) {
            let unit = resource.unit();
            let what = format!("is {limit}; the tier {tier} allows {floor} to {ceiling} {unit}");
            faults.push(Fault::at(&format!("resource_quotas.{resource}"), what));
        }
    }
}

fn security(settings: &Settings, faults: &mut Vec<Fault>) {
    let security = settings.security_config.clone().unwrap_or_default();
    if security.audit_logging == Some(false) {
        let what = "can't be false: what can't be audited does not happen";
        faults.push(Fault::at("security_config.audit_logging", what));
    }
    let countries = security.geo_restrictions.iter().flatten();
    for country in countries.filter(|country| !COUNTRIES.split(' ').any(|code| code == country.as_str())) {
        let what = format!(
            "names {}, which is no country of ISO 3166-1; write its two letters, such as DE",
            country.as_str()
        );
        faults.push(Fault::at("security_config.geo_restrictions", what));
    }
    let Some(level) = security.level else { return };
    let promises = [
        ("mfa_required", security.mfa_required, SecurityLevel::Enhanced),
        ("end_to_end_encryption", security.end_to_end_encryption, SecurityLevel::Maximum),
        ("zero_trust_networking", security.zero_trust_networking, SecurityLevel::Maximum),
    ];
    for (name, value, from) in promises {
        if level >= from && value != Some(true) {
            let what = format!("must be true at this level ({level:?}); set it, or choose a lower level");
            faults.push(Fault::at(&format!("security_config.{name}"), what));
        }
    }
}

fn ai(settings: &Settings, faults: &mut Vec<Fault>) {
    let hours = settings.ai_config.as_ref().and_then(|ai| ai.model_training_quota_hours);
    within(hours, 0.0..=MOST_HOURS, "ai_config.model_training_quota_hours", faults);
}

fn monitoring(settings: &Settings, faults: &mut Vec<Fault>) {
    let Some(monitoring) = &settings.monitoring_config else { return };
    for (resource, expression) in monitoring.scrape_expressions.iter().flatten() {
        if let Err(error) = promql_parser::parser::parse(expression) {
            let path = format!("monitoring_config.scrape_expressions.{resource}");
            faults.push(Fault::at(&path, format!("is not PromQL: {error}")));
        }
    }
    let Some(targets) = &monitoring.sla_targets else { return };
    let path = |name: &str| format!("monitoring_config.sla_targets.{name}");
    within(targets.violation_budget, BUDGETS, &path("violation_budget"), faults);
    within(targets.availability_percent, 1.0..=100.0, &path("availability_percent"), faults);
    within(targets.latency_p99_ms, 0.001..=1e7, &path("latency_p99_ms"), faults);
}

fn branding(settings: &Settings, tier: Tier, faults: &mut Vec<Fault>) {
    let Some(branding) = &settings.branding else { return };
    if tier != Tier::WhiteLabel {
        let what = format!("is only for the tier WHITE_LABEL, not for {tier}; leave it out");
        faults.push(Fault::at("branding", what));
    }
    if branding.product_name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_TEXT)
    {
        faults.push(Fault::at("branding.product_name", "is empty or too long"));
    }
}

fn recovery(settings: &Settings, faults: &mut Vec<Fault>) {
    let Some(recovery) = &settings.disaster_recovery else { return };
    let regions = settings.regions.as_deref().unwrap_or_default();
    if let Some(region) = recovery.failover_region.as_ref().filter(|region| !regions.contains(region)) {
        let what = format!("is {region}, which is none of the regions; add it there");
        faults.push(Fault::at("disaster_recovery.failover_region", what));
    }
    for (name, minutes) in [
        ("recovery_point_minutes", recovery.recovery_point_minutes),
        ("recovery_time_minutes", recovery.recovery_time_minutes),
    ] {
        if minutes.is_some_and(|minutes| minutes > MOST_MINUTES) {
            let what = format!("is more than {MOST_MINUTES}, a year");
            faults.push(Fault::at(&format!("disaster_recovery.{name}"), what));
        }
    }
}

fn within(value: Option<f64>, range: RangeInclusive<f64>, path: &str, faults: &mut Vec<Fault>) {
    if let Some(value) = value.filter(|value| !range.contains(value)) {
        let what = format!("is {value}; it must be a number from {} to {}", range.start(), range.end());
        faults.push(Fault::at(path, what));
    }
}
