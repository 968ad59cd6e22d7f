//! From distances to events: one fault is one event.
//!
//! An event opens where a sample is out of its band and news, or great news by
//! itself. It lasts until the series has been well inside the band for a while,
//! and is said again only where it gets worse than it was lately. A change of
//! level that holds is said once and then taken as the new state of things.

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
/// What was said is not said again for so many samples, unless it gets worse.
const REPEAT_AFTER: u32 = 60;
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
    /// Whether an event lasts.
    pub lasts: bool,
    /// The level has moved for good, by this much.
    pub shift: Option<f64>,
}

/// The state of a series' event.
#[derive(Debug, Clone, Default)]
pub(super) struct Event {
    now: u32,
    said: Option<Said>,
    lasting: Option<Lasting>,
}

/// The strongest that was said lately.
#[derive(Debug, Clone, Copy)]
struct Said {
    strength: f64,
    at: u32,
}

/// An event that is open.
#[derive(Debug, Clone, Copy)]
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
        Outcome { said: said.then(|| kind(evidence)), lasts: !over, shift: held.then_some(lasting.mean) }
    }

    fn say(&mut self, strength: f64) -> bool {
        let last = self.said.filter(|said| self.now - said.at <= REPEAT_AFTER);
        let worse = strength > last.map_or(1.0, |said| said.strength.max(1.0));
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
