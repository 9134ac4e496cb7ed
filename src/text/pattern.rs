//! Words of rules and lists in the form that the trie takes.

use super::fold::normalise;

/// The folded forms of a word as somebody wrote it: words parted by single spaces, `*` where it
/// stood. More than one where an apostrophe may be left out.
pub(super) fn patterns(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.trim().chars().collect();
    let mut text = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let next_is_letter = chars.get(at + 1).is_some_and(|c| c.is_alphanumeric());
        let inside = at > 0 && chars[at - 1].is_alphanumeric() && next_is_letter;
        match c {
            '$' if next_is_letter || at > 0 => text.push('s'),
            '@' if inside => text.push('a'),
            '!' if inside => text.push('i'),
            c => text.push(c),
        }
    }
    let folded = normalise(&text);
    let apart: String = folded.chars().map(|c| if is_letter(c) { c } else { ' ' }).collect();
    let together: String =
        folded.chars().filter(|c| *c != '\'').map(|c| if is_letter(c) { c } else { ' ' }).collect();
    let mut all = vec![tidy(&apart)];
    let together = tidy(&together);
    if !all.contains(&together) {
        all.push(together);
    }
    all.retain(|pattern| pattern.chars().any(char::is_alphanumeric));
    all
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '*' || unicode_normalization::char::is_combining_mark(c)
}

/// Single spaces, single stars, no stars that stand alone.
fn tidy(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| word.chars().any(|c| c != '*'));
    let mut tidy = words.collect::<Vec<_>>().join(" ");
    while tidy.contains("**") {
        tidy = tidy.replace("**", "*");
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_parted() {
        assert_eq!(patterns(" Ｂäd  Day! "), ["bad day"]);
        assert_eq!(patterns("t-shirt"), ["t shirt"]);
        assert_eq!(patterns("don't"), ["don t", "dont"]);
        assert_eq!(patterns("**b**d*"), ["*b*d*"]);
        assert_eq!(patterns("$hit"), ["shit"]);
        assert_eq!(patterns("sh!t!"), ["shit"]);
        assert_eq!(patterns("@rival"), ["rival"]);
        assert_eq!(patterns("* *"), [""; 0]);
    }
}
