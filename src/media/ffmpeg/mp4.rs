//! FFmpeg's MP4 muxer, writing into memory of FFmpeg's own.

use std::ffi::c_int;
use std::ptr;

use ffmpeg_next as ff;
use ffmpeg_next::ffi;

/// A file of one H.264 track that is being written. For one thread.
pub(in crate::media) struct Muxer {
    /// Never null. Its `pb` is a buffer in memory, or null once that was taken.
    context: *mut ffi::AVFormatContext,
}

/// What a track holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::media) struct Track<'a> {
    /// Width and height in pixels; each fits an `i32`.
    pub(in crate::media) size: (i32, i32),
    /// Units of time a second, at least 10,000: below that FFmpeg chooses its own.
    pub(in crate::media) timescale: i32,
    /// SPS and PPS, Annex B.
    pub(in crate::media) parameters: &'a [u8],
}

fn done(code: c_int) -> Result<(), ff::Error> {
    if code < 0 { Err(ff::Error::from(code)) } else { Ok(()) }
}

const NO_MEMORY: ff::Error = ff::Error::Other { errno: ff::error::ENOMEM };

impl Muxer {
    /// Begins a file.
    pub(in crate::media) fn open(track: Track<'_>) -> Result<Self, ff::Error> {
        super::init();
        let mut context = ptr::null_mut();
        // SAFETY: the name is a C string; the context is written only on success.
        unsafe {
            let name = c"mp4".as_ptr();
            let code = ffi::avformat_alloc_output_context2(
                &raw mut context,
                ptr::null(),
                name,
                ptr::null(),
            );
            done(code)?;
        }
        if context.is_null() {
            return Err(NO_MEMORY);
        }
        let muxer = Self { context };
        // SAFETY: the context is valid and owned by `muxer`, which frees it whatever happens here.
        // The stream and its parameters belong to it. The extra data are copied into memory of
        // FFmpeg's, with the padding that it asks for, which the parameters then own.
        unsafe {
            done(ffi::avio_open_dyn_buf(&raw mut (*context).pb))?;
            let stream = ffi::avformat_new_stream(context, ptr::null());
            if stream.is_null() {
                return Err(NO_MEMORY);
            }
            (*stream).time_base = ffi::AVRational { num: 1, den: track.timescale };
            let codec = &mut *(*stream).codecpar;
            codec.codec_type = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
            codec.codec_id = ffi::AVCodecID::AV_CODEC_ID_H264;
            (codec.width, codec.height) = track.size;
            let length = track.parameters.len();
            let padded = length + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            let copy = ffi::av_mallocz(padded).cast::<u8>();
            if copy.is_null() {
                return Err(NO_MEMORY);
            }
            ptr::copy_nonoverlapping(track.parameters.as_ptr(), copy, length);
            codec.extradata = copy;
            codec.extradata_size = c_int::try_from(length).map_err(|_| NO_MEMORY)?;
            done(ffi::avformat_write_header(context, ptr::null_mut()))?;
        }
        Ok(muxer)
    }

    /// Adds an access unit (Annex B). Times are in units of the track's, and grow.
    pub(in crate::media) fn write(
        &mut self,
        data: &[u8],
        (time, duration): (i64, i64),
        keyframe: bool,
    ) -> Result<(), ff::Error> {
        let mut packet = ff::Packet::copy(data);
        packet.set_stream(0);
        packet.set_pts(Some(time));
        packet.set_dts(Some(time));
        packet.set_duration(duration);
        if keyframe {
            packet.set_flags(ff::packet::Flags::KEY);
        }
        use ff::packet::Mut as _;
        // SAFETY: the header was written; the packet is valid and keeps its data.
        done(unsafe { ffi::av_write_frame(self.context, packet.as_mut_ptr()) })
    }

    /// Ends the file and returns it.
    pub(in crate::media) fn finish(self) -> Result<Vec<u8>, ff::Error> {
        // SAFETY: the header was written. Closing the buffer hands its memory over, of the size
        // that is returned, and the context has none any more; the memory is freed once.
        unsafe {
            done(ffi::av_write_trailer(self.context))?;
            let mut data = ptr::null_mut();
            let size = ffi::avio_close_dyn_buf((*self.context).pb, &raw mut data);
            (*self.context).pb = ptr::null_mut();
            if data.is_null() {
                return Err(NO_MEMORY);
            }
            let size = usize::try_from(size).unwrap_or_default();
            let file = std::slice::from_raw_parts(data, size).to_vec();
            ffi::av_free(data.cast());
            Ok(file)
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: the context is valid and nobody else has it; the buffer is freed if it is still
        // there, then the context with its stream.
        unsafe {
            if !(*self.context).pb.is_null() {
                let mut data = ptr::null_mut();
                ffi::avio_close_dyn_buf((*self.context).pb, &raw mut data);
                (*self.context).pb = ptr::null_mut();
                ffi::av_free(data.cast());
            }
            ffi::avformat_free_context(self.context);
        }
    }
}
