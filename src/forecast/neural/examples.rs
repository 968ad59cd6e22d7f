//! What the network learns from: stretches of the series, cut out at random and
//! repeatably, and the held-out end of each series.

use candle_core::{Device, Result, Tensor};
use ndarray::Array1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::input::{Batch, Inputs};
use super::{AHEAD, CONTEXT, DAY};
use crate::forecast::history::filled;

/// The share of examples that are sums of several series: a tenant is often the
/// sum of many machines.
const SUMS: f64 = 0.35;
/// Series that are summed, at most.
const MOST_SUMMED: usize = 16;
/// The share of examples that see less than all there is.
const YOUNG: f64 = 0.5;
/// Held-out examples of one group, at most.
const MOST_HELD_OUT: usize = 400;
/// Tries to find a stretch that varies.
const TRIES: u64 = 8;

/// Hours with their gaps.
#[derive(Debug)]
struct Hours {
    known: Vec<f64>,
    filled: Vec<f64>,
}

/// The hourly series of one source, which may be summed.
#[derive(Debug)]
struct Group {
    series: Vec<Hours>,
    /// The places of those series that are long enough.
    long: Vec<usize>,
}

/// All that there is to learn from.
#[derive(Debug)]
pub(super) struct Shelf {
    groups: Vec<Group>,
    /// Hours at the end that are held out of training.
    validate: usize,
}

/// Inputs with what came after them.
#[derive(Debug, Default)]
pub(super) struct Examples {
    inputs: Inputs,
    wanted: Vec<f32>,
    known: Vec<f32>,
}

/// The same as tensors: the inputs, and what came with a 1 where it is known,
/// both of shape `[n, AHEAD]`.
pub(super) struct Lesson {
    pub batch: Batch,
    pub wanted: Tensor,
    pub known: Tensor,
}

impl Shelf {
    /// Puts hourly series on the shelf, without the last `hold_back` hours of
    /// each. `None` where no stretch is long enough.
    pub fn new(groups: &[Vec<Array1<f64>>], hold_back: usize, validate: usize) -> Option<Self> {
        let hours = |values: &Array1<f64>| {
            let kept = values.len().saturating_sub(hold_back);
            let known: Vec<f64> =
                values.iter().take(kept).copied().skip_while(|value| !value.is_finite()).collect();
            Hours { filled: filled(&known, DAY), known }
        };
        let groups = groups.iter().map(|group| {
            let series: Vec<Hours> = group.iter().map(hours).collect();
            let is_long = |place: &usize| series[*place].known.len() >= DAY + AHEAD + validate;
            let long = (0..series.len()).filter(is_long).collect();
            Group { series, long }
        });
        let groups: Vec<Group> = groups.filter(|group| !group.long.is_empty()).collect();
        (!groups.is_empty()).then_some(Shelf { groups, validate })
    }

    /// `count` examples of a step; the same for the same seed and step.
    pub fn draw(&self, seed: u64, step: u64, count: usize) -> Examples {
        let one = |place: usize| {
            (0..TRIES).find_map(|attempt| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream((step * count as u64 + place as u64) * TRIES + attempt);
                self.stretch(&mut random)
            })
        };
        let drawn: Vec<(Hours, usize)> = (0..count).into_par_iter().filter_map(one).collect();
        Examples::of(drawn.par_iter().map(|(hours, seen)| (hours, *seen)))
    }

    /// A stretch: some hours and the `AHEAD` after them. With it how many are
    /// seen.
    fn stretch(&self, random: &mut ChaCha8Rng) -> Option<(Hours, usize)> {
        let group = &self.groups[random.random_range(0..self.groups.len())];
        let main = &group.series[group.long[random.random_range(0..group.long.len())]];
        let last = main.known.len() - self.validate - AHEAD;
        let end = random.random_range(DAY..=last);
        let longest = end.min(CONTEXT);
        let young = random.random::<f64>() < YOUNG;
        let seen = if young { random.random_range(DAY..=longest.max(DAY)) } else { longest };
        let cut = |hours: &Hours| {
            let range = end - seen..end + AHEAD;
            Some((hours.known.get(range.clone())?.to_vec(), hours.filled.get(range)?.to_vec()))
        };
        let (mut known, mut filled) = cut(main)?;
        if random.random::<f64>() < SUMS {
            for _ in 1..random.random_range(2..=MOST_SUMMED) {
                let other = &group.series[random.random_range(0..group.series.len())];
                let inside = end + AHEAD + self.validate <= other.known.len();
                let Some(part) = cut(other).filter(|_| inside) else { continue };
                known.iter_mut().zip(part.0).for_each(|(sum, value)| *sum += value);
                filled.iter_mut().zip(part.1).for_each(|(sum, value)| *sum += value);
            }
        }
        let varies = filled[..seen].iter().any(|value| *value != filled[0]);
        varies.then_some((Hours { known, filled }, seen))
    }

    /// The held-out examples of each group: several ends of each series, each
    /// with all that is seen and with two days only.
    pub fn held_out(&self) -> Vec<Examples> {
        let group = |group: &Group| {
            let ends = (self.validate / AHEAD).max(1);
            let every = (group.long.len() * ends * 2).div_ceil(MOST_HELD_OUT).max(1);
            let cases = group.long.iter().step_by(every).flat_map(|place| {
                let hours = &group.series[*place];
                (1..=ends).flat_map(move |back| {
                    let end = hours.known.len().checked_sub(back * AHEAD);
                    [CONTEXT, 2 * DAY].into_iter().filter_map(move |seen| {
                        let from = end?.checked_sub(seen.min(end?))?;
                        let range = from..end? + AHEAD;
                        let part = |all: &[f64]| Some(all.get(range.clone())?.to_vec());
                        Some((
                            Hours { known: part(&hours.known)?, filled: part(&hours.filled)? },
                            end? - from,
                        ))
                    })
                })
            });
            let cases: Vec<(Hours, usize)> = cases.collect();
            Examples::of(cases.par_iter().map(|(hours, seen)| (hours, *seen)))
        };
        self.groups.iter().map(group).filter(|examples| examples.inputs.len() > 0).collect()
    }

    /// How many series may be cut out, by group.
    pub fn counts(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.long.len()).collect()
    }

    /// A number that other data hardly has.
    pub fn fingerprint(&self) -> u64 {
        let values = self.groups.iter().flat_map(|group| &group.series).flat_map(|series| &series.filled);
        values.fold(0xcbf2_9ce4_8422_2325, |hash, value| {
            (hash ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17)
        })
    }
}

impl Lesson {
    /// How many examples there are.
    pub fn len(&self) -> Result<usize> {
        self.wanted.dim(0)
    }
}

impl Examples {
    fn of<'a>(stretches: impl IndexedParallelIterator<Item = (&'a Hours, usize)>) -> Self {
        let parts: Vec<Examples> = stretches
            .map(|(hours, seen)| {
                let mut one = Examples::default();
                one.push(hours, seen);
                one
            })
            .collect();
        let mut all = Examples::default();
        for part in parts {
            all.inputs.append(part.inputs);
            all.wanted.extend(part.wanted);
            all.known.extend(part.known);
        }
        all
    }

    fn push(&mut self, hours: &Hours, seen: usize) {
        let Some(scale) = self.inputs.push(&hours.known[..seen], &hours.filled[..seen]) else { return };
        for value in &hours.known[seen..] {
            let is_known = value.is_finite();
            self.wanted.push(if is_known { scale.apply(*value) } else { 0.0 });
            self.known.push(if is_known { 1.0 } else { 0.0 });
        }
    }

    /// As tensors on `device`.
    pub fn lesson(&self, device: &Device) -> Result<Lesson> {
        let shape = (self.inputs.len(), AHEAD);
        Ok(Lesson {
            batch: self.inputs.batch(device)?,
            wanted: Tensor::from_slice(&self.wanted, shape, device)?,
            known: Tensor::from_slice(&self.known, shape, device)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf {
        let series = |tenant: usize| {
            Array1::from_shape_fn(500, |hour| if hour >= 404 { 1e9 } else { ((hour + tenant) % 24) as f64 })
        };
        Shelf::new(&[(0..9).map(series).collect()], 48, 48).unwrap()
    }

    #[test]
    fn examples_never_reach_into_what_is_held_out() {
        let shelf = shelf();
        for step in 0..20 {
            let drawn = shelf.draw(1, step, 16);
            assert_eq!(drawn.inputs.len(), 16);
            assert!(drawn.wanted.iter().all(|value| value.abs() < 5.0));
        }
        assert!(shelf.held_out()[0].wanted.iter().all(|value| *value > 5.0));
    }

    #[test]
    fn the_same_seed_and_step_draw_the_same() {
        let shelf = shelf();
        assert_eq!(shelf.draw(1, 7, 8).wanted, shelf.draw(1, 7, 8).wanted);
        assert_ne!(shelf.draw(1, 7, 8).wanted, shelf.draw(1, 8, 8).wanted);
        assert_ne!(shelf.draw(1, 7, 8).wanted, shelf.draw(2, 7, 8).wanted);
    }

    #[test]
    fn too_short_series_are_no_shelf() {
        assert!(Shelf::new(&[vec![Array1::zeros(100)]], 48, 48).is_none());
    }
}
