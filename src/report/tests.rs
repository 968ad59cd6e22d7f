//! Reports made from figures by hand.

use std::collections::BTreeMap;

use super::model::*;
use super::*;
use crate::cost::Costs;
use crate::domain::sla::{self, Objective, SlaSettings, SlaState};
use crate::domain::{ApplyMode, Money, Resource, TimeRange, Timestamp};

const ODD: &str = "<script>alert(1)</script>\"'&|";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn month(amount: &str) -> Money<crate::domain::PerMonth> {
    Money::new(amount.parse().unwrap(), "EUR".parse().unwrap())
}

fn costs() -> Costs {
    let once = Money::new("100".parse().unwrap(), "EUR".parse().unwrap());
    Costs {
        now: month("1234.5"),
        recommended: month("1000"),
        idle: month("200"),
        so_far: once,
        month_end: once,
        month_end_recommended: once,
    }
}

fn range() -> TimeRange {
    TimeRange { start: at("2026-11-16"), end: at("2026-11-23") }
}

fn no_incidents() -> Incidents {
    Incidents { opened: 0, resolved: 0, open: 0, kinds: BTreeMap::new(), list: Top::of(Vec::new(), 1) }
}

fn nothing_applied() -> AppliedChanges {
    AppliedChanges { changes: 0, savings: None, by_day: Vec::new(), list: Top::of(Vec::new(), 1) }
}

/// An availability of which so much was bad, over every window.
fn promise(target: f64, bad: f64) -> SlaState {
    let settings = SlaSettings::default();
    let good = settings.windows().into_iter().map(|window| (window, 1.0 - bad)).collect();
    sla::judge(Objective::Availability, target, &good, &settings)
}

fn unmeasured() -> SlaState {
    sla::judge(Objective::Quota(Resource::CpuCores), 0.995, &BTreeMap::new(), &SlaSettings::default())
}

fn of_tenant(brand: Option<Brand>) -> Report {
    let chart = UsageChart {
        start: at("2026-11-16"),
        step_hours: 1,
        usage: (0..168).map(|hour| (hour % 50 != 0).then_some(f64::from(hour % 24))).collect(),
        quota: vec![32.0; 192],
        forecast: vec![[1.0, 5.0, 9.0]; 24],
    };
    let quota = ReportedQuota {
        resource: Resource::CpuCores,
        limit: 32.0,
        recommended: Some(24.5),
        saving: Some(month("234.5")),
        reasons: vec![ODD.to_owned()],
        samples: 168,
        mean: Some(11.5),
        peak: Some(23.0),
        above: Some(0.0),
        hours: Some(7.0),
        chart: Some(chart),
    };
    Report::Tenant(TenantReport {
        range: range(),
        made_at: at("2026-11-23T06:00:00Z"),
        is_simulated: false,
        tenant: "acme".parse().unwrap(),
        name: ODD.to_owned(),
        tier: crate::domain::Tier::WhiteLabel,
        apply_mode: ApplyMode::Review,
        costs: Some(costs()),
        quotas: vec![quota],
        tier_move: None,
        promises: vec![promise(0.999, 0.0015), unmeasured()],
        incidents: no_incidents(),
        applied: nothing_applied(),
        brand,
    })
}

fn of_fleet() -> Report {
    let tier = crate::domain::Tier::Premium;
    let tenant = || "acme".parse().unwrap();
    let saving = TopSaving {
        tenant: tenant(),
        tier,
        resource: Resource::CpuCores,
        current: 8.0,
        proposed: 2.5,
        saving: month("234.5"),
        confidence: 0.93,
    };
    let risk = AtRisk {
        tenant: tenant(),
        tier,
        resource: Resource::MemoryGb,
        quota: 16.0,
        used: 15.0,
        expected: Some(17.25),
        hours: 12.2,
    };
    Report::Fleet(FleetReport {
        range: range(),
        made_at: at("2026-11-23T06:00:00Z"),
        is_simulated: false,
        tenants: 1200,
        waiting: 2,
        money: Some(FleetMoney {
            fleet: costs(),
            tiers: [(tier, costs())].into(),
            budgets: Vec::new(),
            unpriced: 0,
        }),
        top_savings: Top { total: 3, rows: vec![saving] },
        at_risk: Top::of(vec![risk], 5),
        tier_moves: Top::of(Vec::new(), 5),
        incidents: no_incidents(),
        promises: Some(Promises {
            period_seconds: 28 * 86_400,
            availability: PromisesKept { measured: 1, kept: 0 },
            latency: PromisesKept { measured: 2, kept: 1 },
            quotas: PromisesKept { measured: 9, kept: 9 },
            list: Top::of(vec![PromiseRow { tenant: tenant(), tier, state: promise(0.999, 0.0015) }], 5),
        }),
        accuracy: vec![Accuracy {
            resource: Resource::CpuCores,
            version: 3,
            is_live: true,
            values: 12_000,
            to_seasonal_naive: Some(0.72),
            cover: Some(0.81),
        }],
        applied: nothing_applied(),
        since: None,
    })
}

fn text(report: &Report, format: ReportFormat, language: Language) -> String {
    String::from_utf8(render(report, format, language).unwrap()).unwrap()
}

#[test]
fn a_page_runs_nothing_and_takes_no_markup_from_data() {
    let brand = Brand {
        product_name: Some(ODD.to_owned()),
        logo_url: Some("https://cdn.example/a.svg?<x>'\"".to_owned()),
        primary: Some("#0a2540".to_owned()),
        accent: Some("red;}</style><script>".to_owned()),
    };
    for report in [of_tenant(Some(brand)), of_fleet()] {
        let page = text(&report, ReportFormat::Html, Language::English);
        assert!(!page.contains("<script") && !page.contains("</style><"), "{page}");
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"), "{page}");
        assert_eq!(page.matches("<style>").count(), 1);
        assert!(page.contains("<svg role=\"img\" aria-label="), "{page}");
        // Every address is an image's, or names the form of the charts.
        let addresses = page.matches("http").count();
        let known =
            page.matches("http://www.w3.org/2000/svg").count() + page.matches("cdn.example").count() + 1;
        assert!(addresses <= known, "{addresses} addresses, {known} known");
    }
}

#[test]
fn a_tenants_own_look_takes_the_place_of_the_houses() {
    let brand = Brand {
        product_name: Some("Cloud of Acme".to_owned()),
        logo_url: Some("https://cdn.example/logo.svg".to_owned()),
        primary: Some("#ffcc00".to_owned()),
        accent: None,
    };
    let page = text(&of_tenant(Some(brand)), ReportFormat::Html, Language::English);
    assert!(page.contains("--brand: #ffcc00; --on-brand: #000000"), "{page}");
    assert!(
        page.contains("img-src https://cdn.example;") && page.contains("alt=\"Cloud of Acme\""),
        "{page}"
    );
    assert!(!page.contains("Plimsoll"), "{page}");
    assert!(text(&of_tenant(None), ReportFormat::Html, Language::English).contains("Plimsoll"));
}

#[test]
fn each_language_has_its_words_and_figures() {
    let page = |language| text(&of_fleet(), ReportFormat::Markdown, language);
    let (english, german) = (page(Language::English), page(Language::German));
    assert!(
        english.contains("Tenants: 1,200. At the quotas that stand they cost 1,234.50\u{a0}EUR a month"),
        "{english}"
    );
    assert!(
        english
            .contains("234.50\u{a0}EUR a month could be saved. Recommendations that wait for a decision: 2."),
        "{english}"
    );
    assert!(english.contains("Memory of acme, in 12 h"), "{english}");
    assert!(german.contains("Mandanten: 1.200. Bei"), "{german}");
    assert!(german.contains("1.234,50\u{a0}EUR") && german.contains("23.11.2026"), "{german}");
    assert!(german.contains("Und 2 weitere.") && !german.contains("tenants"), "{german}");
    assert!(text(&of_fleet(), ReportFormat::Html, Language::German).contains("<html lang=\"de\">"));
}

#[test]
fn machines_get_every_figure() {
    let report = of_fleet();
    let read: Report = serde_json::from_str(&text(&report, ReportFormat::Json, Language::English)).unwrap();
    assert_eq!(read, report);
    let csv = text(&report, ReportFormat::Csv, Language::English);
    assert!(csv.starts_with("part,tenant,tier,resource,at,what,value,unit,text\n"), "{csv}");
    assert!(csv.contains("at_risk,acme,PREMIUM,memory_gb,,hours,12.2,h,\n"), "{csv}");
    assert!(csv.contains("top_savings,acme,PREMIUM,cpu_cores,,saving,234.5,EUR/month,\n"), "{csv}");
    assert!(csv.contains("promises,acme,PREMIUM,,,target,0.999,,\n"), "{csv}");
    assert!(csv.contains("promises,acme,PREMIUM,,,breach,,,used_up\n"), "{csv}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.parquet");
    std::fs::write(&file, render(&report, ReportFormat::Parquet, Language::English).unwrap()).unwrap();
    let table = crate::series::table::read(&file).unwrap();
    assert_eq!(table.rows() + 1, csv.lines().count());
}

#[test]
fn what_is_told_fits_into_a_letter() {
    let (title, summary) = in_short(&of_tenant(None), Language::German);
    assert!(title.starts_with("Bericht für "), "{title}");
    assert!(summary.iter().any(|one| one.contains("sobald ein Mensch zustimmt")), "{summary:?}");
}

#[test]
fn what_is_simulated_says_so_first() {
    let simulated = |report: Report| match report {
        Report::Fleet(report) => Report::Fleet(FleetReport { is_simulated: true, ..report }),
        Report::Tenant(report) => Report::Tenant(TenantReport { is_simulated: true, ..report }),
    };
    for (language, words) in
        [(Language::English, "The usage is simulated"), (Language::German, "Die Nutzung ist simuliert")]
    {
        for report in [of_fleet(), of_tenant(None)] {
            let page = |report: &Report| text(report, ReportFormat::Html, language);
            assert!(!page(&report).contains(words));
            assert!(page(&simulated(report)).contains(words));
        }
    }
}

#[test]
fn promises_stand_with_their_error_budget_and_how_fast_it_is_spent() {
    let fleet = text(&of_fleet(), ReportFormat::Markdown, Language::English);
    assert!(fleet.contains("Promises that are kept: 10 of the 12 that are measured."), "{fleet}");
    assert!(fleet.contains("Answers in time: 1 of 2 promises are kept."), "{fleet}");
    assert!(fleet.contains("Availability: 0 of 1 promises are kept."), "{fleet}");
    let row = "| acme | PREMIUM | availability | 99.9\u{a0}% | 99.85\u{a0}% | −50\u{a0}% | 1.5 | 1.5 | budget used up |";
    assert!(fleet.contains(row), "{fleet}");
    let tenant = text(&of_tenant(None), ReportFormat::Markdown, Language::German);
    assert!(
        tenant.contains("| CPU unter dem Kontingent | 99,5\u{a0}% | – | – | – | – | nicht gemessen |"),
        "{tenant}"
    );
    assert!(tenant.contains("## Zusagen an diesen Mandanten\n"), "{tenant}");
    assert!(tenant.contains("Eingehaltene Zusagen: 0 von 1, die gemessen werden."), "{tenant}");
    // One that an earlier version has made says nothing of them.
    let mut old = serde_json::to_value(of_fleet()).unwrap();
    old.as_object_mut().unwrap().remove("promises");
    let old: Report = serde_json::from_value(old).unwrap();
    assert!(!text(&old, ReportFormat::Markdown, Language::English).contains("Promises"));
}
