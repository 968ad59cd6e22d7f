//! The names of segments.

use std::path::{Path, PathBuf};

use crate::domain::Timestamp;

/// Milliseconds in a day.
const DAY: i64 = 86_400_000;

/// The day in UTC that an instant belongs to, counted from 1970.
pub(super) fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY)
}

/// A file of samples of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The instant of its first sample.
    pub from: Timestamp,
    /// The instant of its last sample.
    pub to: Timestamp,
    /// Later ones are higher.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl Segment {
    /// The segment with these samples.
    pub fn new(folder: &Path, from: Timestamp, to: Timestamp, number: u64) -> Self {
        let path = folder.join(format!("{}_{}_{number:08}.parquet", from.millis(), to.millis()));
        Segment { from, to, number, path }
    }

    /// The segment at a path; `None` for other files.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
        let mut parts = name.split('_');
        let mut instant = || parts.next()?.parse().ok().map(Timestamp::from_millis);
        let (from, to) = (instant()?, instant()?);
        let number = parts.next()?.parse().ok()?;
        let plain = parts.next().is_none() && from <= to;
        plain.then(|| Segment { from, to, number, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_segment() {
        let (from, to) = (Timestamp::from_millis(-5), Timestamp::from_millis(7));
        let segment = Segment::new(Path::new("cpu_cores"), from, to, 12);
        assert_eq!(segment.path, Path::new("cpu_cores/-5_7_00000012.parquet"));
        assert_eq!(Segment::of(&segment.path), Some(segment));
        for other in ["1_2.parquet", "2_1_3.parquet", "1_2_3.csv", "1_2_3.parquet.tmp", "notes.parquet"] {
            assert_eq!(Segment::of(Path::new(other)), None, "{other}");
        }
        assert_eq!(day_of(from), -1);
    }
}
