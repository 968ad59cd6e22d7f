//! The section on promises: which are kept, what is left of the error budgets,
//! and how fast they are spent.

use super::document::{Block, Table};
use super::figures::Figures;
use super::model::{Promises, PromisesKept};
use super::parts;
use super::words::Word;
use crate::domain::sla::{Breach, Objective, SlaState};

const DAY: u64 = 86_400;
const HOUR: u64 = 3600;

/// Of all tenants: how many are kept, and those that are in danger.
pub fn of_fleet(promises: &Promises, figures: Figures) -> Vec<Block> {
    let mut blocks = vec![heading(Word::Promises, promises.period_seconds, figures)];
    let availability = match promises.availability.measured {
        0 => figures.word(Word::PromisesUnmeasured),
        _ => kept(Word::PromisesAvailability, &promises.availability, figures),
    };
    blocks.push(Block::Text(availability));
    if promises.latency.measured > 0 {
        blocks.push(Block::Text(kept(Word::PromisesLatency, &promises.latency, figures)));
    }
    blocks.push(Block::Text(kept(Word::PromisesQuotas, &promises.quotas, figures)));
    let rows = promises.list.rows.iter();
    let whose = |row: &super::model::PromiseRow| vec![row.tenant.to_string(), row.tier.to_string()];
    let rows: Vec<Vec<String>> = rows.map(|row| [whose(row), cells(&row.state, figures)].concat()).collect();
    let Some(first) = promises.list.rows.first() else {
        blocks.push(Block::Text(figures.word(Word::PromisesNoneInDanger)));
        return blocks;
    };
    let whose = [(figures.word(Word::Tenant), false), (figures.word(Word::Tier), false)];
    let columns = [&whose[..], &columns(&first.state, figures)[..]].concat();
    blocks.push(Table::block(&columns, rows, parts::more(promises.list.rest(), figures)));
    blocks
}

/// Of one tenant: each of them.
pub fn of_tenant(states: &[SlaState], figures: Figures) -> Vec<Block> {
    let Some(first) = states.first() else { return Vec::new() };
    let rows = states.iter().map(|state| cells(state, figures)).collect();
    let heading = heading(Word::PromisesOwn, first.period_seconds, figures);
    vec![heading, Table::block(&columns(first, figures), rows, None)]
}

/// How many are kept, in a sentence; nothing where nothing is measured.
pub fn sentence(all: PromisesKept, figures: Figures) -> Option<String> {
    (all.measured > 0).then(|| kept(Word::SumPromises, &all, figures))
}

fn kept(word: Word, all: &PromisesKept, figures: Figures) -> String {
    let (kept, measured) = (figures.count(all.kept), figures.count(all.measured));
    figures.say(word, &[("kept", &kept), ("count", &measured)])
}

fn heading(title: Word, period_seconds: u64, figures: Figures) -> Block {
    let days = figures.count(period_seconds / DAY);
    Block::Heading(figures.word(title), Some(figures.say(Word::PromisesAbout, &[("days", &days)])))
}

/// The columns; the windows of the burn rates are those of any state.
fn columns(state: &SlaState, figures: Figures) -> Vec<(String, bool)> {
    let burn = state.burn.iter().map(|burn| {
        let hours = figures.count(burn.window_seconds / HOUR);
        (figures.say(Word::PromiseBurn, &[("hours", &hours)]), true)
    });
    let first = [
        (figures.word(Word::Promise), false),
        (figures.word(Word::Promised), true),
        (figures.word(Word::PromiseGood), true),
        (figures.word(Word::PromiseLeft), true),
    ];
    first.into_iter().chain(burn).chain([(figures.word(Word::PromiseState), false)]).collect()
}

fn cells(state: &SlaState, figures: Figures) -> Vec<String> {
    let what = match state.objective {
        Objective::Availability => figures.word(Word::PromiseAvailability),
        Objective::Latency => figures.word(Word::PromiseLatency),
        Objective::Quota(resource) => {
            figures.say(Word::PromiseQuota, &[("resource", figures.resource(resource))])
        }
    };
    let standing = match state.breach {
        None if state.good.is_none() => Word::NotMeasured,
        None => Word::PromiseKept,
        Some(Breach::UsedUp) => Word::PromiseUsedUp,
        Some(Breach::BurnsFast) => Word::PromiseBurnsFast,
        Some(Breach::BurnsSlowly) => Word::PromiseBurnsSlowly,
    };
    let burn = state.burn.iter().map(|burn| figures.or_none(burn.rate, |rate| figures.number(rate)));
    let first = [
        what,
        figures.precise(state.target),
        figures.or_none(state.good, |good| figures.precise(good)),
        figures.or_none(state.budget_left, |left| figures.share(left)),
    ];
    first.into_iter().chain(burn).chain([figures.word(standing)]).collect()
}
