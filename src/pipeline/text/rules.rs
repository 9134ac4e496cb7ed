//! The rules of a room as the lane needs them.

use std::sync::{Arc, LazyLock};

use super::stage::Rules;
use super::verdict::Hit;
use crate::censor::{Document, TextCover, TextPolicy, Unread};
use crate::detect::Service;
use crate::text;

/// Everything that is wrong with a level of rules on this server: what it says, and what it wants
/// that no model is loaded for.
pub(crate) fn problems(rules: &Document, detect: &Service) -> Vec<String> {
    let mut problems = rules.check(&detect.classes());
    let wanted = rules.text.as_ref().and_then(|text| text.enabled).unwrap_or_default();
    if wanted && detect.reader().is_none() {
        let allowed = "must be false where detect.models names no models that read text";
        problems.push(format!("text.enabled: {allowed}"));
    }
    problems
}

impl Rules {
    /// What a room's rules say. The judge is made when it is first asked, on the lane's thread.
    pub(crate) fn of(policy: &Arc<TextPolicy>) -> Self {
        let from = policy.clone();
        let made = Arc::new(LazyLock::new(move || text::Judge::new(&from.rules)));
        let cut = made.clone();
        let judge = move |lines: &[&str]| {
            let hit = |hit: text::Hit| Hit { line: hit.line, range: hit.range, rule: hit.word };
            made.judge(lines).into_iter().map(hit).collect()
        };
        Self {
            judge: Arc::new(judge),
            cut_word: Arc::new(move |line, end| cut.cut_word(line, end)),
            whole_line: policy.cover == TextCover::Line,
            cover_unread: policy.unread == Unread::Cover,
        }
    }
}
