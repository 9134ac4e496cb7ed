//! When a stream that left its GPU may try one again. Pure.

use std::time::{Duration, Instant};

/// How long a stream stays on the processor after a GPU failed it: at first, and at most; each
/// failure doubles it. Long, because a try costs a context and, when it fails, a keyframe.
const REST: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// The failures of one stream.
#[derive(Debug, Default)]
pub(super) struct Turn {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Turn {
    /// Whether a GPU may be tried.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.rests_until.is_none_or(|until| now >= until)
    }

    /// A GPU refused the stream, or failed it.
    pub(super) fn failed(&mut self, now: Instant) {
        let rest = REST.0.saturating_mul(1 << self.failures.min(16)).min(REST.1);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Some(now + rest);
    }

    /// A GPU decoded for as long as the longest rest: what was is over.
    pub(super) fn worked(&mut self, now: Instant) {
        let long_ago = |until: Instant| now.saturating_duration_since(until) >= REST.1;
        if self.rests_until.is_some_and(long_ago) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    #[test]
    fn each_failure_rests_longer_and_long_success_is_forgiving() {
        let (mut turn, start) = (Turn::default(), clock::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(turn.is_ready(start));
        turn.failed(start);
        assert!(!turn.is_ready(after(29)) && turn.is_ready(after(30)));
        turn.worked(after(31));
        turn.failed(after(31));
        assert!(!turn.is_ready(after(90)) && turn.is_ready(after(91)), "still remembered");
        turn.worked(after(91 + 600));
        turn.failed(after(1_000));
        assert!(turn.is_ready(after(1_030)), "forgotten");
        for _ in 0..100 {
            turn.failed(start);
        }
        assert!(!turn.is_ready(after(599)) && turn.is_ready(after(600)), "bounded");
    }
}
