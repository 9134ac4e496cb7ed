//! Pictures with text, what was written in them, and what the Python package reads.

#[path = "python.rs"]
mod python;

use std::path::PathBuf;
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
    /// Start and end of each word, as shares of the line's length; none of the package's.
    #[serde(default)]
    pub(crate) words: Vec<[f32; 2]>,
}

impl Written {
    pub(crate) fn shape(&self) -> [(f32, f32); 4] {
        self.quad.map(|[x, y]| (x, y))
    }
}

/// One run of the Python side for all tests here.
pub(crate) static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let (dir, index): (_, Corpus) =
        python::run("ocr-parity", "ocr_reference.py", "rapidocr-onnxruntime and scikit-image");
    Corpus { dir, ..index }
});

pub(crate) fn picture(expected: &Expected) -> Arc<Picture> {
    python::picture(&CORPUS.dir, &expected.name, (expected.width, expected.height))
}
