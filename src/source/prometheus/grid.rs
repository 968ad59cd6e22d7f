//! The instants that a query is evaluated at, and how they are split.
//!
//! Prometheus counts the end of a range as inside, our ranges do not: a grid
//! is its first instant and a number of points, so neither has to be thought
//! of again.

use std::time::Duration;

use crate::domain::{Step, TimeRange, Timestamp};

/// A query is evaluated this long after each grid point. Prometheus 2 repeats
/// a sample that is exactly its lookback (5 minutes) old, so that on a grid of
/// 5 minutes every gap would begin one point late if it were asked on the point.
const ASKED_AFTER: Duration = Duration::from_secs(1);
/// On a grid finer than this a second would be a step of its own.
const FINE: Step = Step::TEN_SECONDS;

/// Points of the step's grid, which is aligned to 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// The first point.
    pub start: Timestamp,
    /// The distance of two points.
    pub step: Step,
    /// How many there are.
    pub points: usize,
}

impl Grid {
    /// The grid points inside a range.
    pub fn inside(range: TimeRange, step: Step) -> Self {
        let floor = range.start.floor_to(step);
        let start = if floor < range.start { floor.plus(step.duration()) } else { floor };
        Grid { start, step, points: TimeRange { start, end: range.end }.points(step) }
    }

    /// The instant of the point at `index`, also beyond the end.
    pub fn at(&self, index: usize) -> Timestamp {
        let offset = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.step.millis());
        Timestamp::from_millis(self.start.millis().saturating_add(offset))
    }

    /// How long after each point a query is evaluated.
    pub fn asked_after(&self) -> Duration {
        if self.step < FINE { Duration::ZERO } else { ASKED_AFTER }
    }

    /// The last point, the first one of an empty grid.
    pub fn last(&self) -> Timestamp {
        self.at(self.points.saturating_sub(1))
    }

    /// Where on the grid an instant lies: `Err` beside it, `Ok(None)` outside.
    pub fn index_of(&self, at: Timestamp) -> Result<Option<usize>, OffGrid> {
        let offset = at.millis().saturating_sub(self.start.millis());
        if offset % self.step.millis() != 0 {
            return Err(OffGrid);
        }
        let index = usize::try_from(offset / self.step.millis()).ok();
        Ok(index.filter(|index| *index < self.points))
    }

    /// Parts of about the same size with at most `most` points each.
    pub fn split(self, most: usize) -> Vec<Grid> {
        let parts = self.points.div_ceil(most.max(1)).max(1);
        let size = self.points.div_ceil(parts).max(1);
        (0..self.points)
            .step_by(size)
            .map(|from| Grid { start: self.at(from), points: size.min(self.points - from), ..self })
            .collect()
    }
}

/// An instant that is no point of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffGrid;

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(start: i64, end: i64) -> Grid {
        let range = TimeRange { start: Timestamp::from_seconds(start), end: Timestamp::from_seconds(end) };
        Grid::inside(range, Step::FIVE_MINUTES)
    }

    #[test]
    fn the_end_is_outside_and_the_start_is_rounded_up() {
        assert_eq!((grid(0, 900).points, grid(0, 900).last().seconds()), (3, 600));
        assert_eq!((grid(1, 901).start.seconds(), grid(1, 901).points), (300, 3));
        assert_eq!((grid(1, 300).points, grid(900, 0).points), (0, 0));
        assert_eq!(grid(0, 900).index_of(Timestamp::from_seconds(600)), Ok(Some(2)));
        assert_eq!(grid(0, 900).index_of(Timestamp::from_seconds(900)), Ok(None));
        assert_eq!(grid(300, 900).index_of(Timestamp::from_seconds(0)), Ok(None));
        assert_eq!(grid(0, 900).index_of(Timestamp::from_seconds(7)), Err(OffGrid));
    }

    #[test]
    fn parts_cover_the_whole_once() {
        for (points, most) in [(1, 1), (10, 3), (864, 500), (7, 100), (5, 1)] {
            let whole = grid(0, points * 300);
            let parts = whole.split(most);
            assert!(parts.iter().all(|part| part.points <= most && part.points > 0), "{parts:?}");
            let mut next = whole.start;
            for part in &parts {
                assert_eq!(part.start, next);
                next = part.at(part.points);
            }
            assert_eq!(next, whole.at(whole.points));
        }
        assert_eq!(grid(0, 0).split(5), []);
        assert_eq!(grid(0, 864 * 300).split(500).len(), 2);
    }
}
