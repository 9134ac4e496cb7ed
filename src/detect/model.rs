//! What a model must be able to do, so that the service runs ONNX and scripted ones alike.

use std::sync::Arc;

use super::Finding;
use crate::media::Picture;

/// A kind of question that models answer; queues, workers and breakers are the same for all.
pub trait Task: Send + Sync + 'static {
    /// What is asked. Cheap to clone: a batch is cloned for its run.
    type Input: Clone + Send + 'static;
    /// The answer.
    type Output: Send + 'static;
    /// How it is told apart.
    const ROLE: Role;
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What stands where in a picture: every frame needs it.
    Regions,
    /// Where lines of text are.
    Lines,
    /// What a line says.
    Glyphs,
}

/// Looks for regions in whole pictures.
#[derive(Debug)]
pub enum Regions {}

impl Task for Regions {
    type Input = Arc<Picture>;
    type Output = Vec<Finding>;
    const ROLE: Role = Role::Regions;
}

/// A model that can be opened any number of times, once per worker thread.
pub trait Model<T: Task = Regions>: Send + Sync {
    /// Its name in health, metrics and events.
    fn name(&self) -> &str;

    /// Inputs for which this is the same number may share a batch.
    fn bucket(&self, input: &T::Input) -> u32;

    /// Opens and warms up one instance, on the thread that will use it.
    ///
    /// # Errors
    /// When it cannot be loaded or its first runs fail.
    fn open(&self) -> Result<Opened<T>, Error>;
}

/// One instance of a model; opened, used and dropped on one thread.
pub trait Detector<T: Task = Regions> {
    /// Looks at one batch of inputs of one bucket and returns the answer to each, in order.
    ///
    /// # Errors
    /// When the run failed. Answers are never guessed: no error means they are all there.
    fn detect(&mut self, inputs: &[T::Input]) -> Result<Vec<T::Output>, Error>;
}

/// An instance that is ready, and what it turned out to be.
pub struct Opened<T: Task = Regions> {
    /// The instance.
    pub detector: Box<dyn Detector<T>>,
    /// The execution provider in use: `cpu`, `cuda`, `tensorrt`, `script` ….
    pub provider: String,
    /// Why a provider that should have come before this one is not in use.
    pub fallback: Option<String>,
    /// Whether batches pay: true on a GPU.
    pub batches: bool,
    /// The classes it can find; none for text.
    pub classes: Vec<Arc<str>>,
}

impl<T: Task> std::fmt::Debug for Opened<T> {
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
