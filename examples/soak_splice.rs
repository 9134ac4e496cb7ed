//! Splices forwarded and encoded frames by the thousand and looks at every picture: see
//! `scripts/soak-splice`.
//!
//! `soak_splice [SPLICES] [SEED]`: so many a run, for each codec with and without trouble. Prints a
//! line of JSON a run, and fails when one is not good.

use std::time::Duration;

use scrim::media::VideoCodec;
use scrim::media::clock;
use scrim::pipeline::soak::{Plan, run};

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let splices = numbers.next().unwrap_or(Ok(10_000))?;
    let seed = numbers.next().unwrap_or(Ok(1))?;
    // Leaks come from the guard then, not from the splices.
    let adjacent = std::env::var_os("SOAK_ADJACENT").is_some();
    let mut good = true;
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        for trouble in [false, true] {
            let (linger, size) = (Duration::from_millis(100), (320, 192));
            let began = clock::now();
            let report = run(&Plan { codec, splices, size, linger, trouble, adjacent, seed })?;
            let took = began.elapsed().as_secs();
            eprintln!(
                "{} {}: {} splices, {} pictures ({} forwarded, {} with a secret), {} leaked, \
                 {} altered, {} decoder errors, {:.2} requests a splice back, {took} s: {}",
                report.codec,
                if trouble { "with trouble" } else { "in peace" },
                report.splices,
                report.shown,
                report.forwarded,
                report.secret,
                report.leaked,
                report.altered,
                report.decoder_errors,
                report.asked as f64 * 2.0 / report.splices as f64,
                if report.is_good() { "good" } else { "NOT GOOD" },
            );
            println!("{}", serde_json::to_string(&report)?);
            good &= report.is_good();
        }
    }
    anyhow::ensure!(good, "a run was not good");
    Ok(())
}
