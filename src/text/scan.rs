//! Finds the forms of a trie in symbols, through disguises.
//!
//! All starts and all readings are followed at once, as one set of states that moves along the
//! text: a nondeterministic automaton with costs. The set holds at most [`BEAM`] states, the
//! cheapest ones, and each tries a handful of readings a symbol, so the time is linear in the text
//! whatever it says.

use super::fold::{Kind, Symbol, is_unspaced};
use super::readings::{
    CONFUSED, FUSED, LEET, MASK, Means, REPEAT, SIGNS, SPACES, pair, single, split,
};
use super::trie::{ANY, End, FLOATING, NodeId, ROOT, Trie};

/// Most states at once. Ordinary text needs fewer than ten, text made to be hard about thirty.
pub(super) const BEAM: usize = 48;

/// Most different signs and spaces between two letters of a word: " . ".
const GAP: u8 = 3;

/// The cost from which a reading is given up.
const GIVE_UP: u16 = 50;

/// A way through the trie that ends at the symbol before the current one.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    node: NodeId,
    /// The letter read last.
    letter: char,
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
    gap: u8,
    /// The gap stands where the form has a space.
    between: bool,
    /// Symbols that a pair has already read.
    skip: u8,
}

/// A form found, before its surroundings are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) end: End,
    pub(super) floating: bool,
    pub(super) state: State,
}

/// Follows the text and gives each form found to `found`; returns the number of readings tried.
pub(super) fn scan(trie: &Trie, text: &[Symbol], found: &mut impl FnMut(Candidate)) -> usize {
    let mut scan =
        Scan { trie, text, now: Vec::new(), next: Vec::new(), slots: Slots::new(), steps: 0 };
    for at in 0..text.len() {
        scan.step(at, found);
    }
    scan.steps
}

struct Scan<'a> {
    trie: &'a Trie,
    text: &'a [Symbol],
    now: Vec<State>,
    next: Vec<State>,
    slots: Slots,
    steps: usize,
}

impl Scan<'_> {
    fn step(&mut self, at: usize, found: &mut impl FnMut(Candidate)) {
        self.next.clear();
        self.slots.clear();
        for state in std::mem::take(&mut self.now) {
            self.advance(state, at, found);
        }
        for root in self.starts(at).into_iter().flatten() {
            self.letters(fresh(root, at), at, found);
        }
        std::mem::swap(&mut self.now, &mut self.next);
        if self.now.len() > BEAM {
            self.now.select_nth_unstable_by_key(BEAM, |state| state.cost);
            self.now.truncate(BEAM);
        }
    }

    /// The roots from which words may begin at a symbol.
    fn starts(&self, at: usize) -> [Option<NodeId>; 2] {
        if self.text[at].kind == Kind::Space {
            return [None, None];
        }
        let any = !self.trie.node(FLOATING).edges.is_empty();
        [may_start(self.text, at).then_some(ROOT), any.then_some(FLOATING)]
    }

    fn advance(&mut self, mut state: State, at: usize, found: &mut impl FnMut(Candidate)) {
        if state.skip > 0 {
            state.skip -= 1;
            self.push(state);
            return;
        }
        let symbol = &self.text[at];
        self.steps += 1;
        if symbol.is_word() {
            let same = symbol.c == state.letter
                || single(symbol.c)
                    .iter()
                    .any(|&(c, means)| c == state.letter && means == Means::Leet);
            if same && !state.between {
                self.repeat(state, at, found);
            }
            if self.trie.node(state.node).loops && state.gap == 0 {
                let kept = State { last: at, ..state };
                self.push(kept);
                self.report(kept, at, found);
            }
            if let Some(node) = self.trie.child(state.node, ANY) {
                let open = State { node, gap: 0, ..state };
                if state.gap == 0 {
                    self.push(State { last: at, ..open });
                    self.letters(open, at, found);
                }
            }
        } else {
            self.gap(state, at);
        }
        self.letters(state, at, found);
        if state.gap == 0
            && symbol.is_word()
            && let Some(node) = self.trie.child(state.node, ' ')
        {
            let fused = State { node, cost: state.cost + FUSED, bent: true, ..state };
            self.letters(fused, at, found);
        }
    }

    /// The same letter again: baaad.
    fn repeat(&mut self, state: State, at: usize, found: &mut impl FnMut(Candidate)) {
        let again = self.text[at - 1].c == self.text[at].c && state.last + 1 < at;
        let cost = if again || state.bent { state.cost } else { state.cost + REPEAT };
        let kept = closed(State { last: at, cost, bent: true, ..state });
        self.push(kept);
        self.report(kept, at, found);
    }

    /// A sign or space: between letters, or where the form has a space.
    fn gap(&mut self, state: State, at: usize) {
        let same = at > 0 && self.text[at - 1].c == self.text[at].c && state.gap > 0;
        let gap = if same { state.gap } else { state.gap + 1 };
        if gap > GAP {
            return;
        }
        if state.between {
            self.push(State { gap, ..state });
            return;
        }
        if let Some(node) = self.trie.child(state.node, ' ').filter(|_| state.gap == 0) {
            self.push(State { node, gap, between: true, ..state });
        }
        let (gap_signs, gap_spaces, cost) = match self.text[at].kind {
            Kind::Space => (state.gap_signs, true, if state.gap_spaces { 0 } else { SPACES }),
            _ => (true, state.gap_spaces, if state.gap_signs { 0 } else { SIGNS }),
        };
        let cost = state.cost + cost;
        self.push(State { gap, gap_signs, gap_spaces, cost, bent: true, ..state });
    }

    /// All letters that the symbol may stand for.
    fn letters(&mut self, state: State, at: usize, found: &mut impl FnMut(Candidate)) {
        let symbol = &self.text[at];
        if symbol.is_word() {
            self.steps += 1;
            if let Some(node) = self.trie.child(state.node, symbol.c) {
                let plain = state.plain.saturating_add(1);
                self.reach(State { node, plain, letter: symbol.c, ..state }, at, found);
            }
            if let Some((first, second)) = split(symbol.c)
                && let Some(node) = self.trie.child(state.node, first)
                && let Some(node) = self.trie.child(node, second)
            {
                self.reach(confused(State { node, letter: second, ..state }), at, found);
            }
            if let Some(next) = self.text.get(at + 1)
                && let Some(letter) = pair(symbol.c, next.c)
                && let Some(node) = self.trie.child(state.node, letter)
            {
                let read = confused(State { node, letter, skip: 1, ..state });
                self.reach(read, at + 1, found);
            }
        }
        for &(letter, means) in single(symbol.c) {
            self.steps += 1;
            let Some(node) = self.trie.child(state.node, letter) else { continue };
            let read = State { node, letter, ..state };
            self.reach(
                match (means, symbol.kind) {
                    (Means::Confused, _) => confused(read),
                    (_, Kind::Sign) => State { signs: read.signs.saturating_add(1), ..leet(read) },
                    (_, Kind::Digit) => {
                        State { digits: read.digits.saturating_add(1), ..leet(read) }
                    }
                    _ => State { plain: read.plain.saturating_add(1), ..leet(read) },
                },
                at,
                found,
            );
        }
        if symbol.c == '*' && state.plain > 0 && state.gap == 0 {
            for edge in 0..self.trie.node(state.node).edges.len() {
                self.steps += 1;
                let (letter, node) = self.trie.node(state.node).edges[edge];
                if letter.is_alphabetic() {
                    let masks = state.masks.saturating_add(1);
                    let cost = state.cost + MASK;
                    self.reach(State { node, letter, masks, cost, bent: true, ..state }, at, found);
                }
            }
        }
    }

    /// A letter was read: the state goes on, and may be at the end of a form.
    fn reach(&mut self, state: State, last: usize, found: &mut impl FnMut(Candidate)) {
        let state = closed(State { last, ..state });
        if state.cost < GIVE_UP {
            self.push(state);
            self.report(state, last, found);
        }
    }

    fn report(&self, state: State, last: usize, found: &mut impl FnMut(Candidate)) {
        for &end in &self.trie.node(state.node).ends {
            if end.open || may_end(self.text, last) {
                // Which root it came from shows in whether its first letter may start a word.
                let floating = !may_start(self.text, state.start);
                found(Candidate { end, floating, state });
            }
        }
    }

    fn push(&mut self, state: State) {
        match self.slots.place(&self.next, &state) {
            Some(known) => {
                if state.cost < self.next[known].cost {
                    self.next[known] = state;
                }
            }
            None => self.next.push(state),
        }
    }
}

fn fresh(node: NodeId, at: usize) -> State {
    State {
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
    }
}

fn closed(state: State) -> State {
    State { gap: 0, between: false, ..state }
}

fn leet(state: State) -> State {
    State { cost: state.cost + LEET, bent: true, ..state }
}

fn confused(state: State) -> State {
    let confused = state.confused.saturating_add(1);
    State { cost: state.cost + CONFUSED, confused, bent: true, ..state }
}

/// Whether a word may begin at a symbol: nothing of a word stands before it, or digits alone, or a
/// small letter before a capital (holyCrap).
pub(super) fn may_start(text: &[Symbol], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|b| &text[b]) else { return true };
    let symbol = &text[at];
    match before.kind {
        Kind::Space => true,
        // What follows an apostrophe belongs to the word before it.
        Kind::Sign => before.c != '\'' || at < 2 || !text[at - 2].is_word(),
        Kind::Letter if symbol.start == before.start && symbol.line == before.line => false,
        Kind::Letter => is_camel(before, symbol) || unspaced(before, symbol),
        Kind::Digit => {
            symbol.kind == Kind::Letter
                && text[..at]
                    .iter()
                    .rev()
                    .take_while(|s| s.is_word())
                    .take(LABEL + 1)
                    .all(|s| s.kind == Kind::Digit)
        }
    }
}

/// Whether a word may end at a symbol.
pub(super) fn may_end(text: &[Symbol], last: usize) -> bool {
    let Some(after) = text.get(last + 1) else { return true };
    let symbol = &text[last];
    match after.kind {
        Kind::Space | Kind::Sign => true,
        Kind::Letter if symbol.start == after.start && symbol.line == after.line => false,
        Kind::Letter => is_camel(symbol, after) || unspaced(symbol, after),
        Kind::Digit => {
            symbol.kind == Kind::Letter
                && text[last + 1..]
                    .iter()
                    .take_while(|s| s.is_word())
                    .take(LABEL + 1)
                    .all(|s| s.kind == Kind::Digit)
        }
    }
}

/// Most digits that are looked at beside a word: crap2024.
const LABEL: usize = 12;

fn is_camel(before: &Symbol, after: &Symbol) -> bool {
    before.kind == Kind::Letter && !before.upper && after.kind == Kind::Letter && after.upper
}

fn unspaced(before: &Symbol, after: &Symbol) -> bool {
    is_unspaced(before.c) || is_unspaced(after.c)
}

/// Where the states of the next set are, by node and by what they went through: of two that are
/// alike the cheaper one stays.
struct Slots {
    /// Index into the set plus one, and the generation it belongs to.
    table: Vec<(u32, u32)>,
    generation: u32,
}

/// More than the states that 48 can lead to, so that places are found at once.
const SLOTS: usize = 1_024;

impl Slots {
    fn new() -> Self {
        Self { table: vec![(0, 0); SLOTS], generation: 0 }
    }

    fn clear(&mut self) {
        self.generation += 1;
    }

    /// The index of a state like `state`; else its place is taken for the one pushed next.
    fn place(&mut self, set: &[State], state: &State) -> Option<usize> {
        let key = |s: &State| (s.node, s.gap, s.between, s.skip, s.gap_signs, s.gap_spaces);
        let mut slot = (state.node as usize)
            .wrapping_mul(0x9E37_79B1)
            .wrapping_add(usize::from(state.gap) * 7 + usize::from(state.gap_signs))
            % SLOTS;
        for _ in 0..SLOTS {
            let (index, generation) = self.table[slot];
            if generation != self.generation {
                self.table[slot] = (u32::try_from(set.len()).unwrap_or(0), self.generation);
                return None;
            }
            if key(&set[index as usize]) == key(state) {
                return Some(index as usize);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }
}
