//! Pictures with text, what was written in them, and what the Python package reads.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use scrim::media::Picture;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Corpus {
    pub(crate) pictures: Vec<Expected>,
    #[serde(skip)]
    dir: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) condition: String,
    width: u32,
    height: u32,
    pub(crate) lines: Vec<Written>,
    pub(crate) found: Vec<Written>,
}

/// A line that was written, or that the package read.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) text: String,
    quad: [[f32; 2]; 4],
}

impl Written {
    pub(crate) fn shape(&self) -> [(f32, f32); 4] {
        self.quad.map(|[x, y]| (x, y))
    }
}

/// One run of the Python side for all tests here.
pub(crate) static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SCRIM_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ocr-parity");
    std::fs::create_dir_all(&dir).unwrap();
    let output = Command::new(&python)
        .arg(root.join("tests/python/ocr_reference.py"))
        .arg(&dir)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {}: {error}; set SCRIM_TEST_PYTHON to an interpreter with \
                 rapidocr-onnxruntime and scikit-image",
                python.display()
            )
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the reference failed under {}: {errors}", python.display());
    let index = std::fs::read_to_string(dir.join("index.json")).unwrap();
    Corpus { dir, ..serde_json::from_str(&index).unwrap() }
});

pub(crate) fn picture(expected: &Expected) -> Arc<Picture> {
    let samples = std::fs::read(CORPUS.dir.join(format!("{}.i420", expected.name))).unwrap();
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
