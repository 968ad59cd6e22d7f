//! Random calls by four people, of whom two must decide on quotas of one tier,
//! against a simple model of who may do what: no order of calls lets one of them
//! get round the other.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::*;
use crate::domain::{Resource, Tier};

const TENANTS: usize = 2;
/// Two people decide on quotas of this tier.
const GUARDED: Tier = Tier::Enterprise;
const OPEN: Tier = Tier::Premium;
const PEOPLE: [(&str, Role); 4] =
    [("otto", Role::Operator), ("ann", Role::Approver), ("ben", Role::Approver), ("eve", Role::Admin)];

#[derive(Debug, Clone)]
enum Act {
    Create { tenant: usize, is_guarded: bool, own: bool },
    Remove { tenant: usize },
    Move { tenant: usize, is_guarded: bool },
    Rename { tenant: usize },
    Set { tenant: usize, limit: u8 },
    Approve { request: usize },
    Reject { request: usize },
    Pause,
    Resume,
}

/// Who does what.
fn act() -> impl Strategy<Value = (usize, Act)> {
    let tenant = || 0..TENANTS;
    let what = prop_oneof![
        3 => (tenant(), any::<bool>(), any::<bool>())
            .prop_map(|(tenant, is_guarded, own)| Act::Create { tenant, is_guarded, own }),
        2 => tenant().prop_map(|tenant| Act::Remove { tenant }),
        3 => (tenant(), any::<bool>()).prop_map(|(tenant, is_guarded)| Act::Move { tenant, is_guarded }),
        1 => tenant().prop_map(|tenant| Act::Rename { tenant }),
        8 => (tenant(), 4..32_u8).prop_map(|(tenant, limit)| Act::Set { tenant, limit }),
        8 => (0..4_usize).prop_map(|request| Act::Approve { request }),
        1 => (0..4_usize).prop_map(|request| Act::Reject { request }),
        1 => Just(Act::Pause),
        3 => Just(Act::Resume),
    ];
    (0..PEOPLE.len(), what)
}

fn tier(is_guarded: bool) -> Tier {
    if is_guarded { GUARDED } else { OPEN }
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    tier: Tier,
    limit: f64,
    generation: u64,
}

/// What somebody asked for.
#[derive(Debug, Clone)]
struct Asked {
    id: String,
    by: usize,
    tenant: usize,
    limit: f64,
    generation: u64,
    waits: bool,
}

#[derive(Debug, Clone, Default)]
struct Model {
    tenants: BTreeMap<usize, Known>,
    requests: Vec<Asked>,
    paused: bool,
}

impl Model {
    /// The request that an act is about, the newest first.
    fn request(&self, number: usize) -> Option<usize> {
        self.requests.len().checked_sub(number + 1)
    }

    fn change(&mut self, tenant: usize, limit: f64) {
        if let Some(known) = self.tenants.get_mut(&tenant) {
            *known = Known { limit, generation: known.generation + 1, ..*known };
        }
    }

    /// Requests for a tenant that left wait no more.
    fn forget(&mut self, tenant: usize) {
        self.tenants.remove(&tenant);
        self.requests.iter_mut().filter(|asked| asked.tenant == tenant).for_each(|asked| asked.waits = false);
    }

    /// What an approval is answered with, by one who may approve; what it does is done here.
    fn foretell_approval(&mut self, who: usize, request: usize) -> u16 {
        let Some(place) = self.request(request) else { return 404 };
        let asked = self.requests[place].clone();
        match self.tenants.get(&asked.tenant) {
            Some(known) if asked.waits && known.generation == asked.generation => {
                if known.tier == GUARDED && who == asked.by {
                    return 403;
                }
                if self.paused {
                    return 409;
                }
                self.requests[place].waits = false;
                self.change(asked.tenant, asked.limit);
                200
            }
            _ => 409,
        }
    }

    /// What an act is answered with; what it does is done here.
    fn foretell(&mut self, who: usize, act: &Act) -> u16 {
        let role = PEOPLE[who].1;
        let known = |tenant: &usize| self.tenants.get(tenant).cloned();
        match act {
            Act::Create { tenant, is_guarded, own } => {
                let tier = tier(*is_guarded);
                let needed = if *is_guarded { Role::Admin } else { Role::Approver };
                match known(tenant) {
                    _ if *own && role < needed => 403,
                    Some(_) => 409,
                    None => {
                        let limit = if *own { 9.0 } else { tier.default_quota(Resource::CpuCores) };
                        self.tenants.insert(*tenant, Known { tier, limit, generation: 1 });
                        201
                    }
                }
            }
            Act::Remove { tenant } => match known(tenant) {
                _ if role < Role::Approver => 403,
                None => 404,
                Some(known) if known.tier == GUARDED && role < Role::Admin => 403,
                Some(_) if self.paused => 409,
                Some(_) => {
                    self.forget(*tenant);
                    204
                }
            },
            Act::Move { tenant, is_guarded } => match known(tenant) {
                None => 404,
                Some(known) if known.tier == tier(*is_guarded) => 200,
                Some(known) if known.tier == GUARDED && role < Role::Admin => 403,
                Some(_) if role < Role::Approver => 403,
                Some(_) if self.paused => 409,
                Some(known) => {
                    self.tenants.insert(*tenant, Known { tier: tier(*is_guarded), ..known });
                    200
                }
            },
            Act::Rename { tenant } => known(tenant).map_or(404, |_| 200),
            Act::Set { tenant, limit } => match known(tenant) {
                _ if role < Role::Approver => 403,
                None => 404,
                Some(_) if self.paused => 409,
                Some(known) if known.tier == GUARDED => 202,
                Some(_) => {
                    self.change(*tenant, f64::from(*limit));
                    200
                }
            },
            Act::Approve { .. } | Act::Reject { .. } | Act::Resume if role < Role::Approver => 403,
            Act::Approve { request } => self.foretell_approval(who, *request),
            Act::Reject { request } => match self.request(*request) {
                None => 404,
                Some(place) if !self.requests[place].waits => 409,
                Some(place) => {
                    self.requests[place].waits = false;
                    200
                }
            },
            Act::Pause => {
                self.paused = true;
                200
            }
            Act::Resume => {
                self.paused = false;
                204
            }
        }
    }
}

async fn perform(api: &Router, who: usize, act: &Act, model: &Model) -> (u16, Value) {
    let name = |tenant: &usize| format!("t{tenant}");
    let reason = json!({"reason": "a test"});
    let of_request = |number: &usize, what: &str| {
        let id = model.request(*number).map(|place| model.requests[place].id.clone());
        let id = id.unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned());
        format!("/v1/change-requests/{id}/{what}")
    };
    let (method, path, body) = match act {
        Act::Create { tenant, is_guarded, own } => {
            let quotas = if *own { json!({"cpu_cores": 9.0}) } else { json!({}) };
            let body = json!({"id": name(tenant), "tier": tier(*is_guarded), "quotas": quotas});
            ("POST", "/v1/tenants".to_owned(), Some(body))
        }
        Act::Remove { tenant } => ("DELETE", format!("/v1/tenants/t{tenant}"), None),
        Act::Move { tenant, is_guarded } => {
            ("PATCH", format!("/v1/tenants/t{tenant}"), Some(json!({"tier": tier(*is_guarded)})))
        }
        Act::Rename { tenant } => ("PATCH", format!("/v1/tenants/t{tenant}"), Some(json!({"name": "T"}))),
        Act::Set { tenant, limit } => {
            ("PUT", format!("/v1/tenants/t{tenant}/quotas/cpu_cores"), Some(json!({"limit": limit})))
        }
        Act::Approve { request } => ("POST", of_request(request, "approve"), Some(json!({}))),
        Act::Reject { request } => ("POST", of_request(request, "reject"), Some(reason)),
        Act::Pause => ("PUT", "/v1/pause".to_owned(), Some(reason)),
        Act::Resume => ("DELETE", "/v1/pause".to_owned(), None),
    };
    let bearer = format!("Bearer plim_{}", PEOPLE[who].0);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(matches!(act, Act::Set { .. }).then_some(("if-match", "*")));
    let (status, _, answer) = call(api, method, &path, &headers, body).await;
    (status.as_u16(), answer)
}

async fn check(api: &Router, model: &Model, told: &str) {
    for tenant in 0..TENANTS {
        let (status, _, found) = get(api, &format!("/v1/tenants/t{tenant}")).await;
        let (_, _, quota) = get(api, &format!("/v1/tenants/t{tenant}/quotas/cpu_cores")).await;
        let found = (status == StatusCode::OK).then(|| Known {
            tier: serde_json::from_value(found["tier"].clone()).unwrap(),
            limit: quota["limit"].as_f64().unwrap(),
            generation: quota["generation"].as_u64().unwrap(),
        });
        assert_eq!(found.as_ref(), model.tenants.get(&tenant), "t{tenant} after {told}");
    }
}

async fn play(acts: Vec<(usize, Act)>) {
    let mut settings = Settings::default();
    settings.approval.two_people.tiers = vec![GUARDED];
    let (api, engine) = api_with(Arc::new(MemoryStore::default()), 1, settings).await;
    for (name, role) in PEOPLE {
        let new = NewToken { name: name.to_owned(), role, tenants: Vec::new(), expires_at: None };
        let remark = Remark { by: Actor::Daemon, comment: None, request_id: None };
        let hash = security::hash(&format!("plim_{name}"));
        engine.registry().create_token(&hash, new, remark).await.unwrap();
    }
    let mut model = Model::default();
    for (place, (who, act)) in acts.iter().enumerate() {
        let told = format!("{act:?} by {}, the act {place} of {acts:?}", PEOPLE[*who].0);
        let before = model.clone();
        let status = model.foretell(*who, act);
        let (answered, answer) = perform(&api, *who, act, &before).await;
        assert_eq!(answered, status, "{answer:#} to {told}");
        if let (Act::Set { tenant, limit }, 202) = (act, answered) {
            let (id, generation) =
                (answer["id"].as_str().unwrap().to_owned(), before.tenants[tenant].generation);
            let (by, tenant, limit) = (*who, *tenant, f64::from(*limit));
            model.requests.push(Asked { id, by, tenant, limit, generation, waits: true });
        }
        check(&api, &model, &told).await;
    }
}

proptest! {
    #![proptest_config(Config { cases: 64, ..Config::default() })]

    #[test]
    fn nobody_gets_round_the_second_person(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}
