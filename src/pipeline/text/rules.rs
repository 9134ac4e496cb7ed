//! The rules of a room as the lane needs them.

use std::sync::{Arc, OnceLock};

use super::stage::Rules;
use super::verdict::Hit;
use crate::censor::{TextCover, TextPolicy, Unread};
use crate::text;

impl Rules {
    /// What a room's rules say. The judge is made when it is first asked, on the lane's thread.
    pub(crate) fn of(policy: &Arc<TextPolicy>) -> Self {
        let (made, from) = (OnceLock::new(), policy.clone());
        let judge = move |lines: &[&str]| {
            let judge = made.get_or_init(|| text::Judge::new(&from.rules));
            let hit = |hit: text::Hit| Hit { line: hit.line, range: hit.range, rule: hit.word };
            judge.judge(lines).into_iter().map(hit).collect()
        };
        Self {
            judge: Arc::new(judge),
            whole_line: policy.cover == TextCover::Line,
            cover_unread: policy.unread == Unread::Cover,
        }
    }
}
