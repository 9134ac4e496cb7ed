//! What goes into a model and what comes out of it, as the manifest says it.

use serde::Deserialize;

/// How samples of 0 to 255 become a model's f32 input, `[batch, 3, height, width]`: each is
/// multiplied by `scale`, then `mean` is taken away, then it is divided by `std`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the input tensor.
    pub name: String,
    /// Order of the colour planes.
    pub channels: Channels,
    /// What a sample of 0 to 255 is multiplied by.
    pub scale: f32,
    /// Taken away then, a number each plane in the order of `channels`.
    #[serde(default)]
    pub mean: [f32; 3],
    /// The divisor then, in the same order.
    #[serde(default = "ones")]
    pub std: [f32; 3],
}

fn ones() -> [f32; 3] {
    [1.0; 3]
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

/// The families of models that are understood.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Recipe {
    /// Finds regions.
    Yolov8(Yolov8),
    /// Finds lines of text.
    Db(Db),
    /// Reads lines of text.
    Ctc(Ctc),
}

impl Recipe {
    /// Whether it looks at whole pictures, and not at text.
    pub fn finds_regions(&self) -> bool {
        matches!(self, Self::Yolov8(_))
    }
}

/// Regions. Output `[batch, 4 + classes, cells]`: centre, size and a score a class, per cell.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolov8 {
    /// Length of the input's longer side in pixels, a multiple of `stride`.
    pub base: u32,
    /// Both sides must be multiples of this.
    pub stride: u32,
    /// Class names in the model's order; empty takes them from the model's metadata.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Findings below this score are not reported, 0 to 1.
    pub floor: f32,
    /// Boxes that overlap by more than this (intersection over union) are one finding.
    pub nms_iou: f32,
}

/// Lines of text by differentiable binarisation. Output `[batch, 1, height, width]`: how likely
/// each input pixel belongs to the inner part of a line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Db {
    /// The lengths that either side of the input may have, rising: a part of a picture is put
    /// into the smallest that hold it. Few, because a GPU prepares itself for each pair.
    pub sides: Vec<u32>,
    /// Pixels over this probability belong to a line.
    pub threshold: f32,
    /// Whether such pixels are grown by one to the right and down before they are joined, so that
    /// the letters of a thin line hold together.
    pub dilate: bool,
    /// Lines whose mean probability is below this are not reported.
    pub floor: f32,
    /// A line is grown on each side by its area times this over its circumference: what training
    /// took away from it.
    pub unclip: f32,
    /// Lines that are thinner than this before they are grown are not reported, in input pixels.
    pub thinnest: f32,
    /// A line so many times as high as it is wide is read from top to bottom.
    pub upright: f32,
}

/// What a line says, by connectionist temporal classification. Output `[batch, columns,
/// characters]`: a probability for each character, and for none, at each place along the line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    /// Height of the input in pixels; lines are scaled to it.
    pub height: u32,
    /// The widths that the input may have, rising. A line goes into the first that holds it and is
    /// squeezed into the last; the rest of the input is the mean.
    pub widths: Vec<u32>,
    /// Key of the model's metadata that holds the characters, one a line. The first output is
    /// "none", then they follow.
    pub charset: String,
    /// Whether a space follows after the last of them.
    pub space: bool,
}

/// Longest side of an input that makes sense.
const LONGEST: u32 = 4096;

/// Input sides must be multiples of this for [`Db`]: the model halves its picture five times.
const DB_STRIDE: u32 = 32;

impl Input {
    /// Factor and offset of plane `index` in the order of `channels`.
    pub fn normal(&self, index: usize) -> (f32, f32) {
        (self.scale / self.std[index], -self.mean[index] / self.std[index])
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.scale.is_nan() || self.scale <= 0.0 {
            return Some("input.scale must be over 0");
        }
        if !self.std.iter().all(|std| *std > 0.0) {
            return Some("input.std must be over 0");
        }
        (!self.mean.iter().all(|mean| mean.is_finite())).then_some("input.mean must be numbers")
    }
}

impl Recipe {
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Yolov8(recipe) => recipe.problem(),
            Self::Db(recipe) => recipe.problem(),
            Self::Ctc(recipe) => recipe.problem(),
        }
    }
}

impl Yolov8 {
    fn problem(&self) -> Option<&'static str> {
        let Self { base, stride, floor, nms_iou, .. } = *self;
        match () {
            () if !(0.0..1.0).contains(&floor) => Some("floor must be at least 0, below 1"),
            () if !(nms_iou > 0.0 && nms_iou <= 1.0) => Some("nms_iou must be over 0, at most 1"),
            () if stride == 0 || base == 0 || base % stride != 0 || base > LONGEST => {
                Some("base must be a multiple of stride, at most 4096")
            }
            () => None,
        }
    }
}

impl Db {
    fn problem(&self) -> Option<&'static str> {
        let fits = |side: &u32| side.is_multiple_of(DB_STRIDE);
        match () {
            () if !rising(&self.sides) || !self.sides.iter().all(fits) => {
                Some("sides must be multiples of 32, rising, at most 4096, at least one")
            }
            () if !(self.threshold > 0.0 && self.threshold < 1.0) => {
                Some("threshold must be over 0, below 1")
            }
            () if !(0.0..1.0).contains(&self.floor) => Some("floor must be at least 0, below 1"),
            () if !(0.0..=8.0).contains(&self.unclip) => Some("unclip must be from 0 to 8"),
            () if !(0.0..=64.0).contains(&self.thinnest) => Some("thinnest must be from 0 to 64"),
            () if self.upright.is_nan() || self.upright < 1.0 => Some("upright must be at least 1"),
            () => None,
        }
    }
}

impl Ctc {
    fn problem(&self) -> Option<&'static str> {
        match () {
            () if self.height == 0 || self.height > 256 => Some("height must be from 1 to 256"),
            () if !rising(&self.widths) => {
                Some("widths must be rising, at most 4096, at least one")
            }
            () if self.charset.is_empty() => Some("charset must name a key of the metadata"),
            () => None,
        }
    }
}

fn rising(sizes: &[u32]) -> bool {
    let sorted = sizes.windows(2).all(|pair| pair[0] < pair[1]);
    sorted && sizes.first().is_some_and(|&least| least > 0) && sizes.last() <= Some(&LONGEST)
}
