//! The one place that reads the monotonic clock; everything else takes `now` as a parameter.

use std::time::Instant;

/// The time.
#[expect(clippy::disallowed_methods, reason = "the home of the clock")]
pub fn now() -> Instant {
    Instant::now()
}
