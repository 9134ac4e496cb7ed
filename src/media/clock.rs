//! Time: when a frame is due, and which RTP time it carries. Pure but for [`now`].

mod rebase;
mod release;

use std::time::Instant;

pub use rebase::Rebase;
pub use release::ReleaseClock;

/// The present. The one place that reads the clock, so that everything else can be given a time.
#[allow(clippy::disallowed_methods, reason = "the one home of the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// RTP ticks in nanoseconds. Exact to a nanosecond, for any span a stream can live.
fn nanos(ticks: u64, rate_hz: u32) -> i64 {
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(rate_hz);
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
