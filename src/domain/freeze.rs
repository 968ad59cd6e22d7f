//! Times in which the daemon changes nothing by itself: the weekend, the night
//! before a launch, the last days of a quarter.

use std::time::Duration;

use super::{TenantId, Tier, Timestamp, Timetable};

/// A time that comes again and again in which nothing is applied without a
/// person.
#[derive(Debug, Clone)]
pub struct FreezeWindow {
    /// Its name in the config.
    pub name: String,
    /// When it begins.
    pub begins: Timetable,
    /// How long it lasts.
    pub lasts: Duration,
    /// The tiers that it is for; all where there is none and no tenant either.
    pub tiers: Vec<Tier>,
    /// The tenants that it is for.
    pub tenants: Vec<TenantId>,
}

impl FreezeWindow {
    /// When it ends, where it is open for a tenant at `now`.
    pub fn open_until(&self, tenant: &TenantId, tier: Tier, now: Timestamp) -> Option<Timestamp> {
        let for_all = self.tiers.is_empty() && self.tenants.is_empty();
        if !for_all && !self.tiers.contains(&tier) && !self.tenants.contains(tenant) {
            return None;
        }
        // One that began just so long ago is over.
        let began = self.begins.latest(now.minus(self.lasts), now)?;
        Some(began.plus(self.lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekend(tiers: Vec<Tier>) -> FreezeWindow {
        FreezeWindow {
            name: "weekend".to_owned(),
            begins: Timetable::parse("0 18 * * FRI", "Europe/Berlin").unwrap(),
            lasts: Duration::from_secs(62 * 3600),
            tiers,
            tenants: Vec::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_open_from_its_beginning_to_just_before_its_end() {
        let acme = "acme".parse().unwrap();
        let open = |time: &str| weekend(Vec::new()).open_until(&acme, Tier::Premium, at(time));
        let monday = at("2026-11-30T07:00:00Z");
        assert_eq!(open("2026-11-27T16:59:59Z"), None);
        assert_eq!(open("2026-11-27T17:00:00Z"), Some(monday));
        assert_eq!(open("2026-11-30T06:59:59Z"), Some(monday));
        assert_eq!(open("2026-11-30T07:00:00Z"), None);
    }

    #[test]
    fn it_is_for_those_who_are_named() {
        let (acme, now) = ("acme".parse().unwrap(), at("2026-11-28T12:00:00Z"));
        let open = |tier| weekend(vec![Tier::Enterprise]).open_until(&acme, tier, now);
        assert!(open(Tier::Enterprise).is_some());
        assert_eq!(open(Tier::Premium), None);
    }
}
