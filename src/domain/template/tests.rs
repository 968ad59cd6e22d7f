//! Templates: what they mean together, what is refused, and that YAML loses
//! nothing.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::domain::Resource;

fn read(text: &str) -> Template {
    yaml::read(text).unwrap().remove(0).template
}

/// The fault of a text that can't be taken, found while it is read or checked.
fn fault(text: &str) -> String {
    let document = match yaml::read(text) {
        Err(fault) => return fault.to_string(),
        Ok(mut documents) => documents.remove(0),
    };
    let tier = document.template.tier.unwrap();
    let resolved = Resolved::of(tier, &[(1, &document.template)]);
    let faults = check(&document.template, &resolved);
    assert_eq!(faults.len(), 1, "{faults:?}");
    document.located(faults[0].clone()).to_string()
}

#[test]
fn a_value_comes_from_the_nearest_that_says_it() {
    let base = read("name: base\ntier: PREMIUM\nresource_quotas:\n  cpu_cores: 10\n  memory_gb: 20\n");
    let gold =
        read("name: gold\nextends: base@4\nresource_quotas:\n  cpu_cores: 12\nregions: [eu-1, eu-2]\n");
    let resolved = Resolved::of(Tier::Premium, &[(4, &base), (7, &gold)]);
    let of = |path: &str| {
        let values = resolved.values();
        let found = values.iter().find(|one| one.path == path).unwrap();
        (found.value.to_string(), found.origin.to_string(), found.enforcement)
    };
    use Enforcement::{DeclaredOnly, Enforced};
    assert_eq!(of("resource_quotas.cpu_cores"), ("12.0".into(), "template gold@7".into(), Enforced));
    assert_eq!(of("resource_quotas.memory_gb"), ("20.0".into(), "template base@4".into(), Enforced));
    assert_eq!(of("resource_quotas.storage_gb"), ("500.0".into(), "tier PREMIUM".into(), Enforced));
    assert_eq!(of("security_config.level"), ("\"BASIC\"".into(), "tier PREMIUM".into(), DeclaredOnly));
    assert_eq!(of("regions"), ("[\"eu-1\",\"eu-2\"]".into(), "template gold@7".into(), DeclaredOnly));
    let before = Resolved::of(Tier::Premium, &[(4, &base)]);
    let differences = differences(Some((&base, &before)), Some((&gold, &resolved)));
    let paths: Vec<&str> = differences.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["extends", "regions", "resource_quotas.cpu_cores"]);
}

#[test]
fn every_tier_is_a_valid_template() {
    for tier in Tier::ALL {
        let template = read(&format!("name: plain\ntier: {tier}\n"));
        let resolved = Resolved::of(tier, &[(1, &template)]);
        assert_eq!(check(&template, &resolved), vec![], "{tier}");
        assert_eq!(resolved.settings.resource_quotas.as_ref().map(|quotas| quotas.0.len()), Some(10));
        let assigned = resolved.assigned(template.name, 1);
        assert!(!assigned.mfa_required && assigned.ip_whitelist.is_empty());
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_column() {
    let at = |text: &str| format!("name: gold\ntier: PREMIUM\n{text}");
    for (text, place, words) in [
        ("colour: red", "line 3, column 1", "colour"),
        ("resource_quotas:\n  memory_mb: 5", "line 4, column 3", "memory_mb"),
        (
            "resource_quotas:\n  memory_gb: 16GiB",
            "line 4, column 14",
            "write the number of GB without a unit",
        ),
        ("resource_quotas:\n  cpu_cores: 500m", "line 4, column 14", "number of cores"),
        ("resource_quotas:\n  cpu_cores: 1\n  cpu_cores: 2", "line 5, column 3", "cpu_cores"),
        (
            "resource_quotas:\n  cpu_cores: 5000",
            "line 4, column 14",
            "the tier PREMIUM allows 0.8 to 32 cores",
        ),
        ("resource_quotas:\n  cpu_cores: .nan", "line 4, column 14", "non-finite"),
        ("security_config:\n  level: TOP", "line 4, column 10", "TOP"),
        ("security_config:\n  mfa_required: maybe", "line 4, column 17", "bool"),
        ("security_config:\n  level: ENHANCED", "line 4, column", "mfa_required must be true"),
        ("security_config:\n  audit_logging: false", "line 4, column 18", "what can't be audited"),
        ("security_config:\n  ip_whitelist: [10.0.0.1/8]", "line 4, column 18", "10.20.0.0/16"),
        ("security_config:\n  geo_restrictions: [Germany]", "line 4, column 22", "two capital letters"),
        ("security_config:\n  geo_restrictions: [DE, ZZ]", "line 4, column 21", "names ZZ"),
        ("ai_config:\n  model_training_quota_hours: -1", "line 4, column 31", "from 0 to"),
        ("ai_config:\n  inference_requests_per_day: 1.5", "line 4, column 31", "a whole number that"),
        ("disaster_recovery:\n  recovery_point_minutes: -1", "line 4, column 27", "a whole number that"),
        (
            "monitoring_config:\n  sla_targets:\n    violation_budget: 2",
            "line 5, column 23",
            "from 0.0001 to 0.5",
        ),
        ("monitoring_config:\n  scrape_expressions:\n    cpu_cores: sum(", "line 5, column 16", "PromQL"),
        ("branding:\n  product_name: Mine", "line 4, column", "only for the tier WHITE_LABEL"),
        (
            "regions: [eu-1]\ndisaster_recovery:\n  failover_region: us-1",
            "line 5, column 20",
            "none of the regions",
        ),
        ("description: [", "line 3", ""),
    ] {
        let found = fault(&at(text));
        assert!(found.starts_with(place) && found.contains(words), "{text:?}: {found}");
    }
    assert!(fault("").contains("name"), "{}", fault(""));
    assert!(fault("tier: FREE").contains("name"));
}

fn words(pattern: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(pattern).unwrap()
}

fn network() -> impl Strategy<Value = Network> {
    (any::<[u8; 2]>(), 0_u8..=16).prop_filter_map("bits behind the prefix", |([a, b], prefix)| {
        format!("{a}.{b}.0.0/{prefix}").parse().ok()
    })
}

fn security() -> impl Strategy<Value = SecurityConfig> {
    let country = words("[A-Z]{2}").prop_map(|text| text.parse().unwrap());
    (of(any::<bool>()), of(vec(network(), 0..3)), of(vec(country, 0..3)), any::<bool>()).prop_map(
        |(mfa_required, ip_whitelist, geo_restrictions, maximum)| SecurityConfig {
            level: maximum.then_some(SecurityLevel::Maximum),
            mfa_required,
            ip_whitelist,
            geo_restrictions,
            compliance_frameworks: Some(vec![ComplianceFramework::PciDss, ComplianceFramework::Iso27001]),
            ..SecurityConfig::default()
        },
    )
}

fn monitoring() -> impl Strategy<Value = MonitoringConfig> {
    let receiver = words("[a-z0-9][a-z0-9_-]{0,9}").prop_map(|text| text.parse().unwrap());
    let link = words("https://[a-z0-9]{1,9}/[!-~&&[^\"]]{0,20}").prop_map(|text| text.parse().unwrap());
    let expressions = btree_map(resource(), any::<String>(), 0..3);
    (
        of(expressions),
        of(any::<f64>().prop_filter("a number", |n| n.is_finite())),
        vec(receiver, 0..3),
        vec(link, 0..3),
    )
        .prop_map(|(scrape_expressions, violation_budget, alert_receivers, dashboards)| {
            MonitoringConfig {
                scrape_expressions,
                sla_targets: Some(SlaTargets { violation_budget, ..SlaTargets::default() }),
                alert_receivers: Some(alert_receivers),
                dashboards: Some(dashboards),
            }
        })
}

fn resource() -> impl Strategy<Value = Resource> {
    prop::sample::select(Resource::ALL.to_vec())
}

fn template() -> impl Strategy<Value = Template> {
    let finite = any::<f64>().prop_filter("a number", |number| number.is_finite());
    let quotas = of(btree_map(resource(), finite, 0..10).prop_map(ResourceQuotas));
    let name = words("[a-z0-9][a-z0-9_-]{0,20}").prop_map(|text| text.parse::<TemplateName>().unwrap());
    let extends = (name, of(1_u64..)).prop_map(|(name, version)| Extends { name, version });
    let tier = prop::sample::select(Tier::ALL.to_vec());
    let branding = (of(any::<String>()), of(words("#[0-9a-fA-F]{6}"))).prop_map(|(product_name, colour)| {
        let primary_color = colour.map(|text| text.parse().unwrap());
        Branding { product_name, primary_color, ..Branding::default() }
    });
    let ai = (of(any::<u64>()), of(any::<bool>())).prop_map(|(requests, automl)| AiConfig {
        inference_requests_per_day: requests,
        automl,
        ..AiConfig::default()
    });
    let regions =
        of(vec(words("[a-zA-Z0-9][a-zA-Z0-9._-]{0,9}").prop_map(|text| text.parse().unwrap()), 0..3));
    let sections = (quotas, of(security()), of(ai), of(monitoring()), of(branding), regions);
    (words("[a-z0-9][a-z0-9_-]{0,9}"), of(any::<String>()), of(tier), of(extends), sections).prop_map(
        |(name, description, tier, extends, sections)| {
            let (resource_quotas, security_config, ai_config, monitoring_config, branding, regions) =
                sections;
            let settings = Settings {
                resource_quotas,
                security_config,
                ai_config,
                monitoring_config,
                branding,
                regions,
                ..Settings::default()
            };
            Template { name: name.parse().unwrap(), description, tier, extends, settings }
        },
    )
}

proptest! {
    /// Whatever a template says, however odd its texts and numbers, it comes
    /// back from YAML as it was.
    #[test]
    fn yaml_gives_back_what_was_written(template in template()) {
        let text = yaml::write(&template).unwrap();
        let back = yaml::read(&text);
        prop_assert!(back.is_ok(), "{:?}\n{}", back, text);
        prop_assert_eq!(&back.unwrap()[0].template, &template, "{}", text);
    }

    /// Whatever the text, reading ends with templates or with a fault.
    #[test]
    fn any_text_is_answered(text in "[a-z:\\[\\]{}&*!|>'\"# \n0-9.-]{0,120}") {
        let _ = yaml::read(&text);
    }
}
