//! The detector that the engine runs: how new a sample is, how rare, and how
//! far from what the season suggests, put together into a score and events.

use serde::{Deserialize, Serialize};

use super::event::{Event, Evidence};
use super::season::{Residual, Season};
use super::seen::{Seen, signed_root};
use super::signs::{Sign, Signs};
use super::tail::Tails;
use super::{Detector, Judgement, Kind, Settings};
use crate::domain::{Step, Timestamp};

/// Places for the values, and for each of the two residuals.
const VALUES: usize = 1024;
const RESIDUALS: usize = 768;
/// Samples beyond this are counted as this, so that no sum overflows.
const LARGEST: f64 = 1e100;
/// The part of the range so far that is no anomaly.
const LEAST_OF_RANGE: f64 = 0.008;
/// The combined novelty whose score is one half.
const MIDDLE: f64 = 0.115;
/// What has been said is not said again for so many samples, unless it gets
/// worse.
const REPEAT_AFTER: u32 = 105;
/// Samples that a scale can be taken from; warm-up is never shorter.
const LEAST_WARM_UP: usize = 100;
/// A shift is believed after this time, but at least and at most so many
/// samples.
const SHIFT_HOURS: i64 = 12;
const SHIFT_SAMPLES: (i64, i64) = (36, 288);
/// The score of what has been said is at most this.
const LASTING: f64 = 0.45;

/// See the module's text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoveltyDetector {
    settings: Settings,
    seen: u32,
    season: Season,
    root_season: Season,
    values: Seen,
    residuals: Seen,
    root_residuals: Seen,
    tails: Tails,
    residual_tails: Tails,
    peak: f64,
    peak_at: u32,
    hold: u32,
    is_doubted: bool,
    event: Event,
    signs: Signs,
}

impl NoveltyDetector {
    /// For a series of the given step.
    pub fn new(settings: Settings, step: Step) -> Self {
        NoveltyDetector {
            settings,
            seen: 0,
            season: Season::new(step),
            root_season: Season::new(step),
            values: Seen::new(VALUES),
            residuals: Seen::new(RESIDUALS),
            root_residuals: Seen::new(RESIDUALS),
            tails: Tails::default(),
            residual_tails: Tails::default(),
            peak: 0.0,
            peak_at: 0,
            hold: hold(step),
            is_doubted: false,
            event: Event::default(),
            signs: Signs::default(),
        }
    }

    /// Judges by other settings from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Says whether what comes is doubted: nothing of it is learned then, and no
    /// shift is taken as the new level.
    pub fn doubt(&mut self, is_doubted: bool) {
        if is_doubted && !self.is_doubted {
            // Its beginning came in before it was doubted.
            self.sets().into_iter().for_each(Seen::distrust);
        }
        self.is_doubted = is_doubted;
    }

    fn sets(&mut self) -> [&mut Seen; 3] {
        [&mut self.values, &mut self.residuals, &mut self.root_residuals]
    }

    /// How many samples it has seen.
    pub fn samples(&self) -> u32 {
        self.seen
    }

    /// The bytes that one series takes, heap included.
    pub fn bytes(&self) -> usize {
        let sets = [&self.values, &self.residuals, &self.root_residuals];
        size_of::<Self>() + sets.iter().map(|set| set.heap_bytes()).sum::<usize>()
    }

    /// How new and how rare a sample is; see the module's text. What is doubted
    /// is not remembered.
    fn strangeness(&mut self, value: f64, residual: f64, root_residual: f64) -> f64 {
        let (of_value, of_residual, of_root_residual, rarity) = if self.is_doubted {
            (
                self.values.glance(value),
                self.residuals.glance(residual),
                self.root_residuals.glance(root_residual),
                self.tails.glance(value).max(self.residual_tails.glance(residual)),
            )
        } else {
            if !self.event.lasts() {
                self.sets().into_iter().for_each(Seen::trust);
            }
            (
                self.values.novelty(value),
                self.residuals.novelty(residual),
                self.root_residuals.novelty(root_residual),
                self.tails.rarity(value).max(self.residual_tails.rarity(residual)),
            )
        };
        let novelty = of_value.plain + of_value.root + of_residual.plain + of_root_residual.plain;
        novelty * (1.0 + rarity).sqrt()
    }

    fn band(&self, residual: Residual) -> f64 {
        self.settings.threshold * residual.spread
            + self.settings.least_effect * residual.expected.abs()
            + LEAST_OF_RANGE * residual.range
    }

    fn rebase(&mut self, shift: f64, root_shift: f64) {
        self.season.rebase(shift);
        self.root_season.rebase(root_shift);
    }

    /// From 0 to 1; what was said within the last [`REPEAT_AFTER`] samples
    /// stays below one half.
    fn score(&mut self, strangeness: f64) -> f64 {
        let score = strangeness / (strangeness + MIDDLE);
        if self.seen - self.peak_at > REPEAT_AFTER {
            self.peak = 0.0;
        }
        if strangeness > self.peak {
            (self.peak, self.peak_at) = (strangeness, self.seen);
            return score;
        }
        score.min(LASTING)
    }
}

/// How many samples a shift must hold.
fn hold(step: Step) -> u32 {
    let samples = SHIFT_HOURS * Step::HOUR.millis() / step.millis();
    u32::try_from(samples.clamp(SHIFT_SAMPLES.0, SHIFT_SAMPLES.1)).unwrap_or(u32::MAX)
}

impl Detector for NoveltyDetector {
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement {
        let learning = (self.seen as usize) < self.settings.warm_up.max(LEAST_WARM_UP);
        if !value.is_finite() {
            return Judgement { learning, ..Judgement::NO_DATA };
        }
        let value = value.clamp(-LARGEST, LARGEST);
        self.seen = self.seen.saturating_add(1);
        let may_learn = !self.is_doubted && !self.event.is_undecided(self.hold);
        let residual = self.season.judge(at, value, may_learn);
        let root_residual = self.root_season.judge(at, signed_root(value), may_learn);
        let strangeness = self.strangeness(value, residual.distance, root_residual.distance);
        let sign = self.signs.step(value);
        let band = self.band(residual);
        let known = Judgement { learning, expected: residual.expected, band, ..Judgement::NO_DATA };
        if learning {
            return known;
        }
        let score = self.score(strangeness);
        if sign == Some(Sign::Reset) {
            self.rebase(residual.distance, root_residual.distance);
            return Judgement { score: 0.0, kind: Some(Kind::CounterReset), ..known };
        }
        let distance = if band > 0.0 { residual.distance.abs() / band } else { 0.0 };
        let hold = if self.is_doubted { u32::MAX } else { self.hold };
        let outcome = self.event.step(Evidence { residual: residual.distance, distance, strangeness }, hold);
        if let Some(shift) = outcome.shift {
            self.rebase(shift, root_residual.distance);
        }
        let kind = outcome.said.or(sign.map(|_| Kind::FlatLine));
        let is_flat = self.signs.is_flat();
        let lasts = outcome.lasts || is_flat;
        let is_new_level = outcome.shift.is_some();
        Judgement { score, is_anomaly: kind.is_some(), lasts, kind, is_flat, is_new_level, ..known }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(step: Step, values: impl IntoIterator<Item = f64>) -> Vec<Judgement> {
        let mut detector = NoveltyDetector::new(Settings::for_step(step), step);
        let times = (0..).map(|index| Timestamp::from_millis(index * step.millis()));
        times.zip(values).map(|(at, value)| detector.judge(at, value)).collect()
    }

    fn noise(index: usize) -> f64 {
        ((index.wrapping_mul(2_654_435_761)) >> 7) as f64 % 100.0 / 100.0
    }

    fn daily(index: usize) -> f64 {
        100.0 + 30.0 * (index as f64 * std::f64::consts::TAU / 288.0).sin() + 5.0 * noise(index)
    }

    fn events(found: &[Judgement]) -> Vec<(usize, Kind)> {
        let said = found.iter().enumerate().filter(|(_, judgement)| judgement.is_anomaly);
        said.filter_map(|(index, judgement)| judgement.kind.map(|kind| (index, kind))).collect()
    }

    #[test]
    fn a_spike_is_found_and_a_rhythm_is_not() {
        let spike_at = 288 * 10 + 77;
        let found =
            run(Step::FIVE_MINUTES, (0..288 * 12).map(|i| if i == spike_at { 400.0 } else { daily(i) }));
        assert_eq!(events(&found), [(spike_at, Kind::High)]);
        assert!(found[spike_at].score > 0.9);
        assert!(found[spike_at].lasts && !found[spike_at + 1].lasts);
    }

    #[test]
    fn a_fault_that_was_doubted_is_found_again_at_once() {
        let step = Step::FIVE_MINUTES;
        let mut detector = NoveltyDetector::new(Settings::for_step(step), step);
        let is_fault = |index: usize| [8, 10, 12].contains(&(index / 288)) && index % 288 < 36;
        let (mut length, mut found) = (0, Vec::new());
        for index in 0..288 * 14 {
            let value = if is_fault(index) { 400.0 + 10.0 * noise(index) } else { daily(index) };
            // As the engine does it: from the fourth sample of a fault on.
            detector.doubt(length > 3);
            let judgement = detector.judge(Timestamp::from_millis(index as i64 * step.millis()), value);
            length = if judgement.lasts { length + 1 } else { 0 };
            if judgement.is_anomaly {
                found.push(index);
            }
        }
        assert_eq!(found, [8 * 288, 10 * 288, 12 * 288]);
        assert!(detector.bytes() < 48 * 1024);
    }

    #[test]
    fn a_shift_that_holds_is_said_once() {
        let shift_at = 288 * 8;
        let shifted = |i| if i < shift_at { daily(i) } else { daily(i) + 150.0 };
        let found = run(Step::FIVE_MINUTES, (0..288 * 16).map(shifted));
        assert_eq!(events(&found), [(shift_at, Kind::High)]);
        assert!(found[shift_at + 60].lasts, "it lasts until it is believed");
        assert!(found[shift_at + 288..].iter().all(|judgement| !judgement.lasts));
        let after = found[shift_at + 288];
        assert!((after.expected - daily(shift_at + 288) - 150.0).abs() < 30.0, "{after:?}");
        assert_eq!(found.iter().filter(|judgement| judgement.is_new_level).count(), 1);
    }

    #[test]
    fn a_shift_that_is_doubted_is_not_learned() {
        let shift_at = 288 * 8;
        let shifted = |i| if i < shift_at { daily(i) } else { daily(i) + 150.0 };
        let step = Step::FIVE_MINUTES;
        let mut detector = NoveltyDetector::new(Settings::for_step(step), step);
        let mut judge = |i: usize, is_doubted| {
            detector.doubt(is_doubted);
            detector.judge(Timestamp::from_millis(i as i64 * step.millis()), shifted(i))
        };
        for i in 0..shift_at {
            judge(i, false);
        }
        let doubted: Vec<_> = (shift_at..shift_at + 600).map(|i| judge(i, true)).collect();
        assert!(doubted.iter().all(|judgement| judgement.lasts && !judgement.is_new_level));
        assert!(doubted[599].expected < 150.0, "{:?}", doubted[599]);
        let free = judge(shift_at + 600, false);
        assert!(free.is_new_level, "{free:?}");
    }

    #[test]
    fn one_wrong_sample_does_not_make_what_follows_look_small() {
        let (glitch_at, fault_at) = (288 * 8, 288 * 10);
        let usage = |i| match i {
            _ if i == glitch_at => 1e9,
            _ if (fault_at..fault_at + 24).contains(&i) => 4.0 * daily(i),
            _ => daily(i),
        };
        let found = run(Step::FIVE_MINUTES, (0..288 * 12).map(usage));
        assert_eq!(events(&found), [(glitch_at, Kind::High), (fault_at, Kind::High)]);
        assert!(found[fault_at].band < 400.0, "{:?}", found[fault_at]);
    }

    #[test]
    fn a_drop_to_nothing_and_a_line_that_stands_still_are_said() {
        let found = run(
            Step::FIVE_MINUTES,
            (0..3000).map(|i| if (2500..2520).contains(&i) { 0.0 } else { daily(i) }),
        );
        assert_eq!(events(&found).first(), Some(&(2500, Kind::Low)));
        let found = run(Step::FIVE_MINUTES, (0..3000).map(|i| daily(i.min(2500))));
        assert!(events(&found).contains(&(2536, Kind::FlatLine)), "{:?}", events(&found));
    }

    #[test]
    fn a_counter_that_begins_again_is_no_event() {
        let found = run(Step::FIVE_MINUTES, (0..2000).map(|i| (i % 1500) as f64 * 10.0 + noise(i)));
        assert_eq!(found[1500].kind, Some(Kind::CounterReset));
        assert!(!found[1500].is_anomaly && found[1500].score == 0.0);
    }

    #[test]
    fn it_is_silent_while_it_learns_and_about_gaps() {
        let found = run(Step::FIVE_MINUTES, (0..288).map(|i| if i % 50 == 3 { 1e6 } else { 1.0 }));
        assert!(found.iter().all(|j| j.learning && !j.is_anomaly && j.score == 0.0));
        let found = run(Step::FIVE_MINUTES, (0..900).map(|i| if i > 400 { f64::NAN } else { daily(i) }));
        assert!(found[401..].iter().all(|j| !j.is_anomaly && !j.lasts && j.score == 0.0));
        let found = run(Step::HOUR, (0..100).map(daily));
        assert!(found.iter().all(|j| j.learning), "a day of hours is too few");
    }

    #[test]
    fn at_rest_nothing_of_it_is_lost() {
        let step = Step::FIVE_MINUTES;
        let mut awake = NoveltyDetector::new(Settings::for_step(step), step);
        let mut rested = awake.clone();
        for index in 0..6000_usize {
            let value = if index % 1700 == 1600 { 400.0 } else { daily(index) };
            let at = Timestamp::from_millis(index as i64 * step.millis());
            if index % 97 == 0 {
                rested = postcard::from_bytes(&postcard::to_allocvec(&rested).unwrap()).unwrap();
            }
            assert_eq!(format!("{:?}", awake.judge(at, value)), format!("{:?}", rested.judge(at, value)));
        }
    }

    #[test]
    fn its_state_is_bounded() {
        let mut detector = NoveltyDetector::new(Settings::default(), Step::FIVE_MINUTES);
        for index in 0..50_000_usize {
            let value = noise(index).powi(9) * 1e9 + (index as f64).sqrt();
            detector.judge(Timestamp::from_seconds(300 * index as i64), value);
        }
        assert!(detector.bytes() < 48 * 1024, "{}", detector.bytes());
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => any::<f64>(),
            3 => -100.0..100.0_f64,
            2 => prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::NAN), Just(f64::INFINITY)],
            1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324)],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_the_score_is_a_score(
            values in prop::collection::vec(any_value(), 1..1200),
            step in 1_i64..=86_400_000 * 400,
        ) {
            let step = Step::from_millis(step).unwrap();
            for (judgement, value) in run(step, values.iter().copied()).iter().zip(&values) {
                prop_assert!((0.0..=1.0).contains(&judgement.score), "{judgement:?}");
                prop_assert!(!judgement.learning || !judgement.is_anomaly);
                prop_assert_eq!(value.is_finite(), judgement.expected.is_finite());
                prop_assert_eq!(value.is_finite(), judgement.band.is_finite() && judgement.band >= 0.0);
            }
        }

        #[test]
        fn no_judgement_depends_on_a_later_sample(
            values in prop::collection::vec(any_value(), 2..1200),
            other in prop::collection::vec(any_value(), 1..50),
            cut in 0.0..1.0_f64,
        ) {
            let cut = (values.len() as f64 * cut) as usize;
            let whole = run(Step::HOUR, values.iter().copied());
            let changed = run(Step::HOUR, values[..cut].iter().chain(&other).copied());
            let text = |found: &[Judgement]| format!("{:?}", &found[..cut]);
            prop_assert_eq!(text(&whole), text(&changed));
        }
    }
}
