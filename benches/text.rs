//! The judge over 10 kB of ordinary and of hostile text, with every list and every kind of contact
//! data. The promise is 5 ms for any of them.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use scrim::text::{Contact, Judge, LANGUAGES, Rules, Word};

const LENGTH: usize = 10_240;

fn judge() -> Judge {
    let word = |text: &str| Word {
        text: text.into(),
        severity: None,
        languages: Vec::new(),
        context: false,
    };
    Judge::new(&Rules {
        words: ["bad", "b*d", "*foo*"].map(word).to_vec(),
        languages: LANGUAGES.map(str::to_owned).to_vec(),
        contacts: [Contact::Phone, Contact::Email, Contact::Url, Contact::Card].into(),
        context: true,
        ..Rules::default()
    })
}

fn ten_kilobytes(criterion: &mut Criterion) {
    let judge = judge();
    let mut group = criterion.benchmark_group("judge_10kB");
    for (name, piece) in [
        ("prose", "The quick brown fox jumps over the lazy dog, and nobody minds it at all. "),
        ("a_hit_a_word", "damn crap bastard bollocks "),
        ("spaced_letters", "d a m n "),
        ("signs", "b.a.d."),
        ("leetspeak", "b4dd1 "),
        ("stars", "s*"),
        ("numbers", "4111 "),
        ("half_words", "as as tit bas cr ap da mn "),
        ("confusions", "clcl rnrn vvvv "),
    ] {
        let text = piece.repeat(LENGTH / piece.len());
        group.bench_function(name, |b| b.iter(|| judge.judge(black_box(&[&text]))));
    }
    group.finish();
}

/// What the text lane asks for: one line of a picture.
fn one_line(criterion: &mut Criterion) {
    let judge = judge();
    let lines = ["WELCOME COFFEE", "the stream begins at 20:15 on Sunday"];
    criterion.bench_function("judge_two_lines", |b| b.iter(|| judge.judge(black_box(&lines))));
    criterion.bench_function("judge_compile_all_lists", |b| b.iter(self::judge));
}

criterion_group!(benches, ten_kilobytes, one_line);
criterion_main!(benches);
