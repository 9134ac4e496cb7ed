//! YOLOv8-style models: regions in whole pictures.

use std::sync::Arc;

use ort::session::Session;

use super::manifest::{Yolov8, names_from_metadata};
use super::model::{Detector, Error, Model, Opened};
use super::onnx::{Batches, Provider, Sessions, run};
use super::post::Decoder;
use super::pre::{Converter, Fit};
use super::{Finding, openvino};
use crate::media::Picture;

/// A model of this family.
pub(super) struct Yolo {
    sessions: Sessions,
    recipe: Yolov8,
}

impl Yolo {
    pub(super) fn new(sessions: Sessions, recipe: &Yolov8) -> Self {
        Self { sessions, recipe: recipe.clone() }
    }

    fn build(&self, session: Session, provider: Provider) -> Result<Opened, Error> {
        let batches = self.sessions.batches(provider);
        let classes = self.classes(&session)?;
        let (input, shape) = (&self.sessions.entry.input, self.sessions.config.shape);
        let mut detector = Instance {
            session,
            converter: Converter::new(input, shape.into()),
            decoder: Decoder {
                classes: classes.clone().into(),
                floor: self.recipe.floor,
                nms_iou: self.recipe.nms_iou,
                margin: if provider == Provider::OpenVino { openvino::MARGIN } else { 0.0 },
            },
            input: input.name.clone(),
            fit: Fitting { base: self.recipe.base, stride: self.recipe.stride, shape },
            batches,
            tensor: Vec::new(),
        };
        detector.warm_up()?;
        let provider = provider.name().to_owned();
        let (detector, batches) = (Box::new(detector), batches.pay());
        Ok(Opened { detector, provider, fallback: None, batches, classes })
    }

    fn classes(&self, session: &Session) -> Result<Vec<Arc<str>>, Error> {
        let names = if self.recipe.classes.is_empty() {
            let metadata = session.metadata().map_err(Error::new)?;
            let names = metadata.custom("names").as_deref().and_then(names_from_metadata);
            names.ok_or_else(|| Error::new("the model names no classes, nor does the manifest"))?
        } else {
            self.recipe.classes.clone()
        };
        Ok(names.into_iter().map(Arc::from).collect())
    }
}

impl Model for Yolo {
    fn name(&self) -> &str {
        &self.sessions.entry.name
    }

    fn bucket(&self, picture: &Arc<Picture>) -> u32 {
        let Yolov8 { base, stride, .. } = self.recipe;
        Fitting { base, stride, shape: self.sessions.config.shape }.of(picture).bucket()
    }

    fn open(&self) -> Result<Opened, Error> {
        self.sessions.open(|session, provider| self.build(session, provider))
    }
}

/// How pictures are fitted into the input.
#[derive(Clone, Copy)]
struct Fitting {
    base: u32,
    stride: u32,
    shape: super::Shape,
}

impl Fitting {
    fn of(self, picture: &Picture) -> Fit {
        Fit::new((picture.width(), picture.height()), self.base, self.stride, self.shape)
    }
}

/// A session with what goes before and after it.
struct Instance {
    session: Session,
    converter: Converter,
    decoder: Decoder,
    input: String,
    fit: Fitting,
    batches: Batches,
    tensor: Vec<f32>,
}

impl Instance {
    /// Runs every input size, on a GPU every batch size of each, on grey pictures.
    fn warm_up(&mut self) -> Result<(), Error> {
        for (width, height) in self.fit.shape.sizes(self.fit.base, self.fit.stride) {
            let picture = Arc::new(Picture::filled(width, height, [128; 3]));
            for count in self.batches.sizes() {
                self.run(&vec![picture.clone(); count])?;
            }
        }
        Ok(())
    }

    fn run(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        let fits: Vec<Fit> = pictures.iter().map(|picture| self.fit.of(picture)).collect();
        let Some(first) = fits.first() else { return Ok(Vec::new()) };
        let ((width, height), samples) = (first.input, first.samples());
        if fits.iter().any(|fit| fit.input != first.input) {
            return Err(Error::new("a batch of different input shapes"));
        }
        let count = self.batches.round(fits.len());
        self.tensor.resize(count * samples, 0.0);
        let tensors = self.tensor.chunks_exact_mut(samples);
        for ((picture, fit), tensor) in pictures.iter().zip(&fits).zip(tensors) {
            self.converter.convert(&picture.planes(), fit, tensor);
        }
        let shape = [count, 3, height as usize, width as usize];
        let Self { session, decoder, input, tensor, .. } = self;
        run(session, input, (shape, tensor), |shape, values| {
            let rows = 4 + decoder.classes.len();
            match *shape {
                [batch, found, cells] if (batch, found) == (count, rows) && cells > 0 => {
                    let decode = |(output, fit)| decoder.decode(output, fit).map_err(Error::new);
                    values.chunks_exact(rows * cells).zip(&fits).map(decode).collect()
                }
                _ => Err(Error(format!("an output of shape {shape:?}, not [{count}, {rows}, …]"))),
            }
        })
    }
}

impl Detector for Instance {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        #[cfg(any(test, feature = "test-hooks"))]
        super::hooks::fire(super::hooks::Target::Regions)?;
        self.run(pictures)
    }
}
