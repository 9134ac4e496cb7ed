//! Pictures, and what the `nudenet` Python package finds in them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use scrim::media::{Picture, Rect};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) onnxruntime: PathBuf,
    pub(crate) models_dir: PathBuf,
    pub(crate) pictures: Vec<Expected>,
    #[serde(skip)]
    dir: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) found: Vec<Found>,
}

#[derive(Deserialize)]
pub(crate) struct Found {
    pub(crate) class: String,
    pub(crate) score: f32,
    pub(crate) r#box: [f32; 4],
}

impl Found {
    pub(crate) fn rect(&self) -> Rect {
        let [x, y, w, h] = self.r#box;
        Rect::new(x, y, w, h)
    }
}

/// One run of the Python side for all tests here.
pub(crate) static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
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

pub(crate) fn picture(expected: &Expected) -> Arc<Picture> {
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
