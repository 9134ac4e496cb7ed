//! The rules of a room as the lane needs them.

use std::sync::Arc;

use super::stage::Rules;
use super::verdict::Hit;
use crate::censor::{TextCover, TextPolicy, Unread};

impl Rules {
    /// What a room's rules say.
    pub(crate) fn of(policy: &Arc<TextPolicy>) -> Self {
        let words: Vec<String> = policy.rules.words.iter().map(|w| w.text.to_lowercase()).collect();
        let judge = move |lines: &[&str]| {
            let mut hits = Vec::new();
            for (line, text) in lines.iter().enumerate() {
                let lower: Vec<char> =
                    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect();
                for word in &words {
                    let letters: Vec<char> = word.chars().collect();
                    for (at, part) in lower.windows(letters.len()).enumerate() {
                        if part == letters {
                            hits.push(Hit {
                                line,
                                range: at..at + letters.len(),
                                rule: word.as_str().into(),
                            });
                        }
                    }
                }
            }
            hits
        };
        Self {
            judge: Arc::new(judge),
            whole_line: policy.cover == TextCover::Line,
            cover_unread: policy.unread == Unread::Cover,
        }
    }
}
