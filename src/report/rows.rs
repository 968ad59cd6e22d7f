//! A report as rows, a figure each, for CSV and Parquet: which part of the report
//! it is of, whom it concerns, what it is, and the figure with its unit.

use super::model::{
    AppliedChanges, FleetReport, Incidents, Promises, Report, ReportedQuota, TenantReport, TierMove,
};
use super::parts::plain;
use crate::cost::Costs;
use crate::domain::sla::{Objective, SlaState};
use crate::domain::{Money, Resource, TenantId, Tier, Timestamp};
use crate::series::table::{Column, Table};

/// Whom a figure concerns.
#[derive(Debug, Clone, Default)]
struct About {
    tenant: Option<String>,
    tier: Option<String>,
    resource: Option<String>,
    at: Option<Timestamp>,
}

#[derive(Default)]
struct Rows {
    part: Vec<Option<String>>,
    about: Vec<About>,
    what: Vec<Option<String>>,
    value: Vec<f64>,
    unit: Vec<Option<String>>,
    text: Vec<Option<String>>,
}

impl Rows {
    fn put(
        &mut self,
        part: &str,
        about: &About,
        what: &str,
        (value, unit): (f64, &str),
        text: Option<String>,
    ) {
        self.part.push(Some(part.to_owned()));
        self.about.push(about.clone());
        self.what.push(Some(what.to_owned()));
        self.value.push(value);
        self.unit.push((!unit.is_empty()).then(|| unit.to_owned()));
        self.text.push(text);
    }

    fn figure(&mut self, part: &str, about: &About, what: &str, value: f64, unit: &str) {
        self.put(part, about, what, (value, unit), None);
    }

    fn money<P>(&mut self, part: &str, about: &About, what: &str, money: &Money<P>, per: &str) {
        let unit = format!("{}{per}", money.currency);
        self.put(part, about, what, (plain(money), &unit), None);
    }

    fn text(&mut self, part: &str, about: &About, what: &str, text: String) {
        self.put(part, about, what, (f64::NAN, ""), Some(text));
    }

    fn table(self) -> Table {
        let mut table = Table::new();
        let of = |pick: fn(&About) -> Option<String>| Column::Maybe(self.about.iter().map(pick).collect());
        table.set("part", Column::Maybe(self.part));
        table.set("tenant", of(|about| about.tenant.clone()));
        table.set("tier", of(|about| about.tier.clone()));
        table.set("resource", of(|about| about.resource.clone()));
        table.set("at", of(|about| about.at.map(|at| at.to_string())));
        table.set("what", Column::Maybe(self.what));
        table.set("value", Column::Numbers(self.value));
        table.set("unit", Column::Maybe(self.unit));
        table.set("text", Column::Maybe(self.text));
        table
    }
}

const A_MONTH: &str = "/month";

/// The rows of a report.
pub fn table(report: &Report) -> Table {
    let mut rows = Rows::default();
    let range = report.range();
    let nobody = About::default();
    for (what, at) in [("from", range.start), ("to", range.end)] {
        rows.text("report", &nobody, what, at.to_string());
    }
    match report {
        Report::Fleet(report) => fleet(&mut rows, report),
        Report::Tenant(report) => tenant(&mut rows, report),
    }
    rows.table()
}

fn of_quota(tenant: &TenantId, tier: Option<Tier>, resource: Resource) -> About {
    About {
        tenant: Some(tenant.to_string()),
        tier: tier.map(|tier| tier.to_string()),
        resource: Some(resource.to_string()),
        at: None,
    }
}

fn costs(rows: &mut Rows, about: &About, costs: &Costs) {
    for (what, money) in [("now", &costs.now), ("recommended", &costs.recommended), ("idle", &costs.idle)] {
        rows.money("costs", about, what, money, A_MONTH);
    }
    for (what, money) in [("so_far", &costs.so_far), ("month_end", &costs.month_end)] {
        rows.money("costs", about, what, money, "");
    }
}

fn fleet(rows: &mut Rows, report: &FleetReport) {
    let nobody = About::default();
    rows.figure("fleet", &nobody, "tenants", report.tenants as f64, "");
    rows.figure("fleet", &nobody, "waiting", report.waiting as f64, "");
    if let Some(money) = &report.money {
        costs(rows, &nobody, &money.fleet);
        for (tier, of_tier) in &money.tiers {
            costs(rows, &About { tier: Some(tier.to_string()), ..About::default() }, of_tier);
        }
    }
    for row in &report.top_savings.rows {
        let (about, unit) = (of_quota(&row.tenant, Some(row.tier), row.resource), row.resource.unit());
        rows.figure("top_savings", &about, "current", row.current, unit);
        rows.figure("top_savings", &about, "proposed", row.proposed, unit);
        rows.money("top_savings", &about, "saving", &row.saving, A_MONTH);
        rows.figure("top_savings", &about, "confidence", row.confidence, "");
    }
    for row in &report.at_risk.rows {
        let (about, unit) = (of_quota(&row.tenant, Some(row.tier), row.resource), row.resource.unit());
        rows.figure("at_risk", &about, "hours", row.hours, "h");
        rows.figure("at_risk", &about, "used", row.used, unit);
        rows.figure("at_risk", &about, "expected", row.expected.unwrap_or(f64::NAN), unit);
        rows.figure("at_risk", &about, "quota", row.quota, unit);
    }
    report.tier_moves.rows.iter().for_each(|row| tier_move(rows, row));
    incidents(rows, &report.incidents);
    applied(rows, &report.applied);
    if let Some(promises) = &report.promises {
        let Promises { availability, latency, quotas, .. } = promises;
        for (of, all) in [("availability", availability), ("latency", latency), ("quotas", quotas)] {
            rows.figure("promises", &nobody, &format!("{of}_measured"), all.measured as f64, "");
            rows.figure("promises", &nobody, &format!("{of}_kept"), all.kept as f64, "");
        }
        for row in &promises.list.rows {
            promise(rows, &row.tenant, row.tier, &row.state);
        }
    }
    for one in &report.accuracy {
        let about = About { resource: Some(one.resource.to_string()), ..About::default() };
        rows.figure("accuracy", &about, "to_seasonal_naive", one.to_seasonal_naive.unwrap_or(f64::NAN), "");
        rows.figure("accuracy", &about, "cover", one.cover.unwrap_or(f64::NAN), "");
        rows.figure("accuracy", &about, "values", one.values as f64, "");
        rows.text("accuracy", &about, "scored_on", if one.is_live { "live" } else { "backtest" }.to_owned());
    }
}

fn tenant(rows: &mut Rows, report: &TenantReport) {
    let (tenant, tier) = (Some(report.tenant.to_string()), Some(report.tier.to_string()));
    let about = About { tenant, tier, ..About::default() };
    rows.text("tenant", &about, "name", report.name.clone());
    rows.text("tenant", &about, "apply_mode", report.apply_mode.to_string());
    if let Some(of_tenant) = &report.costs {
        costs(rows, &about, of_tenant);
    }
    for quota in &report.quotas {
        quota_rows(rows, &of_quota(&report.tenant, Some(report.tier), quota.resource), quota);
    }
    report.tier_move.iter().for_each(|row| tier_move(rows, row));
    report.promises.iter().for_each(|state| promise(rows, &report.tenant, report.tier, state));
    incidents(rows, &report.incidents);
    applied(rows, &report.applied);
}

/// What is promised is a quota's, or else the service's.
fn promise(rows: &mut Rows, tenant: &TenantId, tier: Tier, state: &SlaState) {
    let resource = match state.objective {
        Objective::Availability | Objective::Latency => None,
        Objective::Quota(resource) => Some(resource.to_string()),
    };
    let about = About {
        tenant: Some(tenant.to_string()),
        tier: Some(tier.to_string()),
        resource,
        ..About::default()
    };
    let objective = match state.objective {
        Objective::Availability => "availability",
        Objective::Latency => "latency",
        Objective::Quota(_) => "quota",
    };
    rows.text("promises", &about, "objective", objective.to_owned());
    rows.figure("promises", &about, "target", state.target, "");
    rows.figure("promises", &about, "good", state.good.unwrap_or(f64::NAN), "");
    rows.figure("promises", &about, "budget_left", state.budget_left.unwrap_or(f64::NAN), "");
    for burn in &state.burn {
        let what = format!("burn_{}h", burn.window_seconds / 3600);
        rows.figure("promises", &about, &what, burn.rate.unwrap_or(f64::NAN), "");
    }
    if let Some(breach) = state.breach {
        rows.text("promises", &about, "breach", breach.name().to_owned());
    }
}

fn quota_rows(rows: &mut Rows, about: &About, quota: &ReportedQuota) {
    let unit = quota.resource.unit();
    rows.figure("quotas", about, "limit", quota.limit, unit);
    let figures = [
        ("recommended", quota.recommended, unit),
        ("mean", quota.mean, unit),
        ("peak", quota.peak, unit),
        ("above", quota.above, ""),
        ("hours", quota.hours, "h"),
    ];
    for (what, value, unit) in figures {
        if let Some(value) = value {
            rows.figure("quotas", about, what, value, unit);
        }
    }
    if let Some(saving) = &quota.saving {
        rows.money("quotas", about, "saving", saving, A_MONTH);
    }
    if !quota.reasons.is_empty() {
        rows.text("quotas", about, "reasons", quota.reasons.join(" "));
    }
}

fn tier_move(rows: &mut Rows, row: &TierMove) {
    let about =
        About { tenant: Some(row.tenant.to_string()), tier: Some(row.from.to_string()), ..About::default() };
    rows.text("tier_moves", &about, "fits", row.to.to_string());
    for (what, money) in [("cost_now", &row.cost_now), ("cost_then", &row.cost_then)] {
        if let Some(money) = money {
            rows.money("tier_moves", &about, what, money, A_MONTH);
        }
    }
}

fn incidents(rows: &mut Rows, incidents: &Incidents) {
    let nobody = About::default();
    let counts = [("opened", incidents.opened), ("resolved", incidents.resolved), ("open", incidents.open)];
    for (what, count) in counts {
        rows.figure("incidents", &nobody, what, count as f64, "");
    }
    for row in &incidents.list.rows {
        let about =
            About { tenant: Some(row.tenant.to_string()), at: Some(row.opened_at), ..About::default() };
        rows.text("incidents", &about, row.severity.name(), row.text.clone());
    }
}

fn applied(rows: &mut Rows, applied: &AppliedChanges) {
    let nobody = About::default();
    rows.figure("applied", &nobody, "changes", applied.changes as f64, "");
    if let Some(savings) = &applied.savings {
        rows.money("applied", &nobody, "realised", &savings.realised, "");
        rows.money("applied", &nobody, "by_recommendations", &savings.by_recommendations, "");
        rows.money("applied", &nobody, "by_people", &savings.by_people, "");
        rows.money("applied", &nobody, "rate", &savings.rate, A_MONTH);
        for (what, seen) in
            [("above_before", savings.violations_before), ("above_since", savings.violations_since)]
        {
            rows.figure("applied", &nobody, what, seen.share().unwrap_or(f64::NAN), "");
        }
    }
    for day in &applied.by_day {
        let about = About { at: Some(day.day), ..About::default() };
        rows.money("applied_by_day", &about, "realised", &day.realised, "");
    }
    for row in &applied.list.rows {
        let about = About { at: Some(row.at), ..of_quota(&row.tenant, None, row.resource) };
        let unit = row.resource.unit();
        rows.figure("applied", &about, "before", row.before, unit);
        rows.figure("applied", &about, "after", row.after, unit);
        if let Some(money) = &row.realised {
            rows.money("applied", &about, "realised", money, "");
        }
    }
}
