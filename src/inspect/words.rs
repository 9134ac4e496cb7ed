//! What the rules forbid in lines of text, and what they let through and why. Pure.

use std::ops::Range;

use super::report::{Kind, Passed, Spotted, Why};
use crate::censor::TextPolicy;
use crate::text::{Hit, Judge, Rules, Severity};

/// The judge of some rules, beside judges of the same rules with one mercy less each: what only
/// those find was let through by that mercy.
pub(super) struct Words {
    judge: Judge,
    /// `false`: the rules do not look at text, and nothing is forbidden.
    enabled: bool,
    stricter: Vec<(Why, Judge)>,
}

/// Something in the lines that matches the rules' words.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) hit: Hit,
    /// Why it is let through; `None` when it is forbidden.
    pub(super) mercy: Option<Why>,
}

impl Words {
    /// The judges of `policy`; `enabled`: whether the rules look at text at all.
    pub(super) fn new(policy: &TextPolicy, enabled: bool) -> Self {
        let rules = &policy.rules;
        let mut stricter = Vec::new();
        let mut add = |why, rules: Rules| stricter.push((why, Judge::new(&rules)));
        if !rules.allow.is_empty() {
            add(Why::Allowed, Rules { allow: Vec::new(), ..rules.clone() });
        }
        if rules.context {
            add(Why::InnocentContext, Rules { context: false, ..rules.clone() });
        }
        if rules.severity > Severity::Mild {
            add(Why::BelowSeverity, Rules { severity: Severity::Mild, ..rules.clone() });
        }
        Self { judge: Judge::new(rules), enabled, stricter }
    }

    /// The part of a line, cut off at its `end` or its beginning, that may be a forbidden word.
    pub(super) fn cut_word(&self, line: &str, end: bool) -> Option<Range<usize>> {
        self.enabled.then(|| self.judge.cut_word(line, end)).flatten()
    }

    /// Everything in lines that stand together, forbidden or not, sorted by place.
    pub(super) fn judge(&self, lines: &[&str]) -> Vec<Judged> {
        let off = (!self.enabled).then_some(Why::TextOff);
        let hits = self.judge.judge(lines).into_iter();
        let mut judged: Vec<Judged> = hits.map(|hit| Judged { hit, mercy: off }).collect();
        for (why, judge) in &self.stricter {
            for hit in judge.judge(lines) {
                if !judged.iter().any(|known| overlap(&known.hit, &hit)) {
                    judged.push(Judged { hit, mercy: off.or(Some(*why)) });
                }
            }
        }
        judged.sort_by_key(|one| (one.hit.line, one.hit.range.start));
        judged
    }

    /// What is forbidden in a text of one or more lines, and what is let through.
    pub(super) fn text(&self, text: &str) -> (Vec<Spotted>, Vec<Passed>) {
        let lines: Vec<&str> = text.split('\n').collect();
        // The end of a line is a character too.
        let mut starts = Vec::with_capacity(lines.len());
        lines.iter().fold(0, |start, line| {
            starts.push(start);
            start + line.chars().count() + 1
        });
        let (mut spotted, mut passed) = (Vec::new(), Vec::new());
        for Judged { hit, mercy } in self.judge(&lines) {
            let word = written(lines[hit.line], &hit.range);
            let (start, end) =
                (starts[hit.line] + hit.range.start, starts[hit.line] + hit.range.end);
            let (entry, score) = (hit.word.to_string(), hit.score);
            match mercy {
                None => {
                    let severity = hit.severity;
                    spotted.push(Spotted { word, entry, severity, score, start, end });
                }
                Some(reason) => passed.push(Passed {
                    kind: Kind::Text,
                    label: word,
                    entry: Some(entry),
                    score,
                    threshold: None,
                    place: None,
                    start: Some(start),
                    end: Some(end),
                    reason,
                }),
            }
        }
        (spotted, passed)
    }
}

/// These characters of a line.
pub(super) fn written(line: &str, range: &Range<usize>) -> String {
    line.chars().skip(range.start).take(range.len()).collect()
}

fn overlap(a: &Hit, b: &Hit) -> bool {
    a.line == b.line && a.range.start < b.range.end && b.range.start < a.range.end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::censor::Document;

    fn words(json: &str) -> Words {
        let document: Document = serde_json::from_str(json).unwrap();
        let policy = document.resolve();
        Words::new(policy.text.as_ref().unwrap(), true)
    }

    fn reasons(words: &Words, text: &str) -> Vec<(String, Why)> {
        words.text(text).1.into_iter().map(|passed| (passed.label, passed.reason)).collect()
    }

    #[test]
    fn a_word_is_told_as_it_was_written_with_its_place() {
        let words = words(r#"{"text": {"enabled": true, "words": ["secret"], "languages": []}}"#);
        let (spotted, passed) = words.text("ünder this\nS3CRET thing");
        let [one] = &spotted[..] else { panic!("{spotted:?}") };
        assert_eq!((one.word.as_str(), one.entry.as_str()), ("S3CRET", "secret"));
        assert_eq!((one.start, one.end), (11, 17));
        assert!(passed.is_empty(), "{passed:?}");
    }

    #[test]
    fn what_is_let_through_says_why() {
        let allowed = words(
            r#"{"text": {"enabled": true, "words": ["secret"], "allow": ["secret garden"], "languages": []}}"#,
        );
        let text = "the secret garden";
        assert!(allowed.text(text).0.is_empty());
        assert_eq!(reasons(&allowed, text), [("secret".to_owned(), Why::Allowed)]);
        let severe = words(r#"{"text": {"enabled": true, "severity": "severe"}}"#);
        assert!(reasons(&severe, "oh damn").contains(&("damn".to_owned(), Why::BelowSeverity)));
        let context = words(r#"{"text": {"enabled": true}}"#);
        let quoted = "the dictionary says \"damn\" means to condemn";
        assert_eq!(reasons(&context, quoted), [("damn".to_owned(), Why::InnocentContext)]);
    }

    #[test]
    fn rules_that_do_not_look_at_text_let_everything_through() {
        let document: Document =
            serde_json::from_str(r#"{"text": {"enabled": true, "words": ["secret"]}}"#).unwrap();
        let words = Words::new(document.resolve().text.as_ref().unwrap(), false);
        assert!(words.text("secret").0.is_empty());
        assert_eq!(reasons(&words, "secret"), [("secret".to_owned(), Why::TextOff)]);
    }

    proptest! {
        /// The places named are those of the words named, whatever the text.
        #[test]
        fn places_are_characters_of_the_text(text in "([ü\u{1F600}a-z ]{0,9}(damn|secret)?[\n ]{0,2}){0,4}") {
            let words = words(r#"{"text": {"enabled": true, "words": ["secret"]}}"#);
            let (spotted, passed) = words.text(&text);
            let all: Vec<char> = text.chars().collect();
            let told = spotted.iter().map(|s| (&s.word, s.start, s.end));
            let let_through = passed.iter().map(|p| (&p.label, p.start.unwrap(), p.end.unwrap()));
            for (word, start, end) in told.chain(let_through) {
                prop_assert!(start < end && end <= all.len());
                prop_assert_eq!(word, &all[start..end].iter().collect::<String>());
            }
        }
    }
}
