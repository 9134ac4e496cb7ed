//! From Y, U and V samples to a model's colour planes, its normalising included.

use super::manifest::{Channels, Input};

impl Channels {
    /// Red, green and blue of what stands in the model's order, or the other way round.
    pub(super) fn in_order<T>(self, planes: [T; 3]) -> [T; 3] {
        let [first, second, third] = planes;
        match self {
            Self::Rgb => [first, second, third],
            Self::Bgr => [third, second, first],
        }
    }
}

/// Colour conversion with the model's normalising folded in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    red: Colour,
    green: Colour,
    blue: Colour,
}

/// One colour as a sum of luma and chroma samples, and the values of none and all of it.
#[derive(Clone, Copy, Debug)]
struct Colour {
    luma: f32,
    u: f32,
    v: f32,
    offset: f32,
    low: f32,
    high: f32,
}

impl Matrix {
    /// ITU-R BT.601, luma 16–235, chroma 16–240.
    pub(super) fn bt601_limited(input: &Input) -> Self {
        let normal = std::array::from_fn(|plane| input.normal(plane));
        let [red, green, blue] = input.channels.in_order(normal);
        let colour = |(scale, low): (f32, f32), u: f32, v: f32| {
            let luma = 1.164_383_6 * scale;
            let (u, v) = (u * scale, v * scale);
            let offset = low - 16.0 * luma - 128.0 * (u + v);
            Colour { luma, u, v, offset, low, high: low + 255.0 * scale }
        };
        Self {
            red: colour(red, 0.0, 1.596_026_8),
            green: colour(green, -0.391_762_3, -0.812_967_6),
            blue: colour(blue, 2.017_232_1, 0.0),
        }
    }

    /// Converts a row of Y, U, V into rows of red, green, blue; all of one length.
    pub(super) fn convert(&self, yuv: [&[f32]; 3], rgb: [&mut [f32]; 3]) {
        let [luma, u, v] = yuv;
        let [to_red, to_green, to_blue] = rgb;
        let n = luma.len();
        let (u, v) = (&u[..n], &v[..n]);
        let (to_red, to_green, to_blue) = (&mut to_red[..n], &mut to_green[..n], &mut to_blue[..n]);
        let Self { red, green, blue } = self;
        for i in 0..n {
            let (y, u, v) = (luma[i], u[i], v[i]);
            to_red[i] = red.cut(y * red.luma + v * red.v);
            to_green[i] = green.cut(y * green.luma + u * green.u + v * green.v);
            to_blue[i] = blue.cut(y * blue.luma + u * blue.u);
        }
    }
}

impl Colour {
    fn cut(&self, sum: f32) -> f32 {
        (sum + self.offset).max(self.low).min(self.high)
    }
}
