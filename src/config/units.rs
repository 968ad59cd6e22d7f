//! Durations and sizes as people write them: "5m", "28d", "1MiB".

use std::time::Duration;

/// A whole number of days.
pub(super) const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

/// A whole number of hours.
pub(super) const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// A duration in the largest unit that divides it: 28 days as "28d", 90
/// minutes as "90m".
pub fn show_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let units: [(Duration, &str); 5] = [
        (days(1), "d"),
        (Duration::from_secs(3600), "h"),
        (Duration::from_secs(60), "m"),
        (Duration::from_secs(1), "s"),
        (Duration::from_millis(1), "ms"),
    ];
    units
        .into_iter()
        .find(|(unit, _)| duration.as_nanos().is_multiple_of(unit.as_nanos()))
        .map(|(unit, name)| format!("{}{name}", duration.as_nanos() / unit.as_nanos()))
        .unwrap_or_else(|| humantime::format_duration(duration).to_string())
}

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a size such as "512KiB" as bytes; `None` where it is no size.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (unit, bytes) = SIZE_UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

/// A number of bytes in the largest unit that divides it.
pub fn show_size(bytes: u64) -> String {
    SIZE_UNITS
        .into_iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["0s", "500ms", "30s", "90s", "5m", "6h", "36h", "28d", "90d"] {
            assert_eq!(show_duration(humantime::parse_duration(text).unwrap()), text);
        }
        assert_eq!(show_duration(Duration::from_nanos(1_500)), "1us 500ns");
    }

    #[test]
    fn sizes_read_and_show() {
        for text in ["0B", "1023B", "512KiB", "1MiB", "3GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size(" 2 MiB "), Some(2 << 20));
        for bad in ["", "1", "MiB", "-1MiB", "1.5MiB", "1mb", "99999999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
