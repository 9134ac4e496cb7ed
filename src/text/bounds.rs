//! Where words begin and end.

use super::fold::{Kind, Symbol, is_unspaced};

/// Most digits that are looked at beside a word: crap2024.
const LABEL: usize = 12;

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

fn is_camel(before: &Symbol, after: &Symbol) -> bool {
    before.kind == Kind::Letter && !before.upper && after.kind == Kind::Letter && after.upper
}

fn unspaced(before: &Symbol, after: &Symbol) -> bool {
    is_unspaced(before.c) || is_unspaced(after.c)
}
