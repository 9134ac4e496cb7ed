//! When to ask a publisher for a keyframe. Pure.
//!
//! The server drops requests that come less than about a second after the one before, so a
//! request is repeated until its keyframe comes, and one that comes too early is kept.

use std::time::{Duration, Instant};

/// The shortest time between two requests that both reach the publisher.
pub(super) const SPACING: Duration = Duration::from_millis(1200);

/// The requests of one track.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    wanted: bool,
    asked: Option<Instant>,
}

impl Limiter {
    /// A keyframe is needed, by a viewer or after loss.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came: every wish up to now is met.
    pub(super) fn keyframe(&mut self) {
        self.wanted = false;
    }

    /// When [`Limiter::poll`] will next say yes; `None` when nothing is wanted.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.asked.map_or(now, |asked| asked + SPACING))
    }

    /// Whether to send a request now.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let due = self.deadline(now).is_some_and(|due| now >= due);
        if due {
            self.asked = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    #[test]
    fn asks_at_once_then_spaced_until_the_keyframe_comes() {
        let start = clock::now();
        let mut limiter = Limiter::default();
        assert!(!limiter.poll(start));
        limiter.want();
        assert!(limiter.poll(start));
        assert!(!limiter.poll(start + SPACING - Duration::from_millis(1)));
        assert!(limiter.poll(start + SPACING));
        limiter.keyframe();
        assert_eq!(limiter.deadline(start), None);
        assert!(!limiter.poll(start + 3 * SPACING));
    }

    #[test]
    fn a_wish_just_after_a_keyframe_is_kept() {
        let start = clock::now();
        let mut limiter = Limiter::default();
        limiter.want();
        assert!(limiter.poll(start));
        limiter.keyframe();
        limiter.want();
        assert!(!limiter.poll(start + Duration::from_millis(100)));
        assert_eq!(limiter.deadline(start), Some(start + SPACING));
        assert!(limiter.poll(start + SPACING));
    }
}
