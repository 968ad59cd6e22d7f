//! The report on one tenant, laid out.

use super::document::{Block, Card, Chart, Document, Table};
use super::figures::Figures;
use super::model::{PromisesKept, ReportedQuota, TenantReport, UsageChart};
use super::words::Word;
use super::{parts, promises};
use crate::domain::{ApplyMode, Language, Step, Timestamp};

/// Days that are named below a chart, at most.
const DAYS: usize = 8;
/// Marks beside a chart's axis, above zero.
const MARKS: usize = 4;
/// What a chart's lines are, in the order of its legend.
const LEGEND: [Word; 4] = [Word::ChartUsage, Word::ChartForecast, Word::ChartQuota, Word::ChartRecommended];

/// Lays the report out.
pub fn document(report: &TenantReport, language: Language) -> Document {
    let figures = Figures(language);
    let mut blocks = vec![Block::Lead(figures.word(Word::InShort), summary(report, figures))];
    blocks.push(cards(report, figures));
    blocks.push(Block::Heading(figures.word(Word::Quotas), None));
    blocks.push(quotas(report, figures));
    for quota in &report.quotas {
        blocks.extend(one_quota(quota, figures));
    }
    if let Some(fit) = &report.tier_move {
        let about = parts::tier_cells(fit, figures)[1..].join(" → ");
        blocks.push(Block::Heading(figures.word(Word::TierMoves), Some(about)));
        blocks.push(Block::English(figures.word(Word::Reasons), fit.because.clone()));
    }
    blocks.extend(promises::of_tenant(&report.promises, figures));
    blocks.extend(parts::incidents(&report.incidents, false, figures));
    blocks.extend(parts::applied(&report.applied, false, figures));
    let heading = (title(report, figures), report.range, report.made_at);
    parts::finished(blocks, heading, report.brand.as_ref(), figures)
}

/// The report's title.
pub fn title(report: &TenantReport, figures: Figures) -> String {
    figures.say(Word::TenantTitle, &[("tenant", shown_name(report))])
}

fn shown_name(report: &TenantReport) -> &str {
    if report.name.trim().is_empty() { report.tenant.as_str() } else { &report.name }
}

/// The report in plain sentences.
pub fn summary(report: &TenantReport, figures: Figures) -> Vec<String> {
    let (tenant, tier) = (shown_name(report), report.tier.name());
    let first = match &report.costs {
        None => figures.say(Word::SumTenantOnly, &[("tenant", tenant), ("tier", tier)]),
        Some(costs) => {
            let (cost, then) = (figures.money(&costs.now), figures.money(&costs.recommended));
            let parts = [("tenant", tenant), ("tier", tier), ("cost", &cost), ("then", &then)];
            figures.say(Word::SumTenant, &parts)
        }
    };
    let measured = report.quotas.iter().filter(|quota| quota.chart.is_some()).count() as u64;
    let change = report.quotas.iter().filter(|quota| quota.recommended.is_some()).count() as u64;
    let (measured, change) = (figures.count(measured), figures.count(change));
    let mode = figures.word(match report.apply_mode {
        ApplyMode::Observe => Word::ModeObserve,
        ApplyMode::Review => Word::ModeReview,
        ApplyMode::Approved => Word::ModeApproved,
    });
    let soonest = report.quotas.iter().filter_map(|quota| Some((quota.hours?, quota.resource)));
    let risks = soonest.clone().count() as u64;
    let risk = match soonest.min_by(|a, b| a.0.total_cmp(&b.0)) {
        None => figures.word(Word::SumNoRisk),
        Some((hours, resource)) => {
            let (count, when) = (figures.count(risks), figures.hours(hours));
            let parts = [
                ("count", count.as_str()),
                ("resource", figures.resource(resource)),
                ("tenant", tenant),
                ("when", &when),
            ];
            figures.say(Word::SumRisk, &parts)
        }
    };
    let simulated = report.is_simulated.then(|| figures.word(Word::SumSimulated));
    let mut kept = PromisesKept::default();
    report.promises.iter().for_each(|state| kept.count(state));
    let said = [
        first,
        figures.say(Word::SumQuotas, &[("count", &measured), ("change", &change)]),
        figures.say(Word::SumMode, &[("mode", &mode)]),
        risk,
        parts::applied_sentence(&report.applied, figures),
        parts::incidents_sentence(&report.incidents, figures),
    ];
    simulated.into_iter().chain(said).chain(promises::sentence(kept, figures)).collect()
}

fn cards(report: &TenantReport, figures: Figures) -> Block {
    let card = |label, value: String, note: Word, alarms| Card {
        label: figures.word(label),
        value,
        note: figures.word(note),
        alarms,
    };
    let mut cards = Vec::new();
    if let Some(costs) = &report.costs {
        cards.push(card(Word::CostNow, figures.money(&costs.now), Word::AMonth, false));
        cards.push(card(Word::CostRecommended, figures.money(&costs.recommended), Word::AMonth, false));
        cards.push(card(Word::CostIdle, figures.money(&costs.idle), Word::AMonth, false));
    }
    if let Some(savings) = &report.applied.savings {
        cards.push(card(Word::Saved, figures.money(&savings.realised), Word::InThisTime, false));
    }
    let risks = report.quotas.iter().filter(|quota| quota.hours.is_some()).count() as u64;
    cards.push(card(Word::Risks, figures.count(risks), Word::WithinForecast, risks > 0));
    let open = report.incidents.open;
    cards.push(card(Word::OpenIncidents, figures.count(open), Word::AtEnd, open > 0));
    Block::Cards(cards)
}

fn quotas(report: &TenantReport, figures: Figures) -> Block {
    let columns = [
        (figures.word(Word::Resource), false),
        (figures.word(Word::Quota), true),
        (figures.word(Word::Recommended), true),
        (figures.word(Word::Saving), true),
        (figures.word(Word::Mean), true),
        (figures.word(Word::Peak), true),
        (figures.word(Word::Above), true),
        (figures.word(Word::ReachedIn), true),
    ];
    let rows = report.quotas.iter().map(|quota| {
        let amount = |value: f64| figures.amount(value, quota.resource);
        vec![
            figures.resource(quota.resource).to_owned(),
            amount(quota.limit),
            figures.or_none(quota.recommended, amount),
            figures.or_none(quota.saving.as_ref(), |money| figures.money(money)),
            match quota.samples {
                0 => figures.word(Word::NotMeasured),
                _ => figures.or_none(quota.mean, amount),
            },
            figures.or_none(quota.peak, amount),
            figures.or_none(quota.above, |share| figures.share(share)),
            figures.or_none(quota.hours, |hours| figures.hours(hours)),
        ]
    });
    Table::block(&columns, rows.collect(), None)
}

fn one_quota(quota: &ReportedQuota, figures: Figures) -> Vec<Block> {
    let Some(chart) = &quota.chart else { return Vec::new() };
    let title = format!("{} ({})", figures.resource(quota.resource), figures.unit(quota.resource, false));
    let mut blocks = vec![
        Block::Subheading(title.clone()),
        Block::Chart(Chart::Usage {
            title,
            recommended: quota.recommended,
            legend: LEGEND.map(|word| figures.word(word)),
            days: days(chart, figures),
            marks: marks(top(chart, quota.recommended), figures),
            chart: chart.clone(),
        }),
    ];
    if !quota.reasons.is_empty() {
        blocks.push(Block::English(figures.word(Word::Reasons), quota.reasons.clone()));
    }
    blocks
}

/// The midnights of a chart, so few that their names have room.
fn days(chart: &UsageChart, figures: Figures) -> Vec<(usize, String)> {
    let step = i64::from(chart.step_hours) * Step::HOUR.millis();
    let at = |index: usize| Timestamp::from_millis(chart.start.millis() + step * index as i64);
    let day = 24 * Step::HOUR.millis();
    let begins = |index: &usize| at(*index).millis().rem_euclid(day) < step;
    let all: Vec<usize> = (0..chart.usage.len() + chart.forecast.len()).filter(begins).collect();
    let every = all.len().div_ceil(DAYS).max(1);
    all.into_iter().step_by(every).map(|index| (index, figures.short_day(at(index)))).collect()
}

/// Round values from zero up to the top of a chart.
fn marks(top: f64, figures: Figures) -> Vec<(f64, String)> {
    let rough = top / MARKS as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * magnitude);
    let step = nice.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    if !(step.is_finite() && step > 0.0) {
        return vec![(0.0, figures.number(0.0))];
    }
    let count = (top / step).floor() as usize;
    (0..=count).map(|index| (index as f64 * step, figures.number(index as f64 * step))).collect()
}

/// The largest value that a chart shows.
pub fn top(chart: &UsageChart, recommended: Option<f64>) -> f64 {
    let usage = chart.usage.iter().flatten().copied();
    let forecast = chart.forecast.iter().map(|[_, _, high]| *high);
    let all = usage.chain(forecast).chain(chart.quota.iter().copied()).chain(recommended);
    all.filter(|value| value.is_finite()).fold(0.0, f64::max).max(f64::MIN_POSITIVE)
}
