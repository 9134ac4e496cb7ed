//! What operators said of rooms, kept from one stream to the next.
//!
//! A broadcaster who loses the network or reloads a page ends a stream, and its return starts
//! another one by itself. That one must not show what the operator had covered in the first, also
//! when another process ran it: what others on the same database say of rooms is heard here too.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::censor::Document;
use crate::store::Remembered;

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

/// How far the clocks of two processes may be apart: of words that are closer in time, the one that
/// covers more holds.
const DOUBT: SignedDuration = SignedDuration::from_secs(5);

/// What was said of rooms whose stream has ended.
#[derive(Debug, Default)]
pub(super) struct Memory(VecDeque<Word>);

#[derive(Debug)]
struct Word {
    room: String,
    said: Said,
    /// When it was said here, or last held here; `None`: another process said it.
    own: Option<Timestamp>,
}

impl Memory {
    /// Remembers what holds for a room from now on.
    pub(super) fn keep(&mut self, room: String, said: Said, now: Timestamp) {
        self.put(Word { room, said, own: Some(now) });
    }

    /// Hears what another process said of a room. The later word holds.
    pub(super) fn hear(&mut self, word: Remembered) {
        let Remembered { room, rules, cover, at } = word;
        let mut said = Said { rules, cover };
        let known = self.0.iter().find(|known| known.room == room);
        let mut own = None;
        if let Some((mine, known)) = known.and_then(|known| Some((known.own?, &known.said))) {
            let later = at.duration_since(mine);
            if later < -DOUBT {
                return;
            }
            if later <= DOUBT {
                own = Some(mine);
                said.cover = said.cover.max(known.cover);
            }
        }
        self.put(Word { room, said, own });
    }

    /// The rules that its last stream was started with are over.
    pub(super) fn forget_rules(&mut self, room: &str) {
        for known in self.0.iter_mut().filter(|known| known.room == room) {
            known.said.rules = Document::default();
        }
    }

    /// What was said of a room; nothing when it is not known.
    pub(super) fn recall(&self, room: &str) -> Said {
        let known = self.0.iter().find(|known| known.room == room);
        known.map(|known| known.said.clone()).unwrap_or_default()
    }

    fn put(&mut self, word: Word) {
        self.0.retain(|known| known.room != word.room);
        self.0.push_front(word);
        if self.0.len() > ROOMS {
            // Rooms of which nothing holds go first.
            let empty = self.0.iter().rposition(|known| known.said == Said::default());
            self.0.remove(empty.unwrap_or(ROOMS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(padding: f32, cover: Option<bool>) -> Said {
        let rules = Document { padding: Some(padding), ..Document::default() };
        Said { rules, cover }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn word(padding: f32, cover: Option<bool>, second: i64) -> Remembered {
        let Said { rules, cover } = said(padding, cover);
        Remembered { room: "stage".into(), rules, cover, at: at(second) }
    }

    #[test]
    fn the_last_word_on_a_room_holds() {
        let mut memory = Memory::default();
        assert_eq!(memory.recall("stage"), Said::default());
        memory.keep("stage".into(), said(0.1, Some(true)), at(0));
        memory.keep("other".into(), said(0.2, None), at(0));
        assert_eq!(memory.recall("stage"), said(0.1, Some(true)));
        memory.keep("stage".into(), Said::default(), at(1));
        assert_eq!(memory.recall("stage"), Said::default());
        assert_eq!(memory.recall("other"), said(0.2, None));
        memory.forget_rules("other");
        assert_eq!(memory.recall("other"), Said::default());
    }

    #[test]
    fn memory_is_bounded_and_forgets_what_says_nothing_first_and_then_the_oldest() {
        let mut memory = Memory::default();
        memory.keep("first".into(), said(0.5, Some(false)), at(0));
        for n in 1..ROOMS {
            memory.keep(n.to_string(), Said::default(), at(0));
        }
        memory.keep("last".into(), said(0.5, None), at(0));
        assert_eq!(memory.0.len(), ROOMS);
        assert_eq!(memory.recall("first"), said(0.5, Some(false)));
        for n in 1..ROOMS {
            memory.keep(n.to_string(), said(0.5, None), at(0));
        }
        assert_eq!((memory.0.len(), memory.recall("first")), (ROOMS, Said::default()));
        assert_eq!(memory.recall("last"), said(0.5, None));
    }

    #[test]
    fn what_another_process_said_later_holds_and_in_doubt_what_covers() {
        let mut memory = Memory::default();
        memory.hear(word(0.1, Some(false), 0));
        assert_eq!(memory.recall("stage"), said(0.1, Some(false)), "nothing was said here");
        memory.hear(word(0.2, None, 1));
        assert_eq!(memory.recall("stage"), said(0.2, None), "of others the last");
        memory.keep("stage".into(), said(0.3, Some(true)), at(100));
        memory.hear(word(0.2, None, 94));
        assert_eq!(memory.recall("stage"), said(0.3, Some(true)), "overtaken");
        for second in [95, 105] {
            memory.hear(word(0.2, None, second));
            assert_eq!(memory.recall("stage").cover, Some(true), "in doubt");
        }
        memory.hear(word(0.2, None, 106));
        assert_eq!(memory.recall("stage"), said(0.2, None));
        memory.keep("stage".into(), Said::default(), at(200));
        memory.hear(word(0.2, Some(true), 190));
        assert_eq!(memory.recall("stage"), Said::default(), "what was lifted here stays so");
    }
}
