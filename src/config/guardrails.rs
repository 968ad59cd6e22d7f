//! What the daemon may do by itself, and when it may not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::notify::bad_value;
use super::reader::{Key, Reader, Section};
use super::reports::read_timetable;
use super::units::days;
use super::values::above_zero;
use crate::domain::policy::Bounds;
use crate::domain::{Budget, Budgets, FreezeWindow, Guardrails, Resource, TenantId, Tier};

/// Reads the guardrails of the automatic changes.
pub(super) fn read(reader: &mut Reader<'_>) -> Guardrails {
    let about =
        "What the daemon may do by itself for tenants in the mode \"approved\". A person may do more.";
    let mut section = reader.section("guardrails", about);
    let default = Guardrails::default();
    Guardrails {
        largest_step_up: section.number(
            "largest_step_up",
            "The largest raise in one step, as a share of the quota: 1.0 doubles it.",
            default.largest_step_up,
            0.0..=100.0,
        ),
        largest_step_down: section.number(
            "largest_step_down",
            "The largest cut in one step, as a share of the quota: 0.3 leaves 70 %.",
            default.largest_step_down,
            0.0..=0.95,
        ),
        cool_down: section.duration(
            "cool_down",
            "The least time between two automatic changes of one quota.",
            default.cool_down,
            Duration::ZERO..=days(90),
        ),
        least_confidence: section.number(
            "least_confidence",
            "The least confidence of a recommendation.",
            default.least_confidence,
            0.0..=1.0,
        ),
        rollbacks_that_stop: section.count(
            "rollbacks_that_stop",
            "So many rollbacks within a week, and a person decides on all of that tenant's changes.",
            default.rollbacks_that_stop,
            1..=1_000,
        ),
        monthly_rise: read_monthly_rise(&mut section),
        bounds: read_bounds(&mut section),
        freezes: read_freezes(reader),
    }
}

fn read_monthly_rise(section: &mut Section<'_, '_>) -> Budgets {
    let about = "What the daemon's own changes of a calendar month (UTC) may add to the monthly cost, cuts taken \
                 off: of all tenants, of those of a tier, of one tenant. A raise beyond it waits for a person; \
                 resources without a price don't count. It needs [costs].";
    let like = "\"fleet 500EUR/month\"";
    let example = "[\"fleet 500EUR/month\", \"tier FREE 20EUR/month\", \"tenant acme 50EUR/month\"]";
    let key = Key::new("monthly_rise", about, "a list of budgets").example(example);
    let budgets = section.list(key, like, |text| text.parse::<Budget>().map_err(bad_value));
    Budgets::new(budgets.unwrap_or_default())
}

fn read_bounds(section: &mut Section<'_, '_>) -> BTreeMap<Resource, Bounds> {
    let floors =
        limits(section, "floors", "The lowest quota that the daemon sets by itself, beside the tier's.");
    let ceilings =
        limits(section, "ceilings", "The highest quota that the daemon sets by itself, beside the tier's.");
    let mut bounds: BTreeMap<Resource, Bounds> = BTreeMap::new();
    for (resource, floor) in floors {
        bounds.entry(resource).or_default().floor = Some(floor);
    }
    for (resource, ceiling) in ceilings {
        let one = bounds.entry(resource).or_default();
        one.ceiling = Some(ceiling);
        if let Some(floor) = one.floor.filter(|floor| *floor > ceiling) {
            let what = format!("is {ceiling} for {resource}, below its floor of {floor}");
            section.conflict(&["ceilings"], what, "raise the one or lower the other");
        }
    }
    bounds
}

fn limits(section: &mut Section<'_, '_>, name: &'static str, about: &'static str) -> Vec<(Resource, f64)> {
    let mut inner = section.section(name, about);
    let one = |resource: Resource| {
        let key = Key::new(resource.name(), "", "a number above 0").example("2.0");
        inner.take(key, above_zero).map(|limit| (resource, limit))
    };
    Resource::ALL.into_iter().filter_map(one).collect()
}

const FREEZES: &str = "\
Times in which the daemon changes nothing by itself, a section each, under a name of your choice. A \
person may still change and approve.";

fn read_freezes(reader: &mut Reader<'_>) -> Vec<FreezeWindow> {
    let mut freezes = Vec::new();
    for name in reader.names_of_sections("freeze_windows", FREEZES, "weekend") {
        let mut section = reader.named_section("freeze_windows", &name, "A freeze window.");
        let begins = read_timetable(&mut section);
        let lasts = section.duration(
            "lasts",
            "How long it lasts.",
            Duration::from_secs(62 * 3600),
            Duration::from_secs(60)..=days(60),
        );
        let tiers = Key::new("tiers", "The tiers that it is for; left out, all.", "a list of tiers");
        let tiers = section.list(tiers.example("[\"ENTERPRISE\"]"), "\"ENTERPRISE\"", |text| {
            text.parse::<Tier>().map_err(bad_value)
        });
        let tenants = Key::new("tenants", "The tenants that it is for, too.", "a list of tenant ids");
        let tenants = section.list(tenants.example("[\"acme\"]"), "\"acme\"", |text| {
            text.parse::<TenantId>().map_err(bad_value)
        });
        let (tiers, tenants) = (tiers.unwrap_or_default(), tenants.unwrap_or_default());
        freezes.extend(begins.map(|begins| FreezeWindow { name, begins, lasts, tiers, tenants }));
    }
    freezes
}
