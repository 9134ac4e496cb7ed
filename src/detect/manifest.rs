//! Which models there are: pinned by hash, described well enough that no code names one.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The models an installation knows, in the order they are run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// One entry a model; names are unique.
    #[serde(rename = "model")]
    pub models: Vec<Entry>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in configuration, health and metrics.
    pub name: String,
    /// What its output looks like.
    pub kind: Kind,
    /// File name under the models directory.
    pub file: PathBuf,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// The licence its weights are under.
    pub licence: String,
    /// Where setup takes the file from.
    pub source: Source,
    /// What it wants to see.
    pub input: Input,
    /// Class names in the model's order; empty takes them from the model's metadata.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Findings below this score are not reported, 0 to 1.
    pub floor: f32,
    /// Boxes that overlap by more than this (intersection over union) are one finding.
    pub nms_iou: f32,
}

/// The families of output that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `[batch, 4 + classes, cells]`: centre, size and a score a class, per cell.
    Yolov8,
}

/// The package that carries the file; no address, setup knows the registry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of a Python package.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Path of the file in it.
    pub member: String,
}

/// A model's picture input: f32, `[batch, 3, height, width]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the input tensor.
    pub name: String,
    /// Order of the colour planes.
    pub channels: Channels,
    /// What a sample of 0 to 255 is multiplied by.
    pub scale: f32,
    /// Length of the longer side in pixels, a multiple of `stride`.
    pub base: u32,
    /// Both sides must be multiples of this.
    pub stride: u32,
}

/// Order of colour planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Why a manifest or a file it names is no good.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is not what it should be.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A value in an entry makes no sense.
    #[error("model {model}: {problem}")]
    Invalid {
        /// The entry.
        model: String,
        /// Key and reason.
        problem: &'static str,
    },
    /// A model file is truncated, damaged or another version.
    #[error(
        "{} is not the model the manifest names: sha256 {found} ({size} bytes), expected {expected}",
        path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// From the manifest.
        expected: String,
        /// Of the file.
        found: String,
        /// Of the file, in bytes.
        size: usize,
    },
}

impl Manifest {
    /// The manifest this binary was built with.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn builtin() -> Result<Self, Error> {
        Self::parse(include_str!("../../models/manifest.toml"), Path::new("models/manifest.toml"))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When the file cannot be read, has unknown keys, or an entry makes no sense.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let manifest: Self = toml::from_str(text)
            .map_err(|error| Error::Syntax { path: path.into(), message: error.to_string() })?;
        for (i, entry) in manifest.models.iter().enumerate() {
            let invalid = |problem| Err(Error::Invalid { model: entry.name.clone(), problem });
            if manifest.models[..i].iter().any(|other| other.name == entry.name) {
                return invalid("name is used twice");
            }
            if let Some(problem) = entry.problem() {
                return invalid(problem);
            }
        }
        Ok(manifest)
    }
}

impl Entry {
    fn problem(&self) -> Option<&'static str> {
        let Input { base, stride, scale, .. } = self.input;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match () {
            () if self.name.is_empty() => Some("name must not be empty"),
            () if self.sha256.len() != 64 || !self.sha256.chars().all(hex) => {
                Some("sha256 must be 64 lower-case hexadecimal digits")
            }
            () if !(0.0..1.0).contains(&self.floor) => Some("floor must be at least 0, below 1"),
            () if !(self.nms_iou > 0.0 && self.nms_iou <= 1.0) => {
                Some("nms_iou must be over 0, at most 1")
            }
            () if scale <= 0.0 => Some("input.scale must be over 0"),
            () if stride == 0 || base == 0 || base % stride != 0 || base > 4096 => {
                Some("input.base must be a multiple of input.stride, at most 4096")
            }
            () => None,
        }
    }

    /// Reads the model's file in `dir` and checks it against its hash.
    ///
    /// # Errors
    /// When the file is missing, unreadable, or not the one that the manifest names.
    pub fn load(&self, dir: &Path) -> Result<Vec<u8>, Error> {
        let path = dir.join(&self.file);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(Error::Read { path, source }),
        };
        let digest = Sha256::digest(&bytes);
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found != self.sha256 {
            let (expected, size) = (self.sha256.clone(), bytes.len());
            return Err(Error::Hash { path, expected, found, size });
        }
        Ok(bytes)
    }
}

/// Class names as YOLOv8 exports keep them in the metadata: `{0: 'A', 1: "B's"}`, a Python
/// dictionary. `None` when it is not one, or when its keys are not 0, 1, 2 ….
pub(super) fn names_from_metadata(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('{')?;
    let mut names = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix('}') {
            return (end.trim().is_empty() && !names.is_empty()).then_some(names);
        }
        let (key, after) = rest.split_once(':')?;
        if key.trim().parse() != Ok(names.len()) {
            return None;
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (name, after) = after[1..].split_once(quote)?;
        names.push(name.to_owned());
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_manifest_names_nudenet() {
        let manifest = Manifest::builtin().unwrap();
        let [nudenet] = manifest.models.as_slice() else { panic!("one model") };
        assert_eq!((nudenet.name.as_str(), nudenet.input.channels), ("nudenet", Channels::Bgr));
        assert_eq!((nudenet.input.base, nudenet.floor, nudenet.nms_iou), (320, 0.1, 0.45));
    }

    #[test]
    fn unknown_keys_and_nonsense_are_named() {
        let text = include_str!("../../models/manifest.toml");
        let problem = |text: &str| {
            Manifest::parse(text, Path::new("m.toml")).expect_err("refused").to_string()
        };
        assert!(problem(&text.replace("floor =", "flor =")).contains("unknown field `flor`"));
        assert!(problem(&text.replace("base = 320", "base = 300")).contains("input.base"));
        assert!(problem(&text.replace("floor = 0.1", "floor = 1.2")).contains("floor"));
        assert!(
            problem(&format!("{text}\n{}", &text[text.find("[[").unwrap()..])).contains("twice")
        );
    }

    #[test]
    fn a_truncated_file_is_refused_with_both_hashes() {
        let dir = std::env::temp_dir().join(format!("scrim-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut entry = Manifest::builtin().unwrap().models.remove(0);
        std::fs::write(dir.join(&entry.file), b"abc").unwrap();
        let error = entry.load(&dir).unwrap_err().to_string();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for part in ["320n.onnx", abc, &entry.sha256, "3 bytes"] {
            assert!(error.contains(part), "{error}");
        }
        abc.clone_into(&mut entry.sha256);
        assert_eq!(entry.load(&dir).unwrap(), b"abc");
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(entry.load(&dir), Err(Error::Read { .. })));
    }

    #[test]
    fn names_are_read_from_a_python_dictionary() {
        let names = names_from_metadata(r#"{0: 'FACE', 1: "B's, and: more", 2: 'C'}"#).unwrap();
        assert_eq!(names, ["FACE", "B's, and: more", "C"]);
        for bad in ["", "{}", "{1: 'A'}", "{0: A}", "{0: 'A'", "{0: 'A'} x"] {
            assert_eq!(names_from_metadata(bad), None, "{bad}");
        }
    }
}
