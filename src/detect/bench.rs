//! What the benches measure inside detection: the parts that have no public face.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::session::Session;
use ort::value::TensorRef;

use super::batcher::{Batcher, Limits, Step, Ticket};
use super::manifest::Recipe;
use super::pre::{Converter, Fit};
use super::{Config, Error, Manifest, Need};
use crate::media::Picture;
use crate::media::clock;

/// Scaling and conversion of pictures of one size for the first model of the manifest.
pub struct Preparation {
    converter: Converter,
    fit: Fit,
    tensor: Vec<f32>,
}

impl Preparation {
    /// For pictures of `frame` pixels.
    ///
    /// # Panics
    /// When the built-in manifest has no model.
    pub fn new(frame: (u32, u32), config: &Config) -> Self {
        let manifest = Manifest::builtin().expect("a checked manifest");
        let entry = &manifest.models[0];
        let Recipe::Yolov8(recipe) = &entry.recipe else { panic!("the first is one") };
        let converter = Converter::new(&entry.input, config.shape.into());
        let fit = Fit::new(frame, recipe.base, recipe.stride, config.shape);
        Self { tensor: vec![0.0; fit.samples()], converter, fit }
    }

    /// Prepares one picture and returns the tensor.
    pub fn run(&mut self, picture: &Picture) -> &[f32] {
        self.converter.convert(&picture.planes(), &self.fit, &mut self.tensor);
        &self.tensor
    }
}

/// The queue at a steady length.
pub struct Queue {
    batcher: Batcher<u64>,
    start: Instant,
    turn: u64,
}

impl Queue {
    /// A queue in which `waiting` requests of 16 streams wait.
    pub fn new(waiting: usize) -> Self {
        let mut queue = Self { batcher: Batcher::new(waiting + 1), start: clock::now(), turn: 0 };
        (0..waiting).for_each(|_| queue.push());
        queue
    }

    fn push(&mut self) {
        self.turn += 1;
        let deadline = self.start + Duration::from_secs(60) + Duration::from_millis(self.turn);
        let (queued, ready) = (self.start, self.start);
        let ticket = Ticket {
            stream: self.turn % 16,
            deadline,
            need: Need::Required,
            bucket: 0,
            queued,
            ready,
        };
        self.batcher.push(ticket, self.turn);
    }

    /// One request in, late ones looked for, one out.
    pub fn step(&mut self) -> usize {
        self.push();
        let late = self.batcher.expire(self.start).len();
        let limits = Limits { max: 1, linger: Duration::ZERO };
        match self.batcher.poll(self.start, limits) {
            Step::Run(batch) => batch.len() + late,
            _ => 0,
        }
    }
}

/// A bare session, with the options that the service uses.
pub struct Raw(Session);

impl Raw {
    /// Opens `model` on the library of `config`.
    ///
    /// # Errors
    /// When either cannot be loaded.
    pub fn open(config: &Config, model: &Path) -> Result<Self, Error> {
        let open = || -> Result<Session, Box<dyn std::error::Error>> {
            let environment = super::onnx::environment(&config.onnxruntime)?;
            let mut builder = Session::builder(&environment)?
                .with_intra_threads(config.threads_per_session)?
                .with_intra_op_spinning(false)?;
            Ok(builder.commit_from_file(model)?)
        };
        open().map(Self).map_err(Error::new)
    }

    /// Runs a tensor of `shape` and returns how many values came out.
    ///
    /// # Errors
    /// When the run fails.
    pub fn run(&mut self, shape: [usize; 4], tensor: &[f32]) -> Result<usize, Error> {
        let input = TensorRef::from_array_view((shape, tensor)).map_err(Error::new)?;
        let outputs = self.0.run(ort::inputs![input]).map_err(Error::new)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(Error::new)?;
        Ok(values.len())
    }
}

/// A picture of noise, the same each time, shared as the media path shares it.
pub fn noise(width: u32, height: u32) -> Arc<Picture> {
    let mut picture = Picture::new(width, height);
    let mut state = 1u32;
    for plane in &mut picture.planes_mut() {
        for y in 0..plane.height {
            for value in plane.row_mut(y) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as u8;
            }
        }
    }
    Arc::new(picture)
}
