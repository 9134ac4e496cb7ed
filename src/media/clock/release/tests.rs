use proptest::prelude::*;

use super::*;
use crate::media::clock::now;

const HZ: u32 = 90_000;
const DELAY: Duration = Duration::from_millis(200);

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn micros(value: u64) -> Duration {
    Duration::from_micros(value)
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.max(b) - a.min(b)
}

/// RTP time of frame `n` at 30 a second.
fn rtp(n: u64) -> u64 {
    1_000_000 + 3000 * n
}

/// Local time of frame `n` when it is captured, in the sender's time.
fn captured(n: u64) -> Duration {
    micros(n * 1_000_000 / 30)
}

#[test]
fn late_frames_keep_the_time_of_the_early_ones() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    for n in 0..300 {
        // Every 30th frame, as large as a keyframe, takes 80 ms longer.
        let network = if n % 30 == 29 { ms(85) } else { ms(5) };
        let release = clock.schedule(rtp(n), start + captured(n) + network);
        let expected = start + captured(n) + ms(5) + DELAY;
        assert!(apart(release, expected) <= micros(1), "frame {n}");
    }
}

#[test]
fn a_new_timeline_steps_and_never_goes_back() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    let before = clock.schedule(rtp(100), start);
    let after = clock.schedule(7, start + ms(10));
    assert_eq!(before, start + DELAY);
    assert_eq!(after, start + ms(10) + DELAY);
    // A pause in which RTP time went on.
    let resumed = clock.schedule(7 + u64::from(HZ) * 60, start + ms(60_100));
    assert_eq!(resumed, start + ms(60_100) + DELAY);
}

#[test]
fn a_shift_of_the_path_is_followed_without_a_step() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    let mut last = None;
    for n in 0..1800 {
        let network = if n < 300 { ms(10) } else { ms(110) };
        let release = clock.schedule(rtp(n), start + captured(n) + network);
        if let Some(last) = last {
            let step = release - last;
            assert!(step >= micros(32_990) && step <= micros(33_680), "frame {n}: {step:?}");
        }
        last = Some(release);
    }
    let settled = start + captured(1799) + ms(110) + DELAY;
    assert!(apart(last.unwrap(), settled) < micros(10));
}

#[test]
fn a_timeline_that_falls_behind_for_good_is_begun_again() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    let mut release = start;
    for n in 0..300 {
        // The source stood still for 3 s, and its RTP time with it.
        let pause = if n < 100 { ms(0) } else { ms(3000) };
        let arrival = start + captured(n) + pause;
        release = clock.schedule(rtp(n), arrival);
    }
    assert!(apart(release, start + captured(299) + ms(3000) + DELAY) < micros(10));
}

#[test]
fn a_burst_after_a_stall_does_not_add_latency() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    for n in 0..400 {
        // Nothing comes for 3 s; then all of it comes at once.
        let arrival = captured(n).max(if (100..190).contains(&n) { captured(190) } else { ms(0) });
        let release = clock.schedule(rtp(n), start + arrival);
        if n > 190 {
            assert!(apart(release, start + captured(n) + DELAY) < micros(10), "frame {n}");
        }
    }
}

#[test]
fn a_late_first_frame_adds_no_latency_after_the_first_second() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    for n in 0..60 {
        let network = if n == 0 { ms(90) } else { ms(5) };
        let arrival = start + captured(n) + network;
        let release = clock.schedule(rtp(n), arrival.max(start + ms(90)));
        if n >= 30 {
            let expected = start + captured(n) + ms(5) + DELAY;
            assert!(apart(release, expected) <= micros(10), "frame {n}");
        }
    }
}

#[test]
fn a_longer_delay_is_reached_soon_and_a_shorter_one_slowly() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    let mut waited = Vec::new();
    for n in 0..600 {
        match n {
            90 => clock.set_delay(DELAY + ms(50)),
            240 => clock.set_delay(DELAY),
            _ => {}
        }
        let arrival = start + captured(n);
        waited.push(clock.schedule(rtp(n), arrival) - arrival);
        assert!(clock.hold().abs_diff(waited[n as usize]) <= micros(1));
    }
    let at = |n: usize, expected: Duration| waited[n].abs_diff(expected) < ms(2);
    assert!(at(89, DELAY));
    assert!(at(90 + 19, DELAY + ms(25)) && at(90 + 38, DELAY + ms(50)));
    assert!(at(240 + 75, DELAY + ms(25)) && at(240 + 151, DELAY));
}

#[test]
fn a_delay_that_was_asked_for_is_reached_in_seconds_without_a_step() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    let mut waited = Vec::new();
    for n in 0..300 {
        match n {
            90 => clock.set_delay(Duration::ZERO),
            200 => clock.set_delay(DELAY),
            _ => {}
        }
        let arrival = start + captured(n);
        waited.push(clock.schedule(rtp(n), arrival) - arrival);
    }
    let frames = usize::try_from(10 * DELAY.as_nanos() / captured(1).as_nanos()).unwrap() + 2;
    assert!(waited[90 + frames] < ms(1), "{:?}", waited[90 + frames]);
    assert!(waited[200 + frames].abs_diff(DELAY) < ms(1), "{:?}", waited[200 + frames]);
    for pair in waited.windows(2) {
        assert!(pair[0].abs_diff(pair[1]) <= captured(1) / 10 + micros(1));
    }
}

#[test]
fn the_window_is_bounded() {
    let start = now();
    let mut clock = ReleaseClock::new(HZ, DELAY);
    for n in 0..5000 {
        // Ever later: no candidate replaces another.
        clock.schedule(rtp(0) + n * 180, start + micros(n * 2100));
        assert!(clock.timeline.as_ref().unwrap().least.len() <= 102);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Jitter up to the delay and clocks that run apart: evenly spaced, near the fastest path.
    #[test]
    fn steady_under_jitter_and_drift(seed: u64, ppm in -100_i64..=100, jitter in 0_u64..150) {
        let mut random = fastrand::Rng::with_seed(seed);
        let start = now() + ms(1000);
        let mut clock = ReleaseClock::new(HZ, DELAY);
        let (mut arrival, mut last) = (start, None);
        for n in 0..1200_u64 {
            let sent = captured(n).as_micros() as i64;
            let sent = start + micros((sent + sent * ppm / 1_000_000) as u64);
            let network = micros(random.u64(0..=jitter * 1000));
            arrival = arrival.max(sent + network);
            let release = clock.schedule(rtp(n), arrival);
            prop_assert!(release >= arrival);
            if let Some(last) = last {
                prop_assert!(release >= last);
                if n > 450 {
                    let step: Duration = release - last;
                    prop_assert!(step.abs_diff(micros(33_333)) <= micros(345), "{n}: {step:?}");
                }
            }
            // By now the worst first frame has been slewed away.
            if n > 600 {
                let latency = release - sent;
                prop_assert!(latency >= DELAY - ms(2), "{latency:?}");
                prop_assert!(latency <= DELAY + ms(jitter / 4 + 2), "{latency:?}");
            }
            last = Some(release);
        }
    }

    /// Whatever comes: never backwards, never before the arrival, never much later than asked.
    #[test]
    fn sane_on_any_input(
        frames in prop::collection::vec((any::<u32>(), 0_u64..4000, 0_u64..2000), 1..100)
    ) {
        let start = now();
        let mut clock = ReleaseClock::new(HZ, ms(0));
        let (mut arrival, mut last) = (start, start);
        for (rtp, gap, delay) in frames {
            arrival += ms(gap);
            clock.set_delay(ms(delay));
            let release = clock.schedule(u64::from(rtp), arrival);
            prop_assert!(release >= arrival && release >= last);
            prop_assert!(release <= arrival + ms(4000));
            last = release;
        }
    }
}
