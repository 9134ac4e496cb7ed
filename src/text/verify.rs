//! Whether a form that was found is meant, by what stands around it.
//!
//! A form that stands there letter by letter, as a word of its own, is. Any other reading must not
//! make an innocent word a forbidden one, and must not be put together from pieces that are words
//! themselves ("pen is mine").

use super::apart::is_spelled_out;
use super::fold::{Kind, Symbol};
use super::guard::{is_common, starts_common};
use super::readings::{CONFUSED, LEET, Means, single};
use super::scan::Candidate;

/// Longest piece of text that is compared with the list of common words, in letters.
pub(super) const LONGEST: usize = 16;

/// Most letters that are tried for an innocent reading of one piece of text.
const MAX_READINGS: usize = 64;

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
    if candidate.fused {
        return Some(span);
    }
    let whole =
        Span { first: token_start(text, span.first), last: token_end(text, span.last), ..span };
    if !is_legible(candidate) || state.bent && is_punctuation(text, span, state.masks) {
        return None;
    }
    let meant = if !state.bent {
        !is_part_of_word(text, extent(text, candidate), whole)
    } else if !state.gap_signs && !state.gap_spaces {
        !is_abbreviation(form)
            && !is_common(&spelled(&text[span.first..=span.last]))
            && !has_innocent_reading(text, form, whole)
    } else {
        form.contains(' ') || is_spelled_out(text, form, candidate)
    };
    meant.then(|| extent(text, candidate))
}

/// Letters that are no word, like wtf: those stand together and as they are, or all apart.
pub(super) fn is_abbreviation(form: &str) -> bool {
    form.len() <= 4 && form.is_ascii() && !form.contains(['a', 'e', 'i', 'o', 'u', 'y'])
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
    let [plain, digits, signs, masks, confused] =
        [state.plain, state.digits, state.signs, state.masks, state.confused].map(u16::from);
    let few_digits =
        digits * 2 <= letters || (letters >= 5 && plain >= 2 && digits * 3 <= letters * 2);
    let gaps = state.gap_signs || state.gap_spaces;
    plain > 0
        && few_digits
        && (if gaps { signs * 2 < plain.max(1) } else { signs <= plain + 1 })
        && (masks == 0 || (letters >= 4 && masks * 2 <= letters && !gaps))
        && (confused == 0 || (letters >= 4 && plain >= 3 && confused * 3 <= letters))
}

/// Whether signs that were read as letters are but punctuation: a bracket that is closed again,
/// stars behind a word that stand for a footnote or for bold print.
fn is_punctuation(text: &[Symbol], span: Span, masks: u8) -> bool {
    let (first, last) = (text[span.first].c, text[span.last].c);
    let closes = |open, close| {
        first == open && text[span.first..].iter().take(LONGEST * 2).any(|s| s.c == close)
    };
    if closes('(', ')') || closes('<', '>') {
        return true;
    }
    if masks == 0 || last != '*' {
        return false;
    }
    let inside = &text[span.first..=span.last];
    let stars = inside.iter().rev().take_while(|s| s.c == '*').count();
    let before = span.first.checked_sub(1).is_some_and(|b| text[b].c == '*');
    let after = text.get(span.last + 1).is_some_and(|s| s.c == '*' || s.is_word());
    stars < 2 || before || after || is_common(&spelled(&inside[..inside.len() - stars]))
}

fn token_start(text: &[Symbol], at: usize) -> usize {
    let before = text[..at].iter().rev().take_while(|s| s.is_word()).take(LONGEST * 4).count();
    at - before
}

fn token_end(text: &[Symbol], at: usize) -> usize {
    at + text[at + 1..].iter().take_while(|s| s.is_word()).take(LONGEST * 4).count()
}

/// The letters and digits among some symbols.
pub(super) fn spelled(symbols: &[Symbol]) -> String {
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

pub(super) fn preceding(text: &[Symbol], first: usize) -> (String, bool) {
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
    let mut reading = Reading { symbols, form, read: String::new(), tried: 0 };
    reading.is_innocent(0, whole.cost)
}

/// A reading of symbols as a common word, letter by letter.
struct Reading<'a> {
    symbols: &'a [Symbol],
    form: &'a str,
    read: String,
    tried: usize,
}

impl Reading<'_> {
    /// Whether the symbols from `at` on make what was read so far a common word, for at most
    /// `left`.
    fn is_innocent(&mut self, at: usize, left: u16) -> bool {
        self.tried += 1;
        if self.tried > MAX_READINGS || !starts_common(self.read.trim_end_matches('s')) {
            return false;
        }
        let Some(symbol) = self.symbols.get(at) else {
            return self.read != self.form && is_common(&self.read);
        };
        let plain = symbol.is_word().then_some((symbol.c, 0));
        let others = single(symbol.c).iter().map(|&(letter, means)| match means {
            Means::Leet | Means::Rare => (letter, LEET),
            Means::Confused => (letter, CONFUSED),
        });
        plain.into_iter().chain(others).any(|(letter, cost)| {
            self.read.push(letter);
            let innocent = cost <= left && self.is_innocent(at + 1, left.saturating_sub(cost));
            self.read.pop();
            innocent
        })
    }
}
