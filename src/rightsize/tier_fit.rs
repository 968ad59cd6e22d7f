//! Which tier a tenant's demand fits.
//!
//! The two ways are not alike. A tenant that needs more than its tier allows is
//! hurt today, so a move up needs only the evidence. A move down is a promise
//! for the whole season, so every measured resource must have shown all of it,
//! and must fit what the lower tier starts with, not what it can be raised to.

use std::time::Duration;

use super::words::short;
use super::{Case, DatedForecast, Settings, demand};
use crate::domain::{Resource, Tier};

/// What one resource of a tenant needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Which resource.
    pub resource: Resource,
    /// The most that the past, the forecast and the policies ask for, in the
    /// resource's unit; `None` where nothing can be said.
    pub most: Option<f64>,
    /// Whether usage stands at the tier's ceiling, so that more is needed.
    pub held_at_ceiling: bool,
    /// From the first to the last sample.
    pub span: Duration,
}

impl Need {
    /// The need that a case shows.
    pub fn of(case: &Case<'_>, settings: &Settings) -> Self {
        let seen = case.usage.values.iter().copied().filter(|value| value.is_finite()).reduce(f64::max);
        let forecast: Option<&DatedForecast> = case.forecast.ok();
        let forecast = forecast.and_then(|dated| dated.forecast.peak(settings.peak_quantile));
        let advised = case.advice.filter(|advice| !advice.is_short()).map_or(0.0, |advice| advice.limit);
        let most = seen.zip(forecast).map(|(seen, (_, peak))| seen.max(peak).max(advised));
        let ceiling = case.tier.ceiling(case.resource);
        let at_ceiling = ceiling.is_some_and(|ceiling| case.quota.limit >= ceiling);
        Need {
            resource: case.resource,
            most,
            held_at_ceiling: at_ceiling && demand::pinned_share(case.usage, &case.quota).is_some(),
            span: case.usage.end().since(case.usage.start),
        }
    }
}

/// The tier that a tenant's needs fit, with the reasons, where that is another
/// than its own. `season` is how much history a move down needs. A tenant of
/// the last tier has nowhere to go, and its branding keeps it there.
pub fn fit(tier: Tier, needs: &[Need], season: Duration) -> Option<(Tier, Vec<String>)> {
    if tier == Tier::WhiteLabel || needs.is_empty() {
        return None;
    }
    up(tier, needs).or_else(|| down(tier, needs, season))
}

fn up(tier: Tier, needs: &[Need]) -> Option<(Tier, Vec<String>)> {
    let exceeds = |need: &Need| {
        let ceiling = tier.ceiling(need.resource).unwrap_or(f64::INFINITY);
        need.held_at_ceiling || need.most.is_some_and(|most| most > ceiling)
    };
    let short_of: Vec<&Need> = needs.iter().filter(|need| exceeds(need)).collect();
    if short_of.is_empty() {
        return None;
    }
    let holds = |higher: &Tier| {
        needs.iter().all(|need| match (need.most, higher.ceiling(need.resource)) {
            (Some(most), Some(ceiling)) => most <= ceiling,
            _ => true,
        })
    };
    let fits = Tier::ALL.into_iter().filter(|other| *other > tier).find(holds)?;
    let because = |need: &&Need| {
        let (resource, unit) = (need.resource, need.resource.unit());
        let ceiling = tier.ceiling(resource).unwrap_or(f64::INFINITY);
        match need.most.filter(|most| *most > ceiling) {
            Some(most) => format!("{resource} needs {} {unit}, and {tier} allows {ceiling}.", short(most)),
            None => format!("{resource} stands at {ceiling} {unit}, the most that {tier} allows."),
        }
    };
    Some((fits, short_of.iter().map(because).collect()))
}

fn down(tier: Tier, needs: &[Need], season: Duration) -> Option<(Tier, Vec<String>)> {
    if needs.iter().any(|need| need.span < season) {
        return None;
    }
    let holds = |lower: &Tier| {
        let fits = |need: &Need| need.most.is_some_and(|most| most <= lower.default_quota(need.resource));
        needs.iter().all(fits)
    };
    let fits = Tier::ALL.into_iter().filter(|other| *other < tier).find(holds)?;
    let days = season.as_secs() / 86_400;
    let all = needs.iter().map(|need| {
        let (resource, unit) = (need.resource, need.resource.unit());
        let starts = fits.default_quota(resource);
        let most = short(need.most.unwrap_or(0.0));
        format!("{resource} needs at most {most} {unit}, and {fits} starts with {starts}.")
    });
    let first = format!("Over at least {days} days and in the forecast, all that is measured fits {fits}.");
    Some((fits, std::iter::once(first).chain(all).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEASON: Duration = Duration::from_secs(21 * 86_400);

    fn need(resource: Resource, most: f64) -> Need {
        Need { resource, most: Some(most), held_at_ceiling: false, span: SEASON }
    }

    fn fits(tier: Tier, needs: &[Need]) -> Option<Tier> {
        fit(tier, needs, SEASON).map(|(tier, _)| tier)
    }

    #[test]
    fn up_on_evidence_and_down_only_after_a_season() {
        let (cpu, memory) = (Resource::CpuCores, Resource::MemoryGb);
        assert_eq!(fits(Tier::Premium, &[need(cpu, 6.0), need(memory, 12.0)]), None);
        assert_eq!(fits(Tier::Premium, &[need(cpu, 40.0)]), Some(Tier::Enterprise));
        assert_eq!(fits(Tier::Standard, &[need(cpu, 40.0)]), Some(Tier::Enterprise));
        let small = [need(cpu, 1.5), need(memory, 3.0)];
        assert_eq!(fits(Tier::Premium, &small), Some(Tier::Standard));
        let young = [need(cpu, 1.5), Need { span: SEASON / 2, ..need(memory, 3.0) }];
        assert_eq!(fits(Tier::Premium, &young), None);
        let unknown = [need(cpu, 1.5), Need { most: None, ..need(memory, 3.0) }];
        assert_eq!(fits(Tier::Premium, &unknown), None);
        let young_and_hurt = [Need { span: SEASON / 9, ..need(cpu, 33.0) }];
        assert_eq!(fits(Tier::Premium, &young_and_hurt), Some(Tier::Enterprise));
        assert_eq!(fits(Tier::WhiteLabel, &small), None);
    }

    #[test]
    fn usage_at_the_ceiling_is_evidence() {
        let held = Need { held_at_ceiling: true, ..need(Resource::CpuCores, 8.0) };
        let (tier, because) = fit(Tier::Standard, &[held], SEASON).unwrap();
        assert_eq!(tier, Tier::Premium);
        assert!(because[0].contains("the most that STANDARD allows"), "{because:?}");
    }
}
