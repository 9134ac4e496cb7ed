//! Web addresses.

use super::{is_space, span, word_at, word_before, written};
use crate::text::fold::{Kind, Symbol};
use crate::text::verify::Span;

/// Top-level domains that are no words.
const PLAIN: [&str; 72] = [
    "com", "net", "org", "edu", "gov", "mil", "biz", "io", "ai", "tv", "gg", "ly", "uk", "de",
    "fr", "es", "nl", "pl", "pt", "ru", "ch", "se", "dk", "fi", "cz", "sk", "hu", "ro", "bg", "gr",
    "tr", "ua", "by", "kz", "cn", "jp", "kr", "tw", "hk", "sg", "th", "vn", "ph", "au", "nz", "ca",
    "mx", "br", "ar", "cl", "pe", "za", "eg", "il", "ae", "ie", "eu", "app", "dev", "xyz", "icu",
    "wtf", "moe", "fm", "gl", "cc", "vip", "nyc", "onl", "ws", "su", "rip",
];

/// Top-level domains that are words: those count in small letters.
const WORDS: [&str; 24] = [
    "info", "name", "live", "stream", "shop", "store", "site", "online", "club", "link", "page",
    "space", "world", "today", "games", "game", "video", "chat", "fun", "bet", "casino", "social",
    "art", "blog",
];

/// Top-level domains that are small words of sentences: those count before a path alone.
const SMALL: [&str; 20] = [
    "is", "it", "in", "me", "to", "so", "at", "be", "my", "no", "us", "am", "as", "do", "la", "co",
    "id", "pm", "st", "sh",
];

/// Words before "dot com" that make it no address.
const NO_NAME: [&str; 14] = [
    "the", "a", "an", "this", "that", "these", "my", "your", "our", "new", "old", "first", "and",
    "of",
];

/// Words after "dot com" that make it a time of great hopes.
const NO_ADDRESS: [&str; 8] =
    ["bubble", "boom", "era", "crash", "company", "companies", "bust", "millionaire"];

/// Most symbols of an address.
const LONGEST: usize = 256;

/// Most labels of a host.
const LABELS: usize = 8;

/// All addresses of a text.
pub(super) fn find(text: &[Symbol]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match address(text, at) {
            Some(end) => {
                found.push(span(at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// The end of the address that begins at a symbol.
fn address(text: &[Symbol], at: usize) -> Option<usize> {
    let first = &text[at];
    let before = at.checked_sub(1).map(|b| &text[b]);
    if !first.is_word() || before.is_some_and(|b| b.is_word() || "@-_".contains(b.c)) {
        return None;
    }
    let (word, end) = word_at(text, at);
    let slashes =
        |at: usize| matches!(text.get(at..at + 2), Some([a, b]) if a.c == '/' && b.c == '/');
    if text.get(end).is_some_and(|s| s.c == ':') && slashes(end + 1) && !word.is_empty() {
        return Some(path_end(text, end + 3)).filter(|e| *e > end + 3);
    }
    if let Some(end) = host_end(text, at, word == "www") {
        return Some(path_end(text, end));
    }
    dotted(text, end, &word)
}

/// The end of the host that begins at a symbol, when its last label is a top-level domain.
fn host_end(text: &[Symbol], at: usize, www: bool) -> Option<usize> {
    let mut end = label_end(text, at)?;
    let mut good = None;
    let mut letters = text[at..end].iter().any(|s| s.kind == Kind::Letter);
    for _ in 0..LABELS {
        if text.get(end).is_none_or(|s| s.c != '.' || s.run > 1) {
            break;
        }
        let start = end + 1;
        let Some(next) = label_end(text, start) else { break };
        let name: String = text[start..next].iter().map(|s| s.c).collect();
        let path = text.get(next).is_some_and(|s| s.c == '/' || s.c == ':')
            && text.get(next + 1).is_some_and(Symbol::is_word);
        let shouted = text[at].upper && text[end - 1].upper;
        let written = !text[start].upper || shouted;
        let known = PLAIN.contains(&name.as_str()) && letters
            || (WORDS.contains(&name.as_str()) && written)
            || (SMALL.contains(&name.as_str()) && path)
            || (www && start > at + 4);
        if known {
            good = Some(next);
        }
        letters |= text[start..next].iter().any(|s| s.kind == Kind::Letter);
        end = next;
    }
    // What goes on as a word is no domain: "example.computer".
    good.filter(|end| !text.get(*end).is_some_and(Symbol::is_word))
}

fn label_end(text: &[Symbol], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let length = rest.iter().take_while(|s| s.is_word() || s.c == '-').take(63).count();
    (length > 0 && rest[0].is_word()).then_some(at + length)
}

/// The end of what follows a host: a port, a path, a question.
fn path_end(text: &[Symbol], at: usize) -> usize {
    let goes_on = text.get(at).is_none_or(|s| "/:?#".contains(s.c) || s.is_word());
    if !goes_on {
        return at;
    }
    let part = |s: &&Symbol| s.kind != Kind::Space && !"\"<>[]{}".contains(s.c);
    let mut end = at + text[at.min(text.len())..].iter().take_while(part).take(LONGEST).count();
    while end > at && ".,;:!?)'".contains(text[end - 1].c) {
        end -= 1;
    }
    end
}

/// The end of an address with its dots written out: example dot com, example [.] com.
fn dotted(text: &[Symbol], end: usize, name: &str) -> Option<usize> {
    if NO_NAME.contains(&name) || !name.chars().any(char::is_alphabetic) {
        return None;
    }
    let (mut at, mut good) = (end, None);
    for _ in 0..LABELS {
        let Some((next, brackets)) = written(text, at, "dot", '.') else { break };
        // A dot of its own ends a sentence unless something odd stands around it.
        let plain = !brackets && text[at..next].iter().any(|s| s.c == '.');
        let apart = is_space(text, at) && is_space(text, next.saturating_sub(1));
        if plain && !apart {
            break;
        }
        let (label, after) = word_at(text, next);
        if label.is_empty() {
            break;
        }
        let common = ["com", "net", "org", "tv", "gg"].contains(&label.as_str());
        let (follows, _) = word_at(text, after + usize::from(is_space(text, after)));
        if (common || (!plain && PLAIN.contains(&label.as_str())))
            && !NO_ADDRESS.contains(&follows.as_str())
        {
            good = Some(after);
        }
        at = after;
    }
    good
}

/// Whether a word is a top-level domain of any kind.
pub(super) fn is_top_level(word: &str) -> bool {
    PLAIN.contains(&word) || WORDS.contains(&word) || SMALL.contains(&word)
}

/// The start of the name that ends before a symbol, of the letters that mail allows.
pub(super) fn local_start(text: &[Symbol], end: usize) -> usize {
    let part = |s: &&Symbol| s.is_word() || "._%+-".contains(s.c);
    let back = text[..end].iter().rev().take_while(part).take(64).count();
    let start = end - back;
    let signs = text[start..end].iter().take_while(|s| !s.is_word()).count();
    let start = start + signs;
    if start < end { start } else { word_before(text, end).1 }
}
