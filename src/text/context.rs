//! Innocent context: what lowers the score of a word, and by how much.
//!
//! | what stands near | mild | strong | severe |
//! |---|---|---|---|
//! | the word is quoted, and a word of reporting stands beside the quotation | 0.60 | 0.30 | 0 |
//! | the word is named as a word ("the word …", "… means") | 0.60 | 0.30 | 0 |
//! | a word of the topic in which the word is harmless, for words that have one | 0.60 | 0.60 | 0 |
//!
//! What applies is added up. *Near* is within [`REACH`] words on either side.

use super::fold::{Kind, Symbol};
use super::lexicon::Lexicon;
use super::rules::Severity;
use super::verify::Span;

/// How many words on either side are context.
pub(super) const REACH: usize = 8;

/// Furthest that context is looked for, in symbols: keeps the time linear.
const REACH_SYMBOLS: usize = 96;

/// What a quotation, or naming it as a word, takes off a mild and a strong word's score.
const QUOTED: (u16, u16) = (60, 30);

/// What its topic takes off a word's score.
const TOPIC: u16 = 60;

/// What context takes off the score of a word with these topics, in hundredths.
pub(super) fn softening(
    text: &[Symbol],
    span: Span,
    severity: Severity,
    topics: &[String],
    lexicon: &Lexicon,
) -> u16 {
    let quoted = match severity {
        Severity::Mild => QUOTED.0,
        Severity::Strong => QUOTED.1,
        Severity::Severe => return 0,
    };
    let near = Near::new(text, span);
    let mut total = 0;
    if near.is_quoted && near.words().any(|word| lexicon.reports(word)) {
        total += quoted;
    }
    if near.is_named(lexicon) {
        total += quoted;
    }
    let in_topic = |topic: &String| near.words().any(|word| lexicon.is_of_topic(topic, word));
    if topics.iter().any(in_topic) {
        total += TOPIC;
    }
    total
}

struct Near {
    /// Nearest first.
    before: Vec<String>,
    after: Vec<String>,
    is_quoted: bool,
}

impl Near {
    fn new(text: &[Symbol], span: Span) -> Self {
        let from = span.first.saturating_sub(REACH_SYMBOLS);
        let to = (span.last + 1 + REACH_SYMBOLS).min(text.len());
        let (left, right) = (&text[from..span.first], &text[span.last + 1..to]);
        let mut before: Vec<String> = words(left);
        before.reverse();
        before.truncate(REACH);
        let mut after = words(right);
        after.truncate(REACH);
        // An apostrophe inside a word opens nothing.
        let opens = left.iter().any(|s| s.c == '"');
        let closes = right.iter().any(|s| s.c == '"');
        let single = |s: Option<&Symbol>| s.is_some_and(|s| s.c == '\'');
        let is_quoted = (opens && closes) || (single(left.last()) && single(right.first()));
        Self { before, after, is_quoted }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.before.iter().chain(&self.after).map(String::as_str)
    }

    /// "the word X", "definition of X", or "X means".
    fn is_named(&self, lexicon: &Lexicon) -> bool {
        self.before.iter().take(2).any(|word| lexicon.names(word))
            || self.after.first().is_some_and(|word| lexicon.means(word))
    }
}

fn words(text: &[Symbol]) -> Vec<String> {
    text.split(|s| s.kind != Kind::Letter)
        .filter(|word| !word.is_empty())
        .map(|word| word.iter().map(|s| s.c).collect())
        .collect()
}
