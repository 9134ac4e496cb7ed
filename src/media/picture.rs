//! A decoded picture: three 8-bit planes, 4:2:0, shared without copying.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

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

/// A YUV 4:2:0 picture (I420): full-size luma, two chroma planes of half the size (rounded up).
///
/// The samples live in a buffer of FFmpeg's pools; wrap it in an `Arc` to share it.
pub struct Picture {
    frame: Video,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width(), self.height())
    }
}

impl Picture {
    /// A picture of undefined content. Write every plane before showing it to anyone.
    pub fn new(width: u32, height: u32) -> Self {
        Self { frame: Video::new(Pixel::YUV420P, width, height) }
    }

    /// A picture of one colour.
    pub fn filled(width: u32, height: u32, yuv: [u8; 3]) -> Self {
        let mut picture = Self::new(width, height);
        for (plane, value) in picture.planes_mut().iter_mut().zip(yuv) {
            plane.data.fill(value);
        }
        picture
    }

    /// Takes a decoded frame. `None` when it is not planar 8-bit 4:2:0.
    pub(crate) fn from_ffmpeg(frame: Video) -> Option<Self> {
        matches!(frame.format(), Pixel::YUV420P | Pixel::YUVJ420P).then_some(Self { frame })
    }

    /// The frame behind the picture, for an encoder.
    pub(crate) fn as_ffmpeg_mut(&mut self) -> &mut Video {
        &mut self.frame
    }

    /// Width in luma samples.
    pub fn width(&self) -> u32 {
        self.frame.width()
    }

    /// Height in luma samples.
    pub fn height(&self) -> u32 {
        self.frame.height()
    }

    /// The planes Y, U, V.
    pub fn planes(&self) -> [Plane<'_>; 3] {
        std::array::from_fn(|i| {
            let (width, height) = self.plane_size(i);
            Plane { data: self.frame.data(i), stride: self.frame.stride(i), width, height }
        })
    }

    /// The planes Y, U, V, writable.
    pub fn planes_mut(&mut self) -> [PlaneMut<'_>; 3] {
        let sizes: [_; 3] = std::array::from_fn(|i| (self.plane_size(i), self.frame.stride(i)));
        crate::media::ffmpeg::planes_mut(&mut self.frame, sizes)
    }

    /// Copies the samples of a picture of the same size.
    pub fn copy_from(&mut self, other: &Self) {
        debug_assert_eq!((self.width(), self.height()), (other.width(), other.height()));
        for (to, from) in self.planes_mut().iter_mut().zip(other.planes()) {
            for y in 0..from.height {
                to.row_mut(y).copy_from_slice(from.row(y));
            }
        }
    }

    fn plane_size(&self, index: usize) -> (usize, usize) {
        let (w, h) = (self.width() as usize, self.height() as usize);
        if index == 0 { (w, h) } else { (w.div_ceil(2), h.div_ceil(2)) }
    }
}
