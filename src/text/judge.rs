//! The judge: lines in, hits out.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::contacts;
use super::context::softening;
use super::fold::{Symbol, symbols};
use super::inflect::forms;
use super::lexicon::Lexicon;
use super::pattern::patterns;
use super::rules::{Contact, Rules, Severity, Word};
use super::scan::{Candidate, scan};
use super::trie::Trie;
use super::verify::{Span, extent, verify};

/// The score from which a word counts. Tricks and context take from 1; see docs/RULES.md.
pub const THRESHOLD: f32 = 0.5;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One word.
    Word,
    /// Several words in a row, maybe over neighbouring lines.
    Phrase,
    /// Contact data.
    Contact(Contact),
}

/// A part of a line that the rules forbid.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Index of the line. What spans several lines is one hit in each.
    pub line: usize,
    /// Characters of the line as it was handed in; never empty.
    pub range: Range<usize>,
    /// The word of the rules or of the built-in list that it matches; for contact data the kind.
    pub word: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is, from [`THRESHOLD`] to 1.
    pub score: f32,
}

/// What an entry of the trie does.
#[derive(Debug)]
enum Effect {
    /// What it matches is never a hit.
    Allow,
    Forbid {
        severity: Severity,
        topics: Vec<String>,
        soft: bool,
        own: bool,
    },
}

#[derive(Debug)]
struct Entry {
    word: Arc<str>,
    effect: Effect,
    phrase: bool,
}

/// Compiled rules. Made once for a set of rules, then shared: judging needs `&self` only.
#[derive(Debug)]
pub struct Judge {
    trie: Trie,
    entries: Vec<Entry>,
    lexicon: Lexicon,
    contacts: BTreeSet<Contact>,
}

/// Something found, in symbols.
struct Found {
    span: Span,
    word: Arc<str>,
    kind: Kind,
    severity: Severity,
    own: bool,
}

impl Judge {
    /// Compiles rules. What of them makes no sense is left out: `TextRule::check` names it.
    pub fn new(rules: &Rules) -> Self {
        let lexicon = Lexicon::new(&rules.languages);
        let contacts = rules.contacts.clone();
        let mut judge = Self { trie: Trie::new(), entries: Vec::new(), lexicon, contacts };
        for word in &rules.words {
            judge.add_own(word, rules);
        }
        for listed in std::mem::take(&mut judge.lexicon.words) {
            if listed.severity < rules.severity {
                continue;
            }
            let (severity, soft) = (listed.severity, rules.context);
            let effect = Effect::Forbid { severity, topics: listed.topics, soft, own: false };
            let languages = [listed.language];
            judge.add(&listed.word, effect, if listed.inflected { &languages } else { &[] });
        }
        let builtin = std::mem::take(&mut judge.lexicon.allow);
        for word in rules.allow.iter().chain(&builtin) {
            judge.add(word, Effect::Allow, &[]);
        }
        judge
    }

    fn add_own(&mut self, word: &Word, rules: &Rules) {
        let foreign = |language: &String| !rules.languages.contains(language);
        if !word.languages.is_empty() && word.languages.iter().all(foreign) {
            return;
        }
        if word.severity.is_some_and(|severity| severity < rules.severity) {
            return;
        }
        let severity = word.severity.unwrap_or(Severity::Strong);
        let soft = word.context && rules.context;
        let topics = if soft { self.topics(&word.text) } else { Vec::new() };
        let effect = Effect::Forbid { severity, topics, soft, own: true };
        let languages: Vec<&str> = word.languages.iter().map(String::as_str).collect();
        self.add(&word.text, effect, if languages.is_empty() { &["en"] } else { &languages });
    }

    /// The topics that the built-in lists know for a word.
    fn topics(&self, word: &str) -> Vec<String> {
        let own = patterns(word);
        let same = |listed: &&super::lexicon::Listed| patterns(&listed.word) == own;
        self.lexicon.words.iter().find(same).map(|l| l.topics.clone()).unwrap_or_default()
    }

    /// Adds a word with its forms in some languages.
    fn add(&mut self, word: &str, effect: Effect, languages: &[&str]) {
        let patterns = patterns(word);
        let Some(first) = patterns.first() else { return };
        let Ok(index) = u32::try_from(self.entries.len()) else { return };
        let phrase = first.contains(' ');
        self.entries.push(Entry { word: word.trim().into(), effect, phrase });
        for pattern in &patterns {
            self.trie.add(pattern, index);
            for language in languages {
                for form in forms(pattern, language) {
                    self.trie.add(&form, index);
                }
            }
        }
    }

    /// What the rules forbid in lines that stand near each other, in reading order: words and
    /// phrases may run from one into the next. Sorted by line and place. Linear in their length.
    pub fn judge(&self, lines: &[&str]) -> Vec<Hit> {
        self.judge_counted(lines).0
    }

    /// Hits, and how many readings were tried for them.
    pub(super) fn judge_counted(&self, lines: &[&str]) -> (Vec<Hit>, usize) {
        let text = symbols(lines);
        let (mut found, mut allowed) = (Vec::new(), Vec::new());
        let steps = scan(&self.trie, &text, &mut |candidate| {
            self.weigh(&text, &candidate, &mut found, &mut allowed);
        });
        let allowed = Allowed::new(text.len(), &allowed);
        found.retain(|f| !allowed.covers(f.span));
        for (contact, span) in contacts::find(&text, &self.contacts) {
            // A part of it that is allowed makes it the operator's own.
            if !allowed.touches(span) && !allowed.covers(span) {
                let (word, kind) = (contacts::name(contact).into(), Kind::Contact(contact));
                found.push(Found { span, word, kind, severity: Severity::Strong, own: true });
            }
        }
        (hits(&text, without_overlaps(found)), steps)
    }

    fn weigh(
        &self,
        text: &[Symbol],
        candidate: &Candidate,
        found: &mut Vec<Found>,
        allowed: &mut Vec<Span>,
    ) {
        let entry = &self.entries[candidate.end.entry as usize];
        let Effect::Forbid { severity, topics, soft, own } = &entry.effect else {
            if !candidate.state.bent {
                allowed.push(extent(text, candidate));
            }
            return;
        };
        let form = self.trie.form(candidate.end);
        let Some(mut span) = verify(text, form, candidate) else { return };
        if *soft {
            span.cost += softening(text, span, *severity, topics, &self.lexicon);
        }
        if score(span.cost) >= THRESHOLD {
            let kind = if entry.phrase { Kind::Phrase } else { Kind::Word };
            let (severity, own) = (*severity, *own);
            found.push(Found { span, word: entry.word.clone(), kind, severity, own });
        }
    }
}

/// Where allowed spans are, for questions in constant time.
struct Allowed {
    /// For each symbol the furthest end of the spans that begin there or before, plus one.
    reach: Vec<usize>,
    /// For each symbol the nearest end of the spans that begin there or after.
    next: Vec<usize>,
}

impl Allowed {
    fn new(symbols: usize, spans: &[Span]) -> Self {
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
    fn covers(&self, span: Span) -> bool {
        self.reach[span.first] > span.last
    }

    /// Whether an allowed one lies within a span.
    fn touches(&self, span: Span) -> bool {
        self.next[span.first] <= span.last
    }
}

fn score(cost: u16) -> f32 {
    f32::from(100_u16.saturating_sub(cost)) / 100.0
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

/// The hits of each line that the spans touch.
fn hits(text: &[Symbol], found: Vec<Found>) -> Vec<Hit> {
    let mut hits = Vec::with_capacity(found.len());
    for f in found {
        let symbols = &text[f.span.first..=f.span.last];
        for part in symbols.chunk_by(|a, b| a.line == b.line) {
            let shown = |s: &&Symbol| s.kind != super::fold::Kind::Space;
            let first = part.iter().find(shown);
            let last = part.iter().rfind(shown);
            if let (Some(first), Some(last)) = (first, last) {
                hits.push(Hit {
                    line: first.line,
                    range: first.start..last.end,
                    word: f.word.clone(),
                    kind: f.kind,
                    severity: f.severity,
                    score: score(f.span.cost),
                });
            }
        }
    }
    hits.sort_by_key(|hit| (hit.line, hit.range.start, hit.range.end));
    hits
}
