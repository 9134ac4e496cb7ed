//! What an operator says about text, in the form the judge is made from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Languages with a built-in list, by ISO 639-1 code.
pub const LANGUAGES: [&str; 9] = ["de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru"];

/// Most characters of a word or phrase of the rules.
pub const MAX_WORD: usize = 64;

/// Most words, and most allowed words, of one level of rules.
pub const MAX_WORDS: usize = 1_000;

/// Most words with a `*` between letters: each costs a step for each letter of a text.
pub const MAX_INNER_WILDCARDS: usize = 64;

/// How bad a word is.
#[derive(
    schemars::JsonSchema,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Said before the watershed: damn, crap.
    #[default]
    Mild,
    /// Said after it.
    Strong,
    /// Slurs and the like; no context excuses them.
    Severe,
}

/// A kind of contact data.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Contact {
    /// A telephone number, international or local.
    Phone,
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// The number of a payment card.
    Card,
}

/// A word or phrase of the operator's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As the operator wrote it; `*` stands for any letters of the same word.
    pub text: String,
    /// How bad it is; `None`: it counts whatever the least is, and is told of as strong.
    pub severity: Option<Severity>,
    /// Counts only under rules that name one of these languages; empty: always.
    pub languages: Vec<String>,
    /// Whether an innocent context makes it harmless, as it does with built-in words.
    pub context: bool,
}

/// Everything the judge is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The operator's words, over the built-in ones.
    pub words: Vec<Word>,
    /// What is never a hit, whatever else says so.
    pub allow: Vec<String>,
    /// Whose built-in lists count, out of [`LANGUAGES`]; empty: the operator's words alone.
    pub languages: Vec<String>,
    /// The least that counts.
    pub severity: Severity,
    /// Whether innocent context softens built-in words.
    pub context: bool,
    /// The contact data that counts.
    pub contacts: BTreeSet<Contact>,
}

/// What is wrong with a word of the rules, or nothing.
pub fn check_word(word: &str) -> Option<String> {
    let letters = word.chars().filter(|c| c.is_alphanumeric()).count();
    if word.chars().count() > MAX_WORD {
        return Some(format!("must not be longer than {MAX_WORD} characters"));
    }
    if letters == 0 {
        return Some("must hold a letter or a digit".into());
    }
    if word.contains('*') && letters < 2 {
        return Some("must hold two letters beside its *".into());
    }
    None
}

/// Whether a word has a `*` between letters.
pub fn has_inner_wildcard(word: &str) -> bool {
    word.trim().trim_matches('*').contains('*')
}
