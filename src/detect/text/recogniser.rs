//! The model that reads lines: CTC on ONNX Runtime.

use std::sync::Arc;

use ort::session::Session;

use super::crop::{Cropper, Slot};
use super::decode::{Charset, decode};
use super::{Crop, Quad, Read, Reading};
use crate::detect::manifest::Ctc;
use crate::detect::model::{Detector, Error, Model, Opened};
use crate::detect::onnx::{Batches, Provider, Sessions, run};
use crate::media::{Picture, Rect};

/// A model of this family.
pub(in crate::detect) struct Recogniser {
    sessions: Sessions,
    recipe: Ctc,
}

impl Recogniser {
    pub(in crate::detect) fn new(sessions: Sessions, recipe: &Ctc) -> Self {
        Self { sessions, recipe: recipe.clone() }
    }

    fn build(&self, session: Session, provider: Provider) -> Result<Opened<Read>, Error> {
        let batches = self.sessions.batches(provider);
        let input = &self.sessions.entry.input;
        let mut detector = Instance {
            charset: self.charset(&session)?,
            session,
            cropper: Cropper::new(input),
            recipe: self.recipe.clone(),
            input: input.name.clone(),
            batches,
            tensor: Vec::new(),
        };
        detector.warm_up()?;
        let provider = provider.name().to_owned();
        let (detector, batches) = (Box::new(detector), batches.pay());
        Ok(Opened { detector, provider, fallback: None, batches, classes: Vec::new() })
    }

    fn charset(&self, session: &Session) -> Result<Charset, Error> {
        let key = &self.recipe.charset;
        let metadata = session.metadata().map_err(Error::new)?;
        let lines = metadata.custom(key);
        let missing = || Error(format!("the model's metadata has no {key:?}"));
        Ok(Charset::new(&lines.ok_or_else(missing)?, self.recipe.space))
    }
}

impl Model<Read> for Recogniser {
    fn name(&self) -> &str {
        &self.sessions.entry.name
    }

    fn bucket(&self, crop: &Crop) -> u32 {
        Slot::new(&self.recipe, crop.quad.size()).width
    }

    fn open(&self) -> Result<Opened<Read>, Error> {
        self.sessions.open(|session, provider| self.build(session, provider))
    }
}

/// A session with what goes before and after it.
struct Instance {
    session: Session,
    charset: Charset,
    cropper: Cropper,
    recipe: Ctc,
    input: String,
    batches: Batches,
    tensor: Vec<f32>,
}

impl Instance {
    /// Runs the narrowest input, which shows that the model works; on a GPU, which prepares itself
    /// for each, all of them.
    fn warm_up(&mut self) -> Result<(), Error> {
        let picture = Arc::new(Picture::filled(64, 48, [128; 3]));
        let height = self.recipe.height as f32;
        let count = if self.batches.pay() { self.recipe.widths.len() } else { 1 };
        let widths = self.recipe.widths[..count].to_vec();
        for width in widths {
            let quad = Quad::from(Rect::new(0.0, 0.0, width as f32, height));
            for count in self.batches.sizes() {
                self.run(&vec![Crop { picture: picture.clone(), quad }; count])?;
            }
        }
        Ok(())
    }

    fn run(&mut self, crops: &[Crop]) -> Result<Vec<Reading>, Error> {
        let slot = |crop: &Crop| Slot::new(&self.recipe, crop.quad.size());
        let slots: Vec<Slot> = crops.iter().map(slot).collect();
        let Some(first) = slots.first() else { return Ok(Vec::new()) };
        if slots.iter().any(|slot| slot.width != first.width) {
            return Err(Error::new("a batch of different input shapes"));
        }
        let (width, height) = (first.width as usize, self.recipe.height as usize);
        let (count, samples) = (self.batches.round(crops.len()), 3 * width * height);
        self.tensor.resize(count * samples, 0.0);
        let tensors = self.tensor.chunks_exact_mut(samples);
        for ((crop, slot), tensor) in crops.iter().zip(&slots).zip(tensors) {
            self.cropper.crop(&crop.picture, &crop.quad, *slot, tensor);
        }
        let Self { session, charset, input, tensor, .. } = self;
        run(session, input, ([count, 3, height, width], tensor), |shape, values| {
            let classes = charset.classes();
            let columns = match *shape {
                [batch, columns, found] if (batch, found) == (count, classes) && columns > 0 => {
                    columns
                }
                _ => {
                    let expected = format!("[{count}, …, {classes}]");
                    return Err(Error(format!("an output of shape {shape:?}, not {expected}")));
                }
            };
            let read = |(output, slot): (&[f32], &Slot)| {
                let filled = columns as f32 * slot.filled as f32 / slot.width as f32;
                decode(output, charset, filled).map_err(Error::new)
            };
            values.chunks_exact(columns * classes).zip(&slots).map(read).collect()
        })
    }
}

impl Detector<Read> for Instance {
    fn detect(&mut self, crops: &[Crop]) -> Result<Vec<Reading>, Error> {
        #[cfg(any(test, feature = "test-hooks"))]
        crate::detect::hooks::fire(crate::detect::hooks::Target::Text)?;
        self.run(crops)
    }
}
