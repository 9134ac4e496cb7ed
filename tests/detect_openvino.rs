//! The same pictures in 32 bits and in bfloat16.
//!
//! Needs `scripts/setup openvino tests`, `.venv` as tests/detect_parity.rs does, and a processor
//! with avx512_bf16: run with `--ignored`.

#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

#[path = "support/reference.rs"]
mod reference;

use std::path::PathBuf;

use reference::{REFERENCE, picture};
use scrim::detect::{Config, Finding, Manifest};

/// What `provider` finds in each reference picture. One library serves both.
fn found(provider: &str) -> Vec<Vec<Finding>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let library = std::env::var_os("SCRIM_TEST_OPENVINO")
        .map_or_else(|| root.join(".scrim/onnxruntime-openvino/libonnxruntime.so"), PathBuf::from);
    let config = Config {
        onnxruntime: library,
        models_dir: REFERENCE.models_dir.clone(),
        providers: vec![provider.to_owned()],
        ..Config::default()
    };
    let mut opened =
        scrim::detect::open(&config, &Manifest::builtin().unwrap(), "nudenet").unwrap();
    assert_eq!(opened.provider, provider);
    let look = |expected| opened.detector.detect(&[picture(expected)]).unwrap().remove(0);
    REFERENCE.pictures.iter().map(look).collect()
}

#[test]
#[ignore = "needs scripts/setup openvino and a processor with bfloat16"]
fn bfloat16_finds_what_32_bits_find() {
    let mut compared = 0;
    for (exact, coarse) in found("cpu").iter().zip(found("openvino")) {
        for one in exact.iter().filter(|one| one.score >= 0.25) {
            let same = coarse.iter().filter(|other| other.class == one.class);
            let best = same.max_by(|a, b| a.rect.iou(&one.rect).total_cmp(&b.rect.iou(&one.rect)));
            let best = best.unwrap_or_else(|| panic!("{one:?} is not among {coarse:?}"));
            assert!(
                best.score >= 0.25 && (best.score - one.score).abs() <= 0.06,
                "{one:?} {best:?}"
            );
            assert!(best.rect.iou(&one.rect) >= 0.9, "{one:?} {best:?}");
            compared += 1;
        }
    }
    assert!(compared >= 13, "{compared} findings are too few to mean anything");
}
