//! One output timeline out of many source timelines.

use std::time::{Duration, Instant};

/// Local time and RTP time may disagree by this much over one step before it counts as a new
/// timeline. Well above jitter and a stalled network, well below what a viewer would sit through.
const DISAGREEMENT: Duration = Duration::from_secs(2);

/// Maps the RTP times of one source after another to one continuous output timeline.
///
/// A source keeps its own steps exactly. Where the source changes (a new track has a random RTP
/// base), goes backwards, or leaps, the output goes on by the local time that passed. The output
/// always rises.
#[derive(Debug)]
pub struct Rebase {
    rate_hz: u32,
    last: Option<Last>,
    cut: bool,
}

#[derive(Debug)]
struct Last {
    input: u64,
    output: u64,
    at: Instant,
}

impl Rebase {
    /// A timeline of `rate_hz` ticks a second. The first source's times are kept as they are.
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz, last: None, cut: false }
    }

    /// The next RTP time comes from another source.
    pub fn source_changed(&mut self) {
        self.cut = true;
    }

    /// The output time of a frame of `rtp_time` that is released at `at`. Both rise within a
    /// source.
    pub fn map(&mut self, rtp_time: u64, at: Instant) -> u64 {
        let cut = std::mem::take(&mut self.cut);
        let output = match &self.last {
            None => rtp_time,
            Some(last) => {
                let passed = self.ticks(at.saturating_duration_since(last.at)).max(1);
                let step = rtp_time
                    .checked_sub(last.input)
                    .filter(|&step| step > 0 && step.abs_diff(passed) <= self.ticks(DISAGREEMENT));
                last.output + step.filter(|_| !cut).unwrap_or(passed)
            }
        };
        self.last = Some(Last { input: rtp_time, output, at });
        output
    }

    fn ticks(&self, span: Duration) -> u64 {
        let ticks = span.as_nanos() * u128::from(self.rate_hz) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock::now;

    const FRAME: u64 = 3000;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn one_source_keeps_its_times() {
        let start = now();
        let mut rebase = Rebase::new(90_000);
        let times = [5000, 8000, 8001, 8000 + 60 * 90_000];
        let locals = [0, 33, 34, 60_033];
        for (time, ms) in times.into_iter().zip(locals) {
            assert_eq!(rebase.map(time, at(start, ms)), time);
        }
    }

    #[test]
    fn a_new_source_goes_on_where_the_old_one_was() {
        let start = now();
        let mut rebase = Rebase::new(90_000);
        assert_eq!(rebase.map(1_000_000, start), 1_000_000);
        rebase.source_changed();
        assert_eq!(rebase.map(77, at(start, 500)), 1_045_000);
        assert_eq!(rebase.map(77 + FRAME, at(start, 540)), 1_045_000 + FRAME);
    }

    #[test]
    fn a_leap_without_notice_is_bridged_by_local_time() {
        let start = now();
        let mut rebase = Rebase::new(48_000);
        rebase.map(500_000, start);
        assert_eq!(rebase.map(10, at(start, 20)), 500_960);
        assert_eq!(rebase.map(10 + 48_000 * 60, at(start, 40)), 501_920);
    }

    proptest! {
        #[test]
        fn the_output_always_rises(
            steps in prop::collection::vec((any::<u32>(), 0_u64..5000, any::<bool>()), 1..50)
        ) {
            let start = now();
            let mut rebase = Rebase::new(90_000);
            let (mut ms, mut last) = (0, None);
            for (rtp, gap, changed) in steps {
                ms += gap;
                if changed {
                    rebase.source_changed();
                }
                let output = rebase.map(u64::from(rtp), at(start, ms));
                prop_assert!(last.is_none_or(|last| output > last));
                last = Some(output);
            }
        }
    }
}
