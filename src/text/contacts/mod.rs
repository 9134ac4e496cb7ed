//! Contact data: what tells where somebody can be reached, or what they pay with.

mod email;
mod numbers;
mod web;

use std::collections::BTreeSet;

use super::fold::{Kind, Symbol};
use super::rules::Contact;
use super::verify::Span;

/// The name of a kind, as the rules spell it.
pub(super) fn name(contact: Contact) -> &'static str {
    match contact {
        Contact::Phone => "phone",
        Contact::Email => "email",
        Contact::Url => "url",
        Contact::Card => "card",
    }
}

/// The contact data of the wanted kinds. Linear: each place is looked at with bounded reach.
pub(super) fn find(text: &[Symbol], wanted: &BTreeSet<Contact>) -> Vec<(Contact, Span)> {
    let mut found = Vec::new();
    let mut add = |contact, spans: Vec<Span>| {
        found.extend(spans.into_iter().map(|span| (contact, span)));
    };
    if wanted.contains(&Contact::Email) {
        add(Contact::Email, email::find(text));
    }
    if wanted.contains(&Contact::Url) {
        add(Contact::Url, web::find(text));
    }
    if wanted.contains(&Contact::Phone) {
        add(Contact::Phone, numbers::phones(text));
    }
    if wanted.contains(&Contact::Card) {
        add(Contact::Card, numbers::cards(text));
    }
    found
}

/// From the first symbol to the one before `end`.
fn span(first: usize, end: usize) -> Span {
    Span { first, last: end - 1, cost: 0 }
}

/// The word that begins at a symbol, and where it ends; at most 64 symbols.
fn word_at(text: &[Symbol], at: usize) -> (String, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let word: String = rest.iter().take_while(|s| s.is_word()).take(64).map(|s| s.c).collect();
    let end = at + word.chars().count();
    (word, end)
}

/// The word that ends before a symbol, and where it begins; at most 64 symbols.
fn word_before(text: &[Symbol], end: usize) -> (String, usize) {
    let back = text[..end].iter().rev().take_while(|s| s.is_word()).take(64).count();
    (text[end - back..end].iter().map(|s| s.c).collect(), end - back)
}

fn is_space(text: &[Symbol], at: usize) -> bool {
    text.get(at).is_some_and(|s| s.kind == Kind::Space && s.c != '\n')
}

/// Past one of these written out, with or without brackets and spaces: `dot`, `(dot)`, ` [at] `.
/// Also whether it stood in brackets.
fn written(text: &[Symbol], at: usize, name: &str, sign: char) -> Option<(usize, bool)> {
    let mut at = at + usize::from(is_space(text, at));
    let bracket = text.get(at).is_some_and(|s| "([{<".contains(s.c));
    at += usize::from(bracket) + usize::from(bracket && is_space(text, at + 1));
    let (word, end) = word_at(text, at);
    at = if word == name {
        end
    } else if text.get(at).is_some_and(|s| s.c == sign) {
        at + 1
    } else {
        return None;
    };
    at += usize::from(bracket && is_space(text, at));
    let closed = text.get(at).is_some_and(|s| ")]}>".contains(s.c));
    if bracket != closed {
        return None;
    }
    at += usize::from(closed);
    Some((at + usize::from(is_space(text, at)), bracket))
}
