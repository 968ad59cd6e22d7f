//! What is kept between two fits, so that new samples make a new forecast at
//! little cost: of the fleet what its series share, and of each series the
//! members that weigh something, with their coefficients, their weights and
//! the spread of their misses.

use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::member::{self, Ahead, Case, Keeping, Member};
use super::mixture::{mix, steps_wanted};
use super::trial::Trial;
use super::weights::{BLOCKS, Blocks, block_of};
use super::{Asked, Ensemble, Past, Tried, about, cases, finish, prepare_all, weigh, widen};
use crate::forecast::history::History;
use crate::forecast::residuals::Offsets;
use crate::forecast::{Abstention, Forecast, Quantiles};

/// Members that weigh less at all steps are not kept.
const LEAST_WEIGHT: f64 = 0.04;
/// About as many series are made ready, at most, for what is learnt together.
const MOST_READY: usize = 512;

/// What series that belong together have taught the members.
pub struct Fleet {
    ensemble: Ensemble,
    quantiles: Quantiles,
    asked: Asked,
    horizon: usize,
}

/// What was learnt of one series; it goes on without being fitted again.
#[derive(Serialize, Deserialize)]
pub struct Learned {
    parts: Vec<Part>,
    /// By how much the quantiles are widened.
    widening: f64,
}

/// A member that weighs something.
#[derive(Serialize, Deserialize)]
struct Part {
    /// Its place among the fleet's members.
    member: usize,
    weights: Blocks,
    /// `None` where the member is asked for a whole outlook again.
    kept: Option<Keeping>,
    /// How its quantiles follow from a point forecast.
    offsets: Option<Offsets>,
}

impl Fleet {
    /// Learns what `series` share, for forecasts of `horizon` steps.
    pub fn learn(series: &[Past<'_>], horizon: usize, quantiles: &Quantiles) -> Arc<Fleet> {
        Fleet::learn_by(&member::all(), series, horizon, quantiles)
    }

    /// The same with one member alone; `None` where none has this name.
    pub fn learn_alone(
        name: &str,
        series: &[Past<'_>],
        horizon: usize,
        quantiles: &Quantiles,
    ) -> Option<Arc<Fleet>> {
        let mut members = member::all();
        members.retain(|member| member.name() == name);
        (!members.is_empty()).then(|| Fleet::learn_by(&members, series, horizon, quantiles))
    }

    /// The names of all members.
    pub fn member_names() -> Vec<&'static str> {
        member::all().iter().map(|member| member.name()).collect()
    }

    fn learn_by(
        members: &[Box<dyn Member>],
        series: &[Past<'_>],
        horizon: usize,
        quantiles: &Quantiles,
    ) -> Arc<Fleet> {
        // Of a large fleet only those are made ready that may be in the sample.
        let every = (series.len() / MOST_READY).max(1);
        let series: Vec<Past<'_>> = series.iter().copied().step_by(every).collect();
        let prepared = prepare_all(&series, horizon);
        let asked = Asked::of(quantiles);
        let (ensemble, _) = Ensemble::learn(members, &cases(&prepared, horizon, &asked));
        Arc::new(Fleet { ensemble, quantiles: quantiles.clone(), asked, horizon })
    }

    /// Fits each series, with what the fleet shares, and forecasts it from its
    /// end. Series that came later may be fitted later.
    ///
    /// # Errors
    /// Each series abstains for itself, with the reason.
    pub fn adopt(&self, series: &[Past<'_>]) -> Vec<Result<(Learned, Forecast), Abstention>> {
        let prepared = prepare_all(series, self.horizon);
        let cases = cases(&prepared, self.horizon, &self.asked);
        cases.into_par_iter().map(|case| self.take_in(&case?)).collect()
    }

    /// How many steps ahead it was tried, and series are forecast where nobody
    /// asks for other.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The levels of the forecasts.
    pub fn quantiles(&self) -> &Quantiles {
        &self.quantiles
    }

    fn take_in(&self, case: &Case<'_>) -> Result<(Learned, Forecast), Abstention> {
        let (mut tried, mut kept) = (Vec::new(), Vec::new());
        for (place, (_, member)) in self.ensemble.members.iter().enumerate() {
            let idle = self.ensemble.pool.is_idle(place, case);
            let learnt = if idle { Err(Abstention::Idle) } else { member.learn(case) };
            let (weighed, one) = match learnt {
                Ok((outlook, one)) => (Ok(weigh(case, outlook)), one),
                Err(reason) => (Err(reason), None),
            };
            tried.push(weighed);
            kept.push(one);
        }
        let forecast = self.ensemble.combine(case, &tried, &self.asked, &self.quantiles)?;
        let weights = self.ensemble.pool.weights(case, &tried);
        let parts = weights.into_iter().zip(tried).zip(kept).enumerate();
        let heavy =
            parts.filter(|(_, ((weights, _), _))| weights.iter().any(|weight| *weight >= LEAST_WEIGHT));
        let part = |(member, ((weights, tried), kept))| {
            let tried: Tried = tried;
            Part { member, weights, kept, offsets: tried.ok().and_then(|weighed| weighed.offsets) }
        };
        let (parts, widening) = (heavy.map(part).collect(), self.ensemble.pool.widening(case));
        Ok((Learned { parts, widening }, forecast))
    }

    fn part_ahead(
        &self,
        part: &Part,
        history: &History,
        fresh: usize,
        steps: usize,
    ) -> Result<Array2<f64>, Abstention> {
        let Fleet { ensemble, asked, .. } = self;
        let Some(kept) = &part.kept else {
            let trial = Trial::of(history, self.horizon);
            let case = Case { history, trial: &trial, horizon: steps, levels: &asked.levels };
            let (_, member) = &ensemble.members[part.member];
            return Ok(weigh(&case, member.outlook(&case)?).values);
        };
        Ok(match (kept.ahead(history, fresh, steps, &asked.levels)?, &part.offsets) {
            (Ahead::Points(path), Some(offsets)) => about(offsets, &path, history),
            (Ahead::Points(path), None) => {
                Array2::from_shape_fn((steps, asked.levels.len()), |(step, _)| path[step])
            }
            (Ahead::Quantiles(values), _) => values,
        })
    }
}

impl Learned {
    /// Forecasts the series for `steps` after the end of its grown history, of
    /// which the last `fresh` came since it was learnt with this fleet.
    ///
    /// # Errors
    /// Abstains where the history no longer holds what the members look at.
    pub fn forecast(
        &self,
        fleet: &Fleet,
        past: &Past<'_>,
        fresh: usize,
        steps: usize,
    ) -> Result<Forecast, Abstention> {
        let Fleet { asked, quantiles, .. } = fleet;
        let history = History::prepare(past.values, past.seasons)?;
        let look = |part: &Part, steps| match steps {
            0 => Ok(Array2::zeros((0, asked.levels.len()))),
            steps => fleet.part_ahead(part, &history, fresh, steps),
        };
        // What counts nowhere is not looked at.
        let all = totals(&self.parts);
        let short = |part: &Part| look(part, steps_wanted(&part.weights, &all, steps));
        let mut looked: Vec<_> = self.parts.iter().map(short).collect();
        if looked.iter().any(Result::is_err) {
            // Without some of them what weighs little may count.
            looked = self.parts.iter().map(|part| look(part, steps)).collect();
        }
        let (parts, values): (Vec<&Part>, Vec<&Array2<f64>>) =
            self.parts.iter().zip(&looked).filter_map(|(part, one)| Some((part, one.as_ref().ok()?))).unzip();
        let left = totals(parts.iter().copied());
        // A block without any of its members has no forecast.
        if (0..steps).any(|step| left[block_of(step)] <= 0.0) {
            let reason = looked.into_iter().rev().find_map(Result::err);
            return Err(reason.unwrap_or(Abstention::NoSamples));
        }
        let ahead: Vec<_> = values.into_iter().zip(parts.iter().map(|part| &part.weights)).collect();
        let mut values = mix(&ahead, &asked.levels);
        widen(&mut values, asked.median, self.widening);
        Ok(finish(&history, values, asked.median, quantiles, Vec::new()))
    }

    /// How many bytes are kept of the series.
    pub fn bytes(&self) -> usize {
        let part = |part: &Part| {
            let kept = part.kept.as_ref().map_or(0, |kept| kept.bytes());
            size_of::<Part>() + kept + part.offsets.as_ref().map_or(0, Offsets::bytes)
        };
        size_of::<Self>() + self.parts.iter().map(part).sum::<usize>()
    }
}

/// What parts weigh together.
fn totals<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Blocks {
    let add = |totals: Blocks, part: &Part| std::array::from_fn(|block| totals[block] + part.weights[block]);
    parts.into_iter().fold([0.0; BLOCKS], add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, ArrayView1};

    /// Two rhythms with noise.
    fn usage(tenant: usize, hours: usize) -> Array1<f64> {
        let wave = |hour: usize, period: f64| (hour as f64 * std::f64::consts::TAU / period).sin();
        let noise = |hour: usize| {
            let mixed = ((hour * 31 + tenant * 7919) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1 << 24) as f64
        };
        Array1::from_shape_fn(hours, |hour| {
            (tenant + 1) as f64 * (5.0 + wave(hour, 24.0) + 0.5 * wave(hour, 168.0) + 0.4 * noise(hour))
        })
    }

    fn past<'a>(values: &'a Array1<f64>, hours: usize) -> Past<'a> {
        Past { values: values.view().split_at(ndarray::Axis(0), hours).0, seasons: &[24, 168] }
    }

    #[test]
    fn what_is_carried_on_forecasts_about_as_well_as_a_new_fit_in_few_bytes() {
        let fleet: Vec<Array1<f64>> = (0..12).map(|tenant| usage(tenant, 720)).collect();
        let before: Vec<Past<'_>> = fleet.iter().map(|values| past(values, 650)).collect();
        let after: Vec<Past<'_>> = fleet.iter().map(|values| past(values, 672)).collect();
        let learnt = Fleet::learn(&before, 48, &Quantiles::for_peaks());
        let learned = learnt.adopt(&before);
        let renewed = super::super::forecast_all(&after, 48, &Quantiles::for_peaks());
        let (mut carried_miss, mut renewed_miss) = (0.0, 0.0);
        for (tenant, (learned, renewed)) in learned.into_iter().zip(renewed).enumerate() {
            let (learned, first) = learned.unwrap();
            assert!(learned.bytes() < 8 * 1024, "{} bytes", learned.bytes());
            assert_eq!(first.mean.len(), 48);
            let rested: Learned = postcard::from_bytes(&postcard::to_allocvec(&learned).unwrap()).unwrap();
            let carried = rested.forecast(&learnt, &after[tenant], 22, 48).unwrap();
            let awake = learned.forecast(&learnt, &after[tenant], 22, 48).unwrap();
            assert_eq!(carried.values, awake.values);
            let near = learned.forecast(&learnt, &after[tenant], 22, 7).unwrap();
            assert_eq!(near.values.nrows(), 7);
            assert!(near.values.rows().into_iter().eq(awake.values.rows().into_iter().take(7)));
            let miss = |forecast: &Forecast| {
                let pairs = forecast.mean.iter().zip(fleet[tenant].iter().skip(672));
                pairs.map(|(found, value)| (found - value).abs()).sum::<f64>() / (tenant + 1) as f64
            };
            carried_miss += miss(&carried);
            renewed_miss += miss(&renewed.unwrap());
        }
        assert!(carried_miss < 1.1 * renewed_miss, "{carried_miss} {renewed_miss}");
        let late = usage(99, 300);
        let adopted = learnt.adopt(&[past(&late, 300)]).remove(0).unwrap();
        assert!((adopted.1.mean[0] / late[299] - 1.0).abs() < 0.5);
    }

    #[test]
    fn without_new_samples_nothing_changes_but_what_was_dropped() {
        let values = usage(3, 700);
        let series = [past(&values, 700)];
        let fleet = Fleet::learn(&series, 24, &Quantiles::default());
        let (learned, first) = fleet.adopt(&series).remove(0).unwrap();
        let again = learned.forecast(&fleet, &past(&values, 700), 0, 24).unwrap();
        for (first, again) in first.values.iter().zip(&again.values) {
            assert!((first - again).abs() < 0.02 * first.abs(), "{first} {again}");
        }
        let nothing = [f64::NAN; 700];
        let gone = Past { values: ArrayView1::from(&nothing), seasons: &[24] };
        assert_eq!(learned.forecast(&fleet, &gone, 0, 24).err(), Some(Abstention::NoSamples));
    }
}
