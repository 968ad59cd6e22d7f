//! The names of segments, and what they say of their content.

use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::Timestamp;
use crate::security::{hex, sha256};

/// Milliseconds in a day.
const DAY: i64 = 86_400_000;
/// Hexadecimal digits of the SHA-256 that a name holds.
const DIGITS: usize = 32;

/// The day in UTC that an instant belongs to, counted from 1970.
pub(super) fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY)
}

/// The first instant behind a day.
pub(super) fn end_of(day: i64) -> Timestamp {
    Timestamp::from_millis((day + 1) * DAY)
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
    /// The first half of the SHA-256 of its bytes; `None` in segments of
    /// versions that wrote none.
    hash: Option<String>,
    /// Where it is.
    pub path: PathBuf,
}

impl Segment {
    /// The segment with these samples, which are these bytes.
    pub fn new(folder: &Path, from: Timestamp, to: Timestamp, number: u64, bytes: &[u8]) -> Self {
        let hash = hash(bytes);
        let path = folder.join(format!("{}_{}_{number:08}_{hash}.parquet", from.millis(), to.millis()));
        Segment { from, to, number, hash: Some(hash), path }
    }

    /// The segment at a path; `None` for other files.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
        let mut parts = name.split('_');
        let mut instant = || parts.next()?.parse().ok().map(Timestamp::from_millis);
        let (from, to) = (instant()?, instant()?);
        let number = parts.next()?.parse().ok()?;
        let hash = parts.next().map(str::to_owned);
        let is_hash = |hash: &String| {
            hash.len() == DIGITS && hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        };
        let plain = parts.next().is_none() && from <= to && hash.as_ref().is_none_or(is_hash);
        plain.then(|| Segment { from, to, number, hash, path: path.to_owned() })
    }

    /// Whether its name says what its bytes are.
    pub fn has_hash(&self) -> bool {
        self.hash.is_some()
    }

    /// Its bytes, held against the hash in its name; says what is wrong where
    /// they are others.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let bytes = fs::read(&self.path).map_err(|error| error.to_string())?;
        match &self.hash {
            Some(written) if hash(&bytes) != *written => {
                Err("its bytes are not those that were written, as the hash in its name says".to_owned())
            }
            _ => Ok(bytes),
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut digits = hex(&sha256([bytes]));
    digits.truncate(DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_segment() {
        let (from, to) = (Timestamp::from_millis(-5), Timestamp::from_millis(7));
        let segment = Segment::new(Path::new("cpu_cores"), from, to, 12, b"");
        let name = "cpu_cores/-5_7_00000012_e3b0c44298fc1c149afbf4c8996fb924.parquet";
        assert_eq!(segment.path, Path::new(name));
        assert_eq!(Segment::of(&segment.path), Some(segment));
        let old = Segment::of(Path::new("cpu_cores/-5_7_00000012.parquet")).unwrap();
        assert_eq!((old.number, old.hash), (12, None));
        let others = [
            "1_2.parquet",
            "2_1_3.parquet",
            "1_2_3.csv",
            "1_2_3.parquet.tmp",
            "notes.parquet",
            "1_2_3_e3b0.parquet",
            "1_2_3_E3B0C44298FC1C149AFBF4C8996FB924.parquet",
        ];
        for other in others {
            assert_eq!(Segment::of(Path::new(other)), None, "{other}");
        }
        assert_eq!(day_of(from), -1);
        assert_eq!(end_of(-1), Timestamp::from_millis(0));
    }
}
