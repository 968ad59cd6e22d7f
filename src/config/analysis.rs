//! What is made of the usage: the cycle, the forecast, the watch for
//! anomalies, the sizing, and the guardrails of the automatic changes.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::notify::bad_value;
use super::reader::{Complaint, Key, Reader, Section, kind_of};
use super::units::{days, hours};
use crate::domain::{Resource, Zone};

/// When the work is done.
#[derive(Debug, Clone)]
pub struct Cycle {
    /// The time from one cycle's begin to the next.
    pub every: Duration,
}

impl Cycle {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "The cycle: collect, forecast, detect, recommend, apply.";
        let mut section = reader.section("cycle", about);
        Cycle {
            every: section.duration(
                "every",
                "How often it runs. More often than prometheus.step brings nothing new; a cycle that \
                 takes longer than this delays the next one.",
                Duration::from_secs(300),
                Duration::from_millis(100)..=days(1),
            ),
        }
    }
}

/// How far ahead to look.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// How far ahead.
    pub horizon: Duration,
    /// By which clock the days and weeks of usage go.
    pub time_zone: Zone,
    /// How often new models are fitted, beside those in use.
    pub refit_every: Duration,
    /// How long new models forecast beside those in use before they are compared.
    pub trial: Duration,
    /// Threads for models; 0 for one a core.
    pub threads: usize,
}

impl Forecast {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("forecast", "The forecast of each tenant's usage.");
        let time_zone = section.text(
            "time_zone",
            "The time zone that the tenants live by, by its name in the IANA database. Days and weeks of usage go \
             by the clock there: with \"UTC\", forecasts of tenants with summer time are an hour off for a week \
             whenever it begins or ends.",
            "a time zone",
            "UTC",
            |text| text.parse::<Zone>().map(|_| ()).map_err(bad_value),
        );
        Forecast {
            // What was refused is complained of already.
            time_zone: time_zone.parse().unwrap_or_default(),
            horizon: section.duration(
                "horizon",
                "How far ahead quotas are sized for. A week covers the weekly peak; longer horizons are \
                 less sure.",
                days(7),
                hours(1)..=days(90),
            ),
            refit_every: section.duration(
                "refit_every",
                "How often new models are fitted, in the background and beside those in use. Forecasts \
                 follow each new hour whatever this is.",
                days(1),
                Duration::from_secs(1)..=days(28),
            ),
            trial: section.duration(
                "trial",
                "How long new models forecast beside those in use before the two are compared; the new \
                 ones are used if they lost less. A day ahead is scored too, so less than two days \
                 compares little.",
                days(2),
                hours(1)..=days(28),
            ),
            threads: section.count(
                "threads",
                "Threads for the models; 0 takes one for each core. Lower it where the daemon shares \
                 its machine.",
                0,
                0..=1024,
            ),
        }
    }
}

/// What counts as an anomaly and as an incident.
#[derive(Debug, Clone)]
pub struct Anomaly {
    /// How long a new series is only learned.
    pub warm_up: Duration,
    /// The distance from which on a sample is an anomaly, in usual spreads.
    pub threshold: f64,
    /// What is added to that distance, as a share of what is expected.
    pub least_effect: f64,
    /// Anomalous samples in a row that open an incident.
    pub open_after: usize,
    /// How far out the worst of them must lie, 1 at the band's edge.
    pub open_distance: f64,
    /// Quiet samples in a row that close it.
    pub close_after: usize,
    /// How near to what was expected a sample is quiet, 1 at the band's edge.
    pub close_distance: f64,
    /// Resources of which a drop is no news.
    pub ignore_drops: Vec<Resource>,
    /// Resources of which a rise is no news.
    pub ignore_rises: Vec<Resource>,
    /// How long a fault that goes on is not learned.
    pub longest_hold: Duration,
}

impl Anomaly {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "The watch for usage that is not as it should be. A tenant with an open incident gets \
                     no automatic changes.";
        let mut section = reader.section("anomaly", about);
        Anomaly {
            warm_up: section.duration(
                "warm_up",
                "How long a new series is only learned, 100 samples at least. Less than a day knows no \
                 daily rhythm and reports every morning.",
                days(1),
                Duration::ZERO..=days(28),
            ),
            threshold: section.number(
                "threshold",
                "How many times the usual spread a sample must lie away from what is expected, with \
                 least_effect on top. Lower it to hear of more, raise it to hear of less.",
                8.0,
                1.0..=1_000.0,
            ),
            least_effect: section.number(
                "least_effect",
                "What is added to that distance, as a share of what is expected, so that a very even \
                 series does not report trifles: 0.25 means a quarter.",
                0.25,
                0.0..=10.0,
            ),
            open_after: section.count(
                "open_after",
                "How many anomalous samples in a row open an incident.",
                3,
                1..=10_000,
            ),
            open_distance: section.number(
                "open_distance",
                "How far out the worst of them must lie: 1 is the edge of the band that threshold and \
                 least_effect make. Raise it to hear of large ones only.",
                1.0,
                0.0..=1_000.0,
            ),
            close_after: section.count(
                "close_after",
                "How many quiet samples in a row close it again.",
                12,
                1..=10_000,
            ),
            close_distance: section.number(
                "close_distance",
                "How near to what is expected a sample is quiet, as a part of the band. Less than \
                 open_distance, so that an incident does not open and close all the time.",
                0.5,
                0.0..=1_000.0,
            ),
            ignore_drops: read_ignored(&mut section, ignore_drops(), DROPS_IGNORED),
            ignore_rises: read_ignored(&mut section, ignore_rises(), &[]),
            longest_hold: section.duration(
                "longest_hold",
                "How long a fault that goes on, however steady, is kept from being learned as usual. After \
                 that it is the new way of things. A person who calls it usual ends that earlier.",
                days(7),
                Duration::ZERO..=days(90),
            ),
        }
    }
}

const LIST: &str = "a list of resources";
const DROPS_IGNORED: &[Resource] = &[Resource::StorageGb, Resource::CacheSizeMb];

fn ignore_drops() -> Key {
    let about = "Resources of which a drop is no news, as when somebody tidies up. Of all others it is.";
    Key::new("ignore_drops", about, LIST).default("[\"storage_gb\", \"cache_size_mb\"]")
}

fn ignore_rises() -> Key {
    Key::new("ignore_rises", "Resources of which a rise is no news.", LIST).default("[]")
}

fn read_ignored(section: &mut Section<'_, '_>, key: Key, default: &[Resource]) -> Vec<Resource> {
    let read = |value: &DeValue<'_>| {
        let mend = "write it like [\"storage_gb\"]; the resources are those of [resources]";
        let wrong = |what: String| Complaint::new(what, mend);
        let list = value.as_array().ok_or_else(|| wrong(format!("is {}, not a list", kind_of(value))))?;
        let name = |item: &Spanned<DeValue<'_>>| {
            let text = item.get_ref().as_str().unwrap_or_default();
            text.parse::<Resource>().map_err(|_| wrong(format!("names {text:?}, which is no resource")))
        };
        list.iter().map(name).collect::<Result<Vec<_>, _>>()
    };
    section.take(key, read).unwrap_or_else(|| default.to_vec())
}
