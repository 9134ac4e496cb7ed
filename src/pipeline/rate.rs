//! How many bits the encoder may spend: as many as the source does, and no more than the link
//! bears. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The source's rate is measured over this window.
const WINDOW: Duration = Duration::from_secs(3);
/// Encoding again adds noise to the source's own; some more bits make up for it. With these, four
/// seconds of encoding from a keyframe on are within 1.5 dB of the source (example
/// `encode_quality`); twice as many more gain 0.2 dB.
const FACTOR: f64 = 1.15;
/// Bounds of the output's rate in bits a second.
const BOUNDS: (f64, f64) = (600_000.0, 10_000_000.0);
/// Frames after which the measured rate counts; a stream begins with a keyframe, which says little.
const SETTLED: usize = 15;
/// What a stream is taken to need before that, in bits a second: where most cameras are.
const TYPICAL: f64 = 1_500_000.0;

/// The source's own bits and frames a second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    frames: VecDeque<(Instant, usize)>,
    bytes: usize,
    link: Link,
}

impl Rate {
    /// A frame of the source came, of this many bytes.
    pub(super) fn add(&mut self, at: Instant, bytes: usize) {
        self.frames.push_back((at, bytes));
        self.bytes += bytes;
        while let Some(&(first, old)) = self.frames.front()
            && at.saturating_duration_since(first) > WINDOW
        {
            self.frames.pop_front();
            self.bytes -= old;
        }
    }

    /// The link lost this share of what was sent in the last second (0 to 1): of the encoder's
    /// frames, or of the source's own when those are `forwarded`.
    pub(super) fn lost(&mut self, share: f64, forwarded: bool) {
        let wanted = self.wanted();
        let sent = if forwarded { self.source() } else { self.link.bound(wanted) };
        self.link.report(share, sent, wanted);
    }

    /// Seconds that the window covers; a fresh stream is taken to run at 30 frames a second.
    fn seconds(&self) -> f64 {
        let (Some(first), Some(last)) = (self.frames.front(), self.frames.back()) else {
            return 1.0;
        };
        let span = last.0.saturating_duration_since(first.0).as_secs_f64();
        if span < 0.5 { (self.frames.len() as f64 / 30.0).max(1.0) } else { span }
    }

    fn source(&self) -> f64 {
        let source = self.bytes as f64 * 8.0 / self.seconds();
        if self.frames.len() < SETTLED { source.max(TYPICAL) } else { source }
    }

    fn wanted(&self) -> f64 {
        (self.source() * FACTOR).clamp(BOUNDS.0, BOUNDS.1)
    }

    /// Bits a second for the encoder.
    pub(super) fn target(&self) -> u32 {
        self.link.bound(self.wanted()) as u32
    }

    /// Frames a second of the source.
    pub(super) fn fps(&self) -> f32 {
        if self.frames.len() < SETTLED {
            return 30.0;
        }
        (self.frames.len() as f64 / self.seconds()).round().clamp(1.0, 120.0) as f32
    }
}

/// Above this share of lost packets the rate falls, by half of the share.
const HEAVY: f64 = 0.10;
/// Below this share it rises.
const LIGHT: f64 = 0.02;
/// By how much it rises a second.
const RISE: f64 = 1.05;
/// Bits a second below which a picture is not worth sending.
const LEAST: f64 = 150_000.0;

/// What the link bears: the loss-based controller of Google's congestion control
/// (draft-ietf-rmcat-gcc-02, section 6). Without its delay-based half, which would need bandwidth
/// estimation in front of every packet.
#[derive(Debug, Default)]
struct Link {
    /// Bits a second; `None` while nothing holds the rate down.
    bears: Option<f64>,
}

impl Link {
    /// One second's report: the share lost of `sent` bits a second, of which `wanted` would be
    /// sent if the link were perfect.
    fn report(&mut self, share: f64, sent: f64, wanted: f64) {
        if share > HEAVY {
            self.bears = Some((sent * (1.0 - share.min(1.0) / 2.0)).max(LEAST));
        } else if share < LIGHT {
            self.bears = self.bears.map(|bears| bears * RISE).filter(|bears| *bears < wanted);
        }
    }

    fn bound(&self, wanted: f64) -> f64 {
        self.bears.map_or(wanted, |bears| wanted.min(bears))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    /// A source of this many bits a second, 25 frames a second, for five seconds.
    fn source(bps: usize) -> Rate {
        let (start, mut rate) = (clock::now(), Rate::default());
        for i in 0..125u32 {
            rate.add(start + Duration::from_millis(40) * i, bps / 8 / 25);
        }
        rate
    }

    #[test]
    fn the_target_follows_the_source_within_bounds() {
        assert_eq!(Rate::default().target(), (TYPICAL * FACTOR) as u32);
        let rate = source(2_000_000);
        let target = f64::from(rate.target());
        assert!((target / (2_000_000.0 * FACTOR) - 1.0).abs() < 0.05, "{target}");
        assert!((rate.fps() - 25.0).abs() <= 1.0);
        assert_eq!(source(20_000).target(), BOUNDS.0 as u32);
        assert_eq!(source(80_000_000).target(), BOUNDS.1 as u32);
    }

    #[test]
    fn heavy_loss_halves_what_it_takes_and_light_loss_gives_it_back() {
        let mut rate = source(2_000_000);
        let wanted = f64::from(rate.target());
        rate.lost(0.05, false);
        assert_eq!(f64::from(rate.target()), wanted, "a little loss is left to repair");
        for n in 1..=4 {
            rate.lost(0.2, false);
            let expected = wanted * 0.9_f64.powi(n);
            assert!((f64::from(rate.target()) - expected).abs() < 2.0);
        }
        for _ in 0..8 {
            rate.lost(0.0, false);
        }
        assert!(f64::from(rate.target()) < wanted);
        rate.lost(0.0, false);
        assert_eq!(f64::from(rate.target()), wanted);
    }

    #[test]
    fn loss_of_forwarded_frames_does_not_add_up() {
        let mut rate = source(2_000_000);
        for _ in 0..50 {
            rate.lost(0.2, true);
        }
        let expected = source(2_000_000).source() * 0.9;
        assert!((f64::from(rate.target()) - expected).abs() < 2.0);
    }

    proptest! {
        #[test]
        fn the_rate_stays_within_its_bounds(
            bps in 0_usize..50_000_000, losses in prop::collection::vec((0.0..1.0, any::<bool>()), 0..60),
        ) {
            let mut rate = source(bps);
            for (share, forwarded) in losses {
                rate.lost(share, forwarded);
                prop_assert!(rate.target() >= LEAST as u32);
                prop_assert!(f64::from(rate.target()) <= rate.wanted());
            }
        }
    }
}
