//! Whether letters that stand apart are one word: b.a.d is, "pen is mine" is not.

use super::fold::{Kind, Symbol};
use super::guard::{is_common, starts_common};
use super::scan::Candidate;
use super::verify::{LONGEST, Span, is_abbreviation, preceding, spelled};

/// What is left of a word behind an apostrophe.
const CONTRACTIONS: [&str; 8] = ["s", "t", "d", "m", "ll", "re", "ve", "em"];

/// What a letter alone names a kind of: "Vitamin C rap" is no crap.
const LABELS: &str = " vitamin plan type class grade hepatitis section option level team group \
                      category figure part row size channel studio gate series drive model ";

/// Whether letters with gaps between them are meant as one word.
pub(super) fn is_spelled_out(text: &[Symbol], form: &str, candidate: &Candidate) -> bool {
    let state = &candidate.state;
    let span = Span { first: state.start, last: state.last, cost: state.cost };
    let pieces: Vec<&[Symbol]> = text[span.first..=span.last]
        .split(|s| !s.is_word())
        .filter(|piece| !piece.is_empty())
        .collect();
    if pieces.iter().all(|piece| piece.len() == 1) {
        return !is_inside_spaced_word(text, span);
    }
    let number = pieces.iter().any(|piece| piece.iter().all(|s| s.kind == Kind::Digit));
    if number || is_abbreviation(form) {
        return false;
    }
    let words: Vec<String> = pieces.iter().map(|piece| spelled(piece)).collect();
    let gaps = text[span.first..=span.last].iter().filter(|s| !s.is_word());
    if state.gap_spaces {
        return state.digits + state.signs + state.confused == 0
            && gaps.clone().all(|s| s.c == '-' || s.kind == Kind::Space)
            && words.iter().any(|word| !is_plain_word(word))
            && !(words[0].len() == 1 && is_label(text, span.first, &words[0]));
    }
    // he'll, who're: what stands before is a word of its own.
    let [heads @ .., tail] = words.as_slice() else { return false };
    let contracted = CONTRACTIONS.contains(&tail.as_str()) && heads.iter().all(|w| is_common(w));
    if contracted && gaps.clone().all(|s| s.c == '\'') {
        return false;
    }
    let odd = |word: &String| word.len() > 1 && !is_common(word);
    if is_compound(text, span) {
        words.iter().any(odd)
    } else {
        words.iter().any(|w| odd(w) || w.len() == 1)
    }
}

/// Whether a piece between spaces is ordinary: a common word, or one of the letters that are.
fn is_plain_word(word: &str) -> bool {
    if word.len() == 1 { matches!(word, "a" | "i") } else { is_common(word) }
}

/// Whether a letter alone belongs to the word before it: Vitamin C, it s.
fn is_label(text: &[Symbol], first: usize, letter: &str) -> bool {
    let (before, _) = preceding(text, first);
    (!before.is_empty() && LABELS.contains(&format!(" {before} ")))
        || (CONTRACTIONS.contains(&letter) && is_common(&before))
}

/// Whether a sign ties the span to a further word on either side.
fn is_compound(text: &[Symbol], span: Span) -> bool {
    let sign = |at: Option<&Symbol>| at.is_some_and(|s| s.kind == Kind::Sign);
    let word = |at: Option<&Symbol>| at.is_some_and(Symbol::is_word);
    let before = |n: usize| span.first.checked_sub(n).map(|at| &text[at]);
    (sign(before(1)) && word(before(2)))
        || (sign(text.get(span.last + 1)) && word(text.get(span.last + 2)))
}

/// Whether letters written apart are part of a longer common word written apart: c l a s s.
fn is_inside_spaced_word(text: &[Symbol], span: Span) -> bool {
    let alone = |at: usize| {
        text[at].is_word()
            && !at.checked_sub(1).is_some_and(|b| text[b].is_word())
            && !text.get(at + 1).is_some_and(Symbol::is_word)
    };
    let near = |gap: &Symbol| !gap.is_word() && (gap.kind != Kind::Space || gap.run == 1);
    let (mut before, mut at) = (Vec::new(), span.first);
    while before.len() < LONGEST / 2 && at >= 2 && near(&text[at - 1]) && alone(at - 2) {
        at -= 2;
        before.push(text[at].c);
    }
    let (mut after, mut at) = (Vec::new(), span.last);
    while after.len() < LONGEST && at + 2 < text.len() && near(&text[at + 1]) && alone(at + 2) {
        at += 2;
        after.push(text[at].c);
    }
    let mut word = spelled(&text[span.first..=span.last]);
    let own = word.len();
    for b in 0..=before.len() {
        if b > 0 {
            word.insert(0, before[b - 1]);
        }
        let mut longer = word.clone();
        let mut rest = after.iter();
        while starts_common(&longer) {
            if longer.len() > own && is_common(&longer) {
                return true;
            }
            let Some(c) = rest.next() else { break };
            longer.push(*c);
        }
    }
    false
}
