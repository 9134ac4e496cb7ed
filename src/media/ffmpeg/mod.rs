//! The only `unsafe` code: what FFmpeg's safe wrapper leaves out.
#![allow(unsafe_code)]

use ffmpeg_next::frame::Video;

use super::PlaneMut;

/// The three planes of a 4:2:0 frame at once, writable. `sizes` holds (width, height) and stride
/// of each.
pub(super) fn planes_mut(
    frame: &mut Video,
    sizes: [((usize, usize), usize); 3],
) -> [PlaneMut<'_>; 3] {
    let mut index = 0;
    sizes.map(|((width, height), stride)| {
        // SAFETY: the frame is borrowed mutably for as long as the slices live; FFmpeg's planes do
        // not overlap, and each holds at least `height` rows of `stride` bytes.
        let data = unsafe {
            std::slice::from_raw_parts_mut((*frame.as_mut_ptr()).data[index], stride * height)
        };
        index += 1;
        PlaneMut { data, stride, width, height }
    })
}
