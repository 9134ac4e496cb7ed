//! From what was found in symbols to hits in lines.

use std::sync::Arc;

use super::fold::{self, Symbol};
use super::judge::{Hit, Kind};
use super::rules::Severity;
use super::verify::Span;

/// Something found, in symbols.
pub(super) struct Found {
    pub(super) span: Span,
    pub(super) word: Arc<str>,
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    /// Whether it is of the operator's own words.
    pub(super) own: bool,
}

impl Found {
    pub(super) fn score(&self) -> f32 {
        f32::from(100_u16.saturating_sub(self.span.cost)) / 100.0
    }
}

/// Where allowed spans are, for questions in constant time.
pub(super) struct Allowed {
    /// For each symbol the furthest end of the spans that begin there or before, plus one.
    reach: Vec<usize>,
    /// For each symbol the nearest end of the spans that begin there or after.
    next: Vec<usize>,
}

impl Allowed {
    pub(super) fn new(symbols: usize, spans: impl Iterator<Item = Span>) -> Self {
        let (mut reach, mut next) = (vec![0; symbols], vec![usize::MAX; symbols]);
        for span in spans {
            reach[span.first] = reach[span.first].max(span.last + 1);
            next[span.first] = next[span.first].min(span.last);
        }
        for at in 1..symbols {
            reach[at] = reach[at].max(reach[at - 1]);
            let back = symbols - 1 - at;
            next[back] = next[back].min(next[back + 1]);
        }
        Self { reach, next }
    }

    /// Whether a span lies within an allowed one.
    pub(super) fn covers(&self, span: Span) -> bool {
        self.reach[span.first] > span.last
    }

    /// Whether an allowed one lies within a span.
    pub(super) fn touches(&self, span: Span) -> bool {
        self.next[span.first] <= span.last
    }
}

/// Without what lies within something else as bad; of equals the operator's own word stays.
fn without_overlaps(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|f| (f.span.first, std::cmp::Reverse(f.span.last), !f.own, f.span.cost));
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        // Sorted by start: only the latest few can reach this far.
        let inside = kept
            .iter()
            .rev()
            .take(OVERLAPPING)
            .any(|k| k.span.last >= next.span.last && (k.severity >= next.severity || k.own));
        if !inside {
            kept.push(next);
        }
    }
    kept
}

/// Most hits before one that may reach over it.
const OVERLAPPING: usize = 8;

/// The hits of each line that the spans touch; of what overlaps the widest and worst.
pub(super) fn hits(text: &[Symbol], found: Vec<Found>) -> Vec<Hit> {
    let mut hits = Vec::with_capacity(found.len());
    for f in without_overlaps(found) {
        let symbols = &text[f.span.first..=f.span.last];
        for part in symbols.chunk_by(|a, b| a.line == b.line) {
            let shown = |s: &&Symbol| s.kind != fold::Kind::Space;
            let first = part.iter().find(shown);
            let last = part.iter().rfind(shown);
            if let (Some(first), Some(last)) = (first, last) {
                hits.push(Hit {
                    line: first.line,
                    range: first.start..last.end,
                    word: f.word.clone(),
                    kind: f.kind,
                    severity: f.severity,
                    score: f.score(),
                });
            }
        }
    }
    hits.sort_by_key(|hit| (hit.line, hit.range.start, hit.range.end));
    hits
}
