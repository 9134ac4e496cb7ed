//! Which words of a text the rules forbid.
//!
//! The judge is pure: lines in, hits out. It knows nothing of pictures; what was read off a
//! screen, heard or typed is all the same to it.
//!
//! ```text
//! lines ─► fold        one alphabet, one case, nothing invisible; where each symbol was read
//!       ─► scan        every form of every word, through leetspeak, gaps, repeats, misreadings
//!       ─► verify      whether a word is meant: boundaries, innocent words, innocent pieces
//!       ─► context     quotations and topics in which a word is harmless
//!       ─► contacts    telephone numbers, addresses, cards
//!       ─► hits        what is allowed taken out, the widest of what overlaps
//! ```
//!
//! docs/RULES.md tells operators what it does, with the table of scores.

mod apart;
mod bounds;
mod contacts;
mod context;
mod fold;
mod fused;
mod guard;
mod hits;
mod inflect;
mod judge;
mod lexicon;
mod lookalikes;
mod pattern;
mod readings;
mod rules;
mod scan;
mod states;
#[cfg(test)]
mod tests;
mod trie;
mod verify;

pub use fold::normalise;
pub use judge::{Hit, Judge, Kind, THRESHOLD};
pub use rules::{
    Contact, LANGUAGES, MAX_INNER_WILDCARDS, MAX_WORD, MAX_WORDS, Rules, Severity, Word,
    check_word, has_inner_wildcard,
};
