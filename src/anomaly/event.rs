//! From distances to events: one fault is one event.
//!
//! An event opens where a sample is out of its band and news, or great news by
//! itself. It lasts until the series has been well inside the band for a while,
//! and is said again only where it gets clearly worse. A change of
//! level that holds is said once and then taken as the new state of things.

use serde::{Deserialize, Serialize};

use super::Kind;

/// A sample out of its band is an event only where it is at least this new:
/// what a wild series does all the time is none.
const LEAST_NEWS: f64 = 0.02;
/// News as great as this is an event inside the band as well.
const GREAT_NEWS: f64 = 1.0;
/// An event is over after so many samples ...
const CALM_SAMPLES: u32 = 12;
/// ... closer than this to what was expected, in bands.
const CALM: f64 = 0.5;
/// What was said is not said again while it lasts and for so many samples ...
const REPEAT_AFTER: u32 = 60;
/// ... unless it gets worse by this factor.
const WORSE: f64 = 1.5;
/// How fast the means that tell a shift from a burst follow, a sample.
const SHIFT_RATE: f64 = 0.05;
/// A shift scatters about its new level less than this part of its size.
const SHIFT_SCATTER: f64 = 0.35;

/// What the event's rules see of a sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    /// The sample less what was expected, in the series' unit.
    pub residual: f64,
    /// Its size in bands.
    pub distance: f64,
    /// How new and rare the sample is.
    pub strangeness: f64,
}

/// What comes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Outcome {
    /// What to say; at most once for each fault, and when it gets worse.
    pub said: Option<Kind>,
    /// Whether the sample belongs to an event, which this or an earlier one
    /// opened.
    pub lasts: bool,
    /// The level has moved for good, by this much.
    pub shift: Option<f64>,
}

/// The state of a series' event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Event {
    now: u32,
    said: Option<Said>,
    lasting: Option<Lasting>,
}

/// The strongest that was said lately.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Said {
    strength: f64,
    at: u32,
}

/// An event that is open.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Lasting {
    since: u32,
    calm: u32,
    mean: f64,
    scatter: f64,
}

impl Event {
    /// Judges the next sample; a shift that has held for `hold` samples is
    /// taken as the new level.
    pub fn step(&mut self, evidence: Evidence, hold: u32) -> Outcome {
        self.now = self.now.saturating_add(1);
        let strength = strength(evidence);
        let said = self.say(strength);
        if said {
            self.lasting.get_or_insert(Lasting {
                since: self.now,
                calm: 0,
                mean: evidence.residual,
                scatter: evidence.residual.abs(),
            });
        }
        let Some(mut lasting) = self.lasting else { return Outcome::default() };
        lasting.follow(evidence);
        let held = self.now - lasting.since >= hold && lasting.is_shift();
        let over = held || lasting.calm >= CALM_SAMPLES;
        self.lasting = (!over).then_some(lasting);
        Outcome {
            said: said.then(|| kind(evidence)),
            lasts: lasting.calm == 0,
            shift: held.then_some(lasting.mean),
        }
    }

    /// Whether an event lasts.
    pub fn lasts(&self) -> bool {
        self.lasting.is_some()
    }

    /// Whether an event lasts that may still turn out to be a shift; what
    /// lasts for longer without a level of its own is the series' new way.
    pub fn is_undecided(&self, hold: u32) -> bool {
        self.lasting.is_some_and(|lasting| self.now - lasting.since < hold)
    }

    fn say(&mut self, strength: f64) -> bool {
        let lately = |said: &Said| self.lasting.is_some() || self.now - said.at <= REPEAT_AFTER;
        let worse = strength > self.said.filter(lately).map_or(1.0, |said| WORSE * said.strength);
        if worse {
            self.said = Some(Said { strength, at: self.now });
        }
        worse
    }
}

impl Lasting {
    fn follow(&mut self, evidence: Evidence) {
        self.calm = if evidence.distance < CALM { self.calm + 1 } else { 0 };
        self.mean += SHIFT_RATE * (evidence.residual - self.mean);
        self.scatter += SHIFT_RATE * ((evidence.residual - self.mean).abs() - self.scatter);
    }

    fn is_shift(&self) -> bool {
        self.calm == 0 && self.scatter < SHIFT_SCATTER * self.mean.abs()
    }
}

/// Above one is worth saying.
fn strength(evidence: Evidence) -> f64 {
    let out_of_band = if evidence.strangeness > LEAST_NEWS { evidence.distance } else { 0.0 };
    out_of_band.max(evidence.strangeness / GREAT_NEWS)
}

fn kind(evidence: Evidence) -> Kind {
    match evidence {
        Evidence { distance, .. } if distance <= 1.0 => Kind::Unseen,
        Evidence { residual, .. } if residual < 0.0 => Kind::Low,
        _ => Kind::High,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(distance: f64) -> Evidence {
        Evidence { residual: distance * 10.0, distance: distance.abs(), strangeness: distance.abs() / 10.0 }
    }

    fn said(event: &mut Event, distances: impl IntoIterator<Item = f64>) -> Vec<usize> {
        let outcomes = distances.into_iter().map(|distance| event.step(evidence(distance), 50));
        outcomes.enumerate().filter_map(|(index, outcome)| outcome.said.map(|_| index)).collect()
    }

    #[test]
    fn one_fault_is_said_once_and_again_when_it_gets_worse() {
        let mut event = Event::default();
        let fault = [0.2, 2.0, 1.9, 2.2, 1.2, 1.8, 3.5, 2.0, 0.1];
        assert_eq!(said(&mut event, fault), [1, 6]);
        assert_eq!(said(&mut event, std::iter::repeat_n(0.1, 20)), [0_usize; 0]);
        assert!(!event.step(evidence(0.1), 50).lasts);
    }

    #[test]
    fn what_is_out_of_band_but_no_news_is_not_said() {
        let mut event = Event::default();
        let outcome = event.step(Evidence { residual: 5.0, distance: 3.0, strangeness: 0.001 }, 50);
        assert_eq!(outcome, Outcome::default());
        let outcome = event.step(Evidence { residual: 5.0, distance: 0.4, strangeness: 2.0 }, 50);
        assert_eq!(outcome.said, Some(Kind::Unseen));
    }

    #[test]
    fn a_shift_that_holds_is_taken_as_the_level_once() {
        let mut event = Event::default();
        let outcomes: Vec<Outcome> =
            (0..60).map(|index| event.step(evidence(if index < 51 { -2.0 } else { 0.0 }), 50)).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.said.is_some()).count(), 1);
        assert_eq!(outcomes[0].said, Some(Kind::Low));
        let shifts: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.shift).collect();
        assert!(matches!(shifts[..], [shift] if (shift + 20.0).abs() < 0.5), "{shifts:?}");
        assert!(outcomes[20].lasts && !outcomes[59].lasts);
    }

    #[test]
    fn a_burst_is_no_shift() {
        let mut event = Event::default();
        let burst = (0..400).map(|index| if index % 7 == 0 { 4.0 } else { 0.6 });
        assert!(burst.map(|distance| event.step(evidence(distance), 50)).all(|o| o.shift.is_none()));
    }
}
