//! Common English words, so that a doubtful reading never makes one of them a forbidden word.

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
    listed(word)
        || PIECES.contains(&word)
        || (word.len() > 3 && word.strip_suffix('s').is_some_and(listed))
}

/// Whether a common English word begins with `start`.
pub(super) fn starts_common(start: &str) -> bool {
    at_or_after(start).starts_with(start)
}

fn listed(word: &str) -> bool {
    at_or_after(word) == word
}

/// The first word that is not before `word`; empty behind the last.
fn at_or_after(word: &str) -> &'static str {
    let (mut low, mut high) = (0, WORDS.len());
    while low < high {
        let middle = low.midpoint(high);
        let start =
            WORDS.as_bytes()[..middle].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let end = line_end(start);
        if &WORDS[start..end] < word {
            low = end + 1;
        } else {
            high = start;
        }
    }
    WORDS.get(low..line_end(low)).unwrap_or_default()
}

fn line_end(start: usize) -> usize {
    let rest = WORDS.as_bytes().get(start..).unwrap_or_default();
    rest.iter().position(|b| *b == b'\n').map_or(WORDS.len(), |at| start + at)
}

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
            assert!(listed(word), "{word}");
            let other = format!("{word}q");
            assert_eq!(listed(&other), lines.binary_search(&other.as_str()).is_ok(), "{other}");
        }
        assert!(!listed("") && !listed("zzzz") && !listed("\n"));
    }

    #[test]
    fn plurals_are_words_too() {
        assert!(is_common("clicks") && is_common("classes") && !is_common("clqs"));
    }
}
