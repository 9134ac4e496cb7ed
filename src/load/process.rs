//! What processes on this machine use while the load is on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::telemetry::Process;

/// A process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Instant,
    process: Process,
    /// CPU seconds by thread id, with the thread's name.
    threads: BTreeMap<u32, (String, f64)>,
}

/// What a process used between two moments.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// CPU seconds a second, user and system: 1 is one core.
    pub(crate) cpu: f64,
    /// Memory in RAM, megabytes, before.
    pub(crate) rss_before_mb: f64,
    /// The same, after.
    pub(crate) rss_after_mb: f64,
    /// Threads, after.
    pub(crate) threads: u64,
    /// CPU seconds a second by thread name, numbers cut off; of threads that were there at both
    /// moments.
    pub(crate) cpu_by_thread: BTreeMap<String, f64>,
}

impl Sample {
    /// Looks at a process; `None` when there is none with this id, or it may not be looked at.
    pub(crate) fn take(pid: u32, now: Instant) -> Option<Self> {
        let process = Process::of(pid)?;
        Some(Self { at: now, process, threads: threads(pid) })
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Usage {
        let span = self.at.saturating_duration_since(before.at).max(Duration::from_millis(1));
        let rate = |seconds: f64| (seconds / span.as_secs_f64() * 1e4).round() / 1e4;
        let mb = |process: &Process| (process.resident_bytes as f64 / 1e5).round() / 10.0;
        let mut cpu_by_thread: BTreeMap<String, f64> = BTreeMap::new();
        for (id, (name, used)) in &self.threads {
            if let Some((_, earlier)) = before.threads.get(id) {
                *cpu_by_thread.entry(family(name)).or_default() += used - earlier;
            }
        }
        cpu_by_thread.values_mut().for_each(|seconds| *seconds = rate(*seconds));
        Usage {
            cpu: rate(self.process.cpu_seconds - before.process.cpu_seconds),
            rss_before_mb: mb(&before.process),
            rss_after_mb: mb(&self.process),
            threads: self.process.threads,
            cpu_by_thread,
        }
    }
}

fn threads(pid: u32) -> BTreeMap<u32, (String, f64)> {
    let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return BTreeMap::new();
    };
    let thread = |entry: std::fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, _) = stat.split_once('(')?.1.rsplit_once(')')?;
        Some((id, (name.to_owned(), crate::telemetry::cpu_seconds(&stat))))
    };
    folder.flatten().filter_map(thread).collect()
}

/// `detect-0` and `detect-1` do the same work.
fn family(name: &str) -> String {
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        let before = Sample::take(pid, clock::now()).unwrap();
        let busy = clock::now();
        while busy.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        let usage = Sample::take(pid, clock::now()).unwrap().since(&before);
        assert!(usage.cpu > 0.1 && usage.rss_after_mb > 1.0, "{usage:?}");
        assert!(!usage.cpu_by_thread.is_empty());
        assert!(Sample::take(u32::MAX, clock::now()).is_none());
    }

    #[test]
    fn threads_of_one_kind_share_a_name() {
        let names = ["detect-0", "detect-12", "tokio-rt-worker", "release", "a-1-2"];
        let expected = ["detect", "detect", "tokio-rt-worker", "release", "a-1"];
        assert_eq!(names.map(family), expected.map(ToOwned::to_owned));
    }
}
