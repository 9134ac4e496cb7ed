//! The forms of a word that count as the word.

use super::guard::is_common;

/// English endings that never make another word.
const PLAIN: [&str; 4] = ["s", "es", "ed", "ing"];

/// English endings that may (butter, bumper, cocky): left out where they make a common word.
const DOUBTFUL: [&str; 9] = ["z", "er", "ers", "ings", "in", "y", "ish", "d", "r"];

/// Endings of the other languages' lists.
fn foreign(language: &str) -> &'static [&'static str] {
    match language {
        "de" => &["e", "en", "er", "es", "em", "n", "s", "ern", "ens"],
        "nl" => &["e", "en", "s", "je", "jes", "t"],
        "fr" => &["s", "e", "es", "x"],
        "es" | "pt" => &["s", "es"],
        "pl" => &["a", "y", "i", "e", "u", "ow", "om", "ami", "ach"],
        "ru" => &["а", "ы", "и", "у", "е", "ом", "ой", "ами", "ах", "ов"],
        _ => &[],
    }
}

/// `word` and its forms in `language`, folded; of a phrase the last word changes.
pub(super) fn forms(word: &str, language: &str) -> Vec<String> {
    let mut all = vec![word.to_owned()];
    let last = word.rsplit(' ').next().unwrap_or_default();
    if last.chars().count() < 3 || !last.chars().all(char::is_alphabetic) {
        return all;
    }
    if language != "en" {
        all.extend(
            foreign(language).iter().map(|ending| super::normalise(&format!("{word}{ending}"))),
        );
    } else if last.is_ascii() {
        english(word, last, &mut all);
    }
    all
}

fn english(word: &str, last: &str, all: &mut Vec<String>) {
    let mut add = |stem: &str, ending: &str, doubtful: bool| {
        let form = format!("{stem}{ending}");
        let changed = form.rsplit(' ').next().unwrap_or_default();
        if !(doubtful && is_common(changed)) {
            all.push(form);
        }
    };
    let vowel = |c: char| "aeiou".contains(c);
    let mute = last.strip_suffix('e').filter(|stem| !stem.ends_with(['e', 'o']));
    for ending in PLAIN {
        let ing = ending == "ing" && mute.is_some();
        let ed = ending == "ed" && word.ends_with('e');
        if !ing && !ed {
            add(word, ending, false);
        }
    }
    for ending in DOUBTFUL {
        let short = ending.len() == 1 && "dr".contains(ending);
        if short == word.ends_with('e') || ending == "z" {
            add(word, ending, true);
        }
    }
    if mute.is_some() {
        let stem = &word[..word.len() - 1];
        ["ing", "ings"].iter().for_each(|ending| add(stem, ending, false));
        ["in", "y"].iter().for_each(|ending| add(stem, ending, true));
        add(word, "d", false);
    }
    if let Some(stem) = word.strip_suffix('y') {
        ["ies", "ied"].iter().for_each(|ending| add(stem, ending, false));
    }
    let mut tail = last.chars().rev();
    let (end, before, first) = (tail.next(), tail.next(), tail.next());
    if let (Some(end), Some(before), Some(first)) = (end, before, first)
        && !vowel(end)
        && !"wxyh".contains(end)
        && vowel(before)
        && !vowel(first)
    {
        let stem = format!("{word}{end}");
        ["ed", "ing"].iter().for_each(|ending| add(&stem, ending, false));
        ["er", "ers", "y", "in"].iter().for_each(|ending| add(&stem, ending, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_words_have_their_forms() {
        let has = |word: &str, form: &str| forms(word, "en").iter().any(|f| f == form);
        for (word, form) in [
            ("damn", "damned"),
            ("damn", "damning"),
            ("damn", "damns"),
            ("damn", "damner"),
            ("crap", "crapped"),
            ("crap", "crapping"),
            ("bastard", "bastards"),
            ("arse", "arsed"),
            ("arse", "arsing"),
            ("pussy", "pussies"),
            ("piss", "pisses"),
            ("son of a gun", "son of a guns"),
        ] {
            assert!(has(word, form), "{word} {form}: {:?}", forms(word, "en"));
        }
        for (word, form) in
            [("butt", "butter"), ("tit", "titter"), ("pee", "peer"), ("cock", "cocky")]
        {
            assert!(!has(word, form), "{word} {form}");
        }
    }

    #[test]
    fn short_words_and_other_alphabets_stay_as_they_are() {
        assert_eq!(forms("ab", "en"), ["ab"]);
        assert_eq!(forms("слово", "en"), ["слово"]);
        assert_eq!(forms("4x4", "en"), ["4x4"]);
    }
}
