//! What a model must be able to do, so that the service runs ONNX and scripted ones alike.

use std::sync::Arc;

use super::Finding;
use crate::media::Picture;

/// A model that can be opened any number of times, once per worker thread.
pub trait Model: Send + Sync {
    /// Its name in health, metrics and events.
    fn name(&self) -> &str;

    /// Pictures for which this is the same number may share a batch.
    fn bucket(&self, picture: &Picture) -> u32;

    /// Opens and warms up one instance, on the thread that will use it.
    ///
    /// # Errors
    /// When it cannot be loaded or its first runs fail.
    fn open(&self) -> Result<Opened, Error>;
}

/// One instance of a model; opened, used and dropped on one thread.
pub trait Detector {
    /// Looks at one batch of pictures of one bucket and returns the findings of each, in order.
    ///
    /// # Errors
    /// When the run failed. Findings are never guessed: no error means they are all there.
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error>;
}

/// An instance that is ready, and what it turned out to be.
pub struct Opened {
    /// The instance.
    pub detector: Box<dyn Detector>,
    /// The execution provider in use: `cpu`, `cuda`, `tensorrt`, `script` ….
    pub provider: String,
    /// Why a provider that should have come before this one is not in use.
    pub fallback: Option<String>,
    /// Whether batches pay: true on a GPU.
    pub batches: bool,
    /// The classes it can find.
    pub classes: Vec<Arc<str>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({}, {} classes)", self.provider, self.classes.len())
    }
}

/// Why a model does not run, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl Error {
    /// From anything that explains itself.
    pub fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}
