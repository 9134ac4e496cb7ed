//! One thumbnail: covered first, then cut out and made small. Pure.
//!
//! The covering is the very one of the stream (`censor::apply` on the whole picture), so that a
//! thumbnail never shows more than viewers saw; making it small only takes away.

use std::sync::Arc;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use crate::censor::{self, Action, Region};
use crate::inspect::rgb::{Rgb, from_picture};
use crate::media::{Picture, Plane, PlaneMut, Rect};

/// Widest thumbnail, in pixels: a scene is known again at this size, a small face is not.
pub const WIDTH: u32 = 96;
/// Highest thumbnail, in pixels.
pub const HEIGHT: u32 = 72;

/// How many times the size of what was found is shown, where the picture has as much: without its
/// surroundings nobody can say what a blur has been.
const AROUND: f32 = 3.0;

/// Quality of the JPEG, 1 to 100; some 2 to 3 kB at full size.
const QUALITY: u8 = 75;

/// What a thumbnail is drawn from.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The frame as it came.
    pub picture: Arc<Picture>,
    /// All that is covered in it, what the thumbnail is of included.
    pub covered: Vec<Region>,
    /// What the thumbnail is of, in pixels of the frame.
    pub focus: Rect,
}

impl Scene {
    /// The thumbnail as JPEG, at most [`WIDTH`] × [`HEIGHT`] pixels and never enlarged. `None`
    /// where there is nothing to see (the whole frame is covered), or nothing is covered at all.
    pub(crate) fn draw(&self) -> Option<Vec<u8>> {
        let covers = |region: &Region| !matches!(region.action, Action::Allow);
        let whole = |region: &Region| region.action == Action::Cover;
        if !self.covered.iter().any(covers) || self.covered.iter().any(whole) {
            return None;
        }
        let mut covered = Picture::copy_of(&self.picture);
        censor::apply(&mut covered, &self.covered);
        let window = window(&self.focus, (self.picture.width(), self.picture.height()));
        let Rgb { width, height, data } = from_picture(&shrink(&covered, &window));
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, QUALITY)
            .encode(&data, width, height, ExtendedColorType::Rgb8)
            .ok()?;
        Some(file)
    }
}

/// A part of a picture in luma samples; left and top are even.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

/// What is shown: `focus` in the middle and its surroundings, inside a picture of this size.
fn window(focus: &Rect, (width, height): (u32, u32)) -> Window {
    let aspect = WIDTH as f32 / HEIGHT as f32;
    let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
    let (w, h) = (finite(focus.w) * AROUND, finite(focus.h) * AROUND);
    let wanted = w.max(h * aspect).max(WIDTH as f32);
    // A cast saturates; what is wider than the picture is the whole picture.
    let wide = (wanted as u32).clamp(1, width);
    let high = ((wanted / aspect) as u32).clamp(1, height);
    let (x, y) = focus.centre();
    let begin = |centre: f32, length: u32, side: u32| {
        let first = finite(centre) - length as f32 / 2.0;
        (first as u32).min(side - length) & !1
    };
    Window { left: begin(x, wide, width), top: begin(y, high, height), width: wide, height: high }
}

/// The window as a picture of its own of limited range, each sample the mean of those it stands for.
fn shrink(picture: &Picture, window: &Window) -> Picture {
    let Window { left, top, width, height } = *window;
    let scale =
        (f64::from(width) / f64::from(WIDTH)).max(f64::from(height) / f64::from(HEIGHT)).max(1.0);
    let side = |length: u32, most: u32| ((f64::from(length) / scale).round() as u32).clamp(1, most);
    let mut small = Picture::new(side(width, WIDTH), side(height, HEIGHT));
    let full = picture.colour().full_range;
    for (index, (to, from)) in small.planes_mut().iter_mut().zip(picture.planes()).enumerate() {
        let half = |value: u32| if index == 0 { value } else { value.div_ceil(2) } as usize;
        let span = [half(left), half(top), half(width), half(height)];
        mean(to, &from, span);
        if full {
            limit(to, index);
        }
    }
    small
}

/// Fills `to` with the means of the `[left, top, width, height]` of `from`, which is nowhere smaller.
fn mean(to: &mut PlaneMut<'_>, from: &Plane<'_>, [left, top, width, height]: [usize; 4]) {
    let (columns, rows) = (to.width, to.height);
    for row in 0..rows {
        let lines = top + row * height / rows..top + ((row + 1) * height / rows).min(from.height);
        for column in 0..columns {
            let first = left + column * width / columns;
            let last = (left + (column + 1) * width / columns).min(from.width);
            let samples = lines.clone().flat_map(|y| &from.row(y)[first..last]);
            let (sum, count) =
                samples.fold((0_u64, 0_u64), |(sum, n), &v| (sum + u64::from(v), n + 1));
            to.row_mut(row)[column] = ((sum + count / 2) / count.max(1)) as u8;
        }
    }
}

/// From full to limited range (ITU-R BT.601: luma 16 to 235, chroma 16 to 240).
fn limit(plane: &mut PlaneMut<'_>, index: usize) {
    let range = if index == 0 { 219 } else { 224 };
    for y in 0..plane.height {
        for value in plane.row_mut(y) {
            *value = (16 + (u32::from(*value) * range + 127) / 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegDecoder;
    use image::{ImageDecoder as _, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// A checkerboard of 8 pixels, dark on the left half, bright on the right.
    fn board(width: u32, height: u32) -> Picture {
        let mut picture = Picture::new(width, height);
        let [luma, ..] = &mut picture.planes_mut();
        for y in 0..height as usize {
            for (x, value) in luma.row_mut(y).iter_mut().enumerate() {
                let step = if (x / 8 + y / 8) % 2 == 0 { 0 } else { 60 };
                *value = step + if x < width as usize / 2 { 40 } else { 160 };
            }
        }
        picture
    }

    fn decoded(jpeg: &[u8]) -> RgbImage {
        let decoder = JpegDecoder::new(std::io::Cursor::new(jpeg)).unwrap();
        let (width, height) = decoder.dimensions();
        let mut data = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut data).unwrap();
        RgbImage::from_raw(width, height, data).unwrap()
    }

    fn scene(picture: &Arc<Picture>, covered: Vec<Region>, focus: Rect) -> Scene {
        Scene { picture: picture.clone(), covered, focus }
    }

    fn solid(rect: Rect) -> Region {
        Region { rect, action: Action::Solid }
    }

    #[test]
    fn what_is_covered_is_covered_and_the_surroundings_are_there() {
        let picture = Arc::new(board(640, 360));
        let face = Rect::new(288.0, 162.0, 32.0, 24.0);
        let jpeg = scene(&picture, vec![solid(face)], face).draw().unwrap();
        assert!(jpeg.len() < 4_096, "{} bytes", jpeg.len());
        let shown = decoded(&jpeg);
        assert_eq!(shown.dimensions(), (WIDTH, HEIGHT), "as many pixels as there are");
        // Luma 32 of limited range is 19 of full range, and nowhere else in the board.
        for (x, y) in (36..60).flat_map(|x| (28..44).map(move |y| (x, y))) {
            let value = shown.get_pixel(x, y)[0];
            assert!(value.abs_diff(19) < 12, "{value} at {x}, {y} is not the cover");
        }
        let level = |x: std::ops::Range<u32>| {
            let all = x.flat_map(|x| (0..HEIGHT).map(move |y| (x, y)));
            let values: Vec<u32> = all.map(|(x, y)| u32::from(shown.get_pixel(x, y)[0])).collect();
            let (low, high) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            (high - low, values.iter().sum::<u32>() / values.len() as u32)
        };
        let ((left, dark), (right, bright)) = (level(0..16), level(80..96));
        assert!(left > 40 && right > 40, "the board is seen: {left}, {right}");
        assert!(dark + 80 < bright, "in the right place: {dark}, {bright}");
    }

    #[test]
    fn a_whole_covered_or_uncovered_frame_has_no_picture() {
        let picture = Arc::new(board(64, 64));
        let rect = Rect::new(0.0, 0.0, 20.0, 20.0);
        let cover = Region { rect, action: Action::Cover };
        let allow = Region { rect, action: Action::Allow };
        assert_eq!(scene(&picture, vec![solid(rect), cover], rect).draw(), None);
        assert_eq!(scene(&picture, vec![allow], rect).draw(), None);
        assert_eq!(scene(&picture, Vec::new(), rect).draw(), None);
    }

    #[test]
    fn full_range_is_shown_as_bright_as_it_is() {
        let mut white = Picture::filled(32, 32, [255, 128, 128]);
        let [luma, ..] = &mut white.planes_mut();
        limit(luma, 0);
        assert!(luma.data.iter().all(|v| *v == 235));
        let mut green = Picture::filled(32, 32, [0, 255, 0]);
        let [_, u, _] = &mut green.planes_mut();
        limit(u, 1);
        assert!(u.row_mut(0).iter().all(|v| *v == 240));
    }

    proptest! {
        /// What is under a solid region never changes the thumbnail, wherever it lies.
        #[test]
        fn a_thumbnail_tells_nothing_of_what_is_covered(
            (width, height) in (1u32..300, 1u32..300),
            (x, y, w, h) in (-50.0f32..300.0, -50.0f32..300.0, 0.5f32..400.0, 0.5f32..400.0),
            value in 0u8..255,
        ) {
            let rect = Rect::new(x, y, w, h);
            let plain = board(width, height);
            let mut other = board(width, height);
            let within = |from: f32, to: f32, side: u32| {
                let last = to.clamp(0.0, side as f32).floor() as usize;
                (from.clamp(0.0, side as f32).ceil() as usize).min(last)..last
            };
            let [luma, ..] = &mut other.planes_mut();
            for y in within(rect.y, rect.bottom(), height) {
                luma.row_mut(y)[within(rect.x, rect.right(), width)].fill(value);
            }
            let draw = |picture| scene(&Arc::new(picture), vec![solid(rect)], rect).draw().unwrap();
            let (one, two) = (draw(plain), draw(other));
            let (wide, high) = decoded(&one).dimensions();
            prop_assert!((1..=WIDTH).contains(&wide) && (1..=HEIGHT).contains(&high));
            prop_assert_eq!(one, two);
        }

        /// The window lies in the picture, whatever the finding says.
        #[test]
        fn a_window_lies_inside(
            (width, height) in (1u32..5_000, 1u32..5_000),
            numbers in prop::array::uniform4(prop_oneof![-1e9f32..1e9, Just(f32::NAN), Just(f32::INFINITY)]),
        ) {
            let [x, y, w, h] = numbers;
            let Window { left, top, width: wide, height: high } =
                window(&Rect { x, y, w, h }, (width, height));
            prop_assert!(wide > 0 && high > 0 && left % 2 == 0 && top % 2 == 0);
            prop_assert!(left + wide <= width && top + high <= height);
        }
    }
}
