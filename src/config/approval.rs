//! When one person's word on a quota is not enough.

use super::notify::bad_value;
use super::reader::{Key, Reader, Section};
use super::units::{days, hours};
use super::values::plain_text;
use crate::domain::{ApprovalRules, Money, PerMonth, Tier, TwoPeople};

/// Reads what people's approvals mean.
pub(super) fn read(reader: &mut Reader<'_>) -> ApprovalRules {
    let about = "When a change of a quota needs two different people; docs/governance.md tells of it.";
    let mut section = reader.section("approval", about);
    let default = ApprovalRules::default();
    ApprovalRules {
        two_people: TwoPeople { monthly_cost: read_cost(&mut section), tiers: read_tiers(&mut section) },
        second_within: section.duration(
            "second_within",
            "How long the first person's approval, or a change that was asked for, waits for the second person.",
            default.second_within,
            hours(1)..=days(90),
        ),
        max_requests: section.count(
            "max_requests",
            "The most changes that may wait for a second person at once.",
            default.max_requests,
            1..=100_000,
        ),
    }
}

fn read_cost(section: &mut Section<'_, '_>) -> Option<Money<PerMonth>> {
    let like = "\"500EUR/month\"";
    let about = "A change that raises or lowers the monthly cost by more than this needs two people. Of a resource \
                 without a price only the tier counts. It needs [costs].";
    let key = Key::new("two_person_monthly_cost", about, "an amount a month").example(like);
    section.take(key, |value| plain_text(value, like)?.parse().map_err(bad_value))
}

fn read_tiers(section: &mut Section<'_, '_>) -> Vec<Tier> {
    let about = "The tiers of which every change of a quota needs two people.";
    let key = Key::new("two_person_tiers", about, "a list of tiers").example("[\"ENTERPRISE_PLUS\"]");
    let tiers = section.list(key, "\"ENTERPRISE_PLUS\"", |text| text.parse::<Tier>().map_err(bad_value));
    tiers.unwrap_or_default()
}
