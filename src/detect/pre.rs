//! From a picture's planes to a model's input, without a full-size RGB copy.
//!
//! The picture is scaled so that its longer side is the model's base size ([`Fit::new`]), or as it
//! is told ([`Fit::stretch`]), and stands in the top-left corner; what is left of the input is
//! black. Each plane is scaled by itself, rows first, and colours are computed at the model's size.
//!
//! Assumed: BT.601 limited range, as browsers and WebRTC encoders send whatever the picture's
//! size, and chroma samples centred between their four luma samples. A source that says
//! otherwise is seen with slightly wrong colours, which costs detectors next to nothing.

use serde::Deserialize;

use super::manifest::{Channels, Input};
use super::matrix::Matrix;
use super::resample::Axis;
use crate::media::{Plane, Rect};

/// The form of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// As little padding as three shapes a direction allow (320×192, 320×256, 320×320), and
    /// every sample of the picture counts. 40 % less work for 16:9.
    Rectangular,
    /// A padded square sampled at single points, as the `nudenet` package does it.
    Square,
}

impl Shape {
    /// Every input size of a model, wide ones first: what is warmed up before serving.
    pub(crate) fn sizes(self, base: u32, stride: u32) -> Vec<(u32, u32)> {
        let shorts = Self::shorts(base, stride);
        match self {
            Self::Square => vec![(base, base)],
            Self::Rectangular => {
                let wide = shorts.iter().map(|&short| (base, short));
                let tall = shorts[..2].iter().map(|&short| (short, base));
                let mut sizes: Vec<_> = wide.chain(tall).collect();
                sizes.dedup();
                sizes
            }
        }
    }

    /// Lengths of the shorter side: for 16:9, 4:3 and a square.
    fn shorts(base: u32, stride: u32) -> [u32; 3] {
        [(base * 9).div_ceil(16), (base * 3).div_ceil(4), base].map(|n| n.next_multiple_of(stride))
    }
}

/// Where a picture stands in a model's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    frame: (u32, u32),
    /// The part of the input that is picture.
    pub content: (u32, u32),
    /// Width and height of the input.
    pub input: (u32, u32),
    /// Picture pixels to one input pixel, across and down.
    pub scale: (f64, f64),
}

impl Fit {
    /// Fits a frame of `frame` pixels (at least 1×1) to a model of `base` and `stride`.
    pub(crate) fn new(frame: (u32, u32), base: u32, stride: u32, shape: Shape) -> Self {
        let frame = (frame.0.max(1), frame.1.max(1));
        let (long, short) = (frame.0.max(frame.1), frame.0.min(frame.1));
        let scale = f64::from(long) / f64::from(base);
        // The tolerance keeps a quotient that is whole but for rounding from growing by one.
        let fitted = ((f64::from(short) / scale - 1e-6).ceil() as u32).clamp(1, base);
        let side = match shape {
            Shape::Square => base,
            Shape::Rectangular => {
                let shorts = Shape::shorts(base, stride);
                shorts.into_iter().find(|&side| side >= fitted).unwrap_or(base)
            }
        };
        let wide = frame.0 >= frame.1;
        let turn = |long, short| if wide { (long, short) } else { (short, long) };
        Self { frame, content: turn(base, fitted), input: turn(base, side), scale: (scale, scale) }
    }

    /// Stretches a frame of `frame` pixels over the top left `content` of an input.
    pub(crate) fn stretch(frame: (u32, u32), content: (u32, u32), input: (u32, u32)) -> Self {
        let scale = |frame: u32, content: u32| f64::from(frame) / f64::from(content);
        let scale = (scale(frame.0, content.0), scale(frame.1, content.1));
        Self { frame, content, input, scale }
    }

    /// A rectangle of the input in pixels of the frame, cut to its edges.
    pub(crate) fn to_frame(self, inner: &Rect) -> Rect {
        let (across, down) = (self.scale.0 as f32, self.scale.1 as f32);
        let rect = Rect::new(inner.x * across, inner.y * down, inner.w * across, inner.h * down);
        rect.clip(self.frame.0, self.frame.1)
    }

    /// Samples of the input tensor of one picture.
    pub(crate) fn samples(&self) -> usize {
        3 * self.input.0 as usize * self.input.1 as usize
    }

    /// A number that two fits share when their pictures can run in one batch.
    pub(crate) fn bucket(&self) -> u32 {
        self.input.0 << 16 | self.input.1
    }
}

/// Picture sizes whose tables are kept; a stream changes between its few simulcast layers.
const KEPT_TABLES: usize = 16;

/// Scales and converts pictures for one model; keeps its tables and rows between calls.
#[derive(Debug)]
pub(crate) struct Converter {
    channels: Channels,
    matrix: Matrix,
    /// What padding is: black, in the order of the tensor's planes.
    black: [f32; 3],
    filter: Filter,
    tables: Vec<Tables>,
    next: usize,
    column: Vec<u16>,
    rows: [Vec<f32>; 3],
}

/// How samples are found for an input pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The mean of all that it covers; between two where the picture is enlarged.
    Area,
    /// Between the two around its centre, however many it covers.
    Linear,
}

impl From<Shape> for Filter {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Rectangular => Self::Area,
            Shape::Square => Self::Linear,
        }
    }
}

/// How one size of picture is scaled: luma and chroma, both axes.
#[derive(Debug)]
struct Tables {
    frame: (u32, u32),
    content: (u32, u32),
    luma: (Axis, Axis),
    chroma: (Axis, Axis),
}

impl Converter {
    /// A converter for a model's input.
    pub(crate) fn new(input: &Input, filter: Filter) -> Self {
        Self {
            channels: input.channels,
            matrix: Matrix::bt601_limited(input),
            black: std::array::from_fn(|plane| input.normal(plane).1),
            filter,
            tables: Vec::new(),
            next: 0,
            column: Vec::new(),
            rows: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Writes a picture of the size that `fit` was made for into `tensor`:
    /// `[3][height][width]`, [`Fit::samples`] values.
    pub(crate) fn convert(&mut self, planes: &[Plane<'_>; 3], fit: &Fit, tensor: &mut [f32]) {
        assert_eq!(tensor.len(), fit.samples(), "the tensor has the size of the fit");
        let index = self.tables(fit);
        let tables = &self.tables[index];
        let (width, height) = (fit.input.0 as usize, fit.input.1 as usize);
        let (inner_w, inner_h) = (fit.content.0 as usize, fit.content.1 as usize);
        for row in &mut self.rows {
            row.resize(inner_w, 0.0);
        }
        let black = self.black;
        let (first, rest) = tensor.split_at_mut(width * height);
        let (second, third) = rest.split_at_mut(width * height);
        for y in 0..height {
            let line = y * width..(y + 1) * width;
            let out = [&mut first[line.clone()], &mut second[line.clone()], &mut third[line]];
            if y >= inner_h {
                for (row, black) in out.into_iter().zip(black) {
                    row.fill(black);
                }
                continue;
            }
            for (i, plane) in planes.iter().enumerate() {
                let (across, down) = if i == 0 { &tables.luma } else { &tables.chroma };
                scale_row((across, down, y), plane, &mut self.column, &mut self.rows[i]);
            }
            let mut out = out;
            for (row, black) in out.iter_mut().zip(black) {
                row[inner_w..].fill(black);
            }
            let [luma, u, v] = &self.rows;
            let out = self.channels.in_order(out.map(|row| &mut row[..inner_w]));
            self.matrix.convert([luma, u, v], out);
        }
    }

    /// The tables for a fit; made on the first picture of a size.
    fn tables(&mut self, fit: &Fit) -> usize {
        let known = |t: &Tables| (t.frame, t.content) == (fit.frame, fit.content);
        if let Some(found) = self.tables.iter().position(known) {
            return found;
        }
        let axis = |len: u32, out: u32, scale: f64| match self.filter {
            Filter::Area => Axis::area(len as usize, out as usize, scale),
            Filter::Linear => Axis::linear(len as usize, out as usize, scale),
        };
        let pair = |len: (u32, u32), over: f64| {
            let (across, down) = (fit.scale.0 / over, fit.scale.1 / over);
            (axis(len.0, fit.content.0, across), axis(len.1, fit.content.1, down))
        };
        let half = (fit.frame.0.div_ceil(2), fit.frame.1.div_ceil(2));
        let tables = Tables {
            frame: fit.frame,
            content: fit.content,
            luma: pair(fit.frame, 1.0),
            chroma: pair(half, 2.0),
        };
        if self.tables.len() < KEPT_TABLES {
            self.tables.push(tables);
            return self.tables.len() - 1;
        }
        self.next = (self.next + 1) % KEPT_TABLES;
        self.tables[self.next] = tables;
        self.next
    }
}

/// Scales what output row `at.2` needs of a plane: down into `column`, then across into `out`.
fn scale_row(at: (&Axis, &Axis, usize), plane: &Plane<'_>, column: &mut Vec<u16>, out: &mut [f32]) {
    let (across, down, y) = at;
    column.resize(plane.width, 0);
    down.blend_rows(y, plane, column);
    across.reduce(column, down.unit(), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Picture;

    fn input(channels: Channels) -> Input {
        let (mean, std) = ([0.0; 3], [1.0; 3]);
        Input { name: "images".into(), channels, scale: 1.0 / 255.0, mean, std }
    }

    fn convert(picture: &Picture, channels: Channels, shape: Shape) -> (Fit, Vec<f32>) {
        let mut converter = Converter::new(&input(channels), shape.into());
        let fit = Fit::new((picture.width(), picture.height()), 320, 32, shape);
        let mut tensor = vec![f32::NAN; fit.samples()];
        converter.convert(&picture.planes(), &fit, &mut tensor);
        (fit, tensor)
    }

    #[test]
    fn frames_are_fitted_into_few_shapes() {
        for (frame, content, size) in [
            ((1280, 720), (320, 180), (320, 192)),
            ((1920, 1080), (320, 180), (320, 192)),
            ((640, 480), (320, 240), (320, 256)),
            ((720, 1280), (180, 320), (192, 320)),
            ((2560, 1080), (320, 135), (320, 192)),
            ((512, 512), (320, 320), (320, 320)),
            ((160, 90), (320, 180), (320, 192)),
            ((854, 480), (320, 180), (320, 192)),
        ] {
            let fit = Fit::new(frame, 320, 32, Shape::Rectangular);
            assert_eq!((fit.content, fit.input), (content, size), "{frame:?}");
            let square = Fit::new(frame, 320, 32, Shape::Square);
            assert_eq!((square.content, square.input), (content, (320, 320)), "{frame:?}");
        }
    }

    #[test]
    fn the_warmed_sizes_are_all_there_are() {
        let sizes = Shape::Rectangular.sizes(320, 32);
        assert_eq!(sizes, [(320, 192), (320, 256), (320, 320), (192, 320), (256, 320)]);
        for frame in (1..64).flat_map(|w| (1..64).map(move |h| (w * 31, h * 31))) {
            let fit = Fit::new(frame, 320, 32, Shape::Rectangular);
            assert!(sizes.contains(&fit.input), "{frame:?}");
        }
    }

    #[test]
    fn colours_are_right_and_padding_is_black() {
        // BT.601 limited: red is 81, 90, 240.
        let red = Picture::filled(1280, 720, [81, 90, 240]);
        let (fit, tensor) = convert(&red, Channels::Bgr, Shape::Rectangular);
        assert_eq!(fit.input, (320, 192));
        let plane = |c: usize| &tensor[c * 320 * 192..(c + 1) * 320 * 192];
        for (c, value) in [(0, 0.0), (1, 0.0), (2, 1.0)] {
            assert!(plane(c)[..320 * 180].iter().all(|v| (v - value).abs() < 0.01), "plane {c}");
            assert!(plane(c)[320 * 180..].iter().all(|v| *v == 0.0), "padding of {c}");
        }
        let (_, rgb) = convert(&red, Channels::Rgb, Shape::Rectangular);
        assert!(rgb[0] > 0.99 && rgb[2 * 320 * 192] < 0.01);
    }

    #[test]
    fn a_tall_picture_is_padded_on_the_right() {
        let white = Picture::filled(720, 1280, [235, 128, 128]);
        let (fit, tensor) = convert(&white, Channels::Rgb, Shape::Rectangular);
        assert_eq!(fit.input, (192, 320));
        for row in tensor.chunks_exact(192) {
            assert!(row[..180].iter().all(|v| (v - 1.0).abs() < 0.01));
            assert!(row[180..].iter().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn samples_are_normalised_plane_by_plane_and_padding_is_black_too() {
        let (mean, std) = ([0.4, 0.5, 0.6], [0.2, 0.5, 0.25]);
        let input = Input { mean, std, ..input(Channels::Bgr) };
        // BT.601 limited: red is 81, 90, 240.
        let red = Picture::filled(64, 32, [81, 90, 240]);
        let fit = Fit::stretch((64, 32), (64, 32), (96, 64));
        let mut tensor = vec![f32::NAN; fit.samples()];
        Converter::new(&input, Filter::Area).convert(&red.planes(), &fit, &mut tensor);
        for (plane, (full, none)) in [(0.0, -2.0), (0.0, -1.0), (1.6, -2.4)].into_iter().enumerate()
        {
            let plane = &tensor[plane * 96 * 64..(plane + 1) * 96 * 64];
            let want = if full == 0.0 { none } else { full };
            assert!(plane[..64].iter().all(|v| (v - want).abs() < 0.03), "{want} {}", plane[0]);
            assert!(plane[64..96].iter().chain(&plane[96 * 32..]).all(|v| (v - none).abs() < 1e-6));
        }
    }

    #[test]
    fn boxes_find_their_way_back() {
        let fit = Fit::new((1280, 720), 320, 32, Shape::Rectangular);
        let rect = fit.to_frame(&Rect::new(10.0, 20.0, 30.0, 40.0));
        assert_eq!(rect, Rect::new(40.0, 80.0, 120.0, 160.0));
    }

    /// The same by hand: every input pixel is the mean of the picture under it.
    fn mean(picture: &Picture, fit: &Fit, at: (usize, usize)) -> f64 {
        let plane = picture.planes()[0];
        let span = |i: usize, len: usize| {
            let scale = fit.scale.0;
            let (a, b) = (i as f64 * scale, ((i + 1) as f64 * scale).min(len as f64));
            (a.floor() as usize..(b.ceil() as usize).min(len))
                .map(move |x| (x, (b.min((x + 1) as f64) - a.max(x as f64)).max(0.0)))
        };
        let (mut sum, mut weight) = (0.0, 0.0);
        for (y, wy) in span(at.1, plane.height) {
            for (x, wx) in span(at.0, plane.width) {
                sum += f64::from(plane.row(y)[x]) * wx * wy;
                weight += wx * wy;
            }
        }
        (((sum / weight) - 16.0) * 1.164_383_6).clamp(0.0, 255.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_pixel_is_the_mean_of_what_it_covers(
            width in 320u32..1400, height in 320u32..1400, seed in any::<u32>()
        ) {
            let mut picture = Picture::filled(width, height, [0, 128, 128]);
            let mut noise = seed;
            let [mut luma, ..] = picture.planes_mut();
            for y in 0..luma.height {
                for value in luma.row_mut(y) {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *value = (noise >> 24) as u8;
                }
            }
            let (fit, tensor) = convert(&picture, Channels::Rgb, Shape::Rectangular);
            let (w, h) = (fit.content.0 as usize, fit.content.1 as usize);
            for (x, y) in [(0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1), (w / 2, h / 3)] {
                let got = f64::from(tensor[y * fit.input.0 as usize + x]) * 255.0;
                let want = mean(&picture, &fit, (x, y));
                prop_assert!((got - want).abs() < 1.6, "{x},{y}: {got} {want}");
            }
        }

        #[test]
        fn any_size_is_fitted_inside(width in 1u32..5000, height in 1u32..5000) {
            let fit = Fit::new((width, height), 320, 32, Shape::Rectangular);
            prop_assert!(fit.content.0 <= fit.input.0 && fit.content.1 <= fit.input.1);
            prop_assert!(fit.input.0.max(fit.input.1) == 320);
            prop_assert!(fit.input.0.is_multiple_of(32) && fit.input.1.is_multiple_of(32));
        }
    }
}
