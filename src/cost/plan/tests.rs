//! Plans by hand, and what holds of every plan.

use proptest::prelude::*;

use super::*;
use crate::cost::example::{SITE, at, prices};

/// A core costs 0.5 an hour, 365 a month.
fn cores(tier: Tier, name: &str, demand: &[f64]) -> Spendable {
    let mut demand = demand.to_vec();
    demand.sort_by(f64::total_cmp);
    Spendable {
        tenant: name.parse().unwrap(),
        tier,
        resource: Resource::CpuCores,
        limit: tier.default_quota(Resource::CpuCores),
        needed: None,
        promise: tier.violation_budget(),
        price: prices(&[]).of(SITE, Resource::CpuCores, at("2026-11-21")).unwrap(),
        demand,
    }
}

fn usd(amount: f64) -> Money<PerMonth> {
    Money::new(Decimal::try_from(amount).unwrap().round_dp(2), "USD".parse().unwrap())
}

fn nothing_fixed() -> Fixed {
    Fixed { quotas: 0, cost: usd(0.0) }
}

fn spend(budget: f64, quotas: &[Spendable]) -> Result<Plan, PlanError> {
    plan(usd(budget), quotas.to_vec(), nothing_fixed(), 0)
}

fn planned(plan: &Plan, name: &str) -> f64 {
    plan.quotas.iter().find(|one| one.tenant.as_str() == name).unwrap().planned
}

/// Two tenants with the same demand of 1 and 2 cores; PREMIUM promises four
/// times what FREE does (0.005 and 0.02).
#[test]
fn money_goes_where_violations_hurt_most() {
    let quotas = [cores(Tier::Free, "free", &[1.0, 2.0]), cores(Tier::Premium, "dear", &[1.0, 2.0])];
    // Floors: 0.1 and 0.8 cores, 328.50 a month.
    let least = spend(328.5, &quotas).unwrap();
    assert_eq!((planned(&least, "free"), planned(&least, "dear")), (0.1, 0.8));
    assert_eq!(least.floor, least.cost);
    // 1.2 cores more for PREMIUM's peak avoid more than FREE's whole need.
    let some = spend(328.5 + 1.2 * 365.0, &quotas).unwrap();
    assert_eq!((planned(&some, "free"), planned(&some, "dear")), (0.1, 2.0));
    let plenty = spend(100_000.0, &quotas).unwrap();
    assert_eq!((planned(&plenty, "free"), planned(&plenty, "dear")), (2.0, 2.0));
    assert_eq!((plenty.harm, plenty.hours_above), (0.0, 0.0), "what more could buy is left");
    assert_eq!(plenty.cost, usd(4.0 * 365.0));
    assert_eq!(plenty.unspent, usd(100_000.0 - 1460.0));
}

#[test]
fn what_is_needed_is_bought_last_and_no_more_than_the_ceiling() {
    let needy = Spendable { needed: Some(3.0), ..cores(Tier::Standard, "needy", &[1.0, 2.0]) };
    assert_eq!(planned(&spend(10_000.0, std::slice::from_ref(&needy)).unwrap(), "needy"), 3.0);
    let short = spend(2.2 * 365.0, std::slice::from_ref(&needy)).unwrap();
    assert_eq!(planned(&short, "needy"), 2.0, "a part of the next core would avoid nothing");
    let greedy = Spendable { needed: Some(30.0), ..needy };
    assert_eq!(planned(&spend(100_000.0, &[greedy]).unwrap(), "needy"), 8.0);
}

#[test]
fn what_cannot_be_paid_is_said_with_what_it_costs() {
    let quotas = [cores(Tier::Premium, "a", &[1.0])];
    let fixed = Fixed { quotas: 3, cost: Money::new("100.004".parse().unwrap(), usd(0.0).currency) };
    let error = plan(usd(200.0), quotas.to_vec(), fixed, 0).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("the least is 392.01 USD, for 1 quotas"), "{message}");
    assert!(message.contains("3 without usage"), "{message}");
    assert!(plan(usd(392.01), quotas.to_vec(), fixed, 0).is_ok());
    assert_eq!(spend(1.0, &[]), Err(PlanError::Nothing));
    let euros = Money::new(Decimal::ONE_HUNDRED, "EUR".parse().unwrap());
    assert!(matches!(
        plan(euros, quotas.to_vec(), nothing_fixed(), 0),
        Err(PlanError::Domain(DomainError::MixedCurrencies(..)))
    ));
}

/// The least harm of all ways to spend the budget.
fn best(budget: f64, quotas: &[Spendable]) -> f64 {
    let Some((first, others)) = quotas.split_first() else { return 0.0 };
    let ways = first.rungs().into_iter().filter_map(|rung| {
        let left = budget - 365.0 * rung.limit;
        (left >= -1e-6).then(|| first.harm(rung.violations) + best(left, others))
    });
    ways.fold(f64::INFINITY, f64::min)
}

fn some_quotas(most: usize) -> impl Strategy<Value = Vec<Spendable>> {
    let tier = prop::sample::select(vec![Tier::Free, Tier::Standard, Tier::Premium]);
    let one = (tier, prop::collection::vec(0.0..3.0_f64, 1..12), prop::option::of(0.0..4.0_f64));
    prop::collection::vec(one, 1..most).prop_map(|all| {
        let spendable = |(index, (tier, demand, needed)): (usize, (Tier, Vec<f64>, Option<f64>))| {
            let seen = demand.iter().copied().fold(0.0, f64::max);
            let needed = needed.map(|needed| needed.max(seen));
            Spendable { needed, ..cores(tier, &format!("t{index}"), &demand) }
        };
        all.into_iter().enumerate().map(spendable).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A plan stays within its budget and its bounds, and with more money no
    /// quota is smaller, and so no violation more likely.
    #[test]
    fn more_money_never_hurts(quotas in some_quotas(7), budget in 0.0..8000.0_f64, more in 0.0..2000.0_f64) {
        let Ok(poor) = spend(budget, &quotas) else { return Ok(()) };
        let rich = spend(budget + more, &quotas).unwrap();
        for plan in [&poor, &rich] {
            prop_assert!(plan.cost.amount <= plan.budget.amount);
            let parts = Money::sum(plan.cost.currency, plan.quotas.iter().map(|one| one.cost)).unwrap();
            prop_assert_eq!(parts.amount, plan.cost.amount);
            prop_assert_eq!(plan.cost.plus(&plan.unspent).unwrap().rounded(), plan.budget.rounded());
            for one in &plan.quotas {
                prop_assert!(one.planned >= one.tier.floor(one.resource));
                prop_assert!(one.tier.ceiling(one.resource).is_none_or(|most| one.planned <= most));
            }
        }
        prop_assert!(rich.harm <= poor.harm && rich.hours_above <= poor.hours_above);
        for one in &poor.quotas {
            prop_assert!(planned(&rich, one.tenant.as_str()) >= one.planned);
        }
    }

    /// The best plan of all lies between what is planned and the bound that is
    /// given for it.
    #[test]
    fn the_gap_to_the_best_plan_is_known(quotas in some_quotas(4), budget in 0.0..5000.0_f64) {
        let Ok(plan) = spend(budget, &quotas) else { return Ok(()) };
        let best = best(plan.budget.amount.to_f64().unwrap(), &quotas);
        prop_assert!(best <= plan.harm + 1e-9, "{best} {plan:?}");
        prop_assert!(plan.harm_at_least <= best + 1e-9, "{best} {plan:?}");
    }

    /// Where money is no matter, nothing that was seen is above a quota, but
    /// for what the tier's ceiling forbids.
    #[test]
    fn plenty_avoids_all_that_can_be_avoided(quotas in some_quotas(5)) {
        let plan = spend(1e6, &quotas).unwrap();
        for one in &plan.quotas {
            let quota = quotas.iter().find(|quota| quota.tenant == one.tenant).unwrap();
            let most = one.tier.ceiling(one.resource).unwrap_or(f64::INFINITY);
            prop_assert!(one.violations <= quota.violations(most), "{one:?}");
        }
        prop_assert_eq!(plan.harm, plan.harm_at_least);
    }
}
