//! Pictures, and what the `nudenet` Python package finds in them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "python.rs"]
mod python;

use std::path::PathBuf;
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
    let (dir, index): (_, Reference) =
        python::run("detect-parity", "nudenet_reference.py", "nudenet and scikit-image");
    Reference { dir, ..index }
});

pub(crate) fn picture(expected: &Expected) -> Arc<Picture> {
    python::picture(&REFERENCE.dir, &expected.name, (expected.width, expected.height))
}
