//! Which words of a text the rules forbid.
//!
//! The judge is pure: lines in, hits out. It knows nothing of pictures; what was read off a
//! screen, heard or typed is all the same to it.

mod rules;

pub use rules::{
    Contact, LANGUAGES, MAX_INNER_WILDCARDS, MAX_WORD, MAX_WORDS, Rules, Severity, Word,
    check_word, has_inner_wildcard,
};
