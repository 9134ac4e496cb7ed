//! The section `text` of the rules: what an operator writes about words in the picture.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Action;
use crate::text::{self, Contact, LANGUAGES, MAX_INNER_WILDCARDS, MAX_WORDS, Severity};

/// How much of a line is covered for a forbidden word in it.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TextCover {
    /// The word's own part.
    #[default]
    Word,
    /// The whole line.
    Line,
}

/// What happens to a line that nobody has read yet.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Unread {
    /// Covered when its time comes.
    #[default]
    Cover,
    /// Shown.
    Show,
}

/// A word of the rules: plain, or with more about it.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum WordRule {
    /// The word alone: it counts in every language, in every context, at any severity.
    Plain(String),
    /// The word and what holds for it.
    Full(FullWord),
}

/// A word of the rules with all there is to say about it.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FullWord {
    /// The word or phrase; `*` stands for any letters of the same word.
    pub word: String,
    /// How bad it is; when left out it counts whatever `severity` of the rules says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Counts only where `languages` of the rules names one of these; always when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Whether innocent context makes it harmless; not when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<bool>,
}

impl<'de> Deserialize<'de> for WordRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WordRule;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word, or an object with word, severity, languages, context")
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<WordRule, E> {
                String::deserialize(StrDeserializer::new(word)).map(WordRule::Plain)
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<WordRule, M::Error> {
                FullWord::deserialize(MapAccessDeserializer::new(map)).map(WordRule::Full)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl WordRule {
    fn word(&self) -> &str {
        match self {
            Self::Plain(word) => word,
            Self::Full(full) => &full.word,
        }
    }

    fn languages(&self) -> &[String] {
        match self {
            Self::Plain(_) => &[],
            Self::Full(full) => full.languages.as_deref().unwrap_or_default(),
        }
    }

    fn resolve(&self) -> text::Word {
        let full = match self {
            Self::Plain(_) => None,
            Self::Full(full) => Some(full),
        };
        text::Word {
            text: self.word().to_owned(),
            severity: full.and_then(|f| f.severity),
            languages: self.languages().to_vec(),
            context: full.and_then(|f| f.context).unwrap_or(false),
        }
    }
}

/// What the rules say about text; everything may be left out.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TextRule {
    /// Whether text is read at all; not by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The operator's own words and phrases, beside the built-in ones. A level that names words
    /// replaces those of the level below; so do the other lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<WordRule>>,
    /// Words and phrases that are never covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Whose built-in words count; `["en"]` by default. Empty: the operator's words alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// The least that is covered; mild by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Whether innocent context makes built-in words harmless; it does by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<bool>,
    /// Contact data that is covered; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<Contact>>,
    /// The word or its whole line; the word by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<TextCover>,
    /// What happens to a line until it is read; it is covered by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// What is done to the region; blur by default. `allow` is the same as not enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// What holds for text in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct TextPolicy {
    /// What [`text::Judge`](crate::text) is made from.
    pub rules: text::Rules,
    /// The word or its whole line.
    pub cover: TextCover,
    /// What happens to a line until it is read.
    pub unread: Unread,
    /// What is done to the region; never [`Action::Allow`].
    pub action: Action,
}

impl TextRule {
    /// This level over the one below.
    pub fn over(&self, below: &Self) -> Self {
        Self {
            enabled: self.enabled.or(below.enabled),
            words: self.words.clone().or_else(|| below.words.clone()),
            allow: self.allow.clone().or_else(|| below.allow.clone()),
            languages: self.languages.clone().or_else(|| below.languages.clone()),
            severity: self.severity.or(below.severity),
            context: self.context.or(below.context),
            contacts: self.contacts.clone().or_else(|| below.contacts.clone()),
            cover: self.cover.or(below.cover),
            unread: self.unread.or(below.unread),
            action: self.action.or(below.action),
        }
    }

    /// Everything that is wrong with this level, each with its key and what is allowed.
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let words = self.words.as_deref().unwrap_or_default();
        let allow = self.allow.as_deref().unwrap_or_default();
        for (key, count) in [("words", words.len()), ("allow", allow.len())] {
            if count > MAX_WORDS {
                problems.push(format!("text.{key}: must not hold more than {MAX_WORDS} entries"));
            }
        }
        for (index, rule) in words.iter().enumerate().take(MAX_WORDS) {
            let key = format!("text.words[{index}]");
            problems.extend(text::check_word(rule.word()).map(|p| format!("{key}: {p}")));
            languages(&format!("{key}.languages"), rule.languages(), &mut problems);
        }
        for (index, word) in allow.iter().enumerate().take(MAX_WORDS) {
            problems.extend(text::check_word(word).map(|p| format!("text.allow[{index}]: {p}")));
        }
        let inner = words.iter().filter(|rule| text::has_inner_wildcard(rule.word())).count();
        if inner > MAX_INNER_WILDCARDS {
            problems.push(format!(
                "text.words: no more than {MAX_INNER_WILDCARDS} may have a * between letters"
            ));
        }
        languages("text.languages", self.languages.as_deref().unwrap_or_default(), &mut problems);
        problems
    }

    /// What this level means with the defaults underneath; `None` when text is not read.
    pub fn resolve(&self) -> Option<TextPolicy> {
        let action = self.action.unwrap_or(Action::Blur);
        if !self.enabled.unwrap_or(false) || action == Action::Allow {
            return None;
        }
        let words = self.words.as_deref().unwrap_or_default();
        Some(TextPolicy {
            rules: text::Rules {
                words: words.iter().map(WordRule::resolve).collect(),
                allow: self.allow.clone().unwrap_or_default(),
                languages: self.languages.clone().unwrap_or_else(|| vec!["en".into()]),
                severity: self.severity.unwrap_or_default(),
                context: self.context.unwrap_or(true),
                contacts: self.contacts.iter().flatten().copied().collect(),
            },
            cover: self.cover.unwrap_or_default(),
            unread: self.unread.unwrap_or_default(),
            action,
        })
    }
}

fn languages(key: &str, named: &[String], problems: &mut Vec<String>) {
    for language in named.iter().filter(|l| !LANGUAGES.contains(&l.as_str())) {
        let known = LANGUAGES.join(", ");
        problems.push(format!("{key}: unknown language \"{language}\"; known: {known}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> TextRule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn off_unless_enabled_and_off_when_allowed() {
        assert_eq!(rule("{}").resolve(), None);
        assert_eq!(rule(r#"{"words": ["damn"]}"#).resolve(), None);
        assert_eq!(rule(r#"{"enabled": true, "action": "allow"}"#).resolve(), None);
        let policy = rule(r#"{"enabled": true}"#).resolve().unwrap();
        assert_eq!(policy.rules.languages, ["en"]);
        assert!(policy.rules.context);
        assert_eq!(
            (policy.cover, policy.unread, policy.action),
            (TextCover::Word, Unread::Cover, Action::Blur)
        );
    }

    #[test]
    fn a_level_replaces_only_what_it_names() {
        let global = rule(r#"{"enabled": true, "words": ["damn"], "unread": "show"}"#);
        let room = rule(r#"{"words": ["crap"], "cover": "line"}"#);
        let policy = room.over(&global).resolve().unwrap();
        assert_eq!(policy.rules.words.len(), 1);
        assert_eq!(policy.rules.words[0].text, "crap");
        assert_eq!((policy.cover, policy.unread), (TextCover::Line, Unread::Show));
    }

    #[test]
    fn a_word_may_be_an_object() {
        let rules = rule(
            r#"{"enabled": true, "words": ["a word", {"word": "mist",
            "severity": "mild", "languages": ["de"], "context": true}]}"#,
        );
        assert_eq!(rules, rule(&serde_json::to_string(&rules).unwrap()));
        let words = rules.resolve().unwrap().rules.words;
        assert_eq!((words[0].severity, words[0].context), (None, false));
        assert_eq!((words[1].severity, words[1].context), (Some(Severity::Mild), true));
        assert_eq!(words[1].languages, ["de"]);
    }

    #[test]
    fn what_is_no_word_is_refused_with_what_is_allowed() {
        let refused = |json: &str| serde_json::from_str::<TextRule>(json).unwrap_err().to_string();
        assert!(refused(r#"{"words": [7]}"#).contains("a word, or an object with word"));
        assert!(refused(r#"{"words": [{"word": "a", "weight": 1}]}"#).contains("weight"));
        assert!(refused(r#"{"contacts": ["pager"]}"#).contains("phone"));
        assert!(refused(r#"{"unred": "show"}"#).contains("unred"));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let long = "x".repeat(65);
        let rules = rule(&format!(
            r#"{{"words": ["", "*", "a*", "{long}", {{"word": "mist", "languages": ["xx"]}}],
                "allow": ["--"], "languages": ["en", "tlh"]}}"#
        ));
        let problems = rules.check();
        assert_eq!(problems.len(), 7, "{problems:?}");
        assert!(problems[2].starts_with("text.words[2]: must hold two letters"));
        assert!(problems[6].contains("\"tlh\"; known: de, en"));
        let many = TextRule {
            words: Some(vec![WordRule::Plain("a*b".into()); MAX_WORDS + 1]),
            ..TextRule::default()
        };
        assert_eq!(many.check().len(), 2, "{:?}", many.check());
    }
}
