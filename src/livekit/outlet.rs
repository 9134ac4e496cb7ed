//! The sending end of an actor's output. The actor never waits for whoever reads it: frames that
//! do not fit are dropped and counted by the caller, everything else waits in a small backlog.

use std::collections::VecDeque;

use tokio::sync::mpsc;

/// Control messages that may wait for a slow reader. One who lets this many pile up has stopped
/// reading, and is treated as gone.
const BACKLOG: usize = 1024;

/// A bounded channel in front of which control messages queue and frames do not.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    sender: mpsc::Sender<T>,
    backlog: VecDeque<T>,
    overrun: bool,
}

impl<T> Outlet<T> {
    /// An outlet into `sender`.
    pub(super) fn new(sender: mpsc::Sender<T>) -> Self {
        Self { sender, backlog: VecDeque::new(), overrun: false }
    }

    /// Sends a control message, in order with everything else; it is never lost.
    pub(super) fn control(&mut self, item: T) {
        if self.backlog.len() >= BACKLOG {
            self.overrun = true;
            return;
        }
        self.backlog.push_back(item);
        self.push();
    }

    /// Sends a frame if there is room now. False when it was dropped.
    pub(super) fn frame(&mut self, item: T) -> bool {
        self.push();
        self.backlog.is_empty() && self.sender.try_send(item).is_ok()
    }

    /// Whether nobody reads any more.
    pub(super) fn abandoned(&self) -> bool {
        self.overrun || self.sender.is_closed()
    }

    /// Moves the backlog on as the reader makes room; returns when some moved, or never when
    /// there is none. Cancelling it loses nothing.
    pub(super) async fn drain(&mut self) {
        if self.backlog.is_empty() {
            return self.sender.closed().await;
        }
        if let Ok(permit) = self.sender.reserve().await
            && let Some(item) = self.backlog.pop_front()
        {
            permit.send(item);
        }
    }

    /// As [`Outlet::control`], for a message that says nothing new while the same one waits.
    pub(super) fn remind(&mut self, item: T)
    where
        T: PartialEq,
    {
        if !self.backlog.contains(&item) {
            self.control(item);
        }
    }

    fn push(&mut self) {
        while !self.backlog.is_empty() {
            let Ok(permit) = self.sender.try_reserve() else { return };
            if let Some(item) = self.backlog.pop_front() {
                permit.send(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn control_waits_and_frames_do_not() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outlet = Outlet::new(sender);
        assert!(outlet.frame(1) && outlet.frame(2));
        assert!(!outlet.frame(3));
        outlet.control(4);
        assert_eq!(receiver.recv().await, Some(1));
        outlet.drain().await;
        assert!(!outlet.frame(5), "no room, and nothing overtakes a control message");
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, Some(4));
        assert!(outlet.frame(6));
        assert_eq!(receiver.recv().await, Some(6));
    }

    #[tokio::test]
    async fn a_reminder_waits_once() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        for _ in 0..=BACKLOG + 1 {
            outlet.remind("keyframe");
        }
        assert!(!outlet.abandoned());
        assert_eq!(receiver.recv().await, Some("keyframe"));
        outlet.drain().await;
        assert_eq!(receiver.recv().await, Some("keyframe"));
        assert!(receiver.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_reader_that_stopped_reading_is_noticed() {
        let (sender, receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        for n in 0..=BACKLOG + 1 {
            outlet.control(n);
        }
        assert!(outlet.abandoned());
        drop(receiver);
        outlet.drain().await;
        assert!(outlet.abandoned());
    }
}
