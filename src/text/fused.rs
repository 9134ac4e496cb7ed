//! Words that recognition ran together: WELCOMEDAMNCOFFEE.
//!
//! Models for lines of text lose spaces. A forbidden word counts inside a longer one when the rest
//! is common words, at least two of them: with one it may be a compound (starfish).

use super::fold::{Kind, Symbol};
use super::guard::{is_common, is_listed, starts_common};
use super::readings::FUSED;
use super::scan::Candidate;
use super::states::State;
use super::trie::{ROOT, Trie};

/// Letters of what is looked at: shorter has no room, longer is no line of a picture.
const TOKEN: std::ops::RangeInclusive<usize> = 10..=48;

/// Shortest common word that counts, in letters. Shorter ones are found in any row of letters.
const SHORTEST: usize = 3;

/// Shortest forbidden word that is looked for, in letters.
const SHORTEST_FORM: u8 = 4;

/// Fewest common words beside it.
const OTHERS: usize = 2;

/// Gives the forms that stand between common words run together to `found`.
pub(super) fn scan(trie: &Trie, text: &[Symbol], found: &mut impl FnMut(Candidate)) {
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].iter().take_while(|s| s.kind == Kind::Letter).count();
        let token = &text[at..at + length];
        if TOKEN.contains(&length) && token.iter().all(|s| s.c.is_ascii()) {
            let word: String = token.iter().map(|s| s.c).collect();
            if !is_common(&word) {
                inside(trie, &word, at, found);
            }
        }
        at += length.max(1);
    }
}

fn inside(trie: &Trie, word: &str, first: usize, found: &mut impl FnMut(Candidate)) {
    let heads = cuts(word, 0, "");
    for (start, head) in heads.iter().enumerate() {
        let Some(head) = head else { continue };
        let mut node = ROOT;
        for (at, letter) in word.char_indices().skip(start) {
            let Some(next) = trie.child(node, letter) else { break };
            node = next;
            for end in trie.node(node).ends.iter().filter(|end| end.letters >= SHORTEST_FORM) {
                let tail = cuts(word, at + 1, "")[word.len()];
                // skyscraper-hotel needs no scrap in it.
                let innocent = || cuts(word, 0, &word[start..=at])[word.len()].is_some();
                if tail.is_some_and(|tail| head + tail >= OTHERS) && !innocent() {
                    let state = State::new(node, first + start).fused(first + at, FUSED);
                    found(Candidate { end: *end, floating: false, fused: true, state });
                }
            }
        }
    }
}

/// For each place from `start` to the end of a word the most common words that fill what lies
/// between, `without` one of them; `None` where they do not.
fn cuts(word: &str, start: usize, without: &str) -> Vec<Option<usize>> {
    let mut most = vec![None; word.len() + 1];
    most[start] = Some(0);
    for from in start..word.len() {
        let Some(count) = most[from] else { continue };
        for to in from + SHORTEST..=word.len() {
            let piece = &word[from..to];
            if !starts_common(piece.trim_end_matches('s')) {
                break;
            }
            // A plural of any word would make too much innocent: holys-hit.
            let word = if without.is_empty() { is_common(piece) } else { is_listed(piece) };
            if word && piece != without {
                most[to] = most[to].max(Some(count + 1));
            }
        }
    }
    most
}
