//! What must hold whatever happens. The rules are read from the audit log, the
//! registry, the target and the receivers, and counted again with figures of
//! their own, so that they do not trust the code that they watch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{Datelike, Timelike};
use uuid::Uuid;

use super::{ALERTS_PER_DAY, FLEET_RISE, HOUR, LEAST_CORES, MOST_CORES, RECEIVERS, World};
use crate::domain::{
    Actor, Approved, AuditAction, Incident, NoticeKind, QuotaChange, Resource, TenantId, Tier, Timestamp,
};
use crate::engine::SeriesKey;
use crate::ports::Clock;
use crate::registry::{Inspection, NumberedAuditEvent};

/// What a rule says when it is broken.
type Held = Result<(), String>;

/// What is known of the fleet from its audit log alone.
#[derive(Default)]
pub struct Rules {
    lines: u64,
    inspection: Option<Inspection>,
    last_hash: String,
    quotas: BTreeMap<SeriesKey, Known>,
    tiers: BTreeMap<TenantId, Tier>,
    is_paused: bool,
    open: BTreeSet<TenantId>,
    /// What the daemon's own changes of a month have added to the monthly cost,
    /// by tenant.
    risen: BTreeMap<(i32, u32), BTreeMap<TenantId, f64>>,
    /// How many deliveries were looked at.
    heard: usize,
    seen: BTreeSet<(String, Uuid)>,
    /// Of which subjects each receiver was told, and of which it was told the end.
    told: BTreeSet<(String, String)>,
    ended: BTreeSet<(String, String)>,
    /// Alerts by receiver, tenant and day.
    sent: BTreeMap<(String, TenantId, i64), usize>,
    counts: BTreeMap<&'static str, usize>,
}

/// A quota as the log tells it.
#[derive(Debug, Clone, Copy)]
struct Known {
    limit: f64,
    generation: u64,
    changed_at: Option<Timestamp>,
}

fn require(holds: bool, broken: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(broken()) }
}

/// From Friday 18:00 for 62 hours, in UTC.
fn is_weekend(at: Timestamp) -> bool {
    let Some(time) = at.to_utc() else { return false };
    let hour = time.weekday().num_days_from_monday() * 24 + time.hour();
    !(8..4 * 24 + 18).contains(&hour)
}

/// Whether the daemon has begun a change by itself in this instant.
fn is_begun_alone(change: &Approved<QuotaChange>, now: Timestamp) -> bool {
    *change.by() == Actor::Daemon && !change.item().rolls_back && change.at() == now
}

fn monthly_price(resource: Resource) -> f64 {
    let hourly = if resource == Resource::CpuCores { 0.5 } else { 0.05 };
    hourly * 730.0
}

impl Rules {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn counted(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// The log as far as it was read.
    pub fn fingerprint(&self) -> (u64, String) {
        (self.lines, self.last_hash.clone())
    }

    /// Whether enough happened that the rules had something to hold.
    pub fn is_telling(&self, days: u64) -> bool {
        let least = |what, a_year: u64| self.counted(what) as u64 >= a_year * days / 365;
        least("changes by the daemon", 100)
            && least("changes by people", 20)
            && least("incidents", 50)
            && least("kills", 10)
            && least("rollbacks", 2)
            && least("alerts", 50)
            && least("failed changes", 1)
    }

    /// Holds the lines that are new in the log against the rules.
    pub async fn changes(&mut self, world: &mut World) -> Held {
        loop {
            let page = world.engine.registry().audit_after(self.lines, 500).await;
            let page = page.map_err(|error| format!("the log can't be read: {error}"))?;
            if page.is_empty() {
                return Ok(());
            }
            for line in page {
                self.line(world, &line).await?;
            }
        }
    }

    async fn line(&mut self, world: &World, line: &NumberedAuditEvent) -> Held {
        let inspection = self.inspection.get_or_insert_with(|| Inspection::new(None, Vec::new()));
        inspection.take(line).map_err(|error| error.to_string())?;
        require(line.number == self.lines + 1, || format!("line {} follows {}", line.number, self.lines))?;
        self.lines = line.number;
        self.last_hash.clone_from(&line.hash);
        let event = &line.event;
        let tenant = event.tenant.clone();
        match (event.action, tenant) {
            (AuditAction::TenantCreated, Some(tenant)) => {
                let record =
                    world.engine.registry().tenant(&tenant).await.map_err(|error| error.to_string())?;
                self.tiers.insert(tenant.clone(), record.tier);
                for resource in Resource::ALL {
                    let known =
                        Known { limit: record.tier.default_quota(resource), generation: 1, changed_at: None };
                    self.quotas.insert(SeriesKey { tenant: tenant.clone(), resource }, known);
                }
            }
            (AuditAction::TenantRemoved, Some(tenant)) => {
                self.quotas.retain(|key, _| key.tenant != tenant);
                for month in self.risen.values_mut() {
                    month.remove(&tenant);
                }
                // Its incident ends in the next cycle, with a line of its own.
            }
            (AuditAction::ChangesPaused, _) => self.is_paused = true,
            (AuditAction::ChangesResumed, _) => self.is_paused = false,
            (AuditAction::IncidentOpened, Some(tenant)) => {
                self.count("incidents");
                let is_new = self.open.insert(tenant.clone());
                require(is_new, || format!("line {}: a second incident opens for {tenant}", line.number))?;
            }
            (AuditAction::IncidentResolved, Some(tenant)) => {
                let was_open = self.open.remove(&tenant);
                require(was_open, || format!("line {}: what was not open ends for {tenant}", line.number))?;
            }
            (AuditAction::ChangeFailed, _) => self.count("failed changes"),
            (AuditAction::QuotaChanged, Some(_)) => self.quota_changed(world, line).await?,
            _ => {}
        }
        Ok(())
    }

    async fn quota_changed(&mut self, world: &World, line: &NumberedAuditEvent) -> Held {
        let event = &line.event;
        let (Some(tenant), Some(resource)) = (event.tenant.clone(), event.resource) else {
            return Err(format!("line {}: a change of nobody's quota", line.number));
        };
        let key = SeriesKey { tenant: tenant.clone(), resource };
        let broken = |what: String| format!("line {} ({tenant}/{resource}): {what}", line.number);
        let known =
            *self.quotas.get(&key).ok_or_else(|| broken("of a tenant that is not there".to_owned()))?;
        let number = |value: &serde_json::Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        let (from, to) = (number(&event.before, "limit"), number(&event.after, "limit"));
        let generation = number(&event.after, "generation") as u64;
        require(from == known.limit && generation == known.generation + 1, || {
            broken(format!("{from} to {to} ({generation}) does not follow from {known:?}"))
        })?;
        require(!self.is_paused, || broken("changed while all changes are stopped".to_owned()))?;
        let tier = self.tiers[&tenant];
        let in_bounds =
            to >= tier.floor(resource) && tier.ceiling(resource).is_none_or(|ceiling| to <= ceiling);
        require(in_bounds, || broken(format!("{to} lies outside of {tier}'s bounds")))?;
        let changes = world.engine.registry().applied_to(&tenant, resource, event.at).await;
        let changes = changes.map_err(|error| error.to_string())?;
        let applied = changes.iter().find(|change| change.generation == generation);
        let applied = applied.ok_or_else(|| broken("no record of the change is kept".to_owned()))?;
        if applied.rolls_back {
            self.count("rollbacks");
        }
        if event.actor == Actor::Daemon {
            self.count("changes by the daemon");
            if !applied.rolls_back {
                // The answer may have been lost, and the change been finished later.
                let taken_at = world.target.holds.lock().get(&key).map_or(event.at, |(_, since)| *since);
                self.by_the_daemon(world, &key, (from, to), taken_at, known).await.map_err(broken)?;
            }
            let time = event.at.to_utc().ok_or("no such time")?;
            let month = self.risen.entry((time.year(), time.month())).or_default();
            *month.entry(tenant.clone()).or_default() += (to - from) * monthly_price(resource);
            let sum: f64 = month.values().sum();
            require(to <= from || applied.rolls_back || sum <= FLEET_RISE + 0.01, || {
                broken(format!("the month's rise is {sum:.2}"))
            })?;
        } else {
            self.count("changes by people");
        }
        self.quotas.insert(key, Known { limit: to, generation, changed_at: Some(event.at) });
        Ok(())
    }

    /// What the daemon may do alone.
    async fn by_the_daemon(
        &self,
        world: &World,
        key: &SeriesKey,
        (from, to): (f64, f64),
        at: Timestamp,
        before: Known,
    ) -> Held {
        require(!is_weekend(at), || format!("changed in a freeze, at {at}"))?;
        let incident = world.engine.registry().open_incident(&key.tenant).await;
        let incident = incident.map_err(|error| error.to_string())?;
        // One that waited for its target was held to this when it was begun, by
        // `unfinished`: meanwhile incidents may have come and gone.
        let is_now = at == world.clock.now();
        let holds = is_now && incident.as_ref().is_some_and(|incident| incident.holds_changes());
        require(!holds, || format!("changed beside an open incident: {incident:?}"))?;
        let tenant = world.engine.registry().tenant(&key.tenant).await.map_err(|error| error.to_string())?;
        require(tenant.tier != Tier::Enterprise, || "changed without two people".to_owned())?;
        let tolerance = key.resource.granularity() / from;
        require(to / from - 1.0 <= 1.0 + tolerance, || format!("{from} to {to} is too far up"))?;
        require(1.0 - to / from <= 0.3 + 1e-9, || format!("{from} to {to} is too far down"))?;
        if let Some(changed_at) = before.changed_at {
            require(at.since(changed_at) >= 6 * HOUR, || format!("changed {changed_at}, and again {at}"))?;
        }
        if key.resource == Resource::CpuCores {
            let towards = (LEAST_CORES..=MOST_CORES).contains(&to)
                || to > from && to < LEAST_CORES
                || to < from && to > MOST_CORES;
            require(towards, || format!("{from} to {to} leaves the guardrails"))?;
        }
        let last = world.source.answered.lock().get(key).copied().unwrap_or_default();
        require(at.since(last) <= 2 * HOUR, || format!("changed at {at} on usage up to {last}"))
    }

    /// Holds what stands against the rules, after a step.
    pub async fn state(&mut self, world: &mut World) -> Held {
        self.changes(world).await?;
        let registry = world.engine.registry();
        let failed = |error: crate::registry::RegistryError| format!("the state can't be read: {error}");
        let tenants = registry.all_tenants().await.map_err(failed)?;
        for tenant in &tenants {
            for quota in registry.quotas(&tenant.id).await.map_err(failed)? {
                let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
                let known = self.quotas.get(&key);
                let told = known
                    .is_some_and(|known| (known.limit, known.generation) == (quota.limit, quota.generation));
                require(told, || format!("{key:?} stands at {quota:?}, and the log tells of {known:?}"))?;
            }
        }
        let open = registry.open_incidents().await.map_err(failed)?;
        let told: BTreeSet<TenantId> = open.keys().cloned().collect();
        require(told == self.open, || format!("open are {told:?}, and the log tells of {:?}", self.open))?;
        require(open.values().all(|(one, _)| one.resolved_at.is_none()), || {
            "an ended one is open".to_owned()
        })?;
        let open_changes = registry.open_changes().await.map_err(failed)?;
        self.unfinished(&open_changes, &open, world.clock.now())?;
        let under_way: BTreeSet<SeriesKey> = open_changes
            .iter()
            .map(|one| SeriesKey { tenant: one.item().tenant.clone(), resource: one.item().resource })
            .collect();
        for (key, (holds, _)) in world.target.holds.lock().iter() {
            let Some(known) = self.quotas.get(key) else { continue };
            require(known.limit == *holds || under_way.contains(key), || {
                format!("the target holds {holds} for {key:?}, and the quota is {}", known.limit)
            })?;
        }
        self.alerts(world)
    }

    /// Holds what the daemon has begun in this instant and not ended, since its
    /// target is out of reach or its answer was lost, against what stood then:
    /// it looks at incidents right before it applies, and none is written between
    /// that and the step's end. What was begun before may meet an incident by now,
    /// and is rightly seen through where the target may hold it already.
    fn unfinished(
        &mut self,
        changes: &[Approved<QuotaChange>],
        incidents: &BTreeMap<TenantId, (Incident, u64)>,
        now: Timestamp,
    ) -> Held {
        for change in changes.iter().filter(|change| is_begun_alone(change, now)) {
            self.count("changes begun and not ended");
            let QuotaChange { tenant, resource, .. } = change.item();
            let incident = incidents.get(tenant).map(|(incident, _)| incident);
            let holds = incident.is_some_and(Incident::holds_changes);
            require(!holds, || {
                format!("{tenant}/{resource}: a change was begun beside an open incident: {incident:?}")
            })?;
        }
        Ok(())
    }

    /// Holds what receivers took since the last look against the rules.
    fn alerts(&mut self, world: &World) -> Held {
        let took = world.receivers.took.lock();
        for (name, notice) in took.iter().skip(std::mem::replace(&mut self.heard, took.len())) {
            let place = (name.clone(), notice.subject.clone());
            if !self.seen.insert((name.clone(), notice.id)) {
                continue;
            }
            require(!self.ended.contains(&place), || {
                format!("{name} was told of {} after its end: {}", notice.subject, notice.title)
            })?;
            self.told.insert(place.clone());
            if notice.kind == NoticeKind::IncidentResolved {
                self.ended.insert(place);
            } else if let (true, Some(tenant)) = (notice.kind.goes_on(), &notice.tenant) {
                let day = notice.at.seconds().div_euclid(86_400);
                let sent = self.sent.entry((name.clone(), tenant.clone(), day)).or_default();
                *sent += 1;
                require(*sent <= ALERTS_PER_DAY, || {
                    format!("{name} got {sent} alerts of {tenant} in a day")
                })?;
                *self.counts.entry("alerts").or_default() += 1;
            }
        }
        Ok(())
    }

    /// Holds what stands against the rules once all was well for days.
    pub async fn at_rest(&mut self, world: &mut World) -> Held {
        let registry = world.engine.registry();
        let failed = |error: crate::registry::RegistryError| format!("the state can't be read: {error}");
        if registry.pause().await.map_err(failed)?.is_none() {
            let left = registry.open_changes().await.map_err(failed)?;
            require(left.is_empty(), || format!("changes are still under way: {left:?}"))?;
        }
        let waiting = registry.deliveries().await.map_err(failed)?;
        require(waiting.is_empty(), || format!("{} notices still wait", waiting.len()))?;
        self.every_alert_arrived(world).await?;
        if let Some(inspection) = self.inspection.take() {
            let report = inspection.end();
            require(report.findings.is_empty(), || format!("the log is not whole: {:?}", report.findings))?;
        }
        self.counts.insert("kills", world.kills as usize);
        self.counts.insert("audit lines", self.lines as usize);
        Ok(())
    }

    async fn every_alert_arrived(&self, world: &World) -> Held {
        let registry = world.engine.registry();
        let failed = |error: crate::registry::RegistryError| format!("the state can't be read: {error}");
        let told = registry.incidents(&Default::default(), None, 100_000).await.map_err(failed)?;
        for (name, _) in RECEIVERS {
            let receiver = name.parse().map_err(|_| "no such receiver")?;
            let buried = registry.dead_letters(Some(&receiver), None, 100_000).await.map_err(failed)?;
            let buried: BTreeSet<String> =
                buried.into_iter().map(|one| one.delivery.notice.subject).collect();
            for incident in told.iter().filter(|incident| incident.told_at.is_some()) {
                let id = incident.id.to_string();
                require(self.told.contains(&(name.to_owned(), id.clone())) || buried.contains(&id), || {
                    format!("{name} never heard of the incident {id}")
                })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&all.join(", "))
    }
}
