//! The network as a member of the ensemble, with the weights that are shipped.

use std::sync::OnceLock;

use candle_core::{Device, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::network::{Network, Weights};
use super::scale::Scale;
use super::{AHEAD, DAY, LEVELS};
use crate::forecast::Abstention;
use crate::forecast::ensemble::COMPARED_LEVELS;
use crate::forecast::ensemble::member::{Ahead, Case, Fitted, Keeping, Kept, Member, Outlook};
use crate::forecast::history::History;

/// The weights; `models/hourly.md` says what they were trained on.
const SHIPPED: &[u8] = include_bytes!("../../../models/hourly.safetensors");

/// Its share of the weight.
const SURE_WEIGHT: f64 = 0.4;
/// From so many hours on, the members that are fitted to a series do as well
/// without it.
const LONG: usize = 72;

/// The network as it was trained; it learns nothing from the fleet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::forecast) struct Neural;

impl Member for Neural {
    fn name(&self) -> &'static str {
        "neural network"
    }

    fn sure_weight(&self) -> f64 {
        SURE_WEIGHT
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(*self)
    }
}

impl Fitted for Neural {
    fn outlook(&self, case: &Case<'_>) -> std::result::Result<Outlook, Abstention> {
        let history = case.history;
        check(history)?;
        let mut looks: Vec<Look> =
            case.trial.compared_origins().map(|origin| Look::at(history, origin)).collect();
        looks.push(Look::at(history, history.len()));
        let mut found = quantiles(&looks).ok_or(Abstention::NoNetwork)?;
        let first = found.pop().ok_or(Abstention::NoNetwork)?;
        let tried = looks.iter().zip(&found).map(|(look, tenths)| {
            Array2::from_shape_fn((case.trial.horizon, COMPARED_LEVELS.len()), |(step, level)| {
                look.value(tenths[step.min(AHEAD - 1)][level])
            })
        });
        let tried = tried.collect();
        let last = &looks[looks.len() - 1];
        Ok(Outlook::Quantiles { tried, ahead: ahead(history, last, first, case.horizon, case.levels)? })
    }

    fn learn(&self, case: &Case<'_>) -> std::result::Result<(Outlook, Option<Keeping>), Abstention> {
        Ok((self.outlook(case)?, Some(Keeping::Neural(*self))))
    }
}

impl Kept for Neural {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        levels: &[f64],
    ) -> std::result::Result<Ahead, Abstention> {
        check(history)?;
        let look = Look::at(history, history.len());
        let first = quantiles(std::slice::from_ref(&look)).and_then(|mut found| found.pop());
        Ok(Ahead::Quantiles(ahead(history, &look, first.ok_or(Abstention::NoNetwork)?, horizon, levels)?))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Abstains from what the network did not learn, and from where it is not needed.
fn check(history: &History) -> std::result::Result<(), Abstention> {
    if history.season != DAY {
        return Err(Abstention::OtherSeason { season: history.season, learnt: DAY });
    }
    if history.len() >= LONG {
        return Err(Abstention::NotNeeded { have: history.len() });
    }
    Ok(())
}

/// The nine tenths of an hour, on the scale.
type Row = [f32; LEVELS.len()];
/// Those of the next hours.
type Tenths = Vec<Row>;

/// What is seen at a moment.
struct Look<'a> {
    known: &'a [f64],
    filled: std::borrow::Cow<'a, [f64]>,
    /// `None` where nothing varies.
    scale: Option<Scale>,
}

impl<'a> Look<'a> {
    fn at(history: &'a History, end: usize) -> Self {
        let filled = &history.filled[..end];
        let from = end.saturating_sub(super::CONTEXT);
        Look { known: &history.known[..end], filled: filled.into(), scale: Scale::of(&filled[from..]) }
    }

    /// From the scale to the unit of the series; where nothing varies, nothing
    /// will.
    fn value(&self, scaled: f32) -> f64 {
        match self.scale {
            Some(scale) => scale.invert(f64::from(scaled)),
            None => self.filled.last().copied().unwrap_or(0.0),
        }
    }
}

/// The network with the shipped weights; `None` where they can't be used.
fn network() -> Option<&'static Network> {
    static NETWORK: OnceLock<Option<Network>> = OnceLock::new();
    let read = || {
        let weights = Weights::read(SHIPPED, &Device::Cpu).ok()?;
        Network::over(&weights, &Device::Cpu).ok()
    };
    NETWORK.get_or_init(read).as_ref()
}

/// What the network says at several moments, all at once.
fn quantiles(looks: &[Look<'_>]) -> Option<Vec<Tenths>> {
    let mut inputs = Inputs::default();
    for look in looks {
        if let Some(scale) = look.scale {
            inputs.push_on(scale, look.known, &look.filled);
        }
    }
    let nothing = || vec![[0.0; LEVELS.len()]; AHEAD];
    let found = if inputs.len() > 0 { run(&inputs).ok()? } else { Vec::new() };
    let mut found = found.into_iter();
    looks.iter().map(|look| if look.scale.is_some() { found.next() } else { Some(nothing()) }).collect()
}

fn run(inputs: &Inputs) -> Result<Vec<Tenths>> {
    let network = network().ok_or_else(|| candle_core::Error::Msg("no weights".to_owned()))?;
    let found = network.forward(&inputs.batch(&Device::Cpu)?)?.flatten_all()?.to_vec1::<f32>()?;
    let (rows, _) = found.as_chunks::<{ LEVELS.len() }>();
    Ok(rows.chunks_exact(AHEAD).map(<[Row]>::to_vec).collect())
}

/// The forecast after the end at any levels, shape `[horizon, levels]`. Beyond
/// two days the medians are taken for what came, and the quantiles never lie
/// closer to the median than those of the second day.
fn ahead(
    history: &History,
    look: &Look<'_>,
    first: Tenths,
    horizon: usize,
    levels: &[f64],
) -> std::result::Result<Array2<f64>, Abstention> {
    let mut tenths = first;
    if let Some(scale) = look.scale {
        let (mut known, mut path) = (history.known.clone(), history.filled.clone());
        while tenths.len() < horizon {
            let medians = tenths[tenths.len() - AHEAD..].iter().map(|row| look.value(row[LEVELS.len() / 2]));
            let medians: Vec<f64> = medians.collect();
            known.extend(&medians);
            path.extend(&medians);
            let mut inputs = Inputs::default();
            inputs.push_on(scale, &known, &path);
            let next = run(&inputs).ok().and_then(|mut found| found.pop()).ok_or(Abstention::NoNetwork)?;
            let wider = next.iter().enumerate().map(|(step, row)| wider(row, &tenths[DAY + step % DAY]));
            let wider: Tenths = wider.collect();
            tenths.extend(wider);
        }
    }
    let axis: Vec<Between> = levels.iter().map(|level| Between::of(*level)).collect();
    let (least, most) = crate::forecast::ensemble::plausible(history);
    Ok(Array2::from_shape_fn((horizon, levels.len()), |(step, level)| {
        let row = &tenths[step.min(tenths.len() - 1)];
        look.value(axis[level].read(row)).clamp(least.min(0.0), most)
    }))
}

/// The quantiles of `row`, at least as far from the median as those of `other`.
fn wider(row: &Row, other: &Row) -> Row {
    let middle = LEVELS.len() / 2;
    let one = |level: usize| {
        let (own, least) = (row[level] - row[middle], other[level] - other[middle]);
        row[middle] + if level < middle { own.min(least) } else { own.max(least) }
    };
    std::array::from_fn(one)
}

/// Where a level lies among the nine tenths; outside them the last two are
/// carried on, on a logistic axis.
struct Between {
    below: usize,
    part: f32,
}

impl Between {
    fn of(level: f64) -> Self {
        let logit = |level: f64| (level / (1.0 - level)).ln();
        let below = LEVELS.partition_point(|tenth| *tenth <= level).clamp(1, LEVELS.len() - 1) - 1;
        let (low, high) = (logit(LEVELS[below]), logit(LEVELS[below + 1]));
        Between { below, part: ((logit(level) - low) / (high - low)) as f32 }
    }

    fn read(&self, row: &Row) -> f32 {
        row[self.below] + (row[self.below + 1] - row[self.below]) * self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Quantiles;
    use crate::forecast::ensemble::trial::Trial;
    use ndarray::ArrayView1;

    /// Days that are alike, with a little noise.
    fn usage(hours: usize) -> Vec<f64> {
        let noise = |hour: usize| (hour * 7919 % 101) as f64 / 101.0;
        let wave = |hour: usize| (hour as f64 * std::f64::consts::TAU / 24.0).sin();
        (0..hours).map(|hour| 500.0 + 100.0 * wave(hour) + 20.0 * noise(hour)).collect()
    }

    fn forecast(
        values: &[f64],
        seasons: &[usize],
        horizon: usize,
    ) -> std::result::Result<Array2<f64>, Abstention> {
        let history = History::prepare(ArrayView1::from(values), seasons)?;
        let trial = Trial::of(&history, horizon);
        let levels = Quantiles::for_peaks();
        let case = Case { history: &history, trial: &trial, horizon, levels: levels.levels() };
        match Neural.outlook(&case)? {
            Outlook::Quantiles { tried, ahead } => {
                assert_eq!(tried.len(), trial.compared.len());
                assert!(tried.iter().all(|one| one.dim() == (trial.horizon, 9)));
                Ok(ahead)
            }
            Outlook::Points { .. } => panic!("the network gives quantiles"),
        }
    }

    #[test]
    fn two_days_are_enough_to_carry_a_rhythm_on() {
        let all = usage(96);
        let ahead = forecast(&all[..48], &[24, 168], 48).unwrap();
        let median = Quantiles::for_peaks().nearest(0.5);
        let naive: f64 = (48..96).map(|hour| (all[hour] - all[hour - 24]).abs()).sum();
        let miss: f64 = (0..48).map(|step| (ahead[(step, median)] - all[48 + step]).abs()).sum();
        assert!(miss < 1.5 * naive, "{miss} {naive}");
    }

    #[test]
    fn forecasts_go_on_beyond_two_days_in_order_and_no_narrower() {
        let ahead = forecast(&usage(70), &[24], 200).unwrap();
        for row in ahead.rows() {
            assert!(row.iter().zip(row.iter().skip(1)).all(|(low, high)| low <= high), "{row}");
            assert!(row.iter().all(|value| (200.0..900.0).contains(value)), "{row}");
        }
        let width = |step: usize| ahead[(step, 8)] - ahead[(step, 0)];
        // On the network's scale none is narrower; back from it they differ with the median.
        for step in 48..200 {
            assert!(
                width(step) >= 0.7 * width(24 + step % 24),
                "{step}: {} {}",
                width(step),
                width(24 + step % 24)
            );
        }
    }

    #[test]
    fn it_abstains_from_what_it_did_not_learn_and_where_it_is_not_needed() {
        let other = forecast(&usage(60), &[12], 24).err();
        assert_eq!(other, Some(Abstention::OtherSeason { season: 12, learnt: 24 }));
        assert!(matches!(forecast(&usage(40), &[24], 24), Err(Abstention::OtherSeason { season: 1, .. })));
        assert_eq!(forecast(&usage(72), &[24], 24).err(), Some(Abstention::NotNeeded { have: 72 }));
    }

    #[test]
    fn what_never_varied_goes_on_as_it_is() {
        let ahead = forecast(&[5.0; 60], &[24], 60).unwrap();
        assert!(ahead.iter().all(|value| *value == 5.0));
    }

    #[test]
    fn levels_outside_the_tenths_are_carried_on() {
        let row: Row = LEVELS.map(|level| (level / (1.0 - level)).ln() as f32);
        for level in [0.01_f64, 0.1, 0.34, 0.5, 0.9, 0.99] {
            let found = f64::from(Between::of(level).read(&row));
            assert!((found - (level / (1.0 - level)).ln()).abs() < 0.02, "{level} {found}");
        }
    }
}
