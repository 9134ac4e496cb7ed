//! What the system says about this process, and others of this machine, read from `/proc`.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks a second in `/proc/PID/stat`; the same on every Linux system.
pub(super) const TICKS: f64 = 100.0;

/// Figures of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Memory that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// File descriptors that may be open.
    pub max_fds: u64,
    /// CPU time used so far, in seconds, user and system.
    pub cpu_seconds: f64,
    /// When it started, in seconds since 1970.
    pub started_seconds: f64,
}

impl Process {
    /// Reads the figures of this process; zero where the system does not tell.
    pub fn read() -> Self {
        Self::at("/proc/self").unwrap_or_default()
    }

    /// Reads the figures of another process; `None` when there is none with this id. Zero where
    /// the system does not tell.
    pub fn of(pid: u32) -> Option<Self> {
        Self::at(&format!("/proc/{pid}"))
    }

    fn at(folder: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let fds = fs::read_dir(format!("{folder}/fd"));
        let limits = fs::read_to_string(format!("{folder}/limits")).unwrap_or_default();
        let boot = field(&fs::read_to_string("/proc/stat").unwrap_or_default(), "btime ");
        Some(Self {
            resident_bytes: field(&status, "VmRSS:") * 1_024,
            threads: field(&status, "Threads:"),
            open_fds: fds.map_or(0, |fds| fds.count() as u64),
            max_fds: field(&limits, "Max open files"),
            cpu_seconds: cpu_seconds(&stat),
            started_seconds: boot as f64 + since_boot(&stat),
        })
    }
}

/// The number after `name` in `/proc/PID/status` and files like it.
pub(super) fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system time, seconds, out of the line in `/proc/PID/stat`: the 12th and 13th field
/// after the name, which stands in parentheses and may hold anything.
pub(crate) fn cpu_seconds(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// When the process started, in seconds after boot: the 20th field after the name.
fn since_boot(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().nth(19).and_then(|ticks| ticks.parse::<f64>().ok());
    ticks.unwrap_or_default() / TICKS
}

/// Shows [`Process`] at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let process = Process::read();
        let gauges = [
            ("process_resident_memory_bytes", "Memory in RAM", process.resident_bytes),
            ("process_threads", "Threads", process.threads),
            ("process_open_fds", "Open file descriptors", process.open_fds),
            ("process_max_fds", "File descriptors that may be open", process.max_fds),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let started = ConstGauge::new(process.started_seconds);
        let help = "When the process started, in seconds since 1970";
        let metric = "process_start_time_seconds";
        started.encode(encoder.encode_descriptor(metric, help, None, started.metric_type())?)?;
        let cpu = ConstCounter::new(process.cpu_seconds);
        let help = "CPU time, user and system";
        let metric = "process_cpu_seconds";
        cpu.encode(encoder.encode_descriptor(metric, help, None, cpu.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_it_names() {
        assert_eq!(field("Name:\tx\nVmRSS:\t  2048 kB\nThreads:\t7\n", "VmRSS:"), 2048);
        let stat = "1 (a ) b) S 0 0 0 0 -1 0 0 0 0 0 250 50 0 0";
        assert!((cpu_seconds(stat) - 3.0).abs() < 1e-9);
        let stat = "1 (a ) b) S 0 0 0 0 -1 0 0 0 0 0 250 50 0 0 20 0 7 0 4200 0";
        assert!((since_boot(stat) - 42.0).abs() < 1e-9);
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(field(limits, "Max open files"), 1_024);
    }

    #[test]
    fn this_process_has_figures() {
        let process = Process::read();
        assert!(process.resident_bytes > 1 << 20 && process.threads >= 1 && process.open_fds >= 3);
        assert!(process.max_fds >= process.open_fds, "{process:?}");
        // After 2020: the time since boot is added to the time of boot.
        assert!(process.started_seconds > 1.577e9, "{process:?}");
    }
}
