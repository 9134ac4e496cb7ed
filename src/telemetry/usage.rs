//! How much of the machine is in use, from `/proc` and the cgroup: what decides whether one more
//! stream fits.
//!
//! Totals since boot or start; the difference of two readings is what was used in between. Where
//! the system does not tell (no `/proc`, cgroup v1), a figure is zero or missing.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{TICKS, cpu_seconds, field};

/// How the threads of detection are named (`detect-0`, `detect-watch`).
const DETECTION: &str = "detect-";
/// Where cgroup v2 is mounted; the second on systems that still have v1 beside it.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Processors and the time they worked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Processor time used since boot, in seconds; what the hypervisor took away included.
    pub used: f64,
    /// Processors there are, or the share of them that is allowed.
    pub cores: f64,
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// The processors this process may run on, whoever used them.
    pub machine: Cpu,
    /// The cgroup, when it has a quota (a container with a CPU limit).
    pub group: Option<Cpu>,
    /// Processor time of this process, in seconds.
    pub own: f64,
    /// Of that, detection's.
    pub detection: f64,
    /// Bytes that can still be had: of the machine, or of the cgroup when that is less.
    pub memory_available: Option<u64>,
}

impl Usage {
    /// Reads everything; some 100 small files, well under a millisecond. Blocks.
    pub fn read() -> Self {
        let status = text("/proc/self/status");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let groups = groups(&text("/proc/self/cgroup"));
        let free = field(&text("/proc/meminfo"), "MemAvailable:") * 1_024;
        let left = groups.iter().filter_map(|group| memory_left(group));
        Self {
            machine: machine(&text("/proc/stat"), list.unwrap_or_default()),
            group: groups.iter().filter_map(|group| quota(group)).min_by(tighter),
            own: cpu_seconds(&text("/proc/self/stat")),
            detection: detection(),
            memory_available: left.chain((free > 0).then_some(free)).min(),
        }
    }
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn tighter(a: &Cpu, b: &Cpu) -> std::cmp::Ordering {
    a.cores.total_cmp(&b.cores)
}

/// The processors of `/proc/stat` that are on `list` (`0-3,8`); all when there is no list.
fn machine(stat: &str, list: &str) -> Cpu {
    let (mut ticks, mut cores) = (0, 0_u32);
    for line in stat.lines() {
        let Some((number, times)) = line.strip_prefix("cpu").and_then(|l| l.split_once(' ')) else {
            continue;
        };
        // The first line, without a number, is the sum.
        let Ok(number) = number.parse() else { continue };
        if !is_on(list, number) {
            continue;
        }
        let times = times.split_whitespace().filter_map(|ticks| ticks.parse::<u64>().ok());
        // user nice system idle iowait irq softirq steal; guests are part of user.
        let busy = times.enumerate().take(8).filter(|(at, _)| !matches!(at, 3 | 4));
        ticks += busy.map(|(_, ticks)| ticks).sum::<u64>();
        cores += 1;
    }
    Cpu { used: ticks as f64 / TICKS, cores: f64::from(cores) }
}

fn is_on(list: &str, number: u32) -> bool {
    let list = list.trim();
    list.is_empty()
        || list.split(',').any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            matches!((first.parse(), last.parse()), (Ok(a), Ok(b)) if (a..=b).contains(&number))
        })
}

/// The cgroup of this process and those above it, which limit it too.
fn groups(own: &str) -> Vec<PathBuf> {
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return Vec::new();
    };
    let relative = Path::new(path.trim_start_matches('/'));
    let mounted = GROUPS.iter().find(|root| Path::new(root).join("cgroup.controllers").exists());
    mounted.map_or_else(Vec::new, |root| {
        relative.ancestors().map(|group| Path::new(root).join(group)).collect()
    })
}

fn quota(group: &Path) -> Option<Cpu> {
    let cores = cores(&text(group.join("cpu.max")))?;
    let used = field(&text(group.join("cpu.stat")), "usage_usec") as f64 / 1e6;
    Some(Cpu { used, cores })
}

/// From `cpu.max`: `QUOTA PERIOD` in microseconds; `None` for `max PERIOD`.
fn cores(max: &str) -> Option<f64> {
    let (quota, period) = max.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Files that were read and not used since can be dropped: they count as free.
fn memory_left(group: &Path) -> Option<u64> {
    let max: u64 = text(group.join("memory.max")).trim().parse().ok()?;
    let used: u64 = text(group.join("memory.current")).trim().parse().ok()?;
    let cache = field(&text(group.join("memory.stat")), "inactive_file ");
    Some(max.saturating_sub(used.saturating_sub(cache)))
}

/// Processor time of the threads of detection, in seconds. One that has ended is not counted.
fn detection() -> f64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return 0.0 };
    let stats = threads.filter_map(Result::ok).map(|thread| text(thread.path().join("stat")));
    let theirs =
        |stat: &String| stat.split_once('(').is_some_and(|(_, name)| name.starts_with(DETECTION));
    stats.filter(theirs).map(|stat| cpu_seconds(&stat)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  300 0 60 900 90 0 0 30 0 0\n\
                        cpu0 100 0 20 300 30 0 0 10 5 0\n\
                        cpu1 200 0 40 600 60 0 0 20 0 0\n\
                        intr 12\n";

    #[test]
    fn only_processors_that_may_be_used_count() {
        assert_eq!(machine(STAT, ""), Cpu { used: 3.9, cores: 2.0 });
        assert_eq!(machine(STAT, "\t1"), Cpu { used: 2.6, cores: 1.0 });
        assert_eq!(machine("", "0-1"), Cpu::default());
    }

    #[test]
    fn lists_of_processors_are_ranges() {
        let on: Vec<u32> = (0..12).filter(|n| is_on("0-2,8,10-11", *n)).collect();
        assert_eq!(on, [0, 1, 2, 8, 10, 11]);
    }

    #[test]
    fn a_quota_is_a_share_of_its_period() {
        assert_eq!(cores("150000 100000\n"), Some(1.5));
        assert_eq!([cores("max 100000"), cores(""), cores("0 100000")], [None; 3]);
    }

    #[test]
    fn this_machine_has_figures() {
        let usage = Usage::read();
        assert!(usage.machine.cores >= 1.0 && usage.machine.used > 0.0, "{usage:?}");
        assert!(usage.memory_available.is_some_and(|bytes| bytes > 0), "{usage:?}");
    }
}
