//! Frames that wait to be looked at: the newest are worth most. Pure.

use std::collections::VecDeque;

/// Frames with the numbers that they came as, oldest first; at most [`Queue::LENGTH`].
#[derive(Debug)]
pub struct Queue<T> {
    waiting: VecDeque<(u64, T)>,
    last: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), last: 0 }
    }
}

impl<T> Queue<T> {
    /// Most frames that wait. When full, the oldest is given up for the newest.
    pub const LENGTH: usize = 10;

    /// Takes a frame, which is numbered from 1 on. Returns the one that was given up for it.
    pub fn push(&mut self, frame: T) -> Option<(u64, T)> {
        self.last += 1;
        let given_up =
            if self.waiting.len() < Self::LENGTH { None } else { self.waiting.pop_front() };
        self.waiting.push_back((self.last, frame));
        given_up
    }

    /// Numbers a frame that is not taken.
    pub fn skip(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The frame that has waited longest.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every frame comes out once, in order, or is given up; never more wait than may.
        #[test]
        fn no_frame_is_lost_unsaid(pushes in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut queue = Queue::default();
            let (mut sent, mut out) = (0, Vec::new());
            for push in pushes {
                if push {
                    sent += 1;
                    out.extend(queue.push(sent).map(|(number, _)| number));
                } else if let Some((number, frame)) = queue.pop() {
                    prop_assert_eq!(number, frame);
                    out.push(number);
                }
                prop_assert!(queue.waiting.len() <= Queue::<u64>::LENGTH);
            }
            while let Some((number, _)) = queue.pop() {
                out.push(number);
            }
            prop_assert_eq!(out, (1..=sent).collect::<Vec<_>>());
        }
    }
}
