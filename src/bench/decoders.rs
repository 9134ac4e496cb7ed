//! What one decoder of each kind takes for a frame, and whether all give the same pictures.

use super::clip::frame;
use super::report::Decoded;
use crate::load::{Clip, Latencies};
use crate::media::decode::Decoder;
use crate::media::{Engine, Engines, Picture, clock};

/// Decodes the clip once on the processor, and once on a GPU where there is one.
///
/// # Errors
///
/// When the clip cannot be decoded on the processor.
pub(super) fn measure(clip: &Clip, engines: &Engines) -> anyhow::Result<Vec<Decoded>> {
    let mut decoders = vec![Decoder::open(clip.codec)?];
    if engines.decode_on_gpus() {
        decoders.push(Decoder::open_on(clip.codec, engines)?);
    }
    let mut took = decoders.iter().map(|_| Latencies::default()).collect::<Vec<_>>();
    let mut different = vec![0; decoders.len()];
    for n in 0..clip.frames.len() as u64 {
        let mut expected = None;
        for (at, decoder) in decoders.iter_mut().enumerate() {
            let began = clock::now();
            let picture = decoder.decode(&frame(clip, n, began)).unwrap_or(None);
            took[at].record(began.elapsed());
            let picture = picture.as_deref();
            different[at] += u64::from(at > 0 && sum(picture) != expected);
            expected = if at == 0 { sum(picture) } else { expected };
        }
    }
    let all = decoders.iter().zip(took).zip(different);
    Ok(all
        .map(|((decoder, took), different)| Decoded {
            engine: decoder.engine().to_string(),
            on_gpu: decoder.engine() != Engine::Software,
            reason: decoder.reason().to_owned(),
            frames: clip.frames.len(),
            different,
            frame_ms: took.percentiles(),
        })
        .collect())
}

/// A hash of every sample (FNV-1a); `None` without a picture.
fn sum(picture: Option<&Picture>) -> Option<u64> {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for plane in picture?.planes() {
        for y in 0..plane.height {
            for &sample in plane.row(y) {
                sum = (sum ^ u64::from(sample)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoCodec;

    #[test]
    fn without_a_gpu_the_processor_is_measured() {
        let clip = Clip::made(VideoCodec::H264).unwrap();
        let measured = measure(&clip, &Engines::default()).unwrap();
        assert_eq!(measured.len(), 1);
        let Decoded { engine, frames, different, frame_ms, .. } = &measured[0];
        assert_eq!((engine.as_str(), *frames, *different), ("software", clip.frames.len(), 0));
        assert!(frame_ms.p50.is_some());
    }

    #[test]
    fn another_sample_is_another_sum() {
        let (a, mut b) = (Picture::new(8, 6), Picture::new(8, 6));
        assert_eq!(sum(Some(&a)), sum(Some(&b)));
        b.planes_mut()[1].row_mut(2)[3] ^= 1;
        assert!(sum(Some(&a)) != sum(Some(&b)) && sum(None).is_none());
    }
}
