//! Encoded frames that wait for their time. Pure.
//!
//! Frames come out by time and, within a track, in the order they went in: an early due time
//! never lets a frame overtake the one before it, which it may refer to.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use crate::media::Source;

/// Frames that may wait: ten seconds of a camera at 60 a second, a screen and two sounds at 50,
/// with room to spare. When full the newest is refused and its track needs a keyframe.
pub(super) const CAPACITY: usize = 4096;

/// A bounded queue ordered by due time.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
    /// The latest due time given out on each track.
    latest: HashMap<Source, Instant>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<T> {
    key: Reverse<(Instant, u64)>,
    source: Source,
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<T> Schedule<T> {
    /// An empty schedule.
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), latest: HashMap::new(), sequence: 0 }
    }

    /// Takes an item in. False when full: the item is dropped.
    pub(super) fn push(&mut self, source: Source, due: Instant, item: T) -> bool {
        if self.heap.len() >= CAPACITY {
            return false;
        }
        let latest = self.latest.entry(source).or_insert(due);
        *latest = due.max(*latest);
        self.sequence += 1;
        self.heap.push(Entry { key: Reverse((*latest, self.sequence)), source, item });
        true
    }

    /// When the next item is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.key.0.0)
    }

    /// The next item, with its due time, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.deadline()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.key.0.0, entry.item))
    }

    /// Drops what a track still has waiting.
    pub(super) fn clear(&mut self, source: Source) {
        self.heap.retain(|entry| entry.source != source);
        self.latest.remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    #[test]
    fn refuses_what_does_not_fit_and_frees_what_is_cleared() {
        let now = clock::now();
        let mut schedule = Schedule::new();
        for n in 0..CAPACITY {
            assert!(schedule.push(Source::Camera, now, n));
        }
        assert!(!schedule.push(Source::Microphone, now, 0));
        schedule.clear(Source::Camera);
        assert!(schedule.push(Source::Microphone, now, 7));
        assert_eq!(schedule.pop(now), Some((now, 7)));
    }

    proptest! {
        #[test]
        fn comes_out_by_time_and_in_order_within_a_track(
            items in prop::collection::vec((0u8..2, 0u64..50), 1..100)
        ) {
            let start = clock::now();
            let mut schedule = Schedule::new();
            for (n, (track, due)) in items.iter().enumerate() {
                let source = if *track == 0 { Source::Camera } else { Source::Microphone };
                let due_at = start + Duration::from_millis(*due);
                prop_assert!(schedule.push(source, due_at, (*track, n, due_at)));
            }
            let mut last = [None::<usize>; 2];
            let mut popped = 0;
            for ms in 0..50 {
                let now = start + Duration::from_millis(ms);
                while let Some((due, (track, n, wanted))) = schedule.pop(now) {
                    prop_assert!(due <= now && wanted <= due);
                    prop_assert!(last[track as usize].is_none_or(|before| before < n));
                    last[track as usize] = Some(n);
                    popped += 1;
                }
                prop_assert!(schedule.deadline().is_none_or(|due| due > now));
            }
            prop_assert_eq!(popped, items.len());
        }
    }
}
