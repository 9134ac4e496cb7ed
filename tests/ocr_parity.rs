//! The same pictures through the `rapidocr-onnxruntime` Python package and through our text models.
//!
//! `SCRIM_TEST_PYTHON` names an interpreter with the package (default `.venv/bin/python`),
//! `SCRIM_ONNXRUNTIME` and `SCRIM_MODELS` say where the library and the models lie (default as in
//! the product). `--nocapture` prints a table: what each side finds and reads, a condition a row.

#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]
#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/polygon.rs"]
mod polygon;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use corpus::{Expected, Written, picture};
use polygon::{Polygon, area, common, iou};
use scrim::detect::text::{FindRequest, Line, ReadRequest, Reader, Reading};
use scrim::detect::{Config, Manifest, Need, Service};
use scrim::media::{Picture, Rect};

/// The package reports no reading below this score.
const PACKAGE_FLOOR: f32 = 0.5;

const PATIENCE: Duration = Duration::from_secs(120);

/// A line as either side reports it.
struct Found {
    shape: Polygon,
    text: String,
}

fn service() -> Service {
    let mut config = Config { workers: 1, text_workers: 1, limit: PATIENCE, ..Config::default() };
    if let Some(path) = std::env::var_os("SCRIM_ONNXRUNTIME") {
        config.onnxruntime = path.into();
    }
    if let Some(path) = std::env::var_os("SCRIM_MODELS") {
        config.models_dir = path.into();
    }
    let models = Manifest::builtin().unwrap().models;
    Service::start(&config, &models, |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

fn find(reader: &dyn Reader, picture: &Arc<Picture>, scale: f32) -> Vec<Line> {
    let (answers, answered) = channel();
    reader.find(FindRequest {
        stream: 1,
        picture: picture.clone(),
        area: Rect::new(0.0, 0.0, picture.width() as f32, picture.height() as f32),
        scale,
        deadline: Instant::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered.recv().unwrap().unwrap()
}

fn read(reader: &dyn Reader, picture: &Arc<Picture>, line: &Line) -> Reading {
    let (answers, answered) = channel();
    reader.read(ReadRequest {
        stream: 1,
        picture: picture.clone(),
        quad: line.quad,
        deadline: Instant::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered.recv().unwrap().unwrap()
}

/// What we find and read in a picture.
fn ours(reader: &dyn Reader, picture: &Arc<Picture>, scale: f32) -> Vec<Found> {
    let mut found = Vec::new();
    for line in find(reader, picture, scale) {
        let reading = read(reader, picture, &line);
        if reading.score >= PACKAGE_FLOOR {
            let shape = line.quad.0.map(|p| (p.x, p.y));
            found.push(Found { shape, text: reading.text() });
        }
    }
    found
}

/// How much of what was written one side found and read.
#[derive(Default)]
struct Score {
    written: usize,
    found: usize,
    right: usize,
    characters: usize,
    wrong: usize,
    reported: usize,
    empty: usize,
}

impl Score {
    /// A line is found when four fifths of it are inside of one that is reported; a report is
    /// empty when less than three tenths of it were written on.
    fn add(&mut self, written: &[Written], found: &[Found]) {
        for line in written {
            let (shape, text) = (line.shape(), letters(&line.text));
            let length = text.chars().count();
            self.written += 1;
            self.characters += length;
            let cover = |found: &&Found| common(&shape, &found.shape);
            let best = found.iter().max_by(|a, b| cover(a).total_cmp(&cover(b)));
            match best.filter(|best| cover(best) >= 0.8 * area(&shape)) {
                Some(best) => {
                    let distance = edits(&text, &letters(&best.text));
                    self.found += 1;
                    self.right += usize::from(distance == 0);
                    self.wrong += distance.min(length);
                }
                None => self.wrong += length,
            }
        }
        self.reported += found.len();
        let written_on = |found: &Found| -> f32 {
            written.iter().map(|line| common(&line.shape(), &found.shape)).sum()
        };
        let empty = |found: &&Found| written_on(found) < 0.3 * area(&found.shape);
        self.empty += found.iter().filter(empty).count();
    }

    /// Lines found, lines read without an error, characters right, reports that are none: percent.
    fn row(&self) -> [f64; 4] {
        let share = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
        [
            share(self.found, self.written),
            share(self.right, self.written),
            100.0 - share(self.wrong, self.characters),
            100.0 - share(self.empty, self.reported),
        ]
    }
}

/// Without spaces and capitals, which say nothing about a word.
fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Agreement with the package, counted over its lines and characters.
#[derive(Default)]
struct Agreement {
    lines: usize,
    found: usize,
    characters: usize,
    equal: usize,
}

impl Agreement {
    fn add(&mut self, expected: &Expected, found: &[Found]) {
        for theirs in &expected.found {
            let shape = theirs.shape();
            let length = theirs.text.chars().count();
            self.lines += 1;
            self.characters += length;
            let rank = |found: &&Found| iou(&shape, &found.shape);
            let best = found.iter().max_by(|a, b| rank(a).total_cmp(&rank(b)));
            match best.filter(|best| rank(best) >= 0.7) {
                Some(best) => {
                    self.found += 1;
                    self.equal += length - edits(&theirs.text, &best.text).min(length);
                }
                None => println!("{}: not found: {:?}", expected.name, theirs.text),
            }
        }
    }

    fn shares(&self) -> (f64, f64) {
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        (share(self.found, self.lines), share(self.equal, self.characters))
    }
}

#[test]
fn lines_and_characters_are_those_of_the_package() {
    let service = service();
    let reader = service.reader().expect("text models");
    let scales = [1.0, 0.5];
    let mut agreement = Agreement::default();
    let mut all: [Score; 3] = Default::default();
    let mut rows: BTreeMap<&str, [Score; 3]> = BTreeMap::new();
    for expected in &corpus::CORPUS.pictures {
        let picture = picture(expected);
        let theirs: Vec<Found> = expected
            .found
            .iter()
            .map(|line| Found { shape: line.shape(), text: line.text.clone() })
            .collect();
        let mut sides = vec![theirs];
        sides.extend(scales.map(|scale| ours(&*reader, &picture, scale)));
        agreement.add(expected, &sides[1]);
        let row = rows.entry(&expected.condition).or_default();
        for ((side, row), all) in sides.iter().zip(row).zip(&mut all) {
            row.add(&expected.lines, side);
            all.add(&expected.lines, side);
        }
    }
    println!("percent of lines found / read right, of characters right, of reports that are lines");
    println!("| condition | package | scale 1 | scale 0.5 |\n|---|---|---|---|");
    let cell = |score: &Score| score.row().map(|share| format!("{share:.1}")).join(" / ");
    for (name, scores) in rows.iter().map(|(name, row)| (*name, row)).chain([("all", &all)]) {
        println!("| {name} | {} |", scores.each_ref().map(cell).join(" | "));
    }
    let (lines, characters) = agreement.shares();
    println!("of the package's lines {lines:.4}, of its characters {characters:.4}");
    assert!(agreement.lines >= 150, "{} lines are too few to mean anything", agreement.lines);
    assert!(lines >= 0.98, "lines found at IoU 0.7: {lines}");
    assert!(characters >= 0.98, "characters equal: {characters}");
    for (ours, theirs) in all[1].row().into_iter().zip(all[0].row()) {
        assert!(
            ours >= theirs - 0.5,
            "{:?} against the package's {:?}",
            all[1].row(),
            all[0].row()
        );
    }
    let half = all[2].row();
    assert!(half[0] >= 93.0 && half[3] >= 96.0, "at half the size: {half:?}");
    let small = rows["small16"][2].row();
    assert!(small[0] >= 98.0 && small[2] >= 98.0, "16 pixel letters at half the size: {small:?}");
}
