//! The same pictures through the `nudenet` Python package and through our detector.
//!
//! `SCRIM_TEST_PYTHON` names an interpreter with `nudenet` and `scikit-image`
//! (default `.venv/bin/python`). `--nocapture` prints what the rectangular input changes.

#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use scrim::detect::{Config, Finding, Manifest, Shape};
use scrim::media::{Picture, Rect};
use serde::Deserialize;

/// The package reports nothing below this score.
const PACKAGE_FLOOR: f32 = 0.25;

#[derive(Deserialize)]
struct Reference {
    onnxruntime: PathBuf,
    models_dir: PathBuf,
    pictures: Vec<Expected>,
    #[serde(skip)]
    dir: PathBuf,
}

#[derive(Deserialize)]
struct Expected {
    name: String,
    width: u32,
    height: u32,
    found: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    class: String,
    score: f32,
    r#box: [f32; 4],
}

impl Found {
    fn rect(&self) -> Rect {
        let [x, y, w, h] = self.r#box;
        Rect::new(x, y, w, h)
    }
}

/// One run of the Python side for all tests here.
static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SCRIM_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("detect-parity");
    std::fs::create_dir_all(&dir).unwrap();
    let output = Command::new(&python)
        .arg(root.join("tests/python/nudenet_reference.py"))
        .arg(&dir)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {}: {error}; set SCRIM_TEST_PYTHON to an interpreter with nudenet and \
                 scikit-image",
                python.display()
            )
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the reference failed under {}: {errors}", python.display());
    let index = std::fs::read_to_string(dir.join("index.json")).unwrap();
    Reference { dir, ..serde_json::from_str(&index).unwrap() }
});

fn picture(expected: &Expected) -> Arc<Picture> {
    let samples = std::fs::read(REFERENCE.dir.join(format!("{}.i420", expected.name))).unwrap();
    let mut picture = Picture::new(expected.width, expected.height);
    let mut rest = samples.as_slice();
    for plane in &mut picture.planes_mut() {
        for y in 0..plane.height {
            let (row, after) = rest.split_at(plane.width);
            plane.row_mut(y).copy_from_slice(row);
            rest = after;
        }
    }
    assert!(rest.is_empty());
    Arc::new(picture)
}

/// What our side finds in each reference picture.
fn ours(shape: Shape) -> Vec<(&'static Expected, Vec<Finding>)> {
    let config = Config {
        onnxruntime: REFERENCE.onnxruntime.clone(),
        models_dir: REFERENCE.models_dir.clone(),
        shape,
        ..Config::default()
    };
    let manifest = Manifest::builtin().unwrap();
    let mut detector = scrim::detect::open(&config, &manifest, "nudenet").unwrap().detector;
    let look = |expected| (expected, detector.detect(&[picture(expected)]).unwrap().remove(0));
    REFERENCE.pictures.iter().map(look).collect()
}

/// The package cuts coordinates to whole pixels.
fn whole(rect: &Rect) -> Rect {
    Rect::new(rect.x.floor(), rect.y.floor(), rect.w.floor(), rect.h.floor())
}

fn match_of<'a>(found: &'a [Finding], expected: &Found) -> Option<&'a Finding> {
    let rank = |finding: &&Finding| whole(&finding.rect).iou(&expected.rect());
    let same = found.iter().filter(|finding| *finding.class == *expected.class);
    same.max_by(|a, b| rank(a).total_cmp(&rank(b)))
}

#[test]
fn the_square_input_finds_what_the_package_finds() {
    let mut compared = 0;
    for (expected, found) in ours(Shape::Square) {
        let name = &expected.name;
        let reported = found.iter().filter(|finding| finding.score >= PACKAGE_FLOOR).count();
        assert_eq!(reported, expected.found.len(), "{name}: {found:?}");
        for theirs in &expected.found {
            let ours = match_of(&found, theirs).unwrap_or_else(|| panic!("{name}: {found:?}"));
            let (iou, change) =
                (whole(&ours.rect).iou(&theirs.rect()), (ours.score - theirs.score).abs());
            println!("{name}: iou {iou:.3}, score {:.3} ({change:.4})", theirs.score);
            assert!(iou >= 0.95, "{name}: {:?} {:?}", ours.rect, theirs.r#box);
            assert!(change <= 0.02, "{name}: {} {}", ours.score, theirs.score);
            compared += 1;
        }
    }
    assert!(compared >= 13, "{compared} findings are too few to mean anything");
}

#[test]
fn the_rectangular_input_loses_nothing() {
    println!("| picture | package | rectangular | change | IoU |\n|---|---|---|---|---|");
    for (expected, found) in ours(Shape::Rectangular) {
        let name = &expected.name;
        for theirs in &expected.found {
            let ours = match_of(&found, theirs).unwrap_or_else(|| panic!("{name}: {found:?}"));
            let (iou, change) = (whole(&ours.rect).iou(&theirs.rect()), ours.score - theirs.score);
            println!(
                "| {name} | {:.3} | {:.3} | {change:+.3} | {iou:.2} |",
                theirs.score, ours.score
            );
            assert!(iou >= 0.9, "{name}: {:?} {:?}", ours.rect, theirs.r#box);
            assert!(ours.score >= PACKAGE_FLOOR, "{name}: {}", ours.score);
        }
        let more = found.iter().filter(|finding| finding.score >= PACKAGE_FLOOR).count();
        println!("| {name}: findings | {} | {more} | | |", expected.found.len());
    }
}
