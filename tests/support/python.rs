//! Pictures that a script of tests/python makes, with what a Python package says of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use scrim::media::Picture;
use serde::de::DeserializeOwned;

/// Runs `script` into the directory `name`: the directory, and the index that the script wrote.
/// `needs` names the packages, for whoever lacks them.
pub(crate) fn run<T: DeserializeOwned>(name: &str, script: &str, needs: &str) -> (PathBuf, T) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SCRIM_TEST_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let script = root.join("tests/python").join(script);
    let output = Command::new(&python).arg(script).arg(&dir).output().unwrap_or_else(|error| {
        panic!(
            "cannot run {}: {error}; set SCRIM_TEST_PYTHON to an interpreter with {needs}",
            python.display()
        )
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the reference failed under {}: {errors}", python.display());
    let index = std::fs::read_to_string(dir.join("index.json")).unwrap();
    (dir, serde_json::from_str(&index).unwrap())
}

/// The picture `name`, as the script wrote it.
pub(crate) fn picture(dir: &Path, name: &str, (width, height): (u32, u32)) -> Arc<Picture> {
    let samples = std::fs::read(dir.join(format!("{name}.i420"))).unwrap();
    let mut picture = Picture::new(width, height);
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
