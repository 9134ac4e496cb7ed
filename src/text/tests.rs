//! What the judge promises, over tables and random texts.

use std::ops::Range;

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

fn own(words: &[&str]) -> Judge {
    Judge::new(&Rules { words: words.iter().map(|w| word(w)).collect(), ..Rules::default() })
}

fn built_in(languages: &[&str]) -> Judge {
    let languages = languages.iter().map(|l| (*l).to_owned()).collect();
    let contacts = [Contact::Phone, Contact::Email, Contact::Url, Contact::Card].into();
    Judge::new(&Rules { languages, contacts, context: true, ..Rules::default() })
}

/// A small judge that knows a bit of everything.
fn mixed() -> Judge {
    let contacts = [Contact::Phone, Contact::Email, Contact::Url, Contact::Card].into();
    let words = ["bad", "*foo*", "q*x", "shut up", "bollocks", "ass", "плохо"].map(word).to_vec();
    let allow = vec!["foobar".to_owned(), "bad day".to_owned()];
    Judge::new(&Rules { words, allow, contacts, context: true, ..Rules::default() })
}

/// Whether hits cover all letters of a text of one line.
fn all_covered(text: &str, hits: &[Hit]) -> bool {
    let inside = |at: usize| hits.iter().any(|hit| hit.range.contains(&at));
    text.chars().enumerate().all(|(at, c)| !c.is_alphanumeric() || inside(at))
}

/// The only hits in common words are those of forbidden words that stand there letter by letter.
#[test]
fn no_common_word_is_misread_as_a_forbidden_one() {
    let judge = built_in(&["en"]);
    let mut exact = Vec::new();
    for word in guard::words().flat_map(|word| [word.to_owned(), format!("{word}s")]) {
        for hit in judge.judge(&[&word]) {
            assert!((hit.score - 1.0).abs() < f32::EPSILON, "{word}: {hit:?}");
            assert_eq!(hit.range, 0..word.chars().count(), "{word}: {hit:?}");
            exact.push(word.clone());
        }
    }
    // A handful of 62,000: the list holds some forbidden words too.
    assert!((40..200).contains(&exact.len()), "{}: {exact:?}", exact.len());
}

#[test]
fn words_of_operators_make_no_common_word_forbidden_either() {
    let all: Vec<&str> = guard::words().collect();
    let forbidden: Vec<&str> = all.iter().copied().filter(|w| w.len() > 2).step_by(150).collect();
    let judge = own(&forbidden);
    for word in &all {
        for hit in judge.judge(&[word]) {
            let own = hit.word.as_ref();
            let stem = own.trim_end_matches(['e', 'y']);
            assert!(word.starts_with(stem), "{word} for {own}: {hit:?}");
            assert!((hit.score - 1.0).abs() < f32::EPSILON, "{word} for {own}: {hit:?}");
        }
    }
}

/// Every way of parting the four words with signs, and with spaces between all letters.
#[test]
fn separators_never_hide_a_word() {
    for text in ["damn", "crap", "bastard", "bollocks"] {
        let judge = own(&[text]);
        for sign in
            [".", "-", "_", "*", "/", "~", ",", "'", " - ", "...", "·", "\u{200b}", "\u{301}"]
        {
            for gaps in 0..1_u32 << (text.len() - 1) {
                if sign == " - " && gaps != (1 << (text.len() - 1)) - 1 {
                    continue;
                }
                let mut parted = String::new();
                for (at, c) in text.chars().enumerate() {
                    parted.push(c);
                    if gaps >> at & 1 == 1 {
                        parted.push_str(sign);
                    }
                }
                let hits = judge.judge(&[&parted]);
                assert!(all_covered(&parted, &hits), "{parted}: {hits:?}");
            }
        }
        let parted: Vec<String> = text.chars().map(String::from).collect();
        for space in [" ", "  ", "\u{a0}", " \t "] {
            let parted = parted.join(space);
            assert!(all_covered(&parted, &judge.judge(&[&parted])), "{parted:?}");
        }
        let lines: Vec<&str> = parted.iter().map(String::as_str).collect();
        assert_eq!(judge.judge(&lines).len(), text.len(), "{text} down the screen");
    }
}

/// Twice the text, twice the work; and never more than a bound for each character.
#[test]
fn work_grows_with_the_length_and_no_faster() {
    let judges = [built_in(&LANGUAGES), mixed()];
    for piece in [
        "damn crap ",
        "b a d ",
        "a",
        "il1!",
        "s*",
        "sh**",
        "b4dd1 ",
        "b.a.d.",
        "4111 ",
        "555-",
        "@",
        "a.a.",
        " dot com",
        "clcl rnrn vvvv ",
        "as as tit bas cr ap ",
        "q",
        "foo",
        "сука",
        "😀b",
        "\"damn\" said ",
        "f u c k s h i t ",
        "(((",
        "1",
        "bollocksbollocks",
        "a-a'a_",
    ] {
        for judge in &judges {
            let work = |times: usize| judge.judge_counted(&[&piece.repeat(times)]).1;
            let length = piece.chars().count();
            let (once, twice) = (work(200), work(400));
            assert!(once <= 100 * 200 * length, "{piece}: {once} steps");
            assert!(twice <= 2 * once + 1_000, "{piece}: {once} steps, then {twice}");
        }
    }
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(text in any::<String>()) {
        let once = normalise(&text);
        prop_assert_eq!(normalise(&once), once);
    }

    #[test]
    fn any_text_is_judged_and_hits_lie_in_their_lines(
        lines in prop::collection::vec(any::<String>(), 0..6),
    ) {
        check_hits(&lines)?;
    }

    /// Text near to what is forbidden, with everything that parts and disguises.
    #[test]
    fn any_disguised_text_is_judged_and_hits_lie_in_their_lines(
        lines in prop::collection::vec("[bad folcks4$@!.*' \u{301}\u{200b}\u{df}аԁ0-9@:/-]{0,60}", 0..4),
    ) {
        check_hits(&lines)?;
    }

    #[test]
    fn what_is_allowed_is_never_a_hit(text in "[a-zA-Z0-9äßа-я]{1,20}( [a-zäа-я]{1,20}){0,2}") {
        let rules = Rules {
            words: vec![word(&text), word("a*"), word("*e*")],
            allow: vec![text.clone()],
            ..Rules::default()
        };
        prop_assert_eq!(Judge::new(&rules).judge(&[&text]), []);
        prop_assert_eq!(Judge::new(&rules).judge(&["so", &text, "?"]), []);
    }

    #[test]
    fn a_word_is_found_as_it_stands(text in "[a-z]{1,20}( [a-z]{1,9}){0,2}") {
        let judge = own(&[&text]);
        prop_assert!(all_covered(&text, &judge.judge(&[&text])));
        prop_assert!(all_covered(&text, &judge.judge(&[&text.to_uppercase()])));
    }

    #[test]
    fn separators_between_all_letters_never_hide_a_word(
        letters in "[a-z]{3,12}",
        sign in prop::sample::select(vec![".", "-", " ", "_", " . ", "/", "\u{200b}", "…", "\u{301}"]),
    ) {
        let parted: Vec<String> = letters.chars().map(String::from).collect();
        let parted = parted.join(sign);
        let hits = own(&[&letters]).judge(&[&parted]);
        prop_assert!(all_covered(&parted, &hits), "{}: {:?}", parted, hits);
    }

    #[test]
    fn dressing_a_word_up_never_hides_it(seed in any::<u64>()) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let text = ["damn", "crap", "bastard", "bollocks"][rng.usize(..4)];
        let dressed: String = text.chars().map(|c| dress(c, &mut rng)).collect();
        let hits = own(&[text]).judge(&[&dressed]);
        prop_assert!(all_covered(&dressed, &hits), "{}: {:?}", dressed, hits);
    }

    #[test]
    fn work_is_bounded_for_any_text(text in "[bad folcks4$@!.*'il1rnmcvw-]{0,300}") {
        let (_, steps) = built_in(&["en"]).judge_counted(&[&text]);
        prop_assert!(steps <= 200 * (text.chars().count() + 1), "{}", steps);
    }
}

/// A letter in another dress.
fn dress(c: char, rng: &mut fastrand::Rng) -> String {
    let full = char::from_u32(0xFF41 + c as u32 - 'a' as u32).unwrap_or(c);
    let bold = char::from_u32(0x1D41A + c as u32 - 'a' as u32).unwrap_or(c);
    let alike = match c {
        'a' => 'а',
        'c' => 'с',
        'o' => 'о',
        'p' => 'р',
        's' => 'ѕ',
        c => c,
    };
    match rng.u8(..8) {
        0 => full.to_string(),
        1 => bold.to_string(),
        2 => alike.to_string(),
        3 => c.to_ascii_uppercase().to_string(),
        4 => format!("{c}\u{308}"),
        5 => format!("{c}\u{200d}"),
        _ => c.to_string(),
    }
}

fn check_hits(lines: &[String]) -> Result<(), TestCaseError> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let hits = mixed().judge(&lines);
    for hit in &hits {
        let length = lines[hit.line].chars().count();
        prop_assert!(hit.range.start < hit.range.end && hit.range.end <= length, "{:?}", hit);
        prop_assert!((THRESHOLD..=1.0).contains(&hit.score), "{:?}", hit);
    }
    let places: Vec<_> = hits.iter().map(|h| (h.line, h.range.start, h.range.end)).collect();
    prop_assert!(places.is_sorted());
    Ok(())
}

#[test]
fn half_of_a_word_at_the_edge_of_the_picture_may_be_it() {
    let judge = Judge::new(&rules("words=bollocks,damn"));
    let end = |line| judge.cut_word(line, true);
    assert_eq!(end("WELCOME boll"), Some(8..12));
    assert_eq!(end("WELCOME bolloc"), Some(8..14));
    // The letter at the cut may be cut itself.
    assert_eq!(end("bolloo"), Some(0..6));
    assert_eq!(end("ＤÄ"), Some(0..2));
    for innocent in ["", "WELCOME ", "WELCOME bol", "WELCOME dog", "dump", "d"] {
        assert_eq!(end(innocent), None, "{innocent}");
    }
    let start = |line| judge.cut_word(line, false);
    assert_eq!(start("ocks today"), Some(0..4));
    assert_eq!(start("cks today"), None);
    assert_eq!(start("today"), None);
}
