//! What operators said of rooms, kept from one stream to the next.
//!
//! A broadcaster who loses the network or reloads a page ends a stream, and its return starts
//! another one by itself. That one must not show what the operator had covered in the first.

use std::collections::VecDeque;

use crate::censor::Document;

/// Rooms that are remembered; beyond them the one that ended longest ago is forgotten.
pub(super) const ROOMS: usize = 1_000;

/// What an operator said of a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// The rules that its stream was started with, over the room's.
    pub rules: Document,
    /// The dump button is pressed; `true`: the sound is muted too.
    pub cover: Option<bool>,
}

/// What was said of rooms whose stream has ended.
#[derive(Debug, Default)]
pub(super) struct Memory(VecDeque<(String, Said)>);

impl Memory {
    /// Remembers what holds for a room from now on.
    pub(super) fn keep(&mut self, room: String, said: Said) {
        self.0.retain(|(known, _)| *known != room);
        if said != Said::default() {
            self.0.push_front((room, said));
            self.0.truncate(ROOMS);
        }
    }

    /// What was said of a room; nothing when it is not known.
    pub(super) fn recall(&self, room: &str) -> Said {
        let known = self.0.iter().find(|(known, _)| known == room);
        known.map(|(_, said)| said.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(padding: f32, cover: Option<bool>) -> Said {
        let rules = Document { padding: Some(padding), ..Document::default() };
        Said { rules, cover }
    }

    #[test]
    fn the_last_word_on_a_room_holds() {
        let mut memory = Memory::default();
        assert_eq!(memory.recall("stage"), Said::default());
        memory.keep("stage".into(), said(0.1, Some(true)));
        memory.keep("other".into(), said(0.2, None));
        assert_eq!(memory.recall("stage"), said(0.1, Some(true)));
        memory.keep("stage".into(), Said::default());
        assert_eq!(memory.recall("stage"), Said::default());
        assert_eq!(memory.recall("other"), said(0.2, None));
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = Memory::default();
        for n in 0..=ROOMS {
            memory.keep(n.to_string(), said(0.5, None));
        }
        assert_eq!(memory.0.len(), ROOMS);
        assert_eq!(memory.recall("0"), Said::default());
        assert_eq!(memory.recall("1"), said(0.5, None));
    }
}
