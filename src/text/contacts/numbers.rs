//! Numbers that reach or cost somebody: telephones and payment cards.

use super::{span, word_before};
use crate::text::fold::{Kind, Symbol};
use crate::text::verify::Span;

/// Words that say that a telephone number follows.
const CALLS: [&str; 14] = [
    "tel",
    "telephone",
    "telefon",
    "phone",
    "call",
    "text",
    "sms",
    "whatsapp",
    "mobile",
    "mob",
    "cell",
    "fax",
    "dial",
    "ph",
];

/// Most groups of digits of one number.
const GROUPS: usize = 8;

/// Digits that stand together, and what parts them from the next ones.
#[derive(Debug)]
struct Group {
    first: usize,
    end: usize,
    digits: Vec<u8>,
    /// The sign before the group within the same row of digits; `\0` at its beginning.
    sign: char,
}

/// All telephone numbers of a text.
pub(super) fn phones(text: &[Symbol]) -> Vec<Span> {
    let mut found = Vec::new();
    for row in rows(text) {
        let mut at = 0;
        while at < row.len() {
            let most = row.len().min(at + GROUPS);
            let before = Before::new(text, row[at].first);
            let fits = |end: &usize| is_phone(text, &row, at..*end, &before);
            match (at + 1..=most).rev().find(fits) {
                Some(end) => {
                    found.push(span(before.first, row[end - 1].end));
                    at = end;
                }
                None => at += 1,
            }
        }
    }
    found
}

/// All card numbers of a text: 13 to 19 digits of a known issuer whose check digit is right.
pub(super) fn cards(text: &[Symbol]) -> Vec<Span> {
    let mut found = Vec::new();
    for row in rows(text) {
        let mut at = 0;
        while at < row.len() {
            let most = row.len().min(at + GROUPS);
            match (at + 1..=most).find(|end| is_card(&row[at..*end])) {
                Some(end) => {
                    found.push(span(row[at].first, row[end - 1].end));
                    at = end;
                }
                None => at += 1,
            }
        }
    }
    found
}

/// A plus or bracket before the first digit belongs to the number.
fn lead(text: &[Symbol], first: usize) -> usize {
    let lead = text[..first].iter().rev().take_while(|s| "+(".contains(s.c)).take(2).count();
    first - lead
}

/// Groups of digits with nothing but a sign or two between them. A row never leaves its line.
fn rows(text: &[Symbol]) -> Vec<Vec<Group>> {
    let digits = digits(text);
    let mut rows: Vec<Vec<Group>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if digits[at].is_none() {
            at += 1;
            continue;
        }
        let first = at;
        while at < text.len() && digits[at].is_some() {
            at += 1;
        }
        let sign =
            rows.last().and_then(|row| row.last()).and_then(|last| link(text, last.end, first));
        // Longer than any number: not worth keeping its digits.
        let group = Group {
            first,
            end: at,
            digits: digits[first..at].iter().flatten().copied().take(24).collect(),
            sign: sign.unwrap_or('\0'),
        };
        match (sign, rows.last_mut()) {
            (Some(_), Some(row)) => row.push(group),
            _ => rows.push(vec![group]),
        }
    }
    rows
}

/// The sign between two groups of one row: a space, hyphen, dot, slash or brackets, or those with
/// a space.
fn link(text: &[Symbol], end: usize, first: usize) -> Option<char> {
    let between = &text[end..first];
    let fits = |s: &Symbol| "-./()".contains(s.c) || (s.kind == Kind::Space && s.c != '\n');
    if between.len() > 3 || !between.iter().all(fits) || between.iter().any(|s| s.run > 1) {
        return None;
    }
    let sign = between.iter().find(|s| s.kind != Kind::Space).or(between.first())?;
    Some(sign.c)
}

/// The digit that each symbol is or, among digits, is taken for: O for 0, l and I for 1.
fn digits(text: &[Symbol]) -> Vec<Option<u8>> {
    let mut all = vec![None; text.len()];
    let mut at = 0;
    while at < text.len() {
        let word = text[at..].iter().take_while(|s| s.is_word()).count();
        let symbols = &text[at..at + word];
        let sure = symbols.iter().filter(|s| s.kind == Kind::Digit).count();
        let values = symbols.iter().map(|s| match s.c {
            'o' => Some(0),
            'l' | 'i' => Some(1),
            c => c.to_digit(10).and_then(|d| u8::try_from(d).ok()),
        });
        if sure > 0 && sure * 3 >= word * 2 && values.clone().all(|v| v.is_some()) {
            all[at..at + word].iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
        at += word.max(1);
    }
    all
}

/// What stands before a number, as far as it matters.
struct Before {
    /// First symbol of the number, with its plus or bracket.
    first: usize,
    /// Nothing that makes it a part of something else.
    free: bool,
    plus: bool,
    /// A word says that a number to call follows.
    called: bool,
}

impl Before {
    fn new(text: &[Symbol], digits: usize) -> Self {
        let first = lead(text, digits);
        let before = first.checked_sub(1).map(|b| &text[b]);
        let part = before.is_some_and(|s| s.is_word() || "$€£¥,#".contains(s.c));
        let value = before.is_some_and(|s| "=:_".contains(s.c));
        let plus = text[first..digits].iter().any(|s| s.c == '+');
        let called = !part && is_called(text, first);
        Self { first, free: !part && (called || plus || !value), plus, called }
    }
}

fn is_phone(text: &[Symbol], row: &[Group], part: std::ops::Range<usize>, before: &Before) -> bool {
    let groups = &row[part.clone()];
    let count: usize = groups.iter().map(|group| group.digits.len()).sum();
    if !before.free
        || is_tail(&row[part.start])
        // Behind the area code a slash parts two numbers.
        || groups.iter().skip(2).any(|group| group.sign == '/')
        || !(6..=17).contains(&count)
        || !may_end(text, groups[groups.len() - 1].end)
        || is_date(groups)
        || is_internet_address(groups)
    {
        return false;
    }
    if before.plus {
        return (8..=15).contains(&count) || (count == 16 && groups.len() > 1);
    }
    if before.called {
        return (7..=15).contains(&count);
    }
    let start = &groups[0].digits;
    match start.as_slice() {
        [0, 0, country, _, ..] => *country != 0 && count >= 10,
        [0, area, ..] => {
            let pairs = groups.iter().all(|group| group.digits.len() == 2);
            let more = row.get(part.end).is_some_and(|next| next.digits.len() == 2)
                || part.start.checked_sub(1).is_some_and(|b| row[b].digits.len() == 2);
            let shape = if pairs { count == 10 && !more } else { (9..=12).contains(&count) };
            *area != 0 && shape && (groups.len() > 1 || count >= 10)
        }
        [0] => false,
        _ => is_american(groups),
    }
}

/// Three, three and four digits, maybe behind a 1; the first of both threes is at least 2.
fn is_american(groups: &[Group]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let all: Vec<u8> = groups.iter().flat_map(|group| group.digits.iter().copied()).collect();
    let shape = match lengths.as_slice() {
        [3, 3, 4] | [3, 7] | [10] => 0,
        [1, 3, 3, 4] if all[0] == 1 => 1,
        _ => return false,
    };
    all[shape] >= 2 && all[shape + 3] >= 2
}

/// Whether a group is the tail of what stands before it: decimals, or the next part of a number.
fn is_tail(group: &Group) -> bool {
    matches!(group.sign, '.' | '-')
}

/// Whether nothing behind a number makes it a price, a part or a measure.
fn may_end(text: &[Symbol], end: usize) -> bool {
    let after = text.get(end);
    let unit = after.is_some_and(|s| s.is_word() || "%$€£¥°".contains(s.c));
    let goes_on = after.is_some_and(|s| ",:.".contains(s.c))
        && text.get(end + 1).is_some_and(|s| s.kind == Kind::Digit);
    !unit && !goes_on
}

/// A day, a month and a year first, in any usual order.
fn is_date(groups: &[Group]) -> bool {
    let [a, b, c, ..] = groups else { return false };
    let value =
        |group: &Group| group.digits.iter().fold(0_u32, |v, d| v.wrapping_mul(10) + u32::from(*d));
    let year = |group: &Group| group.digits.len() == 4 && (1900..2100).contains(&value(group));
    let short = |group: &Group, most| group.digits.len() <= 2 && (1..=most).contains(&value(group));
    let same = b.sign == c.sign && "-./".contains(b.sign);
    same && ((short(a, 31) && short(b, 31) && year(c)) || (year(a) && short(b, 12) && short(c, 31)))
}

fn is_internet_address(groups: &[Group]) -> bool {
    groups.len() == 4
        && groups[1..].iter().all(|group| group.sign == '.')
        && groups.iter().all(|group| group.digits.len() <= 3)
}

/// Whether one of the three words before says that a number to call follows.
fn is_called(text: &[Symbol], first: usize) -> bool {
    let mut at = first;
    for _ in 0..3 {
        let gap = text[..at].iter().rev().take_while(|s| !s.is_word() && s.c != '\n').take(4);
        let gap: Vec<char> = gap.map(|s| s.c).collect();
        if gap.iter().any(|c| matches!(c, '☎' | '📞' | '📱' | '✆')) {
            return true;
        }
        let (word, start) = word_before(text, at - gap.len());
        if CALLS.contains(&word.as_str()) {
            return true;
        }
        if word.is_empty() || word.chars().any(|c| c.is_ascii_digit()) {
            return false;
        }
        at = start;
    }
    false
}

/// Whether groups of digits are a card number: shape, issuer and the check digit of Luhn.
fn is_card(groups: &[Group]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let shape = match lengths.as_slice() {
        [n] => (13..=19).contains(n),
        [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 1..=3] => true,
        _ => false,
    };
    let digits: Vec<u8> = groups.iter().flat_map(|group| group.digits.iter().copied()).collect();
    let signs = groups[1..].iter().all(|group| matches!(group.sign, ' ' | '-'));
    let all_equal = digits.windows(2).all(|pair| pair[0] == pair[1]);
    shape
        && signs
        && !is_tail(&groups[0])
        && (2..=6).contains(&digits[0])
        && !all_equal
        && luhn(&digits)
}

/// Hans Peter Luhn's check, US patent 2,950,048.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| match u32::from(digit) * (1 + u32::from(at % 2 == 1)) {
            double if double > 9 => double - 9,
            value => value,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits() {
        let digits = |text: &str| text.bytes().map(|b| b - b'0').collect::<Vec<u8>>();
        assert!(luhn(&digits("4111111111111111")));
        assert!(luhn(&digits("79927398713")));
        assert!(!luhn(&digits("4111111111111112")));
        // One wrong digit is always noticed.
        for wrong in 0..10 {
            assert_eq!(luhn(&digits(&format!("7992739871{wrong}"))), wrong == 3);
        }
    }
}
