//! The registry over a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::approval::{Approval, approve};
use crate::domain::incident::tests::{finding, incident};
use crate::domain::{
    Actor, ApplyMode, Approved, AuditAction, Evidence, FindingKind, Incident, QuotaChange, Recommendation,
    RecommendationState, Tier, TimeRange,
};
use crate::ports::hands::Hands;
use crate::store::MemoryStore;

const CPU: Resource = Resource::CpuCores;

fn start() -> Timestamp {
    Timestamp::from_seconds(1_000_000)
}

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

async fn registry() -> (Registry, Arc<Hands>) {
    let clock = Arc::new(Hands::at(start()));
    let registry = Registry::new(Arc::new(MemoryStore::default()), clock.clone());
    registry.create_tenant(new_tenant("acme"), Actor::Daemon, None).await.unwrap();
    (registry, clock)
}

fn new_tenant(id: &str) -> NewTenant {
    NewTenant {
        id: id.parse().unwrap(),
        name: None,
        tier: Tier::Premium,
        provider: "aws".to_owned(),
        region: "eu".to_owned(),
        apply_mode: ApplyMode::Review,
        template: None,
        quotas: BTreeMap::from([(Resource::MemoryGb, 20.0)]),
    }
}

fn recommendation(number: u128, proposed: f64, generation: u64) -> Recommendation {
    Recommendation {
        id: RecommendationId(uuid::Uuid::from_u128(number)),
        tenant: acme(),
        tier: Tier::Premium,
        resource: CPU,
        parent_generation: generation,
        current: 8.0,
        proposed,
        evidence: Evidence { history_from: start(), history_to: start(), ..Evidence::default() },
        reasons: vec!["because".to_owned()],
        confidence: 0.9,
        cost: None,
        no_cost_because: None,
        trace: None,
        created_at: start(),
        expires_at: start().plus(Duration::from_secs(3600)),
    }
}

fn approved(change: QuotaChange) -> Approved<QuotaChange> {
    let by = Actor::Person("ann".to_owned());
    let comment = Some("fine".to_owned());
    let word = Approval { by, at: start(), comment, request_id: None, needs_two: None, first: None };
    approve(change, Verdict::default(), word).unwrap()
}

async fn state_of(registry: &Registry, number: u128) -> &'static str {
    let id = RecommendationId(uuid::Uuid::from_u128(number));
    registry.recommendation(id).await.unwrap().state.name()
}

#[tokio::test]
async fn a_tenant_has_the_tiers_quotas_and_its_own() {
    let (registry, _) = registry().await;
    let quotas = registry.quotas(&acme()).await.unwrap();
    assert_eq!(quotas.iter().map(|quota| quota.resource).collect::<Vec<_>>(), Resource::ALL);
    assert_eq!((quotas[0].limit, quotas[1].limit, quotas[0].generation), (8.0, 20.0, 1));
    let again = registry.create_tenant(new_tenant("acme"), Actor::Daemon, None).await;
    assert!(matches!(again, Err(RegistryError::TenantExists(_))), "{again:?}");
    assert_eq!(registry.audit(None, None, 10).await.unwrap().len(), 1);
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(registry.quotas(&nobody).await, Err(RegistryError::NoSuchTenant(_))));
    assert!(registry.quotas_if_there(&nobody).await.unwrap().is_empty());
    // A tenant whose id begins with another's is not mistaken for it.
    registry.create_tenant(new_tenant("acme-2"), Actor::Daemon, None).await.unwrap();
    assert_eq!(registry.quotas(&acme()).await.unwrap().len(), 10);
    let mut impossible = new_tenant("bad");
    impossible.quotas.insert(CPU, -1.0);
    assert!(registry.create_tenant(impossible, Actor::Daemon, None).await.is_err());
    assert_eq!(registry.all_tenants().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_is_begun_finished_and_audited_once() {
    let (registry, _) = registry().await;
    registry.propose(recommendation(1, 4.0, 1)).await.unwrap();
    let change = approved(recommendation(1, 4.0, 1).change());
    registry.begin_change(&change).await.unwrap();
    assert_eq!(state_of(&registry, 1).await, "approved");
    assert_eq!(registry.quota(&acme(), CPU).await.unwrap().generation, 1, "nothing has changed yet");
    let second = registry.begin_change(&change).await;
    assert!(second.is_err(), "one change of a quota at a time: {second:?}");

    assert_eq!(registry.open_changes().await.unwrap(), std::slice::from_ref(&change));
    for _ in 0..2 {
        let quota = registry.finish_change(&change, &ChangeOutcome::Enforced).await.unwrap();
        assert_eq!((quota.limit, quota.generation), (4.0, 2));
    }
    assert_eq!(state_of(&registry, 1).await, "applied");
    assert!(registry.open_changes().await.unwrap().is_empty());
    let actions: Vec<AuditAction> =
        registry.audit(Some(&acme()), None, 10).await.unwrap().iter().map(|line| line.event.action).collect();
    use AuditAction::{QuotaChanged, RecommendationApproved, TenantCreated};
    assert_eq!(actions, [QuotaChanged, RecommendationApproved, TenantCreated]);

    let stale = registry.begin_change(&approved(recommendation(2, 5.0, 1).change())).await;
    assert!(matches!(stale, Err(RegistryError::Refused(_))), "{stale:?}");
}

#[tokio::test]
async fn a_change_that_the_target_refuses_leaves_the_quota() {
    let (registry, _) = registry().await;
    registry.propose(recommendation(1, 4.0, 1)).await.unwrap();
    let change = approved(recommendation(1, 4.0, 1).change());
    registry.begin_change(&change).await.unwrap();
    let failed = ChangeOutcome::Failed("no room".to_owned());
    let quota = registry.finish_change(&change, &failed).await.unwrap();
    assert_eq!((quota.limit, quota.generation), (8.0, 1));
    assert_eq!(state_of(&registry, 1).await, "proposed", "it may be tried again");
    let newest = registry.audit(None, None, 1).await.unwrap().remove(0).event;
    assert_eq!((newest.action, newest.reason.as_str()), (AuditAction::ChangeFailed, "no room"));
}

#[tokio::test]
async fn what_waits_for_a_tenant_ends_with_it_and_is_forgotten_in_time() {
    let (registry, _) = registry().await;
    registry.propose(recommendation(1, 4.0, 1)).await.unwrap();
    let remark = Remark { by: Actor::Daemon, comment: None, request_id: None };
    registry.remove_tenant(&acme(), None, remark).await.unwrap();
    assert_eq!(state_of(&registry, 1).await, "superseded");
    registry.create_tenant(new_tenant("acme"), Actor::Daemon, None).await.unwrap();
    assert!(registry.waiting(&acme(), CPU).await.unwrap().is_none(), "nothing waits for another of its name");
    let later = start().plus(Duration::from_secs(1));
    assert_eq!(registry.forget_recommendations_before(later).await.unwrap(), 1);
}

#[tokio::test]
async fn one_recommendation_waits_for_each_quota() {
    let (registry, _) = registry().await;
    assert!(matches!(registry.propose(recommendation(1, 4.0, 1)).await.unwrap(), Proposed::New(_)));
    let same = registry.propose(recommendation(2, 4.05, 1)).await.unwrap();
    assert_eq!(same.id().0.as_u128(), 1, "the same need is not proposed twice");
    registry.propose(recommendation(3, 5.0, 1)).await.unwrap();
    assert_eq!(state_of(&registry, 1).await, "superseded");
    registry.propose(recommendation(4, 5.0, 2)).await.unwrap();
    assert_eq!(state_of(&registry, 3).await, "stale", "the quota has moved on since");
    registry.withdraw(&acme(), CPU).await.unwrap();
    assert_eq!(state_of(&registry, 4).await, "superseded");
    let filter = Filter { state: Some("proposed".to_owned()), ..Filter::default() };
    assert!(registry.recommendations(&filter, None, 10).await.unwrap().is_empty());
    let newest = registry.recommendations(&Filter::default(), None, 2).await.unwrap();
    assert_eq!(newest[0].recommendation.id.0.as_u128(), 4, "the newest comes first");
    let before = newest[1].recommendation.id.to_string();
    let older = registry.recommendations(&Filter::default(), Some(&before), 10).await.unwrap();
    assert_eq!(older.iter().map(|record| record.recommendation.id.0.as_u128()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn what_was_rejected_is_not_put_to_people_again_at_once() {
    let (registry, clock) = registry().await;
    let first = registry.propose(recommendation(1, 4.0, 1)).await.unwrap().id();
    let by = Actor::Person("ann".to_owned());
    let rejected = registry.reject(first, by.clone(), "too low".to_owned(), None).await.unwrap();
    assert!(matches!(rejected.state, RecommendationState::Rejected { .. }));
    let twice = registry.reject(first, by, "again".to_owned(), None).await;
    assert!(
        matches!(&twice, Err(RegistryError::AlreadyDecided { state, .. }) if state == "rejected"),
        "{twice:?}"
    );
    assert_eq!(registry.propose(recommendation(2, 4.0, 1)).await.unwrap(), Proposed::Known(first));
    // Another need is another matter, and so is the same one much later.
    assert!(matches!(registry.propose(recommendation(3, 6.0, 1)).await.unwrap(), Proposed::New(_)));
    assert_eq!(state_of(&registry, 1).await, "rejected");
    clock.put(start().plus(Duration::from_secs(3600)));
    assert_eq!(registry.expire().await.unwrap(), 1);
    assert_eq!(state_of(&registry, 3).await, "expired");
    assert!(matches!(registry.propose(recommendation(4, 6.0, 1)).await.unwrap(), Proposed::New(_)));
}

#[tokio::test]
async fn who_decides_between_the_reading_of_many_and_the_writing_of_one_is_not_overruled() {
    let (registry, _) = registry().await;
    let first = registry.propose(recommendation(1, 4.0, 1)).await.unwrap().id();
    let (tenant, nobody) = (acme(), "nobody".parse().unwrap());
    let resources = [CPU, Resource::MemoryGb];
    let read = async || {
        let all = registry.before_sizing(&[&nobody, &tenant], &resources).await.unwrap();
        let stands: Vec<Vec<Option<Stands>>> =
            all.iter().map(|some| some.iter().map(|one| one.stands().unwrap()).collect()).collect();
        stands
    };
    let mut all = read().await;
    assert!(all[0].iter().all(Option::is_none), "of a tenant that there is not");
    let [Some(cpu), Some(memory)] = &mut all[1][..] else { panic!("two quotas") };
    assert_eq!((cpu.quota.resource, memory.quota.resource), (CPU, Resource::MemoryGb));
    assert!(memory.waiting.is_none() && cpu.refusal.is_none());
    let waiting = cpu.waiting.take().unwrap();
    assert_eq!(waiting.0.recommendation.id, first);
    registry.reject(first, Actor::Person("ann".to_owned()), "no".to_owned(), None).await.unwrap();
    let over = registry.propose_after(Some(waiting.clone()), recommendation(2, 9.0, 1)).await;
    assert!(matches!(over, Err(RegistryError::Store(StoreError::Conflict { .. }))), "{over:?}");
    let back = registry.take_back(&waiting.0, waiting.1).await;
    assert!(matches!(back, Err(RegistryError::Store(StoreError::Conflict { .. }))), "{back:?}");
    assert_eq!(state_of(&registry, 1).await, "rejected");
    let again = read().await.swap_remove(1).swap_remove(0).unwrap();
    assert_eq!(again.refusal.unwrap().reason, "no");
    let quotas = registry.quotas_of(&[&tenant], &resources).await.unwrap();
    assert_eq!(quotas[0].len(), 2);
}

#[tokio::test]
async fn what_waits_expires_at_its_time_also_after_a_restart() {
    let (registry, clock) = registry().await;
    assert_eq!(registry.expire().await.unwrap(), 0, "nothing waits yet");
    registry.propose(recommendation(1, 4.0, 1)).await.unwrap();
    clock.put(start().plus(Duration::from_secs(3599)));
    assert_eq!(registry.expire().await.unwrap(), 0);
    let restarted = Registry::new(Arc::clone(&registry.store), clock.clone());
    assert_eq!(restarted.expire().await.unwrap(), 0);
    clock.put(start().plus(Duration::from_secs(3600)));
    assert_eq!(restarted.expire().await.unwrap(), 1);
    assert_eq!(state_of(&registry, 1).await, "expired");
    assert_eq!(registry.expire().await.unwrap(), 0, "somebody else was there first");
}

#[tokio::test]
async fn old_decisions_are_forgotten_and_what_waits_is_not() {
    let (registry, _) = registry().await;
    registry.propose(recommendation(1, 4.0, 1)).await.unwrap();
    registry.propose(recommendation(2, 6.0, 1)).await.unwrap();
    let later = start().plus(Duration::from_secs(1));
    assert_eq!(registry.forget_recommendations_before(later).await.unwrap(), 1);
    assert_eq!(state_of(&registry, 2).await, "proposed");
}

#[tokio::test]
async fn incidents_that_were_over_long_ago_are_forgotten() {
    let (registry, _) = registry().await;
    let at = |seconds: u64| start().plus(Duration::from_secs(seconds));
    // Opened and resolved: long ago, across the limit, after it; and one that goes on.
    let cases = [("a", 10, Some(20)), ("b", 10, Some(200)), ("c", 150, Some(200)), ("d", 10, None)];
    for (tenant, opened, resolved) in cases {
        let millis = at(opened).millis().unsigned_abs();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[tenant.as_bytes()[0]; 10]).into_uuid();
        let incident = Incident {
            id: IncidentId(id),
            tenant: tenant.parse().unwrap(),
            resolved_at: resolved.map(at),
            ..incident(Vec::new())
        };
        let write = IncidentWrite { incident, version: None, notice: None, budget: None, audit: None };
        registry.write_incident(&write).await.unwrap();
    }
    assert_eq!(registry.forget_incidents_before(at(100)).await.unwrap(), 1);
    let kept = registry.incidents(&IncidentFilter::default(), None, 10).await.unwrap();
    let mut kept: Vec<&str> = kept.iter().map(|incident| incident.tenant.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["b", "c", "d"]);
}

/// Counts how often the incidents are read.
#[derive(Debug, Default)]
struct Counting(MemoryStore, std::sync::atomic::AtomicUsize);

#[async_trait::async_trait]
impl Store for Counting {
    async fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.0.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, Versioned)>, StoreError> {
        self.1.fetch_add(usize::from(table == Table::Incidents), std::sync::atomic::Ordering::Relaxed);
        self.0.scan(table, prefix, after, order, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.0.commit(batch).await
    }

    async fn health(&self) -> StoreHealth {
        self.0.health().await
    }
}

#[tokio::test]
async fn what_is_not_to_be_learned_is_read_from_the_store_once() {
    let (store, clock) = (Arc::new(Counting::default()), Arc::new(Hands::at(start())));
    let registry = Registry::new(store.clone(), clock.clone());
    let odd = finding(FindingKind::UnusualUsage, Some(CPU), 2.0);
    let one = |number: u128, resolved_at| {
        let incident = Incident {
            id: IncidentId(uuid::Uuid::from_u128(number)),
            tenant: format!("t{number}").parse().unwrap(),
            resolved_at,
            ..incident(vec![odd.clone()])
        };
        IncidentWrite { incident, version: None, notice: None, budget: None, audit: None }
    };
    registry.write_incident(&one(1, Some(start()))).await.unwrap();
    registry.write_incident(&one(2, None)).await.unwrap();
    // Another daemon finds in the store what the first one knows.
    for registry in [registry.clone(), Registry::new(store.clone(), clock)] {
        let spans = async |number: u128, since: i64| {
            let longest = Duration::from_secs(600);
            let times = registry.times_not_to_learn(Timestamp::from_seconds(since), longest).await.unwrap();
            times.spans(&format!("t{number}").parse().unwrap(), CPU)
        };
        let (from, end) = (odd.since, odd.since.plus(Duration::from_secs(600)));
        assert_eq!(spans(1, 0).await, [TimeRange { start: from, end }]);
        assert_eq!((spans(2, 0).await.len(), spans(2, 1601).await.len()), (1, 0));
    }
    let scans = || store.1.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(scans(), 2, "once each");
    let usual = Remark { by: Actor::Daemon, comment: None, request_id: None };
    registry.judge_incident(IncidentId(uuid::Uuid::from_u128(2)), false, usual).await.unwrap();
    let later = start().plus(Duration::from_secs(1));
    assert_eq!(registry.forget_incidents_before(later).await.unwrap(), 1);
    let times = registry.times_not_to_learn(Timestamp::from_seconds(0), Duration::MAX).await.unwrap();
    for tenant in ["t1", "t2"] {
        assert!(times.spans(&tenant.parse().unwrap(), CPU).is_empty(), "{tenant}");
    }
    assert_eq!(scans(), 2, "and not again");
}

#[tokio::test]
async fn tokens_and_watermarks_come_back() {
    let (registry, _) = registry().await;
    assert!(!registry.has_token().await.unwrap());
    registry.add_token("hash", "admin").await.unwrap();
    registry.add_token("hash", "other").await.unwrap();
    assert_eq!(registry.token("hash").await.unwrap().unwrap().name, "admin");
    assert_eq!(registry.token("none").await.unwrap(), None);
    assert_eq!(registry.watermark(CPU).await.unwrap(), None);
    registry.set_watermark(CPU, start()).await.unwrap();
    assert_eq!(registry.watermark(CPU).await.unwrap(), Some(start()));
}
