//! Who is in the fleet: 24 tenants with a character each. A larger fleet
//! begins again with the first, under a number and with chance of its own.

use crate::domain::{ApplyMode, DomainError, TenantId, Tier};

/// What is special about a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Character {
    /// Nothing: well under its quota.
    Steady,
    /// Often near its quota.
    Close,
    /// Doubles its load over the whole time.
    Growing,
    /// Short bursts, many and high.
    Bursty,
    /// Its memory fills until it is restarted.
    Leaking,
    /// Wants more processor and requests than its quota gives.
    Pinned,
    /// Does next to nothing.
    Idle,
    /// Its samples are often missing.
    Gappy,
    /// A deploy lifts its level at three fifths of the time.
    Deployed,
    /// Was registered nine hours before the end.
    New,
    /// Some of its resources never move.
    Flat,
    /// Nothing is known of its AI units.
    Partial,
}

/// The rhythm of a tenant's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// Busy at work, quiet at night and at the weekend.
    Office,
    /// Busy in the evening, more so at the weekend.
    Evening,
    /// Jobs at night.
    Nightly,
    /// Users all over the world.
    Global,
}

/// One tenant as it was cast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    id: &'static str,
    name: &'static str,
    pub(super) tier: Tier,
    pub(super) rhythm: Rhythm,
    pub(super) character: Character,
    pub(super) apply_mode: ApplyMode,
}

impl Role {
    /// The role of the `index`th tenant, counted from 0.
    pub(super) fn of(index: usize) -> Role {
        let (id, name, tier, rhythm, character, apply_mode) = CAST[index % CAST.len()];
        Role { id, name, tier, rhythm, character, apply_mode }
    }

    /// Id and name, with a number from the second round on.
    pub(super) fn names(&self, index: usize) -> Result<(TenantId, String), DomainError> {
        match index / CAST.len() {
            0 => Ok((self.id.parse()?, self.name.to_owned())),
            round => {
                Ok((format!("{}-{}", self.id, round + 1).parse()?, format!("{} {}", self.name, round + 1)))
            }
        }
    }
}

type Entry = (&'static str, &'static str, Tier, Rhythm, Character, ApplyMode);

#[rustfmt::skip]
const CAST: [Entry; 24] = {
    use ApplyMode::{Approved, Observe, Review};
    use Character::{Bursty, Close, Deployed, Flat, Gappy, Growing, Idle, Leaking, New, Partial, Pinned, Steady};
    use Rhythm::{Evening, Global, Nightly, Office};
    use Tier::{Enterprise, EnterprisePlus, Free, Premium, Standard, WhiteLabel};
    [
        ("harbour-books",    "Harbour Books",      Standard,       Office,  Steady,   Review),
        ("tidewater-retail", "Tidewater Retail",   Premium,        Evening, Bursty,   Review),
        ("northstar-bank",   "Northstar Bank",     Enterprise,     Office,  Steady,   Review),
        ("little-anchor",    "Little Anchor",      Free,           Evening, Idle,     Observe),
        ("quay-analytics",   "Quay Analytics",     Premium,        Nightly, Pinned,   Approved),
        ("meridian-media",   "Meridian Media",     EnterprisePlus, Global,  Growing,  Review),
        ("lantern-school",   "Lantern School",     Standard,       Office,  Leaking,  Review),
        ("compass-cloud",    "Compass Cloud",      WhiteLabel,     Global,  Steady,   Review),
        ("gull-games",       "Gull Games",         Premium,        Evening, Deployed, Approved),
        ("driftwood-crafts", "Driftwood Crafts",   Free,           Evening, Steady,   Approved),
        ("saltmarsh-labs",   "Saltmarsh Labs",     Standard,       Nightly, Gappy,    Review),
        ("keel-logistics",   "Keel Logistics",     Enterprise,     Global,  Close,    Review),
        ("first-mate",       "First Mate",         Standard,       Office,  New,      Review),
        ("ballast-storage",  "Ballast Storage",    Premium,        Nightly, Flat,     Observe),
        ("beacon-health",    "Beacon Health",      Enterprise,     Office,  Partial,  Review),
        ("spray-studio",     "Spray Studio",       Free,           Evening, Bursty,   Review),
        ("capstan-tools",    "Capstan Tools",      Standard,       Office,  Growing,  Approved),
        ("regatta-events",   "Regatta Events",     Premium,        Evening, Close,    Review),
        ("fathom-insurance", "Fathom Insurance",   EnterprisePlus, Office,  Steady,   Review),
        ("bosun-bakery",     "Bosun Bakery",       Free,           Office,  Steady,   Observe),
        ("windlass-works",   "Windlass Works",     Premium,        Office,  Steady,   Approved),
        ("estuary-energy",   "Estuary Energy",     Enterprise,     Global,  Deployed, Review),
        ("pilot-post",       "Pilot Post",         Standard,       Global,  Steady,   Approved),
        ("moorings-music",   "Moorings Music",     Free,           Evening, Close,    Review),
    ]
};
