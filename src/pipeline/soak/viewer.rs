//! Who sees what leaves, and looks at every picture.

use std::sync::Arc;

use super::Report;
use super::source::contrast;
use crate::livekit::Outgoing;
use crate::media::decode::Decoder;
use crate::media::{Picture, Plane, Rect, VideoFrame};
use crate::pipeline::decode::Decoded;
use crate::pipeline::guard::Verdict;

/// Contrast below which nothing of the pattern can be made out; it has about 100 in the clear.
const INVISIBLE: f64 = 35.0;
/// Least likeness of an encoded clean picture to the source's, in decibels.
const ALIKE: f64 = 24.0;

/// Who sees what leaves.
pub(super) struct Viewer {
    decoder: Decoder,
    /// Whether the last frame was the source's own; `None` before the first.
    pub(super) forwarding: Option<bool>,
    /// RTP times of the last frame, the source's and ours.
    rtp: Option<(u64, u64)>,
    /// Requests since forwarding began last.
    pub(super) asked: u64,
}

/// A frame that was released.
pub(super) struct Released<'a> {
    pub(super) decoded: &'a Decoded,
    pub(super) verdict: &'a Verdict,
    /// Where something lies that must not be seen.
    pub(super) secret: Option<Rect>,
}

impl Viewer {
    /// A viewer who has seen nothing yet.
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, forwarding: None, rtp: None, asked: 0 }
    }

    /// Looks at what came for a released frame, and notes what is wrong with it.
    pub(super) fn look(&mut self, out: Outgoing, released: &Released<'_>, report: &mut Report) {
        let Released { decoded, verdict, secret } = *released;
        let Outgoing::Video { data, rtp_time, due, keyframe, .. } = out else { return };
        let forwarded = Arc::ptr_eq(&data, &decoded.data);
        if self.forwarding.replace(forwarded).is_some_and(|before| before != forwarded) {
            report.splices += 1;
            if forwarded {
                report.asked_most = report.asked_most.max(std::mem::take(&mut self.asked));
            }
        }
        report.shown += 1;
        report.forwarded += u64::from(forwarded);
        report.secret += u64::from(secret.is_some());
        let steps = |(source, out): (u64, u64)| {
            decoded.rtp_time.checked_sub(source) == rtp_time.checked_sub(out) && rtp_time > out
        };
        let before = self.rtp.replace((decoded.rtp_time, rtp_time));
        report.time_errors += u64::from(!before.is_none_or(steps));
        let frame = VideoFrame {
            codec: self.decoder.codec(),
            data,
            rtp_time,
            keyframe,
            contiguous: true,
            captured: due,
            arrived: due,
        };
        let Ok(Some(picture)) = self.decoder.decode(&frame) else {
            report.decoder_errors += 1;
            return;
        };
        if let Some(rect) = secret {
            report.leaked += u64::from(forwarded || contrast(&picture, rect) > INVISIBLE);
        } else if forwarded {
            report.altered += u64::from(!same(&picture, &decoded.picture));
        } else if matches!(verdict, Verdict::Clean) {
            report.unlike += u64::from(psnr(&picture, &decoded.picture) < ALIKE);
        }
    }
}

/// Whether two pictures are the same to the last sample.
fn same(a: &Picture, b: &Picture) -> bool {
    let rows = |(a, b): (Plane<'_>, Plane<'_>)| {
        (a.width, a.height) == (b.width, b.height) && (0..a.height).all(|y| a.row(y) == b.row(y))
    };
    a.planes().into_iter().zip(b.planes()).all(rows)
}

/// Likeness of luma over the common size, in decibels.
fn psnr(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (a.planes()[0], b.planes()[0]);
    let (mut squares, mut count) = (0_u64, 0_u64);
    for y in 0..a.height.min(b.height) {
        for (a, b) in a.row(y).iter().zip(b.row(y)) {
            squares += u64::from(a.abs_diff(*b)).pow(2);
            count += 1;
        }
    }
    10.0 * (255.0_f64.powi(2) * count as f64 / (squares as f64).max(1e-9)).log10()
}
