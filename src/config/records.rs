//! What is known beside the usage itself: tenants, history, and the daemon's
//! own log.

use std::time::Duration;

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use super::reader::{Complaint, Reader};
use super::units::days;
use crate::domain::Tier;
use crate::telemetry::LogFormat;

/// How long samples are kept.
#[derive(Debug, Clone)]
pub struct History {
    /// How long on disk.
    pub keep: Duration,
    /// How long each sample, before only the hours are left.
    pub keep_full: Duration,
    /// How much of it in memory.
    pub window: Duration,
    /// How long changes of quotas are known, and so count as savings.
    pub keep_changes: Duration,
}

impl History {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("history", "How long usage samples are kept.");
        History {
            keep: section.duration(
                "keep",
                "How long samples stay on disk, as Parquet files that other tools can read.",
                days(90),
                days(1)..=days(3650),
            ),
            keep_full: section.duration(
                "keep_full",
                "How long each single sample stays. Of older days the mean, the peak and the number of \
                 samples of each hour are left, in files beside, which the daemon does not read; what \
                 lies in window stays whole in any case. Set it to keep or more to thin out nothing.",
                days(30),
                days(1)..=days(3650),
            ),
            window: section.duration(
                "window",
                "How much of them is held in memory and seen by the models: 8 bytes a sample. It is at \
                 most keep.",
                days(28),
                days(1)..=days(730),
            ),
            keep_changes: section.duration(
                "keep_changes",
                "How long a change of a quota counts as a saving, or as a cost. The audit log keeps it for \
                 audit.keep.",
                days(365),
                days(31)..=days(3650),
            ),
        }
    }
}

/// Who the tenants are.
#[derive(Debug, Clone)]
pub struct Tenants {
    /// The tier of a tenant that shows up in the usage without having been
    /// registered, in the mode observe; `None` leaves it out.
    pub discover: Option<Tier>,
    /// The provider of tenants that name none.
    pub provider: String,
    /// The region of tenants that name none.
    pub region: String,
    /// The most tenants.
    pub max_tenants: usize,
}

impl Tenants {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("tenants", "Who the tenants are.");
        let [free, standard, premium, enterprise, plus, white] =
            Tier::ALL.map(|tier| (tier.name(), Some(tier)));
        let choices = [("off", None), free, standard, premium, enterprise, plus, white];
        let name = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if text.chars().all(plain) && text.len() <= 64 {
                return Ok(());
            }
            let mend = "use up to 64 letters, digits, dots, hyphens and underscores, as in the price book";
            Err(Complaint::new(format!("is {text:?}"), mend))
        };
        Tenants {
            discover: section.choice(
                "discover",
                "What a tenant becomes that shows up in the usage and that nobody has registered: \
                 nothing, or a tenant of this tier in the mode \"observe\".",
                &choices,
            ),
            provider: section.text(
                "provider",
                "The provider, as in the price book, of tenants that name none.",
                "a name",
                "on-premises",
                name,
            ),
            region: section.text(
                "region",
                "The region, as in the price book, of tenants that name none.",
                "a name",
                "default",
                name,
            ),
            max_tenants: section.count(
                "max_tenants",
                "The most tenants, discovered ones included; it bounds memory and disk.",
                10_000,
                1..=1_000_000,
            ),
        }
    }
}

/// How many templates there may be.
#[derive(Debug, Clone)]
pub struct Templates {
    /// The most templates.
    pub max_templates: usize,
    /// The most templates of a chain.
    pub max_depth: usize,
}

impl Templates {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "The templates that tenants are made from; docs/tenants.md says what one can hold.";
        let mut section = reader.section("templates", about);
        Templates {
            max_templates: section.count(
                "max_templates",
                "The most templates. All of their versions are kept.",
                1_000,
                1..=100_000,
            ),
            max_depth: section.count(
                "max_depth",
                "The most templates of a chain in which each extends the next, both ends included.",
                8,
                1..=64,
            ),
        }
    }
}

/// What the daemon says of itself.
#[derive(Debug, Clone)]
pub struct Log {
    /// The form of its lines.
    pub format: LogFormat,
    /// A tracing filter, checked.
    pub level: String,
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("log", "What the daemon says of itself, on standard error.");
        Log {
            format: section.choice(
                "format",
                "Text for people, JSON for machines.",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            ),
            level: section.text(
                "level",
                "How much is said: error, warn, info, debug or trace, also for a part alone as in \
                 \"info,plimsoll=debug\".",
                "a tracing filter",
                "info",
                check_filter,
            ),
        }
    }
}

fn check_filter(text: &str) -> Result<(), Complaint> {
    // The filter itself would take any word as the name of a module.
    let unknown = text
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains('=') && !part.starts_with('[') && part.parse::<LevelFilter>().is_err());
    if unknown.is_none() && EnvFilter::try_new(text).is_ok() {
        return Ok(());
    }
    let mend = "use error, warn, info, debug or trace, or parts such as \"info,plimsoll=debug\"";
    Err(Complaint::new(format!("{:?} is no level", unknown.unwrap_or(text)), mend))
}
