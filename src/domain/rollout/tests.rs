//! Plans, stages and what takes a rollout back.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use uuid::Uuid;

use super::*;
use crate::domain::{Quota, Violations};

fn wish(tenant: usize, resource: Resource) -> Wish {
    let quota =
        Quota { resource, limit: 8.0, generation: 3, changed_at: Timestamp::from_seconds(0), before: None };
    let tenant = format!("t{tenant}").parse().unwrap();
    Wish { tenant, quota, to: 6.0, alternative: Some(7.0), recommendation: None }
}

fn id(number: u128) -> RolloutId {
    RolloutId(Uuid::from_u128(number))
}

fn rollout(strategy: Strategy, tenants: usize) -> Rollout {
    let wishes = (0..tenants).map(|tenant| wish(tenant, Resource::CpuCores)).collect();
    Rollout {
        id: id(7),
        name: "smaller".to_owned(),
        reason: "a test".to_owned(),
        strategy,
        watch_seconds: 600,
        wait_seconds: 300,
        limits: WatchLimits::default(),
        changes: Rollout::plan("smaller", strategy, wishes, Vec::new()).0,
        by: Actor::Daemon,
        first: None,
        request_id: None,
        created_at: Timestamp::from_seconds(0),
        state: RolloutState::Applying,
        stage: 0,
        since: Timestamp::from_seconds(0),
        paused_by: None,
        taken_back_by: None,
        evidence: None,
        template: None,
    }
}

fn apply_stage(rollout: &mut Rollout, now: Timestamp) {
    let stage = rollout.stage;
    for change in rollout.changes.iter_mut().filter(|change| change.stage == stage) {
        change.outcome = Outcome::Applied { at: now };
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn stages_follow_the_strategy() {
    let sizes = |strategy, tenants| {
        let planned = rollout(strategy, tenants);
        let last = planned.last_stage();
        (0..=last)
            .map(|stage| planned.changes.iter().filter(|change| change.stage == stage).count())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(Strategy::AllAtOnce, 10), [10]);
    assert_eq!(sizes(Strategy::Rolling { batch: 4 }, 10), [4, 4, 2]);
    assert_eq!(sizes(Strategy::Canary { share: 0.25 }, 10), [3, 7]);
    assert_eq!(sizes(Strategy::Canary { share: 0.01 }, 10), [1, 9]);
    let halves = rollout(Strategy::AbTest, 10);
    let of = |arm| halves.changes.iter().filter(|change| change.arm == Some(arm)).collect::<Vec<_>>();
    assert_eq!((of(Arm::A).len(), of(Arm::B).len()), (5, 5));
    assert!(of(Arm::A).iter().all(|change| change.to == 6.0));
    assert!(of(Arm::B).iter().all(|change| change.to == 7.0));
}

#[test]
fn a_canary_goes_on_after_its_watch_and_ends() {
    let mut rollout = rollout(Strategy::Canary { share: 0.2 }, 10);
    let calm = Watched::default();
    rollout.step(&calm, at(0));
    assert_eq!(rollout.state, RolloutState::Applying, "its changes wait");
    apply_stage(&mut rollout, at(5));
    rollout.step(&calm, at(5));
    rollout.step(&calm, at(600));
    assert_eq!((&rollout.state, rollout.stage), (&RolloutState::Watching, 0));
    rollout.step(&calm, at(605));
    assert_eq!((&rollout.state, rollout.stage), (&RolloutState::Applying, 1));
    apply_stage(&mut rollout, at(610));
    rollout.step(&calm, at(610));
    rollout.step(&calm, at(1210));
    assert_eq!(rollout.state, RolloutState::Done);
}

#[test]
fn harm_takes_it_back() {
    let mut rollout = rollout(Strategy::AllAtOnce, 3);
    apply_stage(&mut rollout, at(0));
    rollout.step(&Watched::default(), at(0));
    let one = Watched { since: Violations { samples: 20, above: 1 }, ..Watched::default() };
    rollout.step(&one, at(10));
    assert_eq!(rollout.state, RolloutState::Watching, "one sample says nothing");
    let many = Watched { since: Violations { samples: 20, above: 5 }, ..Watched::default() };
    let before = Watched { before: Violations { samples: 20, above: 5 }, ..many.clone() };
    rollout.step(&before, at(20));
    assert_eq!(rollout.state, RolloutState::Watching, "it was the same before");
    rollout.step(&many, at(30));
    assert!(
        matches!(&rollout.state, RolloutState::RollingBack { why } if why.starts_with("5 of 20 samples"))
    );
    rollout.step(&many, at(40));
    assert!(matches!(rollout.state, RolloutState::RollingBack { .. }));
    for change in &mut rollout.changes {
        change.outcome = Outcome::RolledBack { at: at(50) };
    }
    rollout.step(&many, at(50));
    assert!(rollout.state.is_over());
}

#[test]
fn incidents_count_against_those_before() {
    let limits = WatchLimits { incidents: 1, ..WatchLimits::default() };
    let seen =
        |before, since| Watched { incidents_before: before, incidents_since: since, ..Watched::default() };
    assert_eq!(seen(0, 1).harm(&limits), None);
    assert_eq!(seen(2, 3).harm(&limits), None);
    assert!(seen(0, 2).harm(&limits).unwrap().contains("2 findings of incidents began since"));
}

#[test]
fn an_a_b_test_waits_for_a_person() {
    let mut rollout = rollout(Strategy::AbTest, 4);
    apply_stage(&mut rollout, at(0));
    rollout.step(&Watched::default(), at(0));
    rollout.step(&Watched::default(), at(700));
    assert_eq!(rollout.state, RolloutState::Undecided);
}

proptest! {
    #[test]
    fn the_stages_together_are_the_wishes(
        tenants in 1_usize..60,
        batch in 1_usize..20,
        share in 0.01..0.99_f64,
        number in any::<u128>(),
    ) {
        let wishes: Vec<Wish> = (0..tenants)
            .flat_map(|tenant| [wish(tenant, Resource::CpuCores), wish(tenant, Resource::MemoryGb)])
            .collect();
        for strategy in [Strategy::AllAtOnce, Strategy::Rolling { batch }, Strategy::Canary { share }, Strategy::AbTest] {
            let changes = Rollout::plan(&number.to_string(), strategy, wishes.clone(), Vec::new()).0;
            let mut places: Vec<_> = changes.iter().map(|change| (change.tenant.clone(), change.resource)).collect();
            places.sort();
            let mut wanted: Vec<_> = wishes.iter().map(|wish| (wish.tenant.clone(), wish.quota.resource)).collect();
            wanted.sort();
            prop_assert_eq!(places, wanted);
            let last = changes.iter().map(|change| change.stage).max().unwrap();
            for stage in 0..=last {
                prop_assert!(changes.iter().any(|change| change.stage == stage), "no hole");
            }
            for pair in changes.windows(2).filter(|pair| pair[0].tenant == pair[1].tenant) {
                prop_assert_eq!((pair[0].stage, pair[0].arm), (pair[1].stage, pair[1].arm));
            }
            prop_assert_eq!(&changes, &Rollout::plan(&number.to_string(), strategy, wishes.clone(), Vec::new()).0);
        }
    }
}

#[test]
fn what_rises_everywhere_is_not_the_rollouts_doing() {
    let seen = |above| Violations { samples: 100, above };
    let alone = Watched { before: seen(0), since: seen(10), ..Watched::default() };
    assert!(alone.harm(&WatchLimits::default()).is_some());
    let with_all = Watched { rest_before: seen(0), rest_since: seen(9), ..alone };
    assert_eq!(with_all.harm(&WatchLimits::default()), None);
}

fn seen_of(tenant: &str, stage: usize, before: u64, samples: u64, above: u64) -> TenantWatched {
    let before = Violations { samples: before, above: 0 };
    TenantWatched { tenant: tenant.parse().unwrap(), stage, before, since: Violations { samples, above } }
}

#[test]
fn what_one_tenant_suffers_is_not_averaged_away() {
    let mut tenants: Vec<TenantWatched> =
        (0..99).map(|number| seen_of(&format!("t{number}"), 0, 12, 12, 0)).collect();
    tenants.push(seen_of("acme", 0, 12, 12, 2));
    let mut watched = Watched {
        before: Violations { samples: 1200, above: 0 },
        since: Violations { samples: 1200, above: 2 },
        tenants,
        ..Watched::default()
    };
    let limits = WatchLimits::default();
    assert_eq!(watched.harm(&limits), None, "two samples of one tenant say nothing");
    watched.tenants.last_mut().unwrap().since.above = 6;
    watched.since.above = 6;
    let why = watched.harm(&limits).unwrap();
    assert!(why.starts_with("of acme, 6 of 12 samples"), "{why}");
    watched.rest_before = Violations { samples: 100, above: 0 };
    watched.rest_since = Violations { samples: 100, above: 50 };
    assert_eq!(watched.harm(&limits), None, "it rose for those that were not changed as well");
}

#[test]
fn a_stage_of_which_nothing_was_seen_waits_and_then_asks() {
    let mut rollout = rollout(Strategy::Canary { share: 0.2 }, 10);
    apply_stage(&mut rollout, at(0));
    let blind =
        Watched { tenants: vec![seen_of("t1", 0, 0, 0, 0), seen_of("t2", 0, 0, 0, 0)], ..Watched::default() };
    rollout.step(&blind, at(0));
    rollout.step(&blind, at(899));
    assert_eq!((&rollout.state, rollout.stage), (&RolloutState::Watching, 0), "it waits for samples");
    rollout.step(&blind, at(900));
    let why = "no sample of t1, t2 came since the change".to_owned();
    assert_eq!(rollout.state, RolloutState::Unseen { why });
    rollout.step(&blind, at(9000));
    assert_eq!(rollout.state.name(), "unseen", "somebody has to choose");
    let seen = Watched { tenants: vec![seen_of("t1", 0, 0, 5, 0)], ..Watched::default() };
    rollout.step(&seen, at(9001));
    assert_eq!(
        (&rollout.state, rollout.since),
        (&RolloutState::Watching, at(9001)),
        "samples came: watched anew"
    );
    rollout.step(&seen, at(9601));
    assert_eq!((&rollout.state, rollout.stage), (&RolloutState::Applying, 1));
}

#[test]
fn samples_that_stopped_are_missed_and_idle_tenants_hold_nobody_up() {
    let of = |tenants| Watched { tenants, ..Watched::default() }.unseen(0);
    assert_eq!(of(vec![seen_of("busy", 0, 12, 12, 0), seen_of("idle", 0, 0, 0, 0)]), None);
    assert_eq!(of(vec![seen_of("later", 1, 12, 0, 0)]), None, "it is of another stage");
    let stopped =
        of(vec![seen_of("busy", 0, 12, 12, 0), seen_of("idle", 0, 0, 0, 0), seen_of("gone", 0, 12, 0, 0)]);
    assert_eq!(stopped.unwrap(), "no sample of gone came since the change");
    let many = (0..5).map(|number| seen_of(&format!("t{number}"), 0, 0, 0, 0)).collect();
    assert_eq!(of(many).unwrap(), "no sample of t0, t1, t2 and 2 more came since the change");
}

#[test]
fn earlier_stages_stay_under_watch_while_a_later_one_is_applied() {
    let mut rollout = rollout(Strategy::Canary { share: 0.2 }, 10);
    apply_stage(&mut rollout, at(0));
    rollout.step(&Watched::default(), at(0));
    rollout.step(&Watched::default(), at(600));
    assert_eq!((&rollout.state, rollout.stage), (&RolloutState::Applying, 1));
    let many = Watched { since: Violations { samples: 20, above: 5 }, ..Watched::default() };
    rollout.step(&many, at(601));
    assert_eq!(rollout.state.name(), "rolling_back");
}

#[test]
fn a_half_without_an_alternative_keeps_its_quota() {
    let wishes =
        (0..4).map(|tenant| Wish { alternative: None, ..wish(tenant, Resource::CpuCores) }).collect();
    let planned = Rollout::plan("smaller", Strategy::AbTest, wishes, Vec::new()).0;
    let kept: Vec<_> = planned.iter().filter(|change| change.outcome == Outcome::Kept).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|change| change.arm == Some(Arm::B) && change.to == change.from));
}
