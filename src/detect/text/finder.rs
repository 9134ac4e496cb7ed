//! The model that finds lines: DB on ONNX Runtime.

use ort::session::Session;

use super::lines::{Lines, Place};
use super::{Area, Find, Line};
use crate::detect::manifest::Db;
use crate::detect::model::{Detector, Error, Model, Opened};
use crate::detect::onnx::{Batches, Provider, Sessions, run};
use crate::detect::pre::{Converter, Filter, Fit};
use crate::media::{Picture, Plane, Rect};

/// The input that is run before serving on a processor: it shows that the model works. Others cost
/// no more the first time.
const PROOF: u32 = 160;

/// Where a part of a picture stands in the input: stretched over the next whole pixels, in the
/// smallest sides that hold it.
fn fit(recipe: &Db, rect: &Rect, scale: f32) -> Fit {
    let last = recipe.sides.last().copied().unwrap_or(1);
    let most = (last as f32 / rect.w).min(last as f32 / rect.h);
    let scale = scale.min(most);
    let content = |side: f32| ((side * scale).round().max(1.0) as u32).min(last);
    let content = (content(rect.w), content(rect.h));
    let side = |length: u32| recipe.sides.iter().copied().find(|&side| side >= length);
    let input = (side(content.0).unwrap_or(last), side(content.1).unwrap_or(last));
    Fit::stretch((rect.w as u32, rect.h as u32), content, input)
}

/// A model of this family.
pub(in crate::detect) struct Finder {
    sessions: Sessions,
    recipe: Db,
}

impl Finder {
    pub(in crate::detect) fn new(sessions: Sessions, recipe: &Db) -> Self {
        Self { sessions, recipe: recipe.clone() }
    }

    fn build(&self, session: Session, provider: Provider) -> Result<Opened<Find>, Error> {
        let batches = self.sessions.batches(provider);
        let input = &self.sessions.entry.input;
        let mut detector = Instance {
            session,
            converter: Converter::new(input, Filter::Area),
            lines: Lines::new(&self.recipe),
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
}

impl Model<Find> for Finder {
    fn name(&self) -> &str {
        &self.sessions.entry.name
    }

    fn bucket(&self, area: &Area) -> u32 {
        fit(&self.recipe, &area.rect, area.scale).bucket()
    }

    fn open(&self) -> Result<Opened<Find>, Error> {
        self.sessions.open(|session, provider| self.build(session, provider))
    }
}

/// A session with what goes before and after it.
struct Instance {
    session: Session,
    converter: Converter,
    lines: Lines,
    recipe: Db,
    input: String,
    batches: Batches,
    tensor: Vec<f32>,
}

impl Instance {
    /// Runs one input; on a GPU, which prepares itself for each, those of whole pictures.
    fn warm_up(&mut self) -> Result<(), Error> {
        let sides: Vec<u32> = match self.batches.pay() {
            true => self.recipe.sides.iter().copied().filter(|&side| side >= 640).collect(),
            false => vec![PROOF],
        };
        for width in sides {
            let picture = std::sync::Arc::new(Picture::filled(width, width * 9 / 16, [128; 3]));
            let rect = Rect::new(0.0, 0.0, width as f32, (width * 9 / 16) as f32);
            for count in self.batches.sizes() {
                self.run(&vec![Area { picture: picture.clone(), rect, scale: 1.0 }; count])?;
            }
        }
        Ok(())
    }

    fn run(&mut self, areas: &[Area]) -> Result<Vec<Vec<Line>>, Error> {
        let fits: Vec<Fit> =
            areas.iter().map(|area| fit(&self.recipe, &area.rect, area.scale)).collect();
        let Some(first) = fits.first() else { return Ok(Vec::new()) };
        let ((width, height), samples) = (first.input, first.samples());
        if fits.iter().any(|fit| fit.input != first.input) {
            return Err(Error::new("a batch of different input shapes"));
        }
        let count = self.batches.round(fits.len());
        self.tensor.resize(count * samples, 0.0);
        let tensors = self.tensor.chunks_exact_mut(samples);
        for ((area, fit), tensor) in areas.iter().zip(&fits).zip(tensors) {
            self.converter.convert(&part(&area.picture, &area.rect), fit, tensor);
        }
        let (width, height) = (width as usize, height as usize);
        let Self { session, lines, input, tensor, .. } = self;
        run(session, input, ([count, 3, height, width], tensor), |shape, values| {
            if shape != [count, 1, height, width] {
                let expected = [count, 1, height, width];
                return Err(Error(format!("an output of shape {shape:?}, not {expected:?}")));
            }
            let maps = values.chunks_exact(width * height).zip(areas.iter().zip(&fits));
            maps.map(|(map, (area, fit))| {
                let size = (fit.content.0 as usize, fit.content.1 as usize);
                let (picture, rect) = (&area.picture, &area.rect);
                let place = Place {
                    origin: (f64::from(rect.x), f64::from(rect.y)),
                    scale: fit.scale,
                    picture: (f64::from(picture.width()), f64::from(picture.height())),
                };
                lines.find((map, width), size, &place).map_err(Error::new)
            })
            .collect()
        })
    }
}

impl Detector<Find> for Instance {
    fn detect(&mut self, areas: &[Area]) -> Result<Vec<Vec<Line>>, Error> {
        #[cfg(any(test, feature = "test-hooks"))]
        crate::detect::hooks::fire(crate::detect::hooks::Target::Text)?;
        self.run(areas)
    }
}

/// The planes of a part of a picture, which begins at an even column and row.
fn part<'a>(picture: &'a Picture, rect: &Rect) -> [Plane<'a>; 3] {
    let (x, y) = (rect.x as usize, rect.y as usize);
    let (width, height) = (rect.w as usize, rect.h as usize);
    let mut index = 0;
    picture.planes().map(|plane| {
        let half = |n: usize| if index == 0 { n } else { n.div_ceil(2) };
        let (left, top) = if index == 0 { (x, y) } else { (x / 2, y / 2) };
        let (width, height) = (half(width), half(height));
        index += 1;
        let data = &plane.data[top * plane.stride + left..];
        Plane { data, stride: plane.stride, width, height }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detect::Manifest;
    use crate::detect::manifest::Recipe;

    fn recipe() -> Db {
        let models = Manifest::builtin().unwrap().models;
        let found = models.into_iter().find_map(|entry| match entry.recipe {
            Recipe::Db(recipe) => Some(recipe),
            _ => None,
        });
        found.unwrap()
    }

    #[test]
    fn whole_pictures_and_parts_go_into_few_shapes() {
        for (size, scale, content, input) in [
            ((1280.0, 720.0), 0.5, (640, 360), (640, 384)),
            ((1280.0, 720.0), 0.75, (960, 540), (960, 544)),
            ((1280.0, 720.0), 1.0, (1280, 720), (1280, 736)),
            ((1920.0, 1080.0), 0.5, (960, 540), (960, 544)),
            ((3840.0, 2160.0), 1.0, (1920, 1080), (1920, 1088)),
            ((200.0, 40.0), 1.0, (200, 40), (256, 64)),
            ((2.0, 2.0), 0.1, (1, 1), (64, 64)),
        ] {
            let fit = fit(&recipe(), &Rect::new(0.0, 0.0, size.0, size.1), scale);
            assert_eq!((fit.content, fit.input), (content, input), "{size:?} at {scale}");
        }
    }

    #[test]
    fn a_part_has_the_samples_that_stand_there() {
        let mut picture = Picture::filled(64, 48, [0, 0, 0]);
        for (i, mut plane) in picture.planes_mut().into_iter().enumerate() {
            for y in 0..plane.height {
                for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                    *sample = (i * 80 + x + y) as u8;
                }
            }
        }
        let planes = part(&picture, &Rect::new(10.0, 20.0, 31.0, 28.0));
        let first: Vec<u8> = planes.iter().map(|plane| plane.row(0)[0]).collect();
        let last: Vec<u8> = planes.iter().map(|p| p.row(p.height - 1)[p.width - 1]).collect();
        assert_eq!(first, [30, 95, 175]);
        assert_eq!(last, [40 + 47, 80 + 20 + 23, 160 + 20 + 23]);
    }

    proptest! {
        #[test]
        fn any_part_fits(w in 1u32..5000, h in 1u32..5000, scale in 0.01f32..8.0) {
            let recipe = recipe();
            let fit = fit(&recipe, &Rect::new(0.0, 0.0, w as f32, h as f32), scale);
            prop_assert!(fit.content.0 <= fit.input.0 && fit.content.1 <= fit.input.1);
            prop_assert!(recipe.sides.contains(&fit.input.0) && recipe.sides.contains(&fit.input.1));
        }
    }
}
