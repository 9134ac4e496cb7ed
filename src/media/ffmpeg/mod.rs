//! The only `unsafe` code: what FFmpeg's safe wrapper leaves out.
#![allow(unsafe_code)]

pub(super) mod cuda;
mod mp4;

use std::sync::Once;

use ffmpeg_next::ffi;
use ffmpeg_next::frame::Video;

use super::{Plane, PlaneMut};

pub(super) use mp4::{Muxer, Track};

/// Prepares FFmpeg once a process. Its own log is silenced: a damaged frame is an event of ours,
/// not a line on standard error for each of its macroblocks.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only for missing devices, which are not used.
        let _ = ffmpeg_next::init();
        ffmpeg_next::util::log::set_level(ffmpeg_next::util::log::Level::Quiet);
    });
}

/// The extra data of a stream's codec: parameter sets, as its container keeps them.
pub(crate) fn extradata(parameters: &ffmpeg_next::codec::Parameters) -> Vec<u8> {
    // SAFETY: the parameters are valid while borrowed; their extra data, if there is any, is of
    // the size they say.
    unsafe {
        let raw = &*parameters.as_ptr();
        match usize::try_from(raw.extradata_size) {
            Ok(size) if !raw.extradata.is_null() => {
                std::slice::from_raw_parts(raw.extradata, size).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// The width and height of plane `index` (0 to 2) of a 4:2:0 frame, in samples.
fn plane_size(frame: &Video, index: usize) -> (usize, usize) {
    let (w, h) = (frame.width() as usize, frame.height() as usize);
    if index == 0 { (w, h) } else { (w.div_ceil(2), h.div_ceil(2)) }
}

/// Whether the three planes of a 4:2:0 frame can be seen as slices of `height` whole rows: they
/// run downwards and lie inside the buffers that the frame holds. A cropped frame may fail.
pub(super) fn is_whole(frame: &Video) -> bool {
    (0..3).all(|index| {
        let (width, height) = plane_size(frame, index);
        // SAFETY: a frame's own fields are read; its buffer references are valid while it lives.
        unsafe {
            let raw = &*frame.as_ptr();
            let Ok(stride) = usize::try_from(raw.linesize[index]) else { return false };
            let start = raw.data[index] as usize;
            let inside = |buffer: &*mut ffi::AVBufferRef| {
                !buffer.is_null() && {
                    let first = (**buffer).data as usize;
                    start >= first && start + stride * height <= first + (**buffer).size
                }
            };
            width > 0 && height > 0 && stride >= width && start != 0 && raw.buf.iter().any(inside)
        }
    })
}

/// A plane of a frame that [`is_whole`].
pub(super) fn plane(frame: &Video, index: usize) -> Plane<'_> {
    let (width, height) = plane_size(frame, index);
    let stride = frame.stride(index);
    // SAFETY: `is_whole` held when the frame became a picture, and nothing moves its planes since.
    let data =
        unsafe { std::slice::from_raw_parts((*frame.as_ptr()).data[index], stride * height) };
    Plane { data, stride, width, height }
}

/// The three planes at once, writable, of a frame that [`is_whole`]. Samples that someone else
/// refers to (the decoder's reference pictures) are copied first.
pub(super) fn planes_mut(frame: &mut Video) -> [PlaneMut<'_>; 3] {
    // SAFETY: the frame is valid and borrowed mutably. On failure it is left as it was.
    let writable = unsafe { ffi::av_frame_make_writable(frame.as_mut_ptr()) };
    assert!(writable >= 0 && is_whole(frame), "no memory for a picture");
    std::array::from_fn(|index| {
        let (width, height) = plane_size(frame, index);
        let stride = frame.stride(index);
        // SAFETY: the frame is borrowed mutably for as long as the slices live, nobody else refers
        // to its samples, planes do not overlap, and each holds `height` rows of `stride` bytes.
        let data = unsafe {
            std::slice::from_raw_parts_mut((*frame.as_mut_ptr()).data[index], stride * height)
        };
        PlaneMut { data, stride, width, height }
    })
}

/// Another frame over the same samples, so that an encoder can stamp it without a copy. `None`
/// when memory is out.
pub(super) fn share(frame: &Video) -> Option<Video> {
    let mut shared = Video::empty();
    // SAFETY: both frames are valid, and `shared` is freshly allocated and empty.
    (unsafe { ffi::av_frame_ref(shared.as_mut_ptr(), frame.as_ptr()) } >= 0).then_some(shared)
}

/// Whether the decoder marked the frame as damaged or made up.
pub(super) fn is_damaged(frame: &Video) -> bool {
    // SAFETY: a frame's own fields are read.
    unsafe {
        let raw = &*frame.as_ptr();
        raw.flags & ffi::AV_FRAME_FLAG_CORRUPT != 0 || raw.decode_error_flags != 0
    }
}

/// Removes what travelled beside the samples: captions and messages that no detector sees.
pub(super) fn drop_side_data(frame: &mut Video) {
    // SAFETY: the frame is valid, and the index is below its count. A removal takes all entries of
    // one kind; nothing here refers to them.
    unsafe {
        let raw = frame.as_mut_ptr();
        for last in (0..(*raw).nb_side_data).rev() {
            if last < (*raw).nb_side_data {
                let entry = *(*raw).side_data.add(last as usize);
                ffi::av_frame_remove_side_data(raw, (*entry).type_);
            }
        }
    }
}

/// Copies the size-independent properties (colour, sample shape) of one frame to another.
pub(super) fn copy_colour(from: &Video, to: &mut Video) {
    // SAFETY: plain fields of two valid frames.
    unsafe {
        let (from, to) = (&*from.as_ptr(), &mut *to.as_mut_ptr());
        to.color_range = from.color_range;
        to.colorspace = from.colorspace;
        to.color_primaries = from.color_primaries;
        to.color_trc = from.color_trc;
    }
}

/// The rate limits of an encoder. x264's wrapper takes new ones before each picture; libvpx's
/// takes them when it opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Bits a second, mean and maximum.
    pub(super) bps: u32,
    /// Size of the decoder's buffer that the encoder must not drain, in bits.
    pub(super) buffer: u32,
}

/// Sets the rate limits of an encoder, open or not.
pub(super) fn set_rate(encoder: &mut ffmpeg_next::encoder::video::Video, rate: Rate) {
    let bound = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    // SAFETY: plain fields of a valid context, read by the wrapper at open or before a picture,
    // on the thread that calls this.
    unsafe {
        let context = &mut *encoder.as_mut_ptr();
        context.bit_rate = i64::from(rate.bps);
        context.rc_max_rate = i64::from(rate.bps);
        context.rc_buffer_size = bound(rate.buffer);
        context.rc_initial_buffer_occupancy = bound(rate.buffer / 5 * 4);
    }
}
