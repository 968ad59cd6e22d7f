//! Kubernetes' way to write amounts, to a thousandth: `6500m`, `12G`, `8Gi`,
//! `1e3` (apimachinery's `resource.Quantity`).

use crate::domain::Resource;

/// Bytes in a GB and in an MB, as the metered resources have them.
const GB: f64 = 1e9;
const MB: f64 = 1e6;
/// The suffixes with what they stand for; the longer ones first.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// A limit as a quantity. It is rounded up, bytes to whole ones and all else to
/// a thousandth, so that a tenant never gets less than was approved.
pub(super) fn write(resource: Resource, limit: f64) -> String {
    let amount = limit * bytes_of(resource).unwrap_or(1.0);
    // What a float can't hold exactly must not be rounded up a step.
    let up = |value: f64| (value * (1.0 - 1e-12)).ceil();
    let thousandths = up(amount * 1000.0);
    match bytes_of(resource) {
        Some(_) => format!("{:.0}", up(amount)),
        None if thousandths % 1000.0 == 0.0 => format!("{:.0}", thousandths / 1000.0),
        None => format!("{thousandths:.0}m"),
    }
}

/// The limit that a quantity stands for, in the resource's unit; `None` where
/// it is none.
pub(super) fn read(resource: Resource, quantity: &str) -> Option<f64> {
    let text = quantity.trim();
    let (digits, factor) = SUFFIXES.iter().find_map(|(suffix, factor)| {
        let digits = text.strip_suffix(suffix)?;
        digits.ends_with(|last: char| last.is_ascii_digit() || last == '.').then_some((digits, *factor))
    })?;
    let amount: f64 = digits.parse().ok()?;
    Some(amount * factor / bytes_of(resource).unwrap_or(1.0)).filter(|limit| limit.is_finite())
}

fn bytes_of(resource: Resource) -> Option<f64> {
    match resource {
        Resource::MemoryGb | Resource::StorageGb => Some(GB),
        Resource::CacheSizeMb => Some(MB),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_kubernetes_reads_them() {
        assert_eq!(write(Resource::CpuCores, 8.0), "8");
        assert_eq!(write(Resource::CpuCores, 6.5), "6500m");
        assert_eq!(write(Resource::CpuCores, 0.1 + 0.2), "300m");
        assert_eq!(write(Resource::CpuCores, 1.0001), "1001m", "up, never down");
        assert_eq!(write(Resource::MemoryGb, 12.5), "12500000000");
        assert_eq!(write(Resource::CacheSizeMb, 0.000_000_4), "1");
        assert_eq!(write(Resource::MlModelInstances, 1e7), "10000000");
    }

    #[test]
    fn what_a_server_writes_is_read() {
        let cpu = |text| read(Resource::CpuCores, text);
        assert_eq!(
            (cpu("6500m"), cpu("8"), cpu("1e3"), cpu("2k")),
            (Some(6.5), Some(8.0), Some(1e3), Some(2e3))
        );
        assert_eq!((cpu("1.5"), cpu(""), cpu("m"), cpu("six")), (Some(1.5), None, None, None));
        assert_eq!(cpu("2E"), Some(2e18));
        assert_eq!(read(Resource::MemoryGb, "12500M"), Some(12.5));
        assert_eq!(read(Resource::MemoryGb, "8Gi"), Some(8.589_934_592));
    }
}
