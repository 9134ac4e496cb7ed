//! The built-in words, by language.
//!
//! A list is a text file of lines `what: word, word, …`, where *what* is
//! - a severity, with topics behind it in which the words are harmless: `strong animal kitchen: …`;
//!   a word with `!` behind it has no other forms than itself,
//! - `allow`: words and phrases that are never hits,
//! - `topic NAME`: words that show a topic,
//! - `report`: words beside which a quotation is a report,
//! - `name` and `means`: words before and after a word that is told of as a word.

use std::collections::HashMap;

use super::normalise;
use super::rules::Severity;

/// The lists, in the order of [`super::LANGUAGES`].
const LISTS: [(&str, &str); 9] = [
    ("de", include_str!("lexicon/de.txt")),
    ("en", include_str!("lexicon/en.txt")),
    ("es", include_str!("lexicon/es.txt")),
    ("fr", include_str!("lexicon/fr.txt")),
    ("it", include_str!("lexicon/it.txt")),
    ("nl", include_str!("lexicon/nl.txt")),
    ("pl", include_str!("lexicon/pl.txt")),
    ("pt", include_str!("lexicon/pt.txt")),
    ("ru", include_str!("lexicon/ru.txt")),
];

/// A word of a list.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) word: String,
    pub(super) severity: Severity,
    /// Topics in which it is harmless.
    pub(super) topics: Flags,
    /// Whether its forms count too.
    pub(super) inflected: bool,
    pub(super) language: &'static str,
}

/// What a word tells of the words near it: bits.
pub(super) type Flags = u32;

/// A quotation beside it is a report.
pub(super) const REPORTS: Flags = 1;
/// The next word is told of as a word.
pub(super) const NAMES: Flags = 2;
/// The word before is told of as a word.
pub(super) const MEANS: Flags = 4;
/// The first topic's bit; the others follow.
const FIRST_TOPIC: u32 = 3;

/// The lists of some languages.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    pub(super) words: Vec<Listed>,
    pub(super) allow: Vec<String>,
    /// Names of topics, in the order of their bits.
    topics: Vec<String>,
    tells: HashMap<String, Flags>,
}

impl Lexicon {
    pub(super) fn new(languages: &[String]) -> Self {
        let mut lexicon = Self::default();
        for (language, list) in LISTS {
            if languages.iter().any(|named| named == language) {
                list.lines().for_each(|line| lexicon.line(language, line));
            }
        }
        lexicon
    }

    fn line(&mut self, language: &'static str, line: &str) {
        let Some((what, words)) = line.split_once(':').filter(|_| !line.starts_with('#')) else {
            return;
        };
        let mut what = what.split_whitespace();
        let first = what.next().unwrap_or_default();
        let topics = what.fold(0, |all, topic| all | self.topic(topic));
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        let severity = match first {
            "mild" => Severity::Mild,
            "strong" => Severity::Strong,
            "severe" => Severity::Severe,
            "allow" => return self.allow.extend(words.map(str::to_owned)),
            "report" => return self.tell(words, REPORTS),
            "name" => return self.tell(words, NAMES),
            "means" => return self.tell(words, MEANS),
            _ => return self.tell(words, topics),
        };
        self.words.extend(words.map(|word| Listed {
            word: word.trim_end_matches('!').to_owned(),
            severity,
            topics,
            inflected: !word.ends_with('!'),
            language,
        }));
    }

    fn tell<'a>(&mut self, words: impl Iterator<Item = &'a str>, flags: Flags) {
        for word in words {
            *self.tells.entry(normalise(word)).or_default() |= flags;
        }
    }

    /// The bit of a topic.
    fn topic(&mut self, name: &str) -> Flags {
        let at = self.topics.iter().position(|known| known == name).unwrap_or_else(|| {
            self.topics.push(name.to_owned());
            self.topics.len() - 1
        });
        1 << (FIRST_TOPIC as usize + at)
    }

    /// What a word, or the one that it is the plural of, tells.
    pub(super) fn flags(&self, word: &str) -> Flags {
        let of = |word: &str| self.tells.get(word).copied().unwrap_or_default();
        of(word) | word.strip_suffix('s').map_or(0, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_list_is_understood() {
        for (language, list) in LISTS {
            let mut topics = Vec::new();
            for line in list.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
                let what = line.split(':').next().unwrap();
                let first = what.split_whitespace().next().unwrap();
                assert!(line.contains(": "), "{language}: {line}");
                match first {
                    "mild" | "strong" | "severe" => {
                        topics.extend(what.split_whitespace().skip(1).map(str::to_owned));
                    }
                    "topic" => assert_eq!(what.split_whitespace().count(), 2, "{line}"),
                    other => {
                        assert!(["allow", "report", "name", "means"].contains(&other), "{line}")
                    }
                }
            }
            let lexicon = Lexicon::new(&["en".to_owned(), language.to_owned()]);
            assert!(lexicon.words.iter().any(|listed| listed.language == language));
            for topic in topics {
                let at = lexicon.topics.iter().position(|known| *known == topic).unwrap();
                let bit: Flags = 1 << (FIRST_TOPIC as usize + at);
                assert!(lexicon.tells.values().any(|f| f & bit != 0), "{language}: {topic}");
            }
            assert!(lexicon.topics.len() + FIRST_TOPIC as usize <= 32);
            for listed in &lexicon.words {
                assert_eq!(crate::text::check_word(&listed.word), None, "{}", listed.word);
            }
        }
    }
}
