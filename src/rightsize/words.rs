//! Figures as people read them, and what an answer depends on in sentences.

use super::{Case, Settings};
use crate::domain::{Evidence, Timestamp};

/// About three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A share in percent, without digits that say nothing: 0.005 is "0.5 %".
pub fn percent(share: f64) -> String {
    let rounded = (share * 1e5).round() / 1e3;
    if rounded == 0.0 && share > 0.0 { "less than 0.001 %".to_owned() } else { format!("{rounded} %") }
}

/// A day and hour with its time zone: "Tue 24 Nov 08:00 UTC".
pub fn at_utc(at: Timestamp) -> String {
    at.to_utc().map_or_else(|| at.to_string(), |time| time.format("%a %d %b %H:%M UTC").to_string())
}

/// What would change the answer `limit`, a sentence each.
pub(super) fn would_change(
    case: &Case<'_>,
    settings: &Settings,
    evidence: &Evidence,
    limit: f64,
) -> Vec<String> {
    let (unit, budget) = (case.resource.unit(), percent(case.budget.share));
    let mut all = vec![format!(
        "Up at once: more than {budget} of the samples above {} {unit} before the interval ends.",
        short(limit)
    )];
    match case.advice {
        Some(advice) if !advice.proven => all.push(format!(
            "Down: a policy that holds {budget} on this past. None did, so the safest of the policies, the \
             whole past and the forecast decides."
        )),
        Some(_) => all.push(
            "Down: a look that asks for so much less that it is worth one of the changes allowed a day; peaks are \
             forgotten after two weeks."
                .to_owned(),
        ),
        None => all.push(
            "A week of history: then the tenant's own past decides, and no longer the forecast alone.".to_owned(),
        ),
    }
    if evidence.forecast_peak * (1.0 + settings.margin) > limit {
        let how = if evidence.forecast_peak > limit { "above this quota" } else { "close below this quota" };
        all.push(format!(
            "The forecast's peak of {} {unit} on {}, at its {} quantile, is {how}: if it comes, the quota is raised.",
            short(evidence.forecast_peak),
            at_utc(evidence.peak_at),
            percent(evidence.peak_quantile)
        ));
    }
    if case.tier.ceiling(case.resource).is_some_and(|ceiling| limit >= ceiling) {
        all.push("A higher tier: the ceiling of this one holds it there.".to_owned());
    }
    if limit <= case.tier.floor(case.resource) {
        all.push("A lower tier: the floor of this one holds it there.".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_as_people_read_them() {
        assert_eq!([short(123.4), short(12.34), short(0.1234)], ["123", "12.3", "0.12"]);
        assert_eq!([percent(0.005), percent(0.02), percent(0.0)], ["0.5 %", "2 %", "0 %"]);
        assert_eq!(percent(0.000_000_1), "less than 0.001 %");
        assert_eq!(at_utc(Timestamp::from_seconds(1_796_000_400)), "Mon 30 Nov 01:00 UTC");
    }
}
