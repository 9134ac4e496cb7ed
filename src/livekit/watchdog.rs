//! Notices a media path that fell silent. Pure.
//!
//! The ICE agent reports a dead path after some ten seconds and the server after fourteen; a
//! broadcast cannot wait for either. Our own ICE checks are answered more than twice within
//! [`SILENCE`], so a broadcaster who sends nothing does not look like a dead path.

use std::time::{Duration, Instant};

/// No packet of any kind for this long on an established path: reconnect.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How long a path may take to carry its first packet after a join or a resume.
pub(super) const GRACE: Duration = Duration::from_secs(6);

/// How long UDP alone is tried before TCP is, too: it connects within a second or never.
pub(super) const UDP_FIRST: Duration = Duration::from_millis(1500);

/// Watches the path of one peer connection.
#[derive(Debug)]
pub(super) enum Watchdog {
    /// No path is wanted yet.
    Idle,
    /// A path is being looked for since then.
    Establishing(Instant),
    /// A path carries packets.
    Established,
}

impl Watchdog {
    /// When the path has to be given up if nothing more is heard than at `heard`.
    pub(super) fn deadline(&self, heard: Instant) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Establishing(since) => Some(*since + GRACE),
            Self::Established => Some(heard + SILENCE),
        }
    }

    /// Notes what was heard last: the first packet after a path was looked for establishes it.
    pub(super) fn hear(&mut self, heard: Instant) {
        if matches!(self, Self::Establishing(since) if heard > *since) {
            *self = Self::Established;
        }
    }

    /// When to try TCP, too.
    pub(super) fn fall_back(&self) -> Option<Instant> {
        match self {
            Self::Establishing(since) => Some(*since + UDP_FIRST),
            Self::Idle | Self::Established => None,
        }
    }

    /// Whether a path is being looked for.
    pub(super) fn establishing(&self) -> bool {
        matches!(self, Self::Establishing(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    #[test]
    fn silence_counts_on_an_established_path_only() {
        let start = clock::now();
        assert_eq!(Watchdog::Idle.deadline(start), None);
        assert_eq!(Watchdog::Established.deadline(start), Some(start + SILENCE));
    }

    #[test]
    fn a_new_path_has_its_grace_until_the_first_packet() {
        let start = clock::now();
        let mut watchdog = Watchdog::Establishing(start);
        watchdog.hear(start);
        assert!(watchdog.establishing(), "what was heard before does not count");
        assert_eq!(watchdog.deadline(start), Some(start + GRACE));
        assert_eq!(watchdog.fall_back(), Some(start + UDP_FIRST));
        let later = start + Duration::from_millis(1);
        watchdog.hear(later);
        assert_eq!(watchdog.deadline(later), Some(later + SILENCE));
    }
}
