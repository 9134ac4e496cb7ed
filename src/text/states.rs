//! The states of the scan, and the set that keeps them apart.

use super::fold::Kind;
use super::readings::{CONFUSED, LEET, MASK};
use super::trie::NodeId;

/// A way through the trie that ends at the symbol before the current one.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) node: NodeId,
    /// The letter read last.
    pub(super) letter: char,
    /// Index of the first and the last symbol that were read as letters.
    pub(super) start: usize,
    pub(super) last: usize,
    pub(super) cost: u16,
    /// Letters read as they stand, digits and signs read as letters, letters read as others, and
    /// letters behind a star.
    pub(super) plain: u8,
    pub(super) digits: u8,
    pub(super) signs: u8,
    pub(super) confused: u8,
    pub(super) masks: u8,
    /// Signs or spaces between letters of one word.
    pub(super) gap_signs: bool,
    pub(super) gap_spaces: bool,
    /// Something else than the bare form was read.
    pub(super) bent: bool,
    /// Different signs and spaces since the last letter.
    pub(super) gap: u8,
    /// The gap stands where the form has a space.
    pub(super) between: bool,
    /// Symbols that a pair has already read.
    pub(super) skip: u8,
    /// At a `*` between letters, where it may stay.
    pub(super) waits: bool,
}

impl State {
    /// Before the first letter.
    pub(super) fn new(node: NodeId, at: usize) -> Self {
        Self {
            node,
            letter: ' ',
            start: at,
            last: at,
            cost: 0,
            plain: 0,
            digits: 0,
            signs: 0,
            confused: 0,
            masks: 0,
            gap_signs: false,
            gap_spaces: false,
            bent: false,
            gap: 0,
            between: false,
            skip: 0,
            waits: false,
        }
    }

    /// All letters up to `last` at once, without the spaces around them.
    pub(super) fn fused(self, last: usize, cost: u16) -> Self {
        Self { last, cost, bent: true, ..self }
    }

    /// Behind a letter: no gap is open, and no star.
    pub(super) fn closed(self) -> Self {
        Self { gap: 0, between: false, waits: false, ..self }
    }

    /// A digit, sign or letter in place of another letter, which counts as so many.
    pub(super) fn leet(self, kind: Kind, count: u8) -> Self {
        let more = |n: u8, of: Kind| if kind == of { n.saturating_add(count) } else { n };
        Self {
            cost: self.cost + LEET,
            bent: true,
            digits: more(self.digits, Kind::Digit),
            signs: more(self.signs, Kind::Sign),
            confused: more(self.confused, Kind::Letter),
            ..self
        }
    }

    pub(super) fn confused(self) -> Self {
        let confused = self.confused.saturating_add(1);
        Self { cost: self.cost + CONFUSED, confused, bent: true, ..self }
    }

    pub(super) fn masked(self) -> Self {
        Self { cost: self.cost + MASK, masks: self.masks.saturating_add(1), bent: true, ..self }
    }

    /// Of two states with one key the cheaper one stands for both.
    fn key(&self) -> (NodeId, u8, bool, u8, bool, bool) {
        (self.node, self.gap, self.between, self.skip, self.gap_signs, self.gap_spaces)
    }
}

/// Places for states: a power of two.
const SLOTS: usize = 1_024;

/// Most states that one symbol leads to, before the cheapest are chosen. Half the places, so that
/// a free one is found in a few steps. What comes behind, from the costliest states, is dropped.
const FULL: usize = SLOTS / 2;

/// The states behind one symbol, each key once.
pub(super) struct States {
    all: Vec<State>,
    /// Index into `all`, and the generation that it belongs to.
    slots: Vec<(u32, u32)>,
    generation: u32,
}

impl States {
    pub(super) fn new() -> Self {
        Self { all: Vec::with_capacity(FULL), slots: vec![(0, 0); SLOTS], generation: 1 }
    }

    pub(super) fn push(&mut self, state: State) {
        // Fibonacci hashing.
        let hash =
            (u64::from(state.node) << 3 | u64::from(state.gap)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut slot = (hash >> 54) as usize;
        loop {
            let (index, generation) = self.slots[slot];
            if generation != self.generation {
                if self.all.len() < FULL {
                    self.slots[slot] = (self.all.len() as u32, self.generation);
                    self.all.push(state);
                }
                return;
            }
            let known = &mut self.all[index as usize];
            if known.key() == state.key() {
                if state.cost < known.cost {
                    *known = state;
                }
                return;
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Empties the set into `states`: those that wait, of which there are no more than words with a
    /// `*` between letters, and at most `most` others, the cheapest, cheapest first. So what is
    /// written plainly is never crowded out.
    pub(super) fn take(&mut self, most: usize, states: &mut Vec<State>) {
        states.clear();
        self.all.sort_unstable_by_key(|state| (state.cost, state.start));
        states.extend(self.all.iter().filter(|state| !state.waits).take(most));
        states.extend(self.all.iter().filter(|state| state.waits));
        self.all.clear();
        self.generation += 1;
    }
}
