//! The parts that both kinds of report have.

use super::document::{Bar, Block, Chart, Document, Table};
use super::figures::Figures;
use super::model::{AppliedChanges, Brand, Incidents, TierMove};
use super::words::Word;
use crate::domain::{Money, Once, TimeRange, Timestamp};

/// The name that stands where a brand has none.
const PRODUCT: &str = "Plimsoll";

/// The least amount of which a column says more than a zero.
const LEAST_DRAWN: f64 = 0.01;

/// An amount for the length of a bar.
pub fn plain<P>(money: &Money<P>) -> f64 {
    money.to_f64().unwrap_or(0.0)
}

/// A document out of its blocks.
pub fn finished(
    blocks: Vec<Block>,
    (title, range, made_at): (String, TimeRange, Timestamp),
    brand: Option<&Brand>,
    figures: Figures,
) -> Document {
    let (from, to) = (figures.instant(range.start), figures.instant(range.end));
    let brand = brand.cloned().unwrap_or_default();
    let product = brand.product_name.clone().unwrap_or_else(|| PRODUCT.to_owned());
    let footer = figures.say(Word::MadeAt, &[("at", &figures.instant(made_at)), ("product", &product)]);
    let brand = Brand { product_name: Some(product), ..brand };
    let period = figures.say(Word::Period, &[("from", &from), ("to", &to)]);
    Document { language: figures.0, brand, title, period, blocks, footer }
}

/// How many rows are left out, where any are.
pub fn more(rest: u64, figures: Figures) -> Option<String> {
    (rest > 0).then(|| figures.say(Word::More, &[("count", &figures.count(rest))]))
}

/// Tenant, tier now, tier that fits, and what that costs.
pub fn tier_cells(row: &TierMove, figures: Figures) -> Vec<String> {
    let cost = row.cost_now.as_ref().zip(row.cost_then.as_ref());
    let cost =
        figures.or_none(cost, |(now, then)| format!("{} → {}", figures.money(now), figures.money(then)));
    vec![row.tenant.to_string(), row.from.to_string(), row.to.to_string(), cost]
}

/// What was applied, in a sentence.
pub fn applied_sentence(applied: &AppliedChanges, figures: Figures) -> String {
    let count = figures.count(applied.changes);
    let Some(savings) = &applied.savings else {
        return figures.say(Word::SumAppliedOnly, &[("count", &count)]);
    };
    let (word, amount) = match savings.realised.amount.is_sign_negative() {
        true => (Word::SumAppliedCost, -savings.realised.amount),
        false => (Word::SumApplied, savings.realised.amount),
    };
    let saved: Money<Once> = Money::new(amount, savings.realised.currency);
    figures.say(word, &[("count", &count), ("saved", &figures.money(&saved))])
}

/// What went wrong, in a sentence.
pub fn incidents_sentence(incidents: &Incidents, figures: Figures) -> String {
    let [opened, resolved, open] =
        [incidents.opened, incidents.resolved, incidents.open].map(|count| figures.count(count));
    figures.say(Word::SumIncidents, &[("opened", &opened), ("resolved", &resolved), ("open", &open)])
}

/// The section on incidents; with the tenants' names where it is of many.
pub fn incidents(incidents: &Incidents, of_many: bool, figures: Figures) -> Vec<Block> {
    let heading = Block::Heading(figures.word(Word::Incidents), None);
    if incidents.list.rows.is_empty() {
        return vec![heading, Block::Text(figures.word(Word::IncidentsNone))];
    }
    let mut columns = vec![
        (figures.word(Word::When), false),
        (figures.word(Word::Until), false),
        (figures.word(Word::Severity), false),
        (figures.word(Word::What), false),
    ];
    if of_many {
        columns.insert(0, (figures.word(Word::Tenant), false));
    }
    let rows = incidents.list.rows.iter().map(|row| {
        let until = row.resolved_at.map_or_else(|| figures.word(Word::StillOpen), |at| figures.instant(at));
        let kinds: Vec<String> = row.kinds.iter().map(|kind| figures.word(Word::of_finding(*kind))).collect();
        let mut cells = vec![
            figures.instant(row.opened_at),
            until,
            figures.word(Word::of_severity(row.severity)),
            kinds.join(", "),
        ];
        if of_many {
            cells.insert(0, row.tenant.to_string());
        }
        cells
    });
    let table = Table::block(&columns, rows.collect(), more(incidents.list.rest(), figures));
    vec![heading, Block::Text(incidents_sentence(incidents, figures)), table]
}

/// The section on what was applied.
pub fn applied(applied: &AppliedChanges, of_many: bool, figures: Figures) -> Vec<Block> {
    let mut blocks =
        vec![Block::Heading(figures.word(Word::Applied), Some(figures.word(Word::AppliedAbout)))];
    if let Some(savings) = applied.savings.as_ref().filter(|savings| savings.changes > 0) {
        blocks.push(Block::Text(applied_sentence(applied, figures)));
        let [before, since] = [savings.violations_before, savings.violations_since]
            .map(|seen| figures.or_none(seen.share(), |share| figures.share(share)));
        let rate = figures.money(&savings.rate);
        let parts = [("rate", rate.as_str()), ("before", &before), ("since", &since)];
        blocks.push(Block::Text(figures.say(Word::AppliedRate, &parts)));
        let columns = applied.by_day.iter().map(|day| Bar {
            label: figures.short_day(day.day),
            values: vec![plain(&day.realised)],
            shown: vec![figures.money(&day.realised)],
        });
        let worth_drawing = applied.by_day.iter().any(|day| plain(&day.realised).abs() >= LEAST_DRAWN);
        if applied.by_day.len() > 1 && worth_drawing {
            let title = figures.word(Word::AppliedByDay);
            blocks.push(Block::Subheading(title.clone()));
            blocks.push(Block::Chart(Chart::Columns { title, columns: columns.collect() }));
        }
    }
    if applied.list.rows.is_empty() {
        blocks.push(Block::Text(figures.word(Word::AppliedNone)));
        return blocks;
    }
    blocks.push(changes(applied, of_many, figures));
    blocks
}

fn changes(applied: &AppliedChanges, of_many: bool, figures: Figures) -> Block {
    let mut columns = vec![
        (figures.word(Word::When), false),
        (figures.word(Word::Resource), false),
        (figures.word(Word::Before), true),
        (figures.word(Word::After), true),
        (figures.word(Word::ByWhom), false),
        (figures.word(Word::Realised), true),
        (figures.word(Word::AboveBefore), true),
        (figures.word(Word::AboveSince), true),
    ];
    if of_many {
        columns.insert(1, (figures.word(Word::Tenant), false));
    }
    let rows = applied.list.rows.iter().map(|row| {
        let share = |value| figures.or_none(value, |share| figures.share(share));
        let by = if row.recommended { Word::ByRecommendation } else { Word::ByPerson };
        let mut cells = vec![
            figures.instant(row.at),
            figures.resource(row.resource).to_owned(),
            figures.amount(row.before, row.resource),
            figures.amount(row.after, row.resource),
            figures.word(by),
            figures.or_none(row.realised.as_ref(), |money| figures.money(money)),
            share(row.above_before),
            share(row.above_since),
        ];
        if of_many {
            cells.insert(1, row.tenant.to_string());
        }
        cells
    });
    Table::block(&columns, rows.collect(), more(applied.list.rest(), figures))
}
