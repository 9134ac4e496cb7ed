//! Common English words, so that a doubtful reading never makes one of them a forbidden word.

use std::sync::LazyLock;

/// Sorted, one a line, lower case; plurals in -s whose singular is there are left out. From
/// SCOWL: see `words.LICENSE` beside it.
const WORDS: &str = include_str!("guard/words.txt");

/// What stands alone in ordinary text and is not in the list: what an apostrophe leaves, names of
/// units and places, a greeting.
const PIECES: [&str; 26] = [
    "ll", "ve", "re", "st", "nd", "rd", "th", "am", "pm", "tv", "pc", "ok", "uk", "us", "eu", "dj",
    "mc", "mr", "ms", "dr", "km", "kg", "cm", "mm", "vs", "heil",
];

/// Whether `word` (folded) is a common English word, or its plural.
pub(super) fn is_common(word: &str) -> bool {
    is_listed(word)
        || PIECES.contains(&word)
        || (word.len() > 3 && word.strip_suffix('s').is_some_and(is_listed))
}

/// Whether a common English word begins with `start`.
pub(super) fn starts_common(start: &str) -> bool {
    at_or_after(start).starts_with(start)
}

/// Whether a word is in the list as it stands.
pub(super) fn is_listed(word: &str) -> bool {
    !word.is_empty() && at_or_after(word) == word
}

/// The first word that is not before `word`; empty behind the last, and for what is not all letters.
fn at_or_after(word: &str) -> &'static str {
    if !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return "";
    }
    let list = &*LIST;
    let pair = pair(word);
    let (from, to) = (list.pairs[pair], list.pairs[pair + 1]);
    let at = from + list.words[from..to].partition_point(|listed| *listed < word);
    list.words.get(at).copied().unwrap_or_default()
}

/// The list, and where the words with each first two letters begin: looked at for each letter of a
/// doubtful reading.
struct List {
    words: Vec<&'static str>,
    pairs: Vec<usize>,
}

/// Pairs of first letters; a word of one letter counts as having a first one before `a`.
const PAIRS: usize = 26 * 27;

fn pair(word: &str) -> usize {
    let letter =
        |at: usize| word.as_bytes().get(at).map(|b| usize::from(b.clamp(&b'a', &b'z') - b'a'));
    letter(0).unwrap_or(0) * 27 + letter(1).map_or(0, |second| second + 1)
}

static LIST: LazyLock<List> = LazyLock::new(|| {
    let words: Vec<&str> = WORDS.lines().collect();
    let pairs = (0..=PAIRS).map(|at| words.partition_point(|word| pair(word) < at)).collect();
    List { words, pairs }
});

#[cfg(test)]
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_word_is_found_and_its_neighbours_are_not() {
        let lines: Vec<_> = WORDS.lines().collect();
        assert!(lines.len() > 25_000);
        assert!(lines.is_sorted());
        for word in &lines {
            assert!(is_listed(word), "{word}");
            let other = format!("{word}q");
            assert_eq!(is_listed(&other), lines.binary_search(&other.as_str()).is_ok(), "{other}");
        }
        assert!(!is_listed("") && !is_listed("zzzz") && !is_listed("\n"));
    }

    #[test]
    fn plurals_are_words_too() {
        assert!(is_common("clicks") && is_common("classes") && !is_common("clqs"));
    }
}
