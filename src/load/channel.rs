//! One stream as its broadcaster, its viewers and whoever counts them see it.

use std::sync::{Mutex, MutexGuard};

use super::sends::Sends;
use super::tally::Tally;

/// Notes kept of one stream; more of them say nothing new.
const NOTES: usize = 16;

/// What the tasks of one stream share. Each lock is held for microseconds.
#[derive(Debug)]
pub(super) struct Channel {
    sends: Mutex<Sends>,
    tallies: Vec<Mutex<Tally>>,
    notes: Mutex<Notes>,
}

/// What happened to a stream, beside its pictures.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Connections that were lost and remade.
    pub(super) reconnects: u32,
    /// Keyframes that were asked of the broadcaster.
    pub(super) keyframes_asked: u32,
    /// Packets of sound sent, and received by all viewers.
    pub(super) sound: (u64, u64),
    /// What went wrong, for a person.
    pub(super) problems: Vec<String>,
}

impl Channel {
    /// Nothing sent or received yet.
    pub(super) fn new(sends: Sends, viewers: usize) -> Self {
        let tallies = (0..viewers).map(|_| Mutex::default()).collect();
        Self { sends: Mutex::new(sends), tallies, notes: Mutex::default() }
    }

    /// What the broadcaster sent.
    pub(super) fn sends(&self) -> MutexGuard<'_, Sends> {
        self.sends.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What viewer `index` received.
    pub(super) fn tally(&self, index: usize) -> MutexGuard<'_, Tally> {
        self.tallies[index].lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What each viewer received.
    pub(super) fn tallies(&self) -> impl Iterator<Item = MutexGuard<'_, Tally>> {
        (0..self.tallies.len()).map(|index| self.tally(index))
    }

    /// What happened beside.
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Notes a problem.
    pub(super) fn problem(&self, text: String) {
        let problems = &mut self.notes().problems;
        if problems.len() < NOTES && !problems.contains(&text) {
            problems.push(text);
        }
    }
}
