//! As what else a character may be read, and what each such reading costs.
//!
//! Costs are hundredths of a score of one.

/// A digit or sign in place of a letter: b4d.
pub(super) const LEET: u16 = 5;
/// A letter that recognition or a writer confuses with another: l for i, rn for m.
pub(super) const CONFUSED: u16 = 15;
/// A star in place of a letter: d*mn.
pub(super) const MASK: u16 = 10;
/// A letter twice where the word has it once; more often costs nothing more.
pub(super) const REPEAT: u16 = 5;
/// Signs between letters: b.a.d, ba-d.
pub(super) const SIGNS: u16 = 5;
/// Spaces between letters: b a d.
pub(super) const SPACES: u16 = 10;
/// Words of a phrase written as one.
pub(super) const FUSED: u16 = 5;

/// How a letter was got out of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// [`LEET`].
    Leet,
    /// [`LEET`] too, but seldom meant so: counts twice.
    Rare,
    /// [`CONFUSED`].
    Confused,
}

/// The letters that one digit, sign or letter may stand for.
pub(super) fn single(c: char) -> &'static [(char, Means)] {
    use Means::{Confused, Leet, Rare};
    match c {
        '0' => &[('o', Leet)],
        '1' | '!' | '|' => &[('i', Leet), ('l', Leet)],
        '2' => &[('z', Rare)],
        '3' | '€' => &[('e', Leet)],
        '4' | '@' => &[('a', Leet)],
        '5' | '$' | '§' => &[('s', Leet)],
        '6' => &[('g', Rare), ('b', Rare)],
        '7' | '+' => &[('t', Leet)],
        '8' => &[('b', Leet)],
        '9' => &[('g', Rare)],
        '(' | '<' | '¢' => &[('c', Leet)],
        '#' => &[('h', Leet)],
        '£' => &[('l', Leet), ('e', Leet)],
        '¥' => &[('y', Leet)],
        'v' => &[('u', Leet)],
        'i' => &[('l', Confused)],
        'l' => &[('i', Confused)],
        'q' => &[('g', Confused)],
        'g' => &[('q', Confused)],
        _ => &[],
    }
}

/// The letter that two may stand for.
pub(super) fn pair(first: char, second: char) -> Option<char> {
    match (first, second) {
        ('r', 'n') => Some('m'),
        ('c', 'l') => Some('d'),
        ('v', 'v') => Some('w'),
        _ => None,
    }
}

/// The two letters that one may stand for.
pub(super) fn split(c: char) -> Option<(char, char)> {
    match c {
        'm' => Some(('r', 'n')),
        'd' => Some(('c', 'l')),
        'w' => Some(('v', 'v')),
        _ => None,
    }
}
