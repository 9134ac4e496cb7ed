//! Text as a reader sees it: one alphabet, one case, no marks, nothing invisible.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::lookalikes::look_alike;

/// What a symbol is to the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Letter,
    Digit,
    /// White space, also the end of a line.
    Space,
    /// Everything else: punctuation, symbols, pictures.
    Sign,
}

/// A folded character and where it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) c: char,
    pub(super) kind: Kind,
    /// Whether it was written as a capital.
    pub(super) upper: bool,
    /// Index of the line.
    pub(super) line: usize,
    /// First character of the line that it stands for.
    pub(super) start: usize,
    /// One past the last.
    pub(super) end: usize,
    /// How often it was repeated: runs are shortened to [`RUN`].
    pub(super) run: usize,
}

/// Most equal symbols in a row that are kept; digits are kept all.
const RUN: usize = 3;

impl Symbol {
    pub(super) fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Letter | Kind::Digit)
    }
}

/// The folded form of a text: NFKC without diacritics and invisible characters, lower case, with
/// look-alikes as the Latin letters they look like, white space as single spaces. Idempotent.
pub fn normalise(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        fold(c, &mut |c| {
            let c = if c.is_whitespace() { ' ' } else { c };
            if c != ' ' || !folded.ends_with(' ') {
                folded.push(c);
            }
        });
    }
    folded
}

/// The symbols of all lines, one after another, with a space for the end of each line but the
/// last.
pub(super) fn symbols(lines: &[&str]) -> Vec<Symbol> {
    let mut all: Vec<Symbol> = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for (line, text) in lines.iter().enumerate() {
        let mut length = 0;
        for (at, source) in text.chars().enumerate() {
            length = at + 1;
            let mut shown = false;
            fold(source, &mut |c| {
                shown = true;
                let upper = source.is_uppercase();
                push(
                    &mut all,
                    Symbol { c, kind: kind(c), upper, line, start: at, end: at + 1, run: 1 },
                );
            });
            // A mark or something invisible belongs to what it follows.
            if !shown && let Some(last) = all.last_mut().filter(|last| last.line == line) {
                last.end = at + 1;
            }
        }
        if line + 1 < lines.len() {
            let space = Symbol {
                c: '\n',
                kind: Kind::Space,
                upper: false,
                line,
                start: length,
                end: length,
                run: 1,
            };
            push(&mut all, space);
        }
    }
    all
}

fn push(all: &mut Vec<Symbol>, symbol: Symbol) {
    let most = if symbol.kind == Kind::Space { 1 } else { RUN };
    if let Some(last) = all.last_mut()
        && (last.c == symbol.c || (last.kind, symbol.kind) == (Kind::Space, Kind::Space))
        && last.kind != Kind::Digit
    {
        let run = last.run + 1;
        if run > most {
            last.run = run;
            if last.line == symbol.line {
                last.end = symbol.end;
            }
            // The end of a line is stronger than a space before it.
            if symbol.c == '\n' {
                last.c = '\n';
            }
            return;
        }
        all.push(Symbol { run, ..symbol });
        return;
    }
    all.push(symbol);
}

fn kind(c: char) -> Kind {
    if c.is_ascii_digit() {
        Kind::Digit
    } else if c.is_alphabetic() || is_combining_mark(c) {
        Kind::Letter
    } else if c.is_whitespace() {
        Kind::Space
    } else {
        Kind::Sign
    }
}

/// Gives the folded characters of `c` to `out`: none for marks and for what is invisible.
fn fold(c: char, out: &mut impl FnMut(char)) {
    if c.is_ascii() && c != '`' {
        if !c.is_ascii_control() {
            out(c.to_ascii_lowercase());
        } else if c.is_ascii_whitespace() || c == '\u{b}' {
            out(' ');
        }
        return;
    }
    // Signs of trade would become letters.
    if matches!(c, '™' | '℠' | '℡' | '©' | '®') {
        return out('\u{2122}');
    }
    if let Some(alike) = look_alike(c) {
        return alike.chars().for_each(out);
    }
    decompose_compatible(c, |part| {
        if is_invisible(part) || is_diacritic(part) {
            return;
        }
        if let Some(alike) = look_alike(part) {
            return alike.chars().for_each(&mut *out);
        }
        for lower in part.to_lowercase() {
            match look_alike(lower) {
                Some(alike) => alike.chars().for_each(&mut *out),
                None if is_diacritic(lower) => {}
                None if lower.is_whitespace() => out(' '),
                None => out(lower),
            }
        }
    });
}

/// Marks above, below and through letters. Vowel signs and the voicing marks of kana are not among
/// them: without those a word is another word.
fn is_diacritic(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5BD}' | '\u{5BF}'
        | '\u{5C1}'..='\u{5C2}' | '\u{5C4}'..='\u{5C5}' | '\u{5C7}' | '\u{610}'..='\u{61A}'
        | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Unicode's default ignorable code points and control characters.
fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether a script writes words without spaces between them.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_folds_to_what_folds_to_itself() {
        let wrong: Vec<char> = ('\0'..=char::MAX)
            .filter(|c| {
                let once = normalise(&c.to_string());
                normalise(&once) != once
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn one_word_in_many_dresses() {
        for dressed in [
            "BAD",
            "ｂａｄ",
            "bаd",
            "𝐛𝐚𝐝",
            "𝔅𝔞𝔡",
            "ⓑⓐⓓ",
            "🅱🅰🅳",
            "🇧🇦🇩",
            "b\u{301}ä\u{327}d",
            "b\u{200b}a\u{ad}d",
            "ʙᴀᴅ",
            "ᗷᗩᗪ",
            "ВАԀ",
            "b\u{2060}ad\u{fe0f}",
        ] {
            assert_eq!(normalise(dressed), "bad", "{dressed}");
        }
    }

    #[test]
    fn symbols_say_where_they_were_read() {
        let all = symbols(&["aß\u{301}", "b"]);
        let places: Vec<_> = all.iter().map(|s| (s.c, s.line, s.start, s.end)).collect();
        assert_eq!(
            places,
            [('a', 0, 0, 1), ('s', 0, 1, 2), ('s', 0, 1, 3), ('\n', 0, 3, 3), ('b', 1, 0, 1)]
        );
    }

    #[test]
    fn long_runs_are_shortened_and_keep_their_place() {
        let all = symbols(&["baaaaaad   1111!"]);
        let text: String = all.iter().map(|s| s.c).collect();
        assert_eq!(text, "baaad 1111!");
        assert_eq!((all[3].start, all[3].end, all[3].run), (3, 7, 6));
    }
}
