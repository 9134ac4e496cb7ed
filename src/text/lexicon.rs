//! The built-in words, by language.
//!
//! A list is a text file of lines `what: word, word, …`, where *what* is
//! - a severity, with topics behind it in which the words are harmless: `strong animal kitchen: …`;
//!   a word with `!` behind it has no other forms than itself,
//! - `allow`: words and phrases that are never hits,
//! - `topic NAME`: words that show a topic,
//! - `report`: words beside which a quotation is a report,
//! - `name` and `means`: words before and after a word that is told of as a word.

use std::collections::{HashMap, HashSet};

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
    pub(super) topics: Vec<String>,
    /// Whether its forms count too.
    pub(super) inflected: bool,
    pub(super) language: &'static str,
}

/// The lists of some languages.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    pub(super) words: Vec<Listed>,
    pub(super) allow: Vec<String>,
    topics: HashMap<String, HashSet<String>>,
    report: HashSet<String>,
    name: HashSet<String>,
    means: HashSet<String>,
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
        let topics: Vec<String> = what.map(str::to_owned).collect();
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        let severity = match first {
            "mild" => Severity::Mild,
            "strong" => Severity::Strong,
            "severe" => Severity::Severe,
            "allow" => return self.allow.extend(words.map(str::to_owned)),
            "report" => return self.report.extend(words.map(normalise)),
            "name" => return self.name.extend(words.map(normalise)),
            "means" => return self.means.extend(words.map(normalise)),
            _ => {
                let topic = topics.into_iter().next().unwrap_or_default();
                return self.topics.entry(topic).or_default().extend(words.map(normalise));
            }
        };
        self.words.extend(words.map(|word| Listed {
            word: word.trim_end_matches('!').to_owned(),
            severity,
            topics: topics.clone(),
            inflected: !word.ends_with('!'),
            language,
        }));
    }

    pub(super) fn reports(&self, word: &str) -> bool {
        self.report.contains(word)
    }

    pub(super) fn names(&self, word: &str) -> bool {
        self.name.contains(word)
    }

    pub(super) fn means(&self, word: &str) -> bool {
        self.means.contains(word)
    }

    pub(super) fn is_of_topic(&self, topic: &str, word: &str) -> bool {
        self.topics.get(topic).is_some_and(|words| {
            words.contains(word) || word.strip_suffix('s').is_some_and(|one| words.contains(one))
        })
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
                assert!(lexicon.topics.contains_key(&topic), "{language}: no topic {topic}");
            }
            for listed in &lexicon.words {
                assert_eq!(crate::text::check_word(&listed.word), None, "{}", listed.word);
            }
        }
    }
}
