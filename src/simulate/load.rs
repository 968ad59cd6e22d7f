//! The load of one tenant: the curve that all its resources follow.

use super::Settings;
use super::cast::{Character, Rhythm, Role};
use super::random::{Noise, Random};

const DAY_MILLIS: i64 = 86_400_000;
const HOUR_MILLIS: i64 = 3_600_000;
/// 1970-01-01 was a Thursday; Monday is 0.
const WEEKDAY_OF_1970: i64 = 3;

/// The share of its full load that a tenant has at each hour, at the hours of
/// its own time zone.
fn day_curve(rhythm: Rhythm) -> [f64; 24] {
    match rhythm {
        Rhythm::Office => [
            0.10, 0.08, 0.07, 0.07, 0.08, 0.12, 0.25, 0.55, 1.10, 1.70, 2.00, 1.95, 1.55, 1.70, 1.95, 1.90,
            1.65, 1.20, 0.70, 0.45, 0.35, 0.25, 0.18, 0.13,
        ],
        Rhythm::Evening => [
            0.60, 0.35, 0.20, 0.14, 0.12, 0.13, 0.20, 0.35, 0.50, 0.60, 0.70, 0.85, 1.05, 1.00, 0.95, 1.00,
            1.15, 1.45, 1.85, 2.20, 2.40, 2.20, 1.70, 1.10,
        ],
        Rhythm::Nightly => [
            1.60, 2.60, 2.90, 2.80, 2.10, 1.20, 0.60, 0.50, 0.60, 0.70, 0.75, 0.75, 0.70, 0.70, 0.70, 0.65,
            0.60, 0.50, 0.40, 0.35, 0.35, 0.40, 0.60, 1.00,
        ],
        Rhythm::Global => [
            0.80, 0.75, 0.72, 0.70, 0.72, 0.78, 0.88, 0.98, 1.08, 1.15, 1.18, 1.16, 1.14, 1.18, 1.24, 1.28,
            1.28, 1.24, 1.18, 1.12, 1.05, 0.98, 0.92, 0.86,
        ],
    }
}

/// The share of a weekday's load on Saturday and Sunday.
fn weekend(rhythm: Rhythm) -> f64 {
    match rhythm {
        Rhythm::Office => 0.32,
        Rhythm::Evening => 1.20,
        Rhythm::Nightly => 0.70,
        Rhythm::Global => 0.82,
    }
}

/// The rhythm at an instant: day curve times weekday, smooth between hours.
fn rhythm_at(rhythm: Rhythm, millis: i64) -> f64 {
    let curve = day_curve(rhythm);
    let of_day = millis.rem_euclid(DAY_MILLIS);
    let hour = usize::try_from(of_day / HOUR_MILLIS).unwrap_or(0);
    let part = (of_day % HOUR_MILLIS) as f64 / HOUR_MILLIS as f64;
    let smooth = part * part * (3.0 - 2.0 * part);
    let share = curve[hour] + (curve[(hour + 1) % 24] - curve[hour]) * smooth;
    let weekday = (millis.div_euclid(DAY_MILLIS) + WEEKDAY_OF_1970).rem_euclid(7);
    if weekday >= 5 { share * weekend(rhythm) } else { share }
}

/// The load at each point of the grid, about 1 on the average of a weekday.
pub(super) fn curve(settings: &Settings, role: &Role, random: &mut Random) -> Vec<f64> {
    let points = settings.points();
    let minutes = settings.step_minutes();
    let zone = (random.between(-9.0, 10.0).floor() as i64) * HOUR_MILLIS;
    let growth = match role.character {
        Character::Growing => 1.2,
        _ => random.between(-0.05, 0.25),
    };
    let mut noise = Noise::new(random, minutes);
    let mut bursts = Bursts::new(role.character, minutes);
    let (mut day, mut day_level) = (i64::MIN, 1.0);
    let mut load = Vec::with_capacity(points);
    for index in 0..points {
        let at = settings.at(index).millis() + zone;
        let today = at.div_euclid(DAY_MILLIS);
        if today != day {
            // No two days are alike.
            (day, day_level) = (today, (1.0 + 0.14 * random.normal()).max(0.5));
        }
        let trend = 1.0 + growth * index as f64 / points as f64;
        let rhythm = rhythm_at(role.rhythm, at) * day_level * trend;
        let wobble = (1.0 + 0.28 * noise.next(random)).max(0.15);
        load.push(rhythm * wobble + bursts.next(random));
    }
    load
}

/// Bursts that come at any time, last a few samples, and are now and then very
/// high.
struct Bursts {
    a_minute: f64,
    height: f64,
    /// The chance that a burst ends with a sample.
    ends: f64,
    minutes: f64,
    now: f64,
}

impl Bursts {
    fn new(character: Character, minutes: f64) -> Self {
        let (a_day, height) = match character {
            Character::Bursty => (14.0, 2.2),
            Character::Idle => (1.5, 1.0),
            _ => (3.0, 1.0),
        };
        // A burst lasts a quarter of an hour on average.
        let ends = minutes / (minutes + 10.0);
        Bursts { a_minute: a_day / 1440.0, height, ends, minutes, now: 0.0 }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        if self.now > 0.0 && random.chance(self.ends) {
            self.now = 0.0;
        }
        if random.chance((self.a_minute * self.minutes).min(0.5)) {
            self.now = self.height * (random.heavy() - 0.6);
        }
        self.now
    }
}
