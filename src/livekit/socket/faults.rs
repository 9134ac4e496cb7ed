//! Loss and blackouts on demand, for tests. Without the feature `test-hooks` this is nothing.

#[cfg(not(feature = "test-hooks"))]
mod hook {
    use str0m::net::Protocol;

    /// A network without faults of our making.
    #[derive(Clone, Debug, Default)]
    pub struct Faults(());

    impl Faults {
        pub(in crate::livekit) fn lose(&self, _: Protocol, _packet: &[u8]) -> bool {
            false
        }
    }
}

#[cfg(feature = "test-hooks")]
mod hook {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

    use str0m::net::Protocol;

    /// Faults of one connection's network, settable while it runs; clones share them.
    #[derive(Clone, Debug, Default)]
    pub struct Faults(Arc<State>);

    #[derive(Debug, Default)]
    struct State {
        percent: AtomicU32,
        blackout: AtomicBool,
        no_udp: AtomicBool,
        random: AtomicU64,
        lost: AtomicU64,
    }

    impl Faults {
        /// Loses this share of media packets each way, percent.
        pub fn loss(&self, percent: u32) {
            self.0.percent.store(percent, Ordering::Relaxed);
        }

        /// Loses everything, or stops doing so.
        pub fn blackout(&self, on: bool) {
            self.0.blackout.store(on, Ordering::Relaxed);
        }

        /// Loses everything that goes by UDP, or stops doing so.
        pub fn no_udp(&self, on: bool) {
            self.0.no_udp.store(on, Ordering::Relaxed);
        }

        /// Packets lost so far.
        pub fn lost(&self) -> u64 {
            self.0.lost.load(Ordering::Relaxed)
        }

        pub(in crate::livekit) fn lose(&self, protocol: Protocol, packet: &[u8]) -> bool {
            let state = &self.0;
            // The two top bits tell RTP and RTCP (version 2) from STUN and DTLS.
            let media = packet.first().is_some_and(|first| first >> 6 == 2);
            let percent = u64::from(state.percent.load(Ordering::Relaxed));
            let no_udp = protocol == Protocol::Udp && state.no_udp.load(Ordering::Relaxed);
            let lose = state.blackout.load(Ordering::Relaxed)
                || no_udp
                || (media && percent > 0 && self.draw() % 100 < percent);
            state.lost.fetch_add(u64::from(lose), Ordering::Relaxed);
            lose
        }

        /// A fixed sequence (SplitMix64): the same packets are lost in every run.
        fn draw(&self) -> u64 {
            let step = 0x9e37_79b9_7f4a_7c15_u64;
            let seed = self.0.random.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }
}

pub use hook::Faults;
