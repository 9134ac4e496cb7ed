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
            let fits = |end: &usize| is_phone(text, &row, at..*end);
            match (at + 1..=most).rev().find(fits) {
                Some(end) => {
                    found.push(span(lead(text, row[at].first), row[end - 1].end));
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

/// The digit that each symbol is or, among digits, is taken for: O for 0, l for 1.
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
            's' => Some(5),
            'b' => Some(8),
            c => c.to_digit(10).and_then(|d| u8::try_from(d).ok()),
        });
        if sure > 0 && sure * 3 >= word * 2 && values.clone().all(|v| v.is_some()) {
            all[at..at + word].iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
        at += word.max(1);
    }
    all
}

fn is_phone(text: &[Symbol], row: &[Group], part: std::ops::Range<usize>) -> bool {
    let groups = &row[part.clone()];
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let count: usize = lengths.iter().sum();
    let (first, end) = (groups[0].first, groups[groups.len() - 1].end);
    if !(6..=17).contains(&count) || !stands_alone(text, lead(text, first), end) {
        return false;
    }
    if is_date(groups) || is_internet_address(groups) {
        return false;
    }
    let start = &groups[0].digits;
    let begins = |with: &[u8]| start.starts_with(with);
    let plus = first.checked_sub(1).is_some_and(|b| "+(".contains(text[b].c))
        && text[lead(text, first)..first].iter().any(|s| s.c == '+');
    if plus {
        return (8..=15).contains(&count) || (count == 16 && groups.len() > 1);
    }
    if is_called(text, lead(text, first)) {
        return count <= 15;
    }
    if begins(&[0, 0]) {
        return (10..=17).contains(&count) && start.len() >= 4 && start[2] != 0;
    }
    if begins(&[0]) {
        let pairs = lengths.iter().all(|length| *length == 2);
        let more = row.get(part.end).is_some_and(|next| next.digits.len() == 2)
            || part.start.checked_sub(1).is_some_and(|b| row[b].digits.len() == 2);
        let shape = if pairs { count == 10 && !more } else { (9..=12).contains(&count) };
        let parted = groups.len() > 1 || count >= 10;
        return shape && parted && start.len() >= 2 && start[1] != 0;
    }
    is_american(&lengths, groups)
}

/// Three, three and four digits, maybe behind a 1; the first of both threes is at least 2.
fn is_american(lengths: &[usize], groups: &[Group]) -> bool {
    let all: Vec<u8> = groups.iter().flat_map(|group| group.digits.iter().copied()).collect();
    let shape = match lengths {
        [3, 3, 4] | [3, 7] | [10] => 0,
        [1, 3, 3, 4] if all[0] == 1 => 1,
        _ => return false,
    };
    all[shape] >= 2 && all[shape + 3] >= 2
}

/// Whether nothing beside a number makes it a price, a part or a measure.
fn stands_alone(text: &[Symbol], first: usize, end: usize) -> bool {
    let before = first.checked_sub(1).map(|b| &text[b]);
    let beside = before.is_some_and(|s| s.is_word() || "$€£¥,#".contains(s.c));
    let after = text.get(end);
    let unit = after.is_some_and(|s| s.is_word() || "%$€£¥°".contains(s.c));
    let goes_on = after.is_some_and(|s| ",:.".contains(s.c))
        && text.get(end + 1).is_some_and(|s| s.kind == Kind::Digit);
    !beside && !unit && !goes_on
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
    let all_equal = digits.windows(2).all(|pair| pair[0] == pair[1]);
    shape && (2..=6).contains(&digits[0]) && !all_equal && luhn(&digits)
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
