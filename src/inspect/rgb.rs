//! Between the colours of picture files and those of video: RGB of 8 bits, and YUV 4:2:0 of limited
//! range by ITU-R BT.601, which the detectors expect. Pure.

use crate::media::Picture;

/// Red, green and blue of each pixel, row by row, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rgb {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) data: Vec<u8>,
}

/// Unity of the fixed-point weights.
const ONE: i32 = 1 << 16;

/// A weight in fixed point.
const fn weight(value: f64) -> i32 {
    (value * ONE as f64 + if value < 0.0 { -0.5 } else { 0.5 }) as i32
}

const Y: [i32; 3] = [weight(0.256_788), weight(0.504_129), weight(0.097_906)];
const U: [i32; 3] = [weight(-0.148_223), weight(-0.290_993), weight(0.439_216)];
const V: [i32; 3] = [weight(0.439_216), weight(-0.367_788), weight(-0.071_427)];

const LUMA: i32 = weight(1.164_384);
const RED_V: i32 = weight(1.596_027);
const GREEN_U: i32 = weight(0.391_762);
const GREEN_V: i32 = weight(0.812_968);
const BLUE_U: i32 = weight(2.017_232);

fn sum(weights: [i32; 3], pixel: [i32; 3], count: i32, offset: i32) -> u8 {
    let total: i64 = weights.iter().zip(pixel).map(|(w, p)| i64::from(*w) * i64::from(p)).sum();
    let unit = i64::from(ONE) * i64::from(count);
    // Rounded down from a half more, also below zero.
    ((total + unit / 2).div_euclid(unit) + i64::from(offset)).clamp(0, 255) as u8
}

/// The picture of these pixels; chroma is the mean of two by two pixels. Both sides are at least 1.
pub(super) fn to_picture(rgb: &Rgb) -> Picture {
    let (width, height) = (rgb.width as usize, rgb.height as usize);
    let mut picture = Picture::new(rgb.width, rgb.height);
    let [luma, u, v] = &mut picture.planes_mut();
    let row = |y: usize| &rgb.data[y * width * 3..(y + 1) * width * 3];
    for y in 0..height {
        for (sample, pixel) in luma.row_mut(y).iter_mut().zip(row(y).chunks_exact(3)) {
            let (r, g, b) = (i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2]));
            let total = Y[0] * r + Y[1] * g + Y[2] * b + ONE / 2;
            *sample = ((total >> 16) + 16) as u8;
        }
    }
    for y in 0..height.div_ceil(2) {
        let (upper, lower) = (row(2 * y), row((2 * y + 1).min(height - 1)));
        let (us, vs) = (u.row_mut(y), v.row_mut(y));
        for x in 0..us.len() {
            let (left, right) = (2 * x, (2 * x + 1).min(width - 1));
            let mut pixel = [0_i32; 3];
            for line in [upper, lower] {
                for column in [left, right] {
                    for (total, value) in pixel.iter_mut().zip(&line[column * 3..column * 3 + 3]) {
                        *total += i32::from(*value);
                    }
                }
            }
            us[x] = sum(U, pixel, 4, 128);
            vs[x] = sum(V, pixel, 4, 128);
        }
    }
    picture
}

/// The pixels of a picture of limited range.
pub(crate) fn from_picture(picture: &Picture) -> Rgb {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let [luma, u, v] = picture.planes();
    let mut data = vec![0_u8; width * height * 3];
    let cut = |value: i32| ((value + ONE / 2) >> 16).clamp(0, 255) as u8;
    for (y, line) in data.chunks_exact_mut(width * 3).enumerate() {
        let (samples, us, vs) = (luma.row(y), u.row(y / 2), v.row(y / 2));
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            let light = (i32::from(samples[x]) - 16) * LUMA;
            let (u, v) = (i32::from(us[x / 2]) - 128, i32::from(vs[x / 2]) - 128);
            pixel[0] = cut(light + RED_V * v);
            pixel[1] = cut(light - GREEN_U * u - GREEN_V * v);
            pixel[2] = cut(light + BLUE_U * u);
        }
    }
    Rgb { width: picture.width(), height: picture.height(), data }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(width: u32, height: u32, colour: [u8; 3]) -> Rgb {
        Rgb { width, height, data: colour.repeat((width * height) as usize) }
    }

    #[test]
    fn black_white_and_red_have_the_values_of_bt_601() {
        for (colour, expected) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 0, 255], [41, 240, 110]),
        ] {
            let picture = to_picture(&flat(3, 5, colour));
            for (plane, value) in picture.planes().iter().zip(expected) {
                assert!(plane.row(plane.height - 1).iter().all(|&v| v == value), "{colour:?}");
            }
        }
    }

    proptest! {
        /// A colour survives both ways, whatever the sides are, as well as limited range can say it.
        #[test]
        fn colours_survive(width in 1u32..20, height in 1u32..20, colour: [u8; 3]) {
            let back = from_picture(&to_picture(&flat(width, height, colour)));
            prop_assert_eq!((back.width, back.height), (width, height));
            for (i, value) in back.data.iter().enumerate() {
                prop_assert!(value.abs_diff(colour[i % 3]) <= 3, "{} is {}", colour[i % 3], value);
            }
        }
    }
}
