//! What the benches measure inside detection: the parts that have no public face.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::session::Session;
use ort::value::TensorRef;

use super::batcher::{Batcher, Limits, Step, Ticket};
use super::manifest::{Entry, Recipe};
use super::pre::{Converter, Fit};
use super::text::{Area, Crop, Find, Lines, Place, Quad, Read};
use super::{Config, Error, Manifest, Need, Opened};
use crate::media::{Picture, Rect, clock};

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

/// Finding and reading on this thread, beside their bare sessions.
pub struct Text {
    find: Opened<Find>,
    read: Opened<Read>,
}

impl Text {
    /// Opens the text pair of `models`.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn open(config: &Config, models: &[Entry]) -> Result<Self, Error> {
        let models = super::start::onnx_models(config, models).map_err(Error::new)?;
        let pair = models.text.ok_or_else(|| Error::new("no text models"))?;
        Ok(Self { find: pair.find.open()?, read: pair.read.open()? })
    }

    /// Looks for lines in the whole picture; how many there are.
    ///
    /// # Errors
    /// When the run fails.
    pub fn find(&mut self, picture: &Arc<Picture>, scale: f32) -> Result<usize, Error> {
        let rect = Rect::new(0.0, 0.0, picture.width() as f32, picture.height() as f32);
        let area = Area { picture: picture.clone(), rect, scale };
        Ok(self.find.detector.detect(&[area])?.iter().map(Vec::len).sum())
    }

    /// Reads one line; how many characters it has.
    ///
    /// # Errors
    /// When the run fails.
    pub fn read(&mut self, picture: &Arc<Picture>, quad: Quad) -> Result<usize, Error> {
        let crop = Crop { picture: picture.clone(), quad };
        Ok(self.read.detector.detect(&[crop])?.iter().map(|reading| reading.glyphs.len()).sum())
    }
}

/// What comes after the model that finds lines, on a map of noise or of many lines.
pub struct Maps {
    lines: Lines,
    map: Vec<f32>,
    size: (usize, usize),
}

impl Maps {
    /// A map of `size` with a line of 160 × 12 pixels every 24 rows and 200 columns, and with
    /// `noise` pixels in a thousand that are over the threshold.
    ///
    /// # Panics
    /// When the built-in manifest has no model that finds lines.
    pub fn new(size: (usize, usize), noise: u32) -> Self {
        let manifest = Manifest::builtin().expect("a checked manifest");
        let recipe = manifest.models.iter().find_map(|entry| match &entry.recipe {
            Recipe::Db(recipe) => Some(recipe),
            _ => None,
        });
        let mut state = 1_u32;
        let value = |at: usize| {
            let (x, y) = (at % size.0 % 200, at / size.0 % 24);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let written = (20..180).contains(&x) && (4..16).contains(&y);
            if written || (state >> 8) % 1_000 < noise { 0.9 } else { 0.02 }
        };
        let map = (0..size.0 * size.1).map(value).collect();
        Self { lines: Lines::new(recipe.expect("a model that finds lines")), map, size }
    }

    /// How many lines there are.
    pub fn run(&mut self) -> usize {
        let picture = (self.size.0 as f64, self.size.1 as f64);
        let place = Place { origin: (0.0, 0.0), scale: (1.0, 1.0), picture };
        let found = self.lines.find((&self.map, self.size.0), self.size, &place);
        found.map_or(0, |lines| lines.len())
    }
}
