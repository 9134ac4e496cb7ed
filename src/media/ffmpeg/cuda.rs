//! NVIDIA GPUs as FFmpeg sees them: their contexts, and pictures brought down from them.

use std::ffi::CString;
use std::ptr;

use ffmpeg_next as ff;
use ffmpeg_next::ffi;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

use super::Plane;

/// A context on one GPU, for any number of decoders. Clones share it; the last one ends it.
///
/// It is a context of its own: the one that models share has other flags, which FFmpeg refuses.
pub(in crate::media) struct Device(*mut ffi::AVBufferRef);

// SAFETY: a reference-counted buffer whose count is atomic. What it refers to is used by FFmpeg
// alone, which makes the context current on each thread for as long as a call takes.
unsafe impl Send for Device {}
// SAFETY: as above; `&Device` only makes further references.
unsafe impl Sync for Device {}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl Device {
    /// Makes a context on the GPU of this number. Loads the driver; may take half a second.
    ///
    /// # Errors
    /// When there is no driver, no such GPU, or no memory on it. FFmpeg does not say which.
    pub(in crate::media) fn open(number: u32) -> Result<Self, ff::Error> {
        let name = CString::new(number.to_string()).expect("digits");
        let mut device = ptr::null_mut();
        // SAFETY: the name outlives the call; on failure nothing is left in `device`.
        let made = unsafe {
            ffi::av_hwdevice_ctx_create(
                &raw mut device,
                ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
                name.as_ptr(),
                ptr::null_mut(),
                0,
            )
        };
        if made < 0 || device.is_null() { Err(ff::Error::from(made)) } else { Ok(Self(device)) }
    }

    /// Another reference to the same context; `None` when memory is out.
    pub(in crate::media) fn share(&self) -> Option<Self> {
        // SAFETY: the reference is valid while `self` lives.
        let shared = unsafe { ffi::av_buffer_ref(self.0) };
        (!shared.is_null()).then_some(Self(shared))
    }

    /// Whether both are references to one context.
    pub(in crate::media) fn is(&self, other: &Self) -> bool {
        // SAFETY: both references are valid while they are borrowed.
        unsafe { (*self.0).data == (*other.0).data }
    }

    /// Makes a decoder that is not yet open decode here. FFmpeg itself goes back to the processor
    /// where the GPU takes no such stream.
    pub(in crate::media) fn attach(self, context: &mut ff::codec::Context) {
        let device = std::mem::ManuallyDrop::new(self);
        // SAFETY: the context is valid and not open, and owns no device yet; it takes over ours.
        unsafe { (*context.as_mut_ptr()).hw_device_ctx = device.0 }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and not used after.
        unsafe { ffi::av_buffer_unref(&raw mut self.0) }
    }
}

/// Whether the samples are on a GPU, where nobody but FFmpeg can read them.
pub(in crate::media) fn is_on_gpu(frame: &Video) -> bool {
    frame.format() == Pixel::CUDA
}

/// What stands in the last row of each plane before samples are brought there, and never after.
/// Sixteen random bytes: a picture that holds them just there is refused, which harms nobody.
const UNTOUCHED: [u8; 16] = [
    0x9e, 0x37, 0xc1, 0x5b, 0xe2, 0x08, 0x74, 0xad, 0x13, 0xf6, 0x4a, 0x8f, 0x61, 0xd0, 0x25, 0xbc,
];

/// The frame with its samples in memory, mostly as NV12: what it says of itself is kept.
///
/// FFmpeg (5.1) reports no copy that the driver refused: what it gives then is memory as it was.
/// Nobody may take that for a picture, so the target is marked, and the mark must be gone. Of odd
/// heights it leaves out the last row of chroma: sides are made even for the copy, which the samples
/// on the GPU always are.
///
/// # Errors
/// When the GPU does not hand it over, or memory is out.
pub(in crate::media) fn download(mut frame: Video) -> Result<Video, ff::Error> {
    let no_memory = ff::Error::Other { errno: ff::error::ENOMEM };
    // SAFETY: a frame on a GPU refers to the context that it is of, which says what it holds.
    let format = unsafe {
        let frames = (*frame.as_ptr()).hw_frames_ctx;
        if frames.is_null() {
            return Err(ff::Error::Bug);
        }
        Pixel::from((*(*frames).data.cast::<ffi::AVHWFramesContext>()).sw_format)
    };
    let (width, height) = (frame.width(), frame.height());
    frame.set_width(width.next_multiple_of(2));
    frame.set_height(height.next_multiple_of(2));
    let mut down = Video::new(format, frame.width(), frame.height());
    let planes = down.planes();
    // SAFETY: a frame's own field is read.
    if planes == 0 || unsafe { (*down.as_ptr()).buf[0].is_null() } {
        return Err(no_memory);
    }
    for index in 0..planes {
        last_row(&mut down, index).copy_from_slice(&UNTOUCHED[..]);
    }
    // SAFETY: both frames are valid, of the same size and format.
    let done = unsafe { ffi::av_hwframe_transfer_data(down.as_mut_ptr(), frame.as_ptr(), 0) };
    if done < 0 {
        return Err(ff::Error::from(done));
    }
    if (0..planes).any(|index| *last_row(&mut down, index) == UNTOUCHED) {
        return Err(ff::Error::External);
    }
    down.set_width(width);
    down.set_height(height);
    // SAFETY: both frames are valid. Columns and rows that are cropped on the left and on top are
    // still there.
    let done = unsafe {
        let (to, from) = (down.as_mut_ptr(), frame.as_ptr());
        match ffi::av_frame_copy_props(to, from) {
            0 => ffi::av_frame_apply_cropping(to, UNALIGNED),
            error => error,
        }
    };
    if done < 0 { Err(ff::Error::from(done)) } else { Ok(down) }
}

/// The first bytes of a plane's last row, whose rows are at least 32 bytes long (FFmpeg aligns them).
fn last_row(frame: &mut Video, index: usize) -> &mut [u8; 16] {
    let stride = frame.stride(index);
    let data = frame.data_mut(index);
    let at = data.len() - stride;
    (&mut data[at..at + 16]).try_into().expect("sixteen bytes")
}

/// `AV_FRAME_CROP_UNALIGNED`: to the very column.
const UNALIGNED: std::ffi::c_int = 1;

/// The two planes of an NV12 frame: luma, and both chromas by turns. `None` when the frame is
/// another one, or its planes are not whole rows inside its buffers, as after odd cropping.
pub(in crate::media) fn nv12(frame: &Video) -> Option<[Plane<'_>; 2]> {
    if frame.format() != Pixel::NV12 {
        return None;
    }
    let (w, h) = (frame.width() as usize, frame.height() as usize);
    let plane = |index: usize, width: usize, height: usize| {
        // SAFETY: a frame's own fields are read, its buffers are valid while it is borrowed, and
        // the slice is made only when one of them holds all of it.
        unsafe {
            let raw = &*frame.as_ptr();
            let stride = usize::try_from(raw.linesize[index]).ok()?;
            let start = raw.data[index] as usize;
            let inside = |buffer: &*mut ffi::AVBufferRef| {
                !buffer.is_null() && {
                    let first = (**buffer).data as usize;
                    start >= first && start + stride * height <= first + (**buffer).size
                }
            };
            let whole = width > 0 && height > 0 && stride >= width && start != 0;
            (whole && raw.buf.iter().any(inside)).then(|| {
                let data = std::slice::from_raw_parts(raw.data[index], stride * height);
                Plane { data, stride, width, height }
            })
        }
    };
    Some([plane(0, w, h)?, plane(1, w.div_ceil(2) * 2, h.div_ceil(2))?])
}
