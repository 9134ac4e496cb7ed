use std::ops::Range;

#[allow(unused_imports)]
use proptest::prelude::*;

use super::*;

/// `@ key=a,b; key=c` sets the rules of the lines below it; in a line `⟦ ⟧` stand around what is to
/// be found, `⏎` parts lines, `#` begins a remark.
const TABLE: &str = include_str!("tests/table.txt");

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn word(text: &str) -> Word {
    Word { text: text.to_owned(), severity: None, languages: Vec::new(), context: false }
}

fn rules(line: &str) -> Rules {
    let mut rules = Rules { context: true, ..Rules::default() };
    for (key, value) in line.split(';').filter_map(|part| part.split_once('=')) {
        match key.trim() {
            "words" => rules.words = list(value).iter().map(|w| word(w)).collect(),
            "allow" => rules.allow = list(value),
            "languages" => rules.languages = list(value),
            "severity" => {
                rules.severity = match value.trim() {
                    "mild" => Severity::Mild,
                    "strong" => Severity::Strong,
                    _ => Severity::Severe,
                }
            }
            "context" => rules.context = value.trim() == "true",
            "contacts" => {
                rules.contacts = list(value)
                    .iter()
                    .map(|name| match name.as_str() {
                        "phone" => Contact::Phone,
                        "email" => Contact::Email,
                        "url" => Contact::Url,
                        _ => Contact::Card,
                    })
                    .collect();
            }
            other => panic!("{other}"),
        }
    }
    rules
}

/// The lines without marks, and what is marked.
fn parse(case: &str) -> (Vec<String>, Vec<(usize, Range<usize>)>) {
    let (mut lines, mut marks) = (Vec::new(), Vec::new());
    for (index, line) in case.split('⏎').enumerate() {
        let (mut text, mut count, mut open) = (String::new(), 0, 0);
        for c in line.chars() {
            match c {
                '⟦' => open = count,
                '⟧' => marks.push((index, open..count)),
                c => {
                    text.push(c);
                    count += 1;
                }
            }
        }
        lines.push(text);
    }
    (lines, marks)
}

/// Neighbouring hits count as one: what is covered is what matters.
fn covered(hits: &[Hit]) -> Vec<(usize, Range<usize>)> {
    let mut all: Vec<(usize, Range<usize>)> = Vec::new();
    for hit in hits {
        match all.last_mut() {
            Some((line, range)) if *line == hit.line && hit.range.start <= range.end => {
                range.end = range.end.max(hit.range.end);
            }
            _ => all.push((hit.line, hit.range.clone())),
        }
    }
    all
}

#[test]
fn the_table() {
    let mut judge = Judge::new(&Rules::default());
    let (mut cases, mut wrong) = (0, Vec::new());
    for line in TABLE.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(header) = line.strip_prefix("@ ") {
            judge = Judge::new(&rules(header));
            continue;
        }
        let (lines, marks) = parse(line);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let hits = judge.judge(&lines);
        cases += 1;
        if covered(&hits) != marks {
            wrong.push(format!("{line}: {hits:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= 300, "{cases} cases");
}
