//! What the process takes of its machine, under the names that Prometheus'
//! client libraries use. Read from /proc when it is asked for; where there is
//! none, nothing is said. What the program itself holds of its memory comes
//! from the allocator.

use std::fs;
use std::path::Path;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tikv_jemalloc_ctl::{epoch, stats};

/// Ticks a second of what /proc counts: 100 on every architecture that Linux
/// runs on today, whatever the kernel's own clock does.
const TICKS: f64 = 100.0;
const FOLDER: &str = "/proc/self";

/// Reads what the process takes.
#[derive(Debug)]
pub struct Process;

/// What the process takes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Taken {
    cpu_seconds: f64,
    threads: u64,
    resident_bytes: u64,
    open_files: u64,
}

impl Taken {
    fn now() -> Option<Taken> {
        let read = |name: &str| fs::read_to_string(Path::new(FOLDER).join(name)).ok();
        let open_files = fs::read_dir(Path::new(FOLDER).join("fd")).ok()?.count() as u64;
        Taken::of(&read("stat")?, &read("status")?, open_files)
    }

    /// Of the texts of proc(5).
    fn of(stat: &str, status: &str, open_files: u64) -> Option<Taken> {
        // The name of the program stands in brackets, and can hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let (user, system, threads) = (field(14)?, field(15)?, field(20)?);
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
        Some(Taken {
            cpu_seconds: (user + system) as f64 / TICKS,
            threads,
            resident_bytes: kibibytes << 10,
            open_files,
        })
    }
}

/// Bytes that the program and the caches of its threads hold, which the
/// allocator does not tell apart; the rest of what is resident is code, stacks,
/// pages of files, and what is free and was not given back.
fn allocated() -> Option<u64> {
    // The figures are those of the last epoch.
    epoch::advance().ok()?;
    Some(stats::allocated::read().ok()? as u64)
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(bytes) = allocated() {
            let about = "Memory that the program and the caches of its threads hold";
            let name = "process_allocated_memory";
            let gauge = encoder.encode_descriptor(name, about, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes as f64).encode(gauge)?;
        }
        let Some(taken) = Taken::now() else { return Ok(()) };
        let about = "Time on the processors, of user and system together";
        let cpu =
            encoder.encode_descriptor("process_cpu", about, Some(&Unit::Seconds), MetricType::Counter)?;
        ConstCounter::new(taken.cpu_seconds).encode(cpu)?;
        let gauges = [
            ("process_resident_memory", "Memory that is in use", Some(&Unit::Bytes), taken.resident_bytes),
            ("process_threads", "Threads", None, taken.threads),
            ("process_open_fds", "Open files and connections", None, taken.open_files),
        ];
        for (name, about, unit, value) in gauges {
            let gauge = encoder.encode_descriptor(name, about, unit, MetricType::Gauge)?;
            ConstGauge::new(value as f64).encode(gauge)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read_whatever_the_program_is_called() {
        let stat =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 5 0 100 1000 2 18446744073709551615";
        let status = "Name:\tplimsoll\nVmRSS:\t    2048 kB\n";
        let taken = Taken::of(stat, status, 9).unwrap();
        assert_eq!(taken, Taken { cpu_seconds: 3.0, threads: 5, resident_bytes: 2 << 20, open_files: 9 });
        assert_eq!(Taken::of("", status, 9), None);
    }
}
