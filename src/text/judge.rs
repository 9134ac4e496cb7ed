//! The judge: lines in, hits out.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::contacts;
use super::context::Context;
use super::fold::{Symbol, symbols};
use super::fused;
use super::hits::{Allowed, Found, hits};
use super::inflect::forms;
use super::lexicon::{Flags, Lexicon};
use super::pattern::patterns;
use super::rules::{Contact, Rules, Severity, Word};
use super::scan::{Candidate, scan};
use super::trie::Trie;
use super::verify::{extent, verify};

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
        topics: Flags,
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
        let topics = if soft { self.topics(&word.text) } else { 0 };
        let effect = Effect::Forbid { severity, topics, soft, own: true };
        let languages: Vec<&str> = word.languages.iter().map(String::as_str).collect();
        self.add(&word.text, effect, if languages.is_empty() { &["en"] } else { &languages });
    }

    /// The topics that the built-in lists know for a word.
    fn topics(&self, word: &str) -> Flags {
        let own = patterns(word);
        let same = |listed: &&super::lexicon::Listed| patterns(&listed.word) == own;
        self.lexicon.words.iter().find(same).map(|l| l.topics).unwrap_or_default()
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
        let mut candidates = Vec::new();
        let steps = scan(&self.trie, &text, &mut |candidate| candidates.push(candidate));
        fused::scan(&self.trie, &text, &mut |candidate| candidates.push(candidate));
        // Of all readings of one place as one word the cheapest speaks for it.
        let place = |c: &Candidate| (c.end.entry, c.state.start, c.state.last);
        candidates.sort_unstable_by_key(|c| (place(c), c.state.cost));
        candidates.dedup_by_key(|c| place(c));
        let allowed = self.allowed(&text, &candidates);
        let context = OnceCell::new();
        let words = candidates.iter().filter_map(|c| self.weigh(&text, c, &context));
        let mut found: Vec<Found> = words.filter(|f| !allowed.covers(f.span)).collect();
        for (contact, span) in contacts::find(&text, &self.contacts) {
            // A part of it that is allowed makes it the operator's own.
            if !allowed.touches(span) && !allowed.covers(span) {
                let (word, kind) = (contacts::name(contact).into(), Kind::Contact(contact));
                found.push(Found { span, word, kind, severity: Severity::Strong, own: true });
            }
        }
        (hits(&text, found), steps)
    }

    /// The part of a line whose end (or, at `end` false, whose beginning) is out of sight that may
    /// be a forbidden word: at least half of one of its forms, letter by letter. Characters of the
    /// line. The letter at the cut may be cut itself, and read as another.
    pub fn cut_word(&self, line: &str, end: bool) -> Option<Range<usize>> {
        let text = symbols(&[line]);
        let (word, range): (Vec<char>, _) = {
            let letters = |s: &&Symbol| s.is_word();
            let count = if end {
                text.iter().rev().take_while(letters).count()
            } else {
                text.iter().take_while(letters).count()
            };
            let part = if end { &text[text.len() - count..] } else { &text[..count] };
            let range = part.first()?.start..part.last()?.end;
            (part.iter().map(|s| s.c).collect(), range)
        };
        let whole: String = word.iter().collect();
        let less: String =
            if end { word[..word.len() - 1].iter().collect() } else { word[1..].iter().collect() };
        let may_be = |part: &str| {
            let letters = part.chars().count();
            letters >= 2
                && self.trie.ends().any(|at| {
                    let form = self.trie.form(*at).trim_matches('*');
                    let fits = if end { form.starts_with(part) } else { form.ends_with(part) };
                    fits && usize::from(at.letters) <= 2 * letters
                        && matches!(self.entries[at.entry as usize].effect, Effect::Forbid { .. })
                })
        };
        (may_be(&whole) || may_be(&less)).then_some(range)
    }

    fn allowed(&self, text: &[Symbol], candidates: &[Candidate]) -> Allowed {
        let allows = |c: &&Candidate| {
            !c.state.bent && matches!(self.entries[c.end.entry as usize].effect, Effect::Allow)
        };
        Allowed::new(text.len(), candidates.iter().filter(allows).map(|c| extent(text, c)))
    }

    fn weigh(
        &self,
        text: &[Symbol],
        candidate: &Candidate,
        context: &OnceCell<Context>,
    ) -> Option<Found> {
        let entry = &self.entries[candidate.end.entry as usize];
        let Effect::Forbid { severity, topics, soft, own } = entry.effect else { return None };
        // What means something else at times does so in compounds too.
        if candidate.fused && !own && topics != 0 {
            return None;
        }
        let form = self.trie.form(candidate.end);
        let mut span = verify(text, form, candidate)?;
        if soft {
            let context = context.get_or_init(|| Context::new(text, &self.lexicon));
            span.cost += context.softening(text, span, severity, topics);
        }
        let kind = if entry.phrase { Kind::Phrase } else { Kind::Word };
        let found = Found { span, word: entry.word.clone(), kind, severity, own };
        (found.score() >= THRESHOLD).then_some(found)
    }
}
