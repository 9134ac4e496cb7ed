//! From RTP time and sender reports to the moment of capture. Pure.
//!
//! Sender reports carry the server's wall clock. All tracks of one connection share one mapping
//! from that clock to ours, so what was captured together stays together; when the clocks
//! disagree so much that a frame would be captured in its future, or seconds before it came, the
//! mapping moves for all tracks at once.

use std::time::{Duration, Instant, SystemTime};

/// A frame cannot plausibly be older than this when it comes in: the clocks disagree.
const PLAUSIBLE: Duration = Duration::from_secs(2);

/// A sender report: this RTP time was captured at this wall-clock time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// RTP time in seconds, on the track's extended scale.
    pub(super) rtp_seconds: f64,
    /// The sender's wall clock.
    pub(super) wall: SystemTime,
}

/// The mapping from the server's wall clock to ours, shared by the tracks of one connection.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Instant,
    wall_at_epoch: SystemTime,
    /// Added to what the wall clocks say, seconds.
    skew: f64,
}

impl Clock {
    /// A mapping that trusts the wall clocks until frames say otherwise.
    pub(super) fn new(epoch: Instant, wall_at_epoch: SystemTime) -> Self {
        Self { epoch, wall_at_epoch, skew: 0.0 }
    }

    /// When a frame with this RTP time was captured; never after `arrived`.
    pub(super) fn captured(
        &mut self,
        rtp_seconds: f64,
        report: Option<Report>,
        arrived: Instant,
    ) -> Instant {
        let Some(report) = report else { return arrived };
        let wall = seconds_between(self.wall_at_epoch, report.wall);
        let raw = wall + (rtp_seconds - report.rtp_seconds);
        let arrived_seconds = arrived.saturating_duration_since(self.epoch).as_secs_f64();
        let age = arrived_seconds - (raw + self.skew);
        if age < 0.0 || age > PLAUSIBLE.as_secs_f64() {
            self.skew = arrived_seconds - raw;
            return arrived;
        }
        arrived.checked_sub(Duration::from_secs_f64(age)).unwrap_or(arrived)
    }
}

fn seconds_between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    const MS: Duration = Duration::from_millis(1);

    fn setup() -> (Clock, Instant, SystemTime) {
        let (epoch, wall) = (clock::now(), SystemTime::now());
        (Clock::new(epoch, wall), epoch, wall)
    }

    fn close(a: Instant, b: Instant) -> bool {
        a.max(b) - a.min(b) < Duration::from_micros(10)
    }

    #[test]
    fn follows_the_report() {
        let (mut clock, epoch, wall) = setup();
        let report = Report { rtp_seconds: 100.0, wall: wall + 1000 * MS };
        let captured = clock.captured(100.5, Some(report), epoch + 1530 * MS);
        assert!(close(captured, epoch + 1500 * MS));
    }

    #[test]
    fn without_a_report_capture_is_arrival() {
        let (mut clock, epoch, _) = setup();
        assert_eq!(clock.captured(7.0, None, epoch + 5 * MS), epoch + 5 * MS);
    }

    #[test]
    fn a_server_clock_ahead_or_far_behind_moves_all_tracks_together() {
        for offset in [10.0, -3600.0] {
            let (mut clock, epoch, wall) = setup();
            let shifted = if offset > 0.0 {
                wall + Duration::from_secs_f64(offset)
            } else {
                wall - Duration::from_secs_f64(-offset)
            };
            let video = Report { rtp_seconds: 0.0, wall: shifted };
            let audio = Report { rtp_seconds: 50.0, wall: shifted };
            let arrived = epoch + 1000 * MS;
            assert_eq!(clock.captured(1.0, Some(video), arrived), arrived);
            let sound = clock.captured(50.98, Some(audio), arrived);
            assert!(close(sound, arrived - 20 * MS), "sound keeps its distance from the picture");
        }
    }
}
