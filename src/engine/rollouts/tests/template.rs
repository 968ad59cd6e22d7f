//! A new version of a template for all its tenants, with and without quotas that
//! differ, with a tier that differs, and cut anywhere.

use super::*;
use crate::domain::template::Template;
use crate::domain::{Tenant, Tier};
use crate::registry::{NewTenant, Standing, TemplateLimits, TenantEdit};

const TWO: [&str; 2] = ["acme", "globex"];

fn gold(tier: &str, cores: f64, mfa: bool) -> Template {
    serde_json::from_value(serde_json::json!({
        "name": "gold", "tier": tier, "resource_quotas": {"cpu_cores": cores}, "security_config": {"mfa_required": mfa},
    }))
    .unwrap()
}

async fn write(engine: &Engine, template: Template) {
    let drafts = vec![(template, Standing::Any)];
    engine.registry().write_templates(drafts, TemplateLimits::default(), false, me()).await.unwrap();
}

/// Two tenants of the first version, and a second version.
async fn fleet_of(store: Arc<dyn Store>, second: Template) -> Arc<Engine> {
    let engine = engine_over(store, &clock(), Settings::default(), Budgets::default());
    write(&engine, gold("PREMIUM", 8.0, false)).await;
    for id in TWO {
        let record = engine.registry().template(&"gold".parse().unwrap()).await.unwrap();
        let resolved = engine.registry().resolved(&record).await.unwrap();
        let tenant = NewTenant {
            id: id.parse().unwrap(),
            name: None,
            tier: resolved.tier,
            template: Some(resolved.assigned(record.template.name, record.version)),
            provider: "x".to_owned(),
            region: "y".to_owned(),
            apply_mode: ApplyMode::Review,
            quotas: resolved.settings.resource_quotas.unwrap_or_default().0,
        };
        engine.registry().create_tenant(tenant, Actor::Daemon, None).await.unwrap();
    }
    write(&engine, second).await;
    engine
}

async fn plan(engine: &Engine, strategy: Strategy, overwrite: bool) -> Result<Rollout, RolloutError> {
    let take = Take::Template { template: "gold".parse().unwrap(), overwrite };
    let (wishes, template) = engine.wishes(&take).await?;
    let wish = RolloutWish { template, watch: Some(Duration::ZERO), ..made_of(wishes, strategy) };
    engine.plan_rollout(wish, &me()).await
}

async fn tenant(engine: &Engine, id: &str) -> Tenant {
    engine.registry().tenant(&id.parse().unwrap()).await.unwrap()
}

/// The version, the second factor, the tier and the cores of each.
async fn stands(engine: &Engine) -> Vec<(u64, bool, Tier, f64)> {
    let mut all = Vec::new();
    for id in TWO {
        let tenant = tenant(engine, id).await;
        let quota = engine.registry().quota(&tenant.id, CPU).await.unwrap();
        let template = tenant.template.unwrap();
        all.push((template.version, template.mfa_required, tenant.tier, quota.limit));
    }
    all
}

async fn lines(engine: &Engine, action: AuditAction) -> usize {
    let lines = engine.registry().audit(None, None, 10_000).await.unwrap();
    lines.iter().filter(|line| line.event.action == action).count()
}

#[tokio::test]
async fn a_version_reaches_its_tenants_also_where_no_quota_differs() {
    let engine = fleet_of(Arc::new(MemoryStore::default()), gold("PREMIUM", 8.0, true)).await;
    let planned = plan(&engine, Strategy::AllAtOnce, false).await.unwrap();
    assert_eq!((planned.changes.len(), planned.moves().len()), (0, 2));
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    assert_eq!(rollout.state, RolloutState::Done);
    assert_eq!(stands(&engine).await, [(2, true, Tier::Premium, 8.0); 2]);
    assert_eq!(
        (lines(&engine, AuditAction::TenantChanged).await, lines(&engine, AuditAction::TierChanged).await),
        (2, 0)
    );
    assert!(matches!(plan(&engine, Strategy::AllAtOnce, false).await, Err(RolloutError::Empty)));
    engine.steer_rollout(rollout.id, Steer::RollBack("back".to_owned()), me()).await.unwrap();
    assert_eq!(stands(&engine).await, [(1, false, Tier::Premium, 8.0); 2]);
}

#[tokio::test]
async fn a_tier_comes_with_its_template_and_with_its_bounds_and_a_line_of_its_own() {
    let cores = 60.0;
    assert!(cores > Tier::Premium.ceiling(CPU).unwrap());
    let engine = fleet_of(Arc::new(MemoryStore::default()), gold("ENTERPRISE", cores, false)).await;
    let planned = plan(&engine, Strategy::Canary { share: 0.5 }, false).await.unwrap();
    let first = planned.moves()[0].tenant.to_string();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    engine.advance_rollouts().await.unwrap();
    assert_eq!(now_of(&engine, &rollout).await.state, RolloutState::Done, "{first}");
    assert_eq!(stands(&engine).await, [(2, false, Tier::Enterprise, cores); 2]);
    assert_eq!(lines(&engine, AuditAction::TierChanged).await, 2);
    // What somebody has changed since stays.
    let edit = TenantEdit { tier: Some(Tier::EnterprisePlus), ..TenantEdit::default() };
    engine.registry().edit_tenant(&"globex".parse().unwrap(), edit, me()).await.unwrap();
    let back = engine.steer_rollout(rollout.id, Steer::RollBack("back".to_owned()), me()).await.unwrap();
    assert!(back.state.is_over());
    let left = (2, false, Tier::EnterprisePlus, 8.0);
    assert_eq!(stands(&engine).await, [(1, false, Tier::Premium, 8.0), left]);
}

#[tokio::test]
async fn a_tier_that_was_set_since_stays_unless_it_is_overwritten() {
    let engine = fleet_of(Arc::new(MemoryStore::default()), gold("ENTERPRISE", 8.0, false)).await;
    let edit = TenantEdit { tier: Some(Tier::Standard), ..TenantEdit::default() };
    engine.registry().edit_tenant(&"acme".parse().unwrap(), edit, me()).await.unwrap();
    let of_acme = |rollout: &Rollout| {
        let one = rollout.moves().iter().find(|one| one.tenant.as_str() == "acme").unwrap();
        (one.to_tier, one.tier_left_out)
    };
    let planned = plan(&engine, Strategy::AllAtOnce, true).await.unwrap();
    assert_eq!(of_acme(&planned), (Tier::Enterprise, None));
    let planned = plan(&engine, Strategy::AllAtOnce, false).await.unwrap();
    assert_eq!(of_acme(&planned), (Tier::Standard, Some(Tier::Enterprise)));
    engine.begin_rollout(planned, me()).await.unwrap();
    let tiers = (tenant(&engine, "acme").await.tier, tenant(&engine, "globex").await.tier);
    assert_eq!(tiers, (Tier::Standard, Tier::Enterprise));
}

#[tokio::test]
async fn who_got_another_template_meanwhile_is_left_with_its_quotas() {
    let engine = fleet_of(Arc::new(MemoryStore::default()), gold("PREMIUM", 6.0, true)).await;
    let planned = plan(&engine, Strategy::BlueGreen, false).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    let second = plan(&engine, Strategy::AllAtOnce, false).await.unwrap_err();
    assert!(second.to_string().contains("the template of "), "{second}");
    let edit = TenantEdit { tier: Some(Tier::Standard), ..TenantEdit::default() };
    engine.registry().edit_tenant(&"acme".parse().unwrap(), edit, me()).await.unwrap();
    let rollout = engine.steer_rollout(rollout.id, Steer::Switch, me()).await.unwrap();
    assert_eq!(stands(&engine).await, [(1, false, Tier::Standard, 8.0), (2, true, Tier::Premium, 6.0)]);
    let refused = rollout.changes.iter().find(|one| one.tenant.as_str() == "acme").unwrap();
    assert!(
        matches!(&refused.outcome, Outcome::Refused { why } if why.contains("does not get the template")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_pause_holds_templates_up_as_well() {
    let engine = fleet_of(Arc::new(MemoryStore::default()), gold("PREMIUM", 8.0, true)).await;
    engine.registry().stop_changes("a launch".to_owned(), me()).await.unwrap();
    let planned = plan(&engine, Strategy::AllAtOnce, false).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    assert_eq!(rollout.state, RolloutState::Applying);
    engine.registry().resume_changes(me()).await.unwrap();
    engine.advance_rollouts().await.unwrap();
    assert_eq!(now_of(&engine, &rollout).await.state, RolloutState::Done);
}

async fn run_all(engine: &Engine) -> Result<(), RolloutError> {
    if engine.registry().rollouts(None, 1).await?.is_empty() {
        let planned = plan(engine, Strategy::Rolling { batch: 1 }, false).await?;
        engine.begin_rollout(planned, me()).await?;
    }
    engine.advance_rollouts().await?;
    let newest = engine.registry().rollouts(None, 1).await?.remove(0);
    if newest.state == RolloutState::Done {
        engine.steer_rollout(newest.id, Steer::RollBack("a test".to_owned()), me()).await?;
    }
    Ok(engine.advance_rollouts().await?)
}

#[tokio::test]
async fn a_template_that_is_cut_anywhere_goes_on_and_back_where_it_was() {
    let old = (1, false, Tier::Premium, 8.0);
    let new = (2, true, Tier::Enterprise, 60.0);
    for after in [false, true] {
        for cut_at in 1.. {
            let inner = Arc::new(MemoryStore::default());
            fleet_of(inner.clone(), gold("ENTERPRISE", 60.0, true)).await;
            let cut = Arc::new(Cut::at(inner.clone(), cut_at, after));
            let first = engine_over(cut.clone(), &clock(), Settings::default(), Budgets::default());
            let outcome = run_all(&first).await;
            let was_cut = cut.is_over();
            assert!(was_cut || outcome.is_ok(), "{outcome:?}");
            let second = engine_over(inner, &clock(), Settings::default(), Budgets::default());
            for (version, mfa, tier, cores) in stands(&second).await {
                let template = (version, mfa, tier);
                let is_old = template == (old.0, old.1, old.2);
                assert!(is_old || template == (new.0, new.1, new.2), "cut at {cut_at}: {template:?}");
                assert!([old.3, new.3].contains(&cores), "cut at {cut_at}: {cores}");
            }
            run_all(&second).await.unwrap();
            run_all(&second).await.unwrap();
            assert_eq!(stands(&second).await, [old; 2], "cut at {cut_at}, {after}");
            // There and back, for both tenants.
            let quotas = second.registry().rollouts(None, 1).await.unwrap()[0].changes.len();
            for (action, count) in [
                (AuditAction::TenantChanged, 2 * TWO.len()),
                (AuditAction::TierChanged, 2 * TWO.len()),
                (AuditAction::QuotaChanged, 2 * quotas),
            ] {
                assert_eq!(lines(&second, action).await, count, "{action:?} cut at {cut_at}, {after}");
            }
            if !was_cut {
                assert!(cut_at > 15, "only {cut_at} commits were cut");
                break;
            }
        }
    }
}
