//! E-mail addresses.

use super::web::{is_top_level, local_start};
use super::{is_space, span, word_at, written};
use crate::text::fold::{Kind, Symbol};
use crate::text::verify::Span;

/// Most labels of a host.
const LABELS: usize = 8;

/// All addresses of a text.
pub(super) fn find(text: &[Symbol]) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for at in 1..text.len() {
        if found.last().is_some_and(|last| last.last >= at) {
            continue;
        }
        if let Some(address) = address(text, at) {
            found.push(address);
        }
    }
    found
}

/// The address whose name ends before a symbol.
fn address(text: &[Symbol], end: usize) -> Option<Span> {
    if !text[end - 1].is_word() || text[end].is_word() {
        return None;
    }
    let (host, brackets) = written(text, end, "at", '@')?;
    let sign = text[end..host].iter().any(|s| s.c == '@');
    let first = local_start(text, end);
    let last = host_end(text, host, !sign && !brackets)?;
    text[first..end].iter().any(Symbol::is_word).then(|| span(first, last))
}

/// The end of a host; `spelled`: its dots must be written out, as in "me at home dot com".
fn host_end(text: &[Symbol], at: usize, spelled: bool) -> Option<usize> {
    let (mut end, mut good) = (label_end(text, at)?, None);
    for _ in 0..LABELS {
        let Some((next, brackets)) = written(text, end, "dot", '.') else { break };
        let plain = !brackets && text[end..next].iter().any(|s| s.c == '.');
        if plain && (spelled || is_space(text, next.saturating_sub(1)) != is_space(text, end)) {
            break;
        }
        let Some(after) = label_end(text, next) else { break };
        let (label, _) = word_at(text, next);
        let letters = text[next..after].iter().all(|s| s.kind == Kind::Letter);
        let tight = plain && !is_space(text, end);
        if letters && label.len() >= 2 && (tight || is_top_level(&label)) {
            good = Some(after);
        }
        end = after;
    }
    good
}

fn label_end(text: &[Symbol], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let length = rest.iter().take_while(|s| s.is_word() || s.c == '-').take(63).count();
    (length > 0 && rest[0].is_word()).then_some(at + length)
}
