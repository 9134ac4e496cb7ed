//! Picture files in and out, bounded before anything of their size is allocated.
//!
//! JPEG, PNG and WebP, told by their first bytes whatever they are announced as. Pictures come out
//! upright (EXIF) and opaque: what is transparent stands on white, for the detectors and in the
//! answer alike. A file of several pictures is refused: only the first would be looked at.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder as _, ImageError};

use super::rgb::{Rgb, from_picture, to_picture};
use crate::media::Picture;

/// Quality of the JPEGs that are made, 1 to 100.
const QUALITY: u8 = 90;

/// What stands behind transparent pixels.
const PAPER: u32 = 255;

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Largest file, in bytes.
    pub bytes: usize,
    /// Longest side, in pixels.
    pub side: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 10 << 20, side: 4_096 }
    }
}

impl Limits {
    /// Most bytes that a decoder may allocate: two pictures of the largest size, of 16 bits and
    /// four channels.
    fn memory(&self) -> u64 {
        u64::from(self.side) * u64::from(self.side) * 8 * 2
    }
}

/// A kind of picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

impl Format {
    /// The kind of a file, by its first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}

/// Why a file is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// It has too many bytes.
    #[error("the picture has {bytes} bytes; allowed are {most}")]
    TooManyBytes {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// It is none of the known kinds.
    #[error("the picture is not a JPEG, PNG or WebP file")]
    Unknown,
    /// A side is too long, or there are no pixels.
    #[error("the picture is {width}x{height} pixels; allowed are 1 to {most} a side")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Longest side that is allowed.
        most: u32,
    },
    /// It holds several pictures.
    #[error("the picture is animated; send its frames one by one")]
    Animated,
    /// It needs more memory than a picture of its size does.
    #[error("the picture needs more memory than its size allows")]
    Memory,
    /// It cannot be decoded.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
    /// It has another size than the pictures before it.
    #[error("the picture is {}x{} pixels, those before it {}x{}", size.0, size.1, expected.0, expected.1)]
    Differs {
        /// Width and height in pixels.
        size: (u32, u32),
        /// Those of the pictures before.
        expected: (u32, u32),
    },
    /// It could not be encoded again.
    #[error("the picture cannot be encoded: {0}")]
    Encode(String),
}

impl From<ImageError> for PictureError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::Memory,
            error => {
                let text = error.to_string();
                // Some decoders name what they found in the file.
                let plain = text.chars().filter(|c| !c.is_control()).take(200).collect();
                Self::Damaged(plain)
            }
        }
    }
}

/// Decodes a file.
///
/// # Errors
///
/// When it is too large, of an unknown kind, animated or damaged.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
    if bytes.len() > limits.bytes {
        return Err(PictureError::TooManyBytes { bytes: bytes.len(), most: limits.bytes });
    }
    let file = Cursor::new(bytes);
    let allowed = bounds(limits);
    let pixels = match Format::of(bytes).ok_or(PictureError::Unknown)? {
        Format::Jpeg => {
            if !has_end(bytes) {
                return Err(PictureError::Damaged("it ends too early".into()));
            }
            pixels(JpegDecoder::new(file)?, limits)?
        }
        Format::Png => {
            let decoder = PngDecoder::with_limits(file, allowed)?;
            if decoder.is_apng()? {
                return Err(PictureError::Animated);
            }
            pixels(decoder, limits)?
        }
        Format::Webp => {
            let decoder = WebPDecoder::new(file)?;
            if decoder.has_animation() {
                return Err(PictureError::Animated);
            }
            pixels(decoder, limits)?
        }
    };
    Ok(to_picture(&opaque(pixels)))
}

/// The picture of raw pixels: red, green and blue of 8 bits, row by row without gaps.
///
/// # Errors
///
/// When the sides are not allowed or do not fit the number of bytes.
pub(super) fn raw(
    data: &[u8],
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<Picture, PictureError> {
    check_size((width, height), limits)?;
    let expected = width as usize * height as usize * 3;
    if data.len() != expected {
        let text = format!("{width}x{height} pixels have {expected} bytes, not {}", data.len());
        return Err(PictureError::Damaged(text));
    }
    Ok(to_picture(&Rgb { width, height, data: data.to_vec() }))
}

/// Encodes a picture as JPEG or PNG; WebP is answered as PNG.
///
/// # Errors
///
/// When the encoder fails.
pub(super) fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, PictureError> {
    let Rgb { width, height, data } = from_picture(picture);
    let mut file = Vec::new();
    let written = match format {
        Format::Jpeg => JpegEncoder::new_with_quality(&mut file, QUALITY).encode(
            &data,
            width,
            height,
            ExtendedColorType::Rgb8,
        ),
        Format::Png | Format::Webp => {
            PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive)
                .write_image(&data, width, height, ExtendedColorType::Rgb8)
        }
    };
    written.map_err(|error| PictureError::Encode(error.to_string()))?;
    Ok(file)
}

fn bounds(limits: &Limits) -> image::Limits {
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.memory());
    bounds
}

fn check_size((width, height): (u32, u32), limits: &Limits) -> Result<(), PictureError> {
    let allowed = 1..=limits.side;
    if allowed.contains(&width) && allowed.contains(&height) {
        return Ok(());
    }
    Err(PictureError::TooLarge { width, height, most: limits.side })
}

/// The pixels behind a decoder that has read the file's head, upright.
fn pixels(mut decoder: impl ImageDecoder, limits: &Limits) -> Result<DynamicImage, PictureError> {
    check_size(decoder.dimensions(), limits)?;
    decoder.set_limits(bounds(limits))?;
    // A damaged tag is no reason not to look at the picture.
    let orientation = decoder.orientation().ok();
    let mut pixels = DynamicImage::from_decoder(decoder)?;
    if let Some(orientation) = orientation {
        pixels.apply_orientation(orientation);
    }
    Ok(pixels)
}

/// Eight bits a channel, without transparency.
fn opaque(pixels: DynamicImage) -> Rgb {
    let (width, height) = (pixels.width(), pixels.height());
    if !pixels.color().has_alpha() {
        return Rgb { width, height, data: pixels.into_rgb8().into_raw() };
    }
    let rgba = pixels.into_rgba8().into_raw();
    let mut data = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        let over = |value: u8| (u32::from(value) * alpha + PAPER * (255 - alpha) + 127) / 255;
        data.extend(pixel[..3].iter().map(|&value| over(value) as u8));
    }
    Rgb { width, height, data }
}

/// Whether a JPEG has the mark of its end after its last scan. The decoder would fill the rest of a
/// file that was cut off with grey.
fn has_end(bytes: &[u8]) -> bool {
    let mark = |code: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, code]);
    mark(0xD9).is_some_and(|end| mark(0xDA).is_none_or(|scan| scan < end))
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn file(pixels: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        pixels.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn red(width: u32, height: u32) -> DynamicImage {
        RgbaImage::from_pixel(width, height, Rgba([255, 0, 0, 255])).into()
    }

    #[test]
    fn pictures_come_out_as_they_went_in() {
        for (format, bytes) in [
            (Format::Jpeg, file(&red(33, 21).to_rgb8().into(), ImageFormat::Jpeg)),
            (Format::Png, file(&red(33, 21).to_rgba16().into(), ImageFormat::Png)),
            (Format::Webp, file(&red(33, 21), ImageFormat::WebP)),
        ] {
            assert_eq!(Format::of(&bytes), Some(format));
            let picture = decode(&bytes, &Limits::default()).unwrap();
            assert_eq!((picture.width(), picture.height()), (33, 21), "{format:?}");
            let [luma, ..] = picture.planes();
            assert!(luma.row(20)[32].abs_diff(81) <= 2, "{format:?}: {}", luma.row(20)[32]);
        }
        let made = encode(&Picture::filled(33, 21, [235, 128, 128]), Format::Png).unwrap();
        let back = decode(&made, &Limits::default()).unwrap();
        assert_eq!(back.planes()[0].row(20)[32], 235);
    }

    #[test]
    fn what_is_transparent_stands_on_white() {
        let glass = RgbaImage::from_pixel(4, 4, Rgba([0, 0, 0, 0]));
        let picture = decode(&file(&glass.into(), ImageFormat::Png), &Limits::default()).unwrap();
        assert!(picture.planes()[0].row(3).iter().all(|&v| v == 235));
    }

    #[test]
    fn sizes_are_checked_before_anything_is_decoded() {
        let limits = Limits { side: 32, ..Limits::default() };
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let pixels: DynamicImage = red(33, 2).to_rgb8().into();
            let refused = decode(&file(&pixels, format), &limits).err();
            let expected = PictureError::TooLarge { width: 33, height: 2, most: 32 };
            assert_eq!(refused, Some(expected), "{format:?}");
        }
        let few = Limits { bytes: 10, ..Limits::default() };
        let refused = decode(&[0xFF; 11], &few).err();
        assert_eq!(refused, Some(PictureError::TooManyBytes { bytes: 11, most: 10 }));
        assert!(raw(&[0; 12], (2, 2), &limits).is_ok());
        assert!(matches!(raw(&[0; 11], (2, 2), &limits), Err(PictureError::Damaged(_))));
        assert!(matches!(raw(&[], (0, 2), &limits), Err(PictureError::TooLarge { .. })));
    }

    #[test]
    fn a_jpeg_that_was_cut_off_is_damaged() {
        let whole = file(&red(64, 64).to_rgb8().into(), ImageFormat::Jpeg);
        assert!(decode(&whole, &Limits::default()).is_ok());
        assert!(decode(&whole[..whole.len() - 2], &Limits::default()).is_err());
        let more = [&whole[..], b"a camera's own notes"].concat();
        assert!(decode(&more, &Limits::default()).is_ok());
    }

    proptest! {
        /// Damage is an error or another picture of an allowed size, never a panic.
        #[test]
        fn damage_is_survived(
            format in 0..3usize,
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            keep in any::<prop::sample::Index>(),
        ) {
            let format = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP][format];
            let mut bytes = file(&red(24, 17).to_rgb8().into(), format);
            for (at, value) in hits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(keep.index(bytes.len()) + 1);
            let limits = Limits { side: 256, ..Limits::default() };
            if let Ok(picture) = decode(&bytes, &limits) {
                prop_assert!(picture.width() <= 256 && picture.height() <= 256);
            }
        }
    }
}
