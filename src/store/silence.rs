//! Which streams have lost their process. Pure.
//!
//! Heartbeats are written with the clock of the process that runs the stream, so their times are
//! never compared with a clock here: a stream is silent when nothing *new* was written of it for a
//! while, as this process measures it. That while starts anew whenever the database was away,
//! because then nobody could write: those who live get to write first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How often open streams are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(15);
/// A stream that nothing new was written of for this long has lost its process: twelve heartbeats,
/// and twelve times the longest pause between two attempts to write.
pub(super) const SILENT: Duration = Duration::from_secs(60);

/// An open stream of another process, with the heartbeat that was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub id: Uuid,
    /// As it is kept; only whether it is another one counts.
    pub heartbeat: i64,
}

/// What is known of the open streams of others.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// The last heartbeat of each, and since when it has been the last.
    known: HashMap<Uuid, (i64, Instant)>,
}

impl Silence {
    /// The streams that have been silent for too long, of those that are open `now`.
    pub(super) fn observe(&mut self, open: &[Open], now: Instant) -> Vec<Open> {
        let known = std::mem::take(&mut self.known);
        let mut silent = Vec::new();
        for one in open {
            let before = known.get(&one.id).filter(|(heartbeat, _)| *heartbeat == one.heartbeat);
            let since = before.map_or(now, |(_, since)| *since);
            self.known.insert(one.id, (one.heartbeat, since));
            if now.saturating_duration_since(since) >= SILENT {
                silent.push(*one);
            }
        }
        silent
    }

    /// The database did not answer: nobody could write, and silence says nothing.
    pub(super) fn blind(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    fn open(id: u128, heartbeat: i64) -> Open {
        Open { id: Uuid::from_u128(id), heartbeat }
    }

    #[test]
    fn who_is_silent_for_a_minute_is_dead_and_who_was_cut_off_gets_another() {
        let (mut silence, begin) = (Silence::default(), clock::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (dead, alive) = (open(1, 7), |beat| open(2, beat));
        for look in 0..4 {
            let now = at(15 * look);
            assert_eq!(silence.observe(&[dead, alive(look as i64)], now), [], "{look}");
        }
        assert_eq!(silence.observe(&[dead, alive(4)], at(60)), [dead]);
        silence.blind();
        assert_eq!(silence.observe(&[dead], at(300)), []);
        assert_eq!(silence.observe(&[dead], at(359)), []);
        assert_eq!(silence.observe(&[dead], at(360)), [dead]);
    }

    proptest! {
        /// Whatever the writer's clock does, and however often the database is away: who writes
        /// within a minute of being able to is never taken for dead, and who never writes again is,
        /// within a minute and one look of a database that answers.
        #[test]
        fn the_living_are_left_alone_and_the_dead_are_found(
            looks in prop::collection::vec((1u64..30, any::<bool>(), any::<i64>()), 1..80)
        ) {
            let (mut silence, mut now) = (Silence::default(), clock::now());
            let (mut beat, mut written, mut answering) = (0, now, None);
            let mut dead_found = None;
            for (pause, answers, clock) in looks {
                now += Duration::from_secs(pause);
                if !answers {
                    silence.blind();
                    (answering, dead_found) = (None, None);
                    continue;
                }
                let since = *answering.get_or_insert(now);
                // The living one writes whenever a minute would be over, by any clock.
                let due = written.max(since) + SILENT - Duration::from_secs(30);
                if now >= due && clock != beat {
                    (beat, written) = (clock, now);
                }
                let found = silence.observe(&[open(1, 0), open(2, beat)], now);
                let late = now.saturating_duration_since(written.max(since)) >= SILENT;
                prop_assert!(late || !found.contains(&open(2, beat)));
                if found.contains(&open(1, 0)) {
                    dead_found.get_or_insert(now);
                }
                prop_assert_eq!(dead_found.is_some(), now.duration_since(since) >= SILENT);
            }
        }
    }
}
