//! Innocent context: what lowers the score of a word, and by how much.
//!
//! | what stands near | mild | strong | severe |
//! |---|---|---|---|
//! | the word is quoted, and a word of reporting stands beside the quotation | 0.60 | 0.30 | 0 |
//! | the word is named as a word ("the word …", "… means") | 0.60 | 0.30 | 0 |
//! | a word of the topic in which the word is harmless, for words that have one | 0.60 | 0.60 | 0 |
//!
//! What applies is added up. *Near* is within eight words on either side.

use super::fold::{Kind, Symbol};
use super::lexicon::{Flags, Lexicon, MEANS, NAMES, REPORTS};
use super::rules::Severity;
use super::verify::Span;

/// How many words on either side are context.
const REACH: usize = 8;

/// How far quotation marks may be, in symbols.
const QUOTATION: usize = 96;

/// What a quotation, or naming it as a word, takes off a mild and a strong word's score.
const QUOTED: (u16, u16) = (60, 30);

/// What its topic takes off a word's score.
const TOPIC: u16 = 60;

/// What the words of a text tell of those near them.
#[derive(Debug)]
pub(super) struct Context {
    /// Where each word begins, and its flags.
    words: Vec<(usize, Flags)>,
    /// Where double quotation marks are.
    quotes: Vec<usize>,
}

impl Context {
    pub(super) fn new(text: &[Symbol], lexicon: &Lexicon) -> Self {
        let mut words = Vec::new();
        let (mut word, mut at) = (String::new(), 0);
        while at < text.len() {
            let length = text[at..].iter().take_while(|s| s.kind == Kind::Letter).count();
            if length > 0 {
                word.clear();
                word.extend(text[at..at + length].iter().map(|s| s.c));
                words.push((at, lexicon.flags(&word)));
            }
            at += length.max(1);
        }
        let quotes = (0..text.len()).filter(|at| text[*at].c == '"').collect();
        Self { words, quotes }
    }

    /// What context takes off the score of a word with these topics, in hundredths.
    pub(super) fn softening(
        &self,
        text: &[Symbol],
        span: Span,
        severity: Severity,
        topics: Flags,
    ) -> u16 {
        let quoted = match severity {
            Severity::Mild => QUOTED.0,
            Severity::Strong => QUOTED.1,
            Severity::Severe => return 0,
        };
        let first = self.words.partition_point(|(at, _)| *at < span.first);
        let after = self.words.partition_point(|(at, _)| *at <= span.last);
        let left = &self.words[first.saturating_sub(REACH)..first];
        let right = &self.words[after..(after + REACH).min(self.words.len())];
        let near = left.iter().chain(right).fold(0, |all, (_, flags)| all | flags);
        let mut total = 0;
        if near & REPORTS != 0 && self.is_quoted(text, span) {
            total += quoted;
        }
        // "the word X", "definition of X", or "X means".
        if left.iter().rev().take(2).any(|(_, flags)| flags & NAMES != 0)
            || right.first().is_some_and(|(_, flags)| flags & MEANS != 0)
        {
            total += quoted;
        }
        if near & topics != 0 {
            total += TOPIC;
        }
        total
    }

    fn is_quoted(&self, text: &[Symbol], span: Span) -> bool {
        let next = self.quotes.partition_point(|at| *at < span.first);
        let opens = next.checked_sub(1).is_some_and(|q| span.first - self.quotes[q] < QUOTATION);
        let closes = self.quotes.get(next).is_some_and(|q| q - span.last < QUOTATION);
        let single =
            |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|s| s.c == '\'');
        (opens && closes) || (single(span.first.checked_sub(1)) && single(Some(span.last + 1)))
    }
}
