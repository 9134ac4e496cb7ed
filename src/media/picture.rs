//! A decoded picture: three 8-bit planes, 4:2:0, shared without copying.

use ffmpeg_next::color;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

use super::ffmpeg;

/// A read-only view of one plane.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Rows of `stride` bytes; the first `width` of each are picture.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl<'a> Plane<'a> {
    /// The samples of row `y`.
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..y * self.stride + self.width]
    }
}

/// A writable view of one plane.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// Rows of `stride` bytes; the first `width` of each are picture.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl PlaneMut<'_> {
    /// The samples of row `y`.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..y * self.stride + self.width]
    }
}

/// What the sample values of a picture mean, as its source declared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Whether luma uses 0 to 255 instead of 16 to 235.
    pub full_range: bool,
    pub(super) matrix: color::Space,
    pub(super) primaries: color::Primaries,
    pub(super) transfer: color::TransferCharacteristic,
}

impl Default for Colour {
    /// Limited range, the rest left to the viewer: what browsers send.
    fn default() -> Self {
        Self {
            full_range: false,
            matrix: color::Space::Unspecified,
            primaries: color::Primaries::Unspecified,
            transfer: color::TransferCharacteristic::Unspecified,
        }
    }
}

/// A YUV 4:2:0 picture (I420): full-size luma, two chroma planes of half the size (rounded up).
///
/// The samples live in a buffer of FFmpeg's; wrap the picture in an `Arc` to share it.
pub struct Picture {
    frame: Video,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width(), self.height())
    }
}

impl Picture {
    /// A black picture. Panics when memory is out or a side is zero.
    pub fn new(width: u32, height: u32) -> Self {
        Self::filled(width, height, [16, 128, 128])
    }

    /// A picture of one colour. Panics when memory is out or a side is zero.
    pub fn filled(width: u32, height: u32, yuv: [u8; 3]) -> Self {
        let mut picture = Self { frame: Video::new(Pixel::YUV420P, width, height) };
        for (plane, value) in picture.planes_mut().iter_mut().zip(yuv) {
            plane.data.fill(value);
        }
        picture
    }

    /// A copy to write on: same samples, same colour.
    pub fn copy_of(other: &Self) -> Self {
        let frame = Video::new(Pixel::YUV420P, other.width(), other.height());
        let mut picture = Self { frame };
        ffmpeg::copy_colour(&other.frame, &mut picture.frame);
        picture.copy_from(other);
        picture
    }

    /// Takes a decoded frame, without what travelled beside its samples. `None` when it is not
    /// planar 8-bit 4:2:0, or when memory is out.
    pub(crate) fn from_ffmpeg(mut frame: Video) -> Option<Self> {
        ffmpeg::drop_side_data(&mut frame);
        match frame.format() {
            Pixel::YUV420P => {}
            Pixel::YUVJ420P => {
                frame.set_format(Pixel::YUV420P);
                frame.set_color_range(color::Range::JPEG);
            }
            _ => return None,
        }
        ffmpeg::is_whole(&frame).then_some(Self { frame })
    }

    /// Takes a frame that came down from a GPU, luma and chromas by turns (NV12), apart. `None`
    /// when it is not one with whole rows. Panics when memory is out.
    pub(crate) fn from_nv12(frame: &Video) -> Option<Self> {
        let [luma, chroma] = ffmpeg::cuda::nv12(frame)?;
        let mut picture = Self { frame: Video::new(Pixel::YUV420P, frame.width(), frame.height()) };
        ffmpeg::copy_colour(frame, &mut picture.frame);
        let [mut y, mut u, mut v] = picture.planes_mut();
        for row in 0..luma.height {
            y.row_mut(row).copy_from_slice(luma.row(row));
        }
        for row in 0..chroma.height {
            let pairs = chroma.row(row).as_chunks::<2>().0;
            for ((u, v), pair) in u.row_mut(row).iter_mut().zip(v.row_mut(row)).zip(pairs) {
                [*u, *v] = *pair;
            }
        }
        Some(picture)
    }

    /// The frame behind the picture, for an encoder.
    pub(crate) fn as_ffmpeg(&self) -> &Video {
        &self.frame
    }

    /// Width in luma samples.
    pub fn width(&self) -> u32 {
        self.frame.width()
    }

    /// Height in luma samples.
    pub fn height(&self) -> u32 {
        self.frame.height()
    }

    /// What the sample values mean.
    pub fn colour(&self) -> Colour {
        Colour {
            full_range: self.frame.color_range() == color::Range::JPEG,
            // RGB was converted on the way in.
            matrix: match self.frame.color_space() {
                color::Space::RGB => color::Space::Unspecified,
                matrix => matrix,
            },
            primaries: self.frame.color_primaries(),
            transfer: self.frame.color_transfer_characteristic(),
        }
    }

    /// The planes Y, U, V.
    pub fn planes(&self) -> [Plane<'_>; 3] {
        std::array::from_fn(|index| ffmpeg::plane(&self.frame, index))
    }

    /// The planes Y, U, V, writable. A decoded picture, whose samples the decoder still refers
    /// to, is copied first: prefer [`Picture::copy_of`] and [`Picture::copy_from`] there.
    pub fn planes_mut(&mut self) -> [PlaneMut<'_>; 3] {
        ffmpeg::planes_mut(&mut self.frame)
    }

    /// Copies the samples of a picture of the same size. Panics when the sizes differ.
    pub fn copy_from(&mut self, other: &Self) {
        assert_eq!((self.width(), self.height()), (other.width(), other.height()));
        for (to, from) in self.planes_mut().iter_mut().zip(other.planes()) {
            if to.stride == from.stride {
                to.data.copy_from_slice(from.data);
                continue;
            }
            for y in 0..from.height {
                to.row_mut(y).copy_from_slice(from.row(y));
            }
        }
    }
}
