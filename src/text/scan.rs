//! Finds the forms of a trie in symbols, through disguises.
//!
//! All starts and all readings are followed at once, as one set of states that moves along the
//! text: a nondeterministic automaton with costs. The set holds at most [`BEAM`] states, the
//! cheapest ones, and each tries a handful of readings a symbol, so the time is linear in the text
//! whatever it says.

use super::bounds::{may_end, may_start};
use super::fold::{Kind, Symbol};
use super::readings::{FUSED, Means, REPEAT, SIGNS, SPACES, pair, single, split};
use super::states::{State, States};
use super::trie::{ANY, End, FLOATING, NodeId, ROOT, Trie};

/// Most states at once, beside those at a `*`. Ordinary text needs fewer than ten.
const BEAM: usize = 24;

/// Most different signs and spaces between two letters of a word: " . ".
const GAP: u8 = 3;

/// Most letters that one star is tried as, over all states: the cheapest go first.
const STARS: usize = 26;

/// The cost from which a reading is given up.
const GIVE_UP: u16 = 50;

/// A form found, before its surroundings are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) end: End,
    pub(super) floating: bool,
    /// It stands between words without the spaces around it.
    pub(super) fused: bool,
    pub(super) state: State,
}

/// Follows the text and gives each form found to `found`; returns the number of readings tried.
pub(super) fn scan(trie: &Trie, text: &[Symbol], found: &mut impl FnMut(Candidate)) -> usize {
    let mut scan = Scan { trie, text, next: States::new(), steps: 0, stars: 0 };
    let mut now = Vec::new();
    for at in 0..text.len() {
        scan.stars = 0;
        for state in &now {
            scan.advance(*state, at, found);
        }
        for root in scan.starts(at).into_iter().flatten() {
            scan.letters(State::new(root, at), at, found);
        }
        scan.next.take(BEAM, &mut now);
    }
    scan.steps
}

struct Scan<'a> {
    trie: &'a Trie,
    text: &'a [Symbol],
    next: States,
    steps: usize,
    /// Letters that the current star was tried as.
    stars: usize,
}

impl Scan<'_> {
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
            self.next.push(state);
            return;
        }
        let symbol = &self.text[at];
        self.steps += 1;
        if symbol.is_word() {
            let same = symbol.c == state.letter
                || single(symbol.c)
                    .iter()
                    .any(|&(c, means)| c == state.letter && means == Means::Leet);
            if same && !state.between && !state.waits {
                self.repeat(state, at, found);
            }
            if self.trie.node(state.node).loops && state.gap == 0 {
                let kept = State { last: at, ..state };
                self.next.push(kept);
                self.report(kept, at, found);
            }
            if let Some(node) = self.trie.child(state.node, ANY) {
                let open = State { node, gap: 0, ..state };
                if state.gap == 0 {
                    self.next.push(State { last: at, waits: true, ..open });
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
        let kept = State { last: at, cost, bent: true, ..state }.closed();
        self.next.push(kept);
        self.report(kept, at, found);
    }

    /// A sign or space: between letters, or where the form has a space.
    fn gap(&mut self, state: State, at: usize) {
        let same = at > 0 && self.text[at - 1].c == self.text[at].c && state.gap > 0;
        let gap = if same { state.gap } else { state.gap + 1 };
        if gap > GAP || state.waits {
            return;
        }
        if state.between {
            self.next.push(State { gap, ..state });
            return;
        }
        if let Some(node) = self.trie.child(state.node, ' ').filter(|_| state.gap == 0) {
            self.next.push(State { node, gap, between: true, ..state });
        }
        let (gap_signs, gap_spaces, cost) = match self.text[at].kind {
            Kind::Space => (state.gap_signs, true, if state.gap_spaces { 0 } else { SPACES }),
            _ => (true, state.gap_spaces, if state.gap_signs { 0 } else { SIGNS }),
        };
        // Stars stand for letters in words that stand together: neither goes with the other.
        if state.masks > 0 {
            return;
        }
        let cost = state.cost + cost;
        self.next.push(State { gap, gap_signs, gap_spaces, cost, bent: true, ..state });
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
                self.reach(State { node, letter: second, ..state }.confused(), at, found);
            }
            if let Some(next) = self.text.get(at + 1)
                && let Some(letter) = pair(symbol.c, next.c)
                && let Some(node) = self.trie.child(state.node, letter)
            {
                let read = State { node, letter, skip: 1, ..state }.confused();
                self.reach(read, at + 1, found);
            }
        }
        for &(letter, means) in single(symbol.c) {
            self.steps += 1;
            let Some(node) = self.trie.child(state.node, letter) else { continue };
            let read = State { node, letter, ..state };
            let read = match means {
                Means::Confused => read.confused(),
                Means::Leet => read.leet(symbol.kind, 1),
                Means::Rare => read.leet(symbol.kind, 2),
            };
            self.reach(read, at, found);
        }
        let together = state.gap == 0 && !state.gap_signs && !state.gap_spaces;
        if symbol.c == '*' && state.plain > 0 && together {
            for edge in 0..self.trie.node(state.node).edges.len() {
                if self.stars == STARS {
                    break;
                }
                self.stars += 1;
                self.steps += 1;
                let (letter, node) = self.trie.node(state.node).edges[edge];
                if letter.is_alphabetic() {
                    self.reach(State { node, letter, ..state }.masked(), at, found);
                }
            }
        }
    }

    /// A letter was read: the state goes on, and may be at the end of a form.
    fn reach(&mut self, state: State, last: usize, found: &mut impl FnMut(Candidate)) {
        let state = State { last, ..state }.closed();
        if state.cost < GIVE_UP {
            self.next.push(state);
            self.report(state, last, found);
        }
    }

    fn report(&self, state: State, last: usize, found: &mut impl FnMut(Candidate)) {
        for &end in &self.trie.node(state.node).ends {
            if end.open || may_end(self.text, last) {
                // Which root it came from shows in whether its first letter may start a word.
                let floating = !may_start(self.text, state.start);
                found(Candidate { end, floating, fused: false, state });
            }
        }
    }
}
