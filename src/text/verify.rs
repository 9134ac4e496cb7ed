//! Whether a form that was found is meant, by what stands around it.
//!
//! A form that stands there letter by letter, as a word of its own, is. Any other reading must not
//! make an innocent word a forbidden one, and must not be put together from pieces that are words
//! themselves ("pen is mine").

use super::fold::{Kind, Symbol};
use super::guard::{is_common, starts_common};
use super::readings::{CONFUSED, LEET, Means, single};
use super::scan::Candidate;

/// What is left of a word behind an apostrophe.
const CONTRACTIONS: [&str; 8] = ["s", "t", "d", "m", "ll", "re", "ve", "em"];

/// What a letter alone names a kind of: "Vitamin C rap" is no crap.
const LABELS: [&str; 22] = [
    "vitamin",
    "plan",
    "type",
    "class",
    "grade",
    "hepatitis",
    "section",
    "option",
    "level",
    "team",
    "group",
    "category",
    "figure",
    "part",
    "row",
    "size",
    "channel",
    "studio",
    "gate",
    "series",
    "drive",
    "model",
];

/// Longest piece of text that is compared with the list of common words, in letters.
const LONGEST: usize = 16;

/// Most readings of one piece of text that are tried for an innocent one.
const MAX_READINGS: usize = 8;

/// The symbols that a hit covers, both included, and what its reading cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) cost: u16,
}

/// The place of a form, where it is meant.
pub(super) fn verify(text: &[Symbol], form: &str, candidate: &Candidate) -> Option<Span> {
    let state = &candidate.state;
    let span = Span { first: state.start, last: state.last, cost: state.cost };
    let whole =
        Span { first: token_start(text, span.first), last: token_end(text, span.last), ..span };
    if !is_legible(candidate) {
        return None;
    }
    let meant = if !state.bent {
        !is_part_of_word(text, extent(text, candidate), whole)
    } else if !state.gap_signs && !state.gap_spaces {
        !has_innocent_reading(text, form, whole)
    } else {
        form.contains(' ') || is_spelled_out(text, span, state.gap_spaces)
    };
    meant.then(|| extent(text, candidate))
}

/// What a form covers: what was read as it, and the rest of the word where a `*` stands.
pub(super) fn extent(text: &[Symbol], candidate: &Candidate) -> Span {
    let state = &candidate.state;
    let first = if candidate.floating { token_start(text, state.start) } else { state.start };
    let last = if candidate.end.open { token_end(text, state.last) } else { state.last };
    Span { first, last, cost: state.cost }
}

/// Whether enough of the form was read as it stands: 455 is a number, f**k is a word, f*** is not
/// one but many.
fn is_legible(candidate: &Candidate) -> bool {
    let (state, letters) = (&candidate.state, u16::from(candidate.end.letters));
    let [plain, digits, masks, confused] =
        [state.plain, state.digits, state.masks, state.confused].map(u16::from);
    let few_digits =
        digits * 2 <= letters || (letters >= 5 && plain >= 2 && digits * 3 <= letters * 2);
    plain + confused > 0
        && few_digits
        && (masks == 0 || (letters >= 4 && masks * 2 <= letters))
        && (confused == 0 || (letters >= 4 && confused * 3 <= letters))
}

fn token_start(text: &[Symbol], at: usize) -> usize {
    let before = text[..at].iter().rev().take_while(|s| s.is_word()).take(LONGEST * 4).count();
    at - before
}

fn token_end(text: &[Symbol], at: usize) -> usize {
    at + text[at + 1..].iter().take_while(|s| s.is_word()).take(LONGEST * 4).count()
}

/// The letters and digits among some symbols.
fn spelled(symbols: &[Symbol]) -> String {
    symbols.iter().filter(|s| s.is_word()).map(|s| s.c).collect()
}

/// Whether an exact form is but a part of a common word: of one in odd capitals (gLASS), of one
/// with a hyphen in it (cock-tail), of one that recognition took apart (ass ociation).
fn is_part_of_word(text: &[Symbol], span: Span, whole: Span) -> bool {
    let own = spelled(&text[whole.first..=whole.last]);
    let inner = (whole.first, whole.last) != (span.first, span.last);
    if inner && is_common(&own) {
        return true;
    }
    let joins = |other: &str, joined: &str, hyphen: bool| {
        !other.is_empty() && is_common(joined) && (hyphen || !is_common(other))
    };
    let (after, hyphen) = following(text, whole.last);
    if joins(&after, &format!("{own}{after}"), hyphen) {
        return true;
    }
    let (before, hyphen) = preceding(text, whole.first);
    joins(&before, &format!("{before}{own}"), hyphen)
}

/// The word after a hyphen, a space or both, and whether there was a hyphen.
fn following(text: &[Symbol], last: usize) -> (String, bool) {
    let gap = text[last + 1..].iter().take_while(|s| s.c == '-' || s.kind == Kind::Space).take(3);
    let (gap, hyphen) = gap.fold((0, false), |(n, hyphen), s| (n + 1, hyphen || s.c == '-'));
    let rest = text[last + 1 + gap..].iter().take_while(|s| s.is_word()).take(LONGEST);
    (if gap == 0 { String::new() } else { rest.map(|s| s.c).collect() }, hyphen)
}

fn preceding(text: &[Symbol], first: usize) -> (String, bool) {
    let gap =
        text[..first].iter().rev().take_while(|s| s.c == '-' || s.kind == Kind::Space).take(3);
    let (gap, hyphen) = gap.fold((0, false), |(n, hyphen), s| (n + 1, hyphen || s.c == '-'));
    let count = text[..first - gap].iter().rev().take_while(|s| s.is_word()).take(LONGEST).count();
    let rest = &text[first - gap - count..first - gap];
    (if gap == 0 { String::new() } else { spelled(rest) }, hyphen)
}

/// Whether a whole piece of text can be read as a common word at no more cost than as the form.
fn has_innocent_reading(text: &[Symbol], form: &str, whole: Span) -> bool {
    let mut last = whole.last;
    // tit@n: the sign between letters may be one.
    if let [sign, letter, ..] = &text[last + 1..]
        && sign.kind == Kind::Sign
        && !single(sign.c).is_empty()
        && letter.is_word()
    {
        last = token_end(text, last + 2);
    }
    let symbols = &text[whole.first..=last];
    if symbols.len() > LONGEST {
        return false;
    }
    let own = &text[whole.first..=whole.last];
    let mut pieces = own.split(|s| !s.is_word()).filter(|piece| !piece.is_empty()).map(spelled);
    let odd = own.iter().any(|s| matches!(s.c, '$' | '*' | '€' | '£' | '¢' | '¥' | '§'));
    if !odd && pieces.all(|piece| piece != form && is_common(&piece)) {
        return true;
    }
    let mut readings = vec![(String::new(), 0)];
    for symbol in symbols {
        let mut next = Vec::new();
        for (read, cost) in &readings {
            if symbol.is_word() {
                next.push((format!("{read}{}", symbol.c), *cost));
            }
            for &(letter, means) in single(symbol.c) {
                let more = if means == Means::Leet { LEET } else { CONFUSED };
                next.push((format!("{read}{letter}"), cost + more));
            }
        }
        next.sort_by_key(|(_, cost)| *cost);
        next.truncate(MAX_READINGS);
        readings = next;
    }
    readings.iter().any(|(read, cost)| *cost <= whole.cost && read != form && is_common(read))
}

/// Whether letters with gaps between them are meant as one word.
fn is_spelled_out(text: &[Symbol], span: Span, spaces: bool) -> bool {
    let pieces: Vec<&[Symbol]> = text[span.first..=span.last]
        .split(|s| !s.is_word())
        .filter(|piece| !piece.is_empty())
        .collect();
    if pieces.iter().all(|piece| piece.len() == 1) {
        return !is_inside_spaced_word(text, span);
    }
    if pieces.iter().any(|piece| piece.iter().all(|s| s.kind == Kind::Digit)) {
        return false;
    }
    let words: Vec<String> = pieces.iter().map(|piece| spelled(piece)).collect();
    let gaps = text[span.first..=span.last].iter().filter(|s| !s.is_word());
    if spaces {
        let sentence = gaps.clone().any(|s| ".,!?;:".contains(s.c));
        return !sentence
            && words.iter().any(|word| !is_plain_word(word))
            && !(words[0].len() == 1 && is_label(text, span.first, &words[0]));
    }
    let tail = words.last().is_some_and(|tail| CONTRACTIONS.contains(&tail.as_str()));
    if tail && gaps.clone().all(|s| s.c == '\'') {
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
    LABELS.contains(&before.as_str()) || (CONTRACTIONS.contains(&letter) && is_common(&before))
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
