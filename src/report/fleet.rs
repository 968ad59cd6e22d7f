//! The report on the whole fleet, laid out.

use super::document::{Bar, Block, Card, Chart, Document, Table};
use super::figures::Figures;
use super::model::{Accuracy, FleetMoney, FleetReport, PromisesKept, QuotaName, Since, TierMove, Top};
use super::words::Word;
use super::{parts, promises};
use crate::domain::{Language, Money, PerMonth, TenantId};

/// The rows of the chart of savings.
const BARS: usize = 10;

/// Lays the report out.
pub fn document(report: &FleetReport, language: Language) -> Document {
    let figures = Figures(language);
    let mut blocks = vec![Block::Lead(figures.word(Word::InShort), summary(report, figures))];
    blocks.push(cards(report, figures));
    if let Some(since) = &report.since {
        blocks.extend(changes(since, figures));
    }
    if let Some(money) = &report.money {
        blocks.extend(costs(money, figures));
    }
    blocks.extend(savings(report, figures));
    blocks.extend(at_risk(report, figures));
    blocks.extend(tier_moves(&report.tier_moves, figures));
    blocks.extend(report.promises.iter().flat_map(|promises| promises::of_fleet(promises, figures)));
    blocks.extend(parts::incidents(&report.incidents, true, figures));
    blocks.extend(parts::applied(&report.applied, true, figures));
    blocks.extend(accuracy(&report.accuracy, figures));
    parts::finished(blocks, (title(figures), report.range, report.made_at), None, figures)
}

/// The report's title.
pub fn title(figures: Figures) -> String {
    figures.word(Word::FleetTitle)
}

/// The report in plain sentences.
pub fn summary(report: &FleetReport, figures: Figures) -> Vec<String> {
    let say = |word, parts: &[(&str, &str)]| figures.say(word, parts);
    let (tenants, waiting) = (figures.count(report.tenants), figures.count(report.waiting));
    let mut all = Vec::new();
    all.extend(report.is_simulated.then(|| figures.word(Word::SumSimulated)));
    match &report.money {
        None => {
            all.push(say(Word::SumTenantsOnly, &[("tenants", &tenants)]));
            all.push(match report.waiting {
                0 => figures.word(Word::SumNoneWait),
                _ => say(Word::SumWaiting, &[("waiting", &waiting)]),
            });
        }
        Some(money) => {
            let cost = figures.money(&money.fleet.now);
            all.push(say(Word::SumTenants, &[("tenants", &tenants), ("cost", &cost)]));
            let saving = money.fleet.now.minus(&money.fleet.recommended).ok();
            all.push(match saving {
                Some(saving) if report.waiting > 0 && saving.amount.is_sign_negative() => {
                    let more = Money::<PerMonth>::new(-saving.amount, saving.currency);
                    say(Word::SumMore, &[("cost", &figures.money(&more)), ("waiting", &waiting)])
                }
                Some(saving) if report.waiting > 0 => {
                    say(Word::SumSaving, &[("saving", &figures.money(&saving)), ("waiting", &waiting)])
                }
                _ => figures.word(Word::SumNoneWait),
            });
            if !money.fleet.idle.amount.is_zero() {
                all.push(say(Word::SumIdle, &[("idle", &figures.money(&money.fleet.idle))]));
            }
        }
    }
    all.push(match report.at_risk.rows.first() {
        None => figures.word(Word::SumNoRisk),
        Some(first) => say(
            Word::SumRisk,
            &[
                ("count", &figures.count(report.at_risk.total)),
                ("resource", figures.resource(first.resource)),
                ("tenant", first.tenant.as_str()),
                ("when", &figures.hours(first.hours)),
            ],
        ),
    });
    all.push(parts::applied_sentence(&report.applied, figures));
    all.push(parts::incidents_sentence(&report.incidents, figures));
    all.extend(kept(report).and_then(|kept| promises::sentence(kept, figures)));
    all
}

/// How many promises of all kinds are kept.
fn kept(report: &FleetReport) -> Option<PromisesKept> {
    report.promises.as_ref().map(|promises| PromisesKept {
        measured: promises.availability.measured + promises.latency.measured + promises.quotas.measured,
        kept: promises.availability.kept + promises.latency.kept + promises.quotas.kept,
    })
}

fn cards(report: &FleetReport, figures: Figures) -> Block {
    let card =
        |label, value: String, note: String, alarms| Card { label: figures.word(label), value, note, alarms };
    let a_month = figures.word(Word::AMonth);
    let mut cards = Vec::new();
    if let Some(money) = &report.money {
        let (now, then, idle) = (&money.fleet.now, &money.fleet.recommended, &money.fleet.idle);
        let of_cost = |part: f64| figures.say(Word::OfCost, &[("share", &figures.share(part))]);
        let whole = parts::plain(now).max(f64::MIN_POSITIVE);
        cards.push(card(Word::CostNow, figures.money(now), a_month.clone(), false));
        cards.push(card(
            Word::CostRecommended,
            figures.money(then),
            of_cost(parts::plain(then) / whole),
            false,
        ));
        cards.push(card(Word::CostIdle, figures.money(idle), of_cost(parts::plain(idle) / whole), false));
    }
    if let Some(savings) = &report.applied.savings {
        let saved = figures.money(&savings.realised);
        cards.push(card(Word::Saved, saved, figures.word(Word::InThisTime), false));
    }
    let (risks, open) = (report.at_risk.total, report.incidents.open);
    cards.push(card(Word::Risks, figures.count(risks), figures.word(Word::WithinForecast), risks > 0));
    cards.push(card(Word::OpenIncidents, figures.count(open), figures.word(Word::AtEnd), open > 0));
    if let Some(all) = kept(report).filter(|all| all.measured > 0) {
        let of = figures.say(Word::OfMeasured, &[("count", &figures.count(all.measured))]);
        cards.push(card(Word::PromisesCard, figures.count(all.kept), of, all.kept < all.measured));
    }
    Block::Cards(cards)
}

fn changes(since: &Since, figures: Figures) -> Vec<Block> {
    let about = figures.say(Word::SinceAbout, &[("at", &figures.instant(since.made_at))]);
    let mut blocks = vec![Block::Heading(figures.word(Word::Since), Some(about))];
    if let Some(cost) = &since.cost {
        let size = Money::<PerMonth>::new(cost.amount.abs(), cost.currency);
        let word = match () {
            () if cost.amount.is_zero() => Word::SinceCostSame,
            () if cost.amount.is_sign_negative() => Word::SinceCostLess,
            () => Word::SinceCostMore,
        };
        blocks.push(Block::Text(figures.say(word, &[("cost", &figures.money(&size))])));
    }
    let tenant = |id: &TenantId| id.to_string();
    let quota = |name: &QuotaName| format!("{} {}", name.tenant, figures.resource(name.resource));
    let lists = [
        named(Word::SinceCame, &since.came, tenant, figures),
        named(Word::SinceLeft, &since.left, tenant, figures),
        named(Word::SinceRisk, &since.at_risk, quota, figures),
        named(Word::SinceRelieved, &since.relieved, quota, figures),
    ];
    let told: Vec<Block> = lists.into_iter().flatten().map(Block::Text).collect();
    if told.is_empty() {
        blocks.push(Block::Text(figures.word(Word::SinceNothing)));
    }
    blocks.extend(told);
    blocks
}

/// How many, and the first of them by name; nothing for none.
fn named<T>(word: Word, top: &Top<T>, name: impl Fn(&T) -> String, figures: Figures) -> Option<String> {
    if top.total == 0 {
        return None;
    }
    let mut names: Vec<String> = top.rows.iter().map(name).collect();
    if top.rest() > 0 {
        names.push("…".to_owned());
    }
    Some(figures.say(word, &[("count", &figures.count(top.total)), ("names", &names.join(", "))]))
}

fn costs(money: &FleetMoney, figures: Figures) -> Vec<Block> {
    let legend = [Word::CostNow, Word::CostRecommended].map(|word| figures.word(word)).to_vec();
    let rows = money.tiers.iter().map(|(tier, costs)| Bar {
        label: tier.to_string(),
        values: vec![parts::plain(&costs.now), parts::plain(&costs.recommended)],
        shown: vec![figures.money(&costs.now), figures.money(&costs.recommended)],
    });
    let title = figures.word(Word::Costs);
    let mut blocks = vec![
        Block::Heading(title.clone(), Some(figures.word(Word::CostsAbout))),
        Block::Chart(Chart::Bars { title, legend, rows: rows.collect() }),
    ];
    if !money.budgets.is_empty() {
        let rows = money.budgets.iter().map(|budget| {
            let state = if budget.exceeded { Word::BudgetExceeded } else { Word::BudgetKept };
            vec![
                budget.of.clone(),
                figures.word(state),
                figures.money(&budget.limit),
                figures.money(&budget.so_far),
                figures.money(&budget.month_end),
            ]
        });
        let columns = [
            (figures.word(Word::BudgetOf), false),
            (figures.word(Word::BudgetState), false),
            (figures.word(Word::BudgetLimit), true),
            (figures.word(Word::BudgetSoFar), true),
            (figures.word(Word::BudgetMonthEnd), true),
        ];
        blocks.push(Block::Subheading(figures.word(Word::Budgets)));
        blocks.push(Table::block(&columns, rows.collect(), None));
    }
    blocks
}

fn savings(report: &FleetReport, figures: Figures) -> Vec<Block> {
    let top = &report.top_savings;
    let title = figures.word(Word::TopSavings);
    if top.rows.is_empty() {
        let none = Block::Text(figures.word(Word::TopSavingsNone));
        return vec![Block::Heading(title, None), none];
    }
    let bars = top.rows.iter().take(BARS).map(|row| Bar {
        label: format!("{} {}", row.tenant, figures.resource(row.resource)),
        values: vec![parts::plain(&row.saving)],
        shown: vec![figures.money(&row.saving)],
    });
    let columns = [
        (figures.word(Word::Tenant), false),
        (figures.word(Word::Tier), false),
        (figures.word(Word::Resource), false),
        (figures.word(Word::Quota), true),
        (figures.word(Word::Recommended), true),
        (figures.word(Word::Saving), true),
        (figures.word(Word::Confidence), true),
    ];
    let rows = top.rows.iter().map(|row| {
        vec![
            row.tenant.to_string(),
            row.tier.to_string(),
            figures.resource(row.resource).to_owned(),
            figures.amount(row.current, row.resource),
            figures.amount(row.proposed, row.resource),
            figures.money(&row.saving),
            figures.share(row.confidence),
        ]
    });
    vec![
        Block::Heading(title.clone(), Some(figures.word(Word::TopSavingsAbout))),
        Block::Chart(Chart::Bars { title, legend: Vec::new(), rows: bars.collect() }),
        Table::block(&columns, rows.collect(), parts::more(top.rest(), figures)),
    ]
}

fn at_risk(report: &FleetReport, figures: Figures) -> Vec<Block> {
    let top = &report.at_risk;
    let heading = |about| Block::Heading(figures.word(Word::AtRisk), about);
    if top.rows.is_empty() {
        return vec![heading(None), Block::Text(figures.word(Word::SumNoRisk))];
    }
    let columns = [
        (figures.word(Word::Tenant), false),
        (figures.word(Word::Tier), false),
        (figures.word(Word::Resource), false),
        (figures.word(Word::ReachedIn), true),
        (figures.word(Word::Used), true),
        (figures.word(Word::Expected), true),
        (figures.word(Word::Quota), true),
    ];
    let rows = top.rows.iter().map(|row| {
        vec![
            row.tenant.to_string(),
            row.tier.to_string(),
            figures.resource(row.resource).to_owned(),
            figures.hours(row.hours),
            figures.amount(row.used, row.resource),
            figures.or_none(row.expected, |value| figures.amount(value, row.resource)),
            figures.amount(row.quota, row.resource),
        ]
    });
    let more = parts::more(top.rest(), figures);
    vec![heading(Some(figures.word(Word::AtRiskAbout))), Table::block(&columns, rows.collect(), more)]
}

fn tier_moves(top: &Top<TierMove>, figures: Figures) -> Vec<Block> {
    let heading = |about| Block::Heading(figures.word(Word::TierMoves), about);
    if top.rows.is_empty() {
        return vec![heading(None), Block::Text(figures.word(Word::TierMovesNone))];
    }
    let columns = [
        (figures.word(Word::Tenant), false),
        (figures.word(Word::FromTier), false),
        (figures.word(Word::ToTier), false),
        (figures.word(Word::CostChange), true),
    ];
    let rows = top.rows.iter().map(|row| parts::tier_cells(row, figures));
    let more = parts::more(top.rest(), figures);
    vec![heading(Some(figures.word(Word::TierMovesAbout))), Table::block(&columns, rows.collect(), more)]
}

fn accuracy(all: &[Accuracy], figures: Figures) -> Vec<Block> {
    let title = figures.word(Word::Accuracy);
    if all.is_empty() {
        return vec![Block::Heading(title, None), Block::Text(figures.word(Word::AccuracyNone))];
    }
    let columns = [
        (figures.word(Word::Resource), false),
        (figures.word(Word::Model), true),
        (figures.word(Word::ToNaive), true),
        (figures.word(Word::Cover), true),
        (figures.word(Word::ScoredOn), false),
    ];
    let rows = all.iter().map(|one| {
        let scored = if one.is_live { Word::ScoredLive } else { Word::ScoredBacktest };
        vec![
            figures.resource(one.resource).to_owned(),
            one.version.to_string(),
            figures.or_none(one.to_seasonal_naive, |share| figures.share(share)),
            figures.or_none(one.cover, |share| figures.share(share)),
            figures.say(scored, &[("values", &figures.count(one.values))]),
        ]
    });
    vec![
        Block::Heading(title, Some(figures.word(Word::AccuracyAbout))),
        Table::block(&columns, rows.collect(), None),
    ]
}
