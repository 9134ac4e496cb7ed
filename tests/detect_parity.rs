//! The same pictures through the `nudenet` Python package and through our detector.
//!
//! `SCRIM_TEST_PYTHON` names an interpreter with `nudenet` and `scikit-image`
//! (default `.venv/bin/python`). `--nocapture` prints what the rectangular input changes.

#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

#[path = "support/reference.rs"]
mod reference;

use reference::{Expected, Found, REFERENCE, picture};
use scrim::detect::{Config, Finding, Manifest, Shape};
use scrim::media::Rect;

/// The package reports nothing below this score.
const PACKAGE_FLOOR: f32 = 0.25;

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
