//! Faults on demand, for tests of what happens around a detector. Not in a release.
//!
//! Either through [`inject`] in the process, or by a file named in `SCRIM_TEST_DETECTOR_FAULT`
//! that is read before each run: `stall 5` (seconds), `panic`, `fail`; empty or missing is none.
//! With `text` before it (`text stall 5`) it hits the text models, else the region detectors. A run
//! that it hits leaves an empty file beside it that ends in `.struck`.

use std::path::PathBuf;
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use super::model;
use crate::media::clock;

/// What goes wrong in the next runs of every detector of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A run takes this much longer, or until [`clear`].
    Stall(Duration),
    /// A run panics.
    Panic,
    /// A run returns an error.
    Fail,
}

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The region detectors.
    Regions,
    /// The text models.
    Text,
}

static INJECTED: Mutex<Option<(Target, Fault, u32)>> = Mutex::new(None);
static CLEARED: Condvar = Condvar::new();
static FILE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("SCRIM_TEST_DETECTOR_FAULT").map(PathBuf::from));

/// Makes the next `times` runs of the region detectors go wrong.
pub fn inject(fault: Fault, times: u32) {
    inject_into(Target::Regions, fault, times);
}

/// Makes the next `times` runs of `target` go wrong, and those of nobody else any more.
pub fn inject_into(target: Target, fault: Fault, times: u32) {
    *INJECTED.lock().expect("no panic under this lock") = Some((target, fault, times));
}

/// Ends every fault; runs that stall go on at once.
pub fn clear() {
    *INJECTED.lock().expect("no panic under this lock") = None;
    CLEARED.notify_all();
}

/// Called before each run: goes wrong as it was told to.
pub(super) fn fire(target: Target) -> Result<(), model::Error> {
    let Some((fault, origin)) = next(target) else { return Ok(()) };
    if let (Origin::File, Some(path)) = (&origin, FILE.as_ref()) {
        std::fs::write(path.with_extension("struck"), "").map_err(model::Error::new)?;
    }
    match (fault, origin) {
        // Whoever wrote the file has no `clear` to call: the time is what was asked for.
        (Fault::Stall(time), Origin::File) => {
            std::thread::sleep(time);
            Ok(())
        }
        (Fault::Stall(time), Origin::Injected) => {
            let end = clock::now() + time;
            let mut injected = INJECTED.lock().expect("no panic under this lock");
            // One count is left standing while a run stalls, so that `clear` can be seen.
            while injected.is_some() && clock::now() < end {
                let left = end.saturating_duration_since(clock::now());
                injected =
                    CLEARED.wait_timeout(injected, left).expect("no panic under this lock").0;
            }
            Ok(())
        }
        (Fault::Panic, _) => panic!("a panic that a test asked for"),
        (Fault::Fail, _) => Err(model::Error::new("a failure that a test asked for")),
    }
}

/// Where a fault was asked for.
enum Origin {
    Injected,
    File,
}

fn next(target: Target) -> Option<(Fault, Origin)> {
    let mut injected = INJECTED.lock().expect("no panic under this lock");
    if let Some((hit, fault, times)) = injected.as_mut()
        && *times > 0
        && *hit == target
    {
        *times -= 1;
        return Some((*fault, Origin::Injected));
    }
    drop(injected);
    let (hit, fault) = parse(&std::fs::read_to_string(FILE.as_ref()?).ok()?)?;
    (hit == target).then_some((fault, Origin::File))
}

fn parse(text: &str) -> Option<(Target, Fault)> {
    let mut words = text.split_whitespace().peekable();
    let target = match words.next_if_eq(&"text") {
        Some(_) => Target::Text,
        None => Target::Regions,
    };
    let fault = match words.next()? {
        "stall" => {
            let seconds = words.next()?.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok().map(Fault::Stall)
        }
        "panic" => Some(Fault::Panic),
        "fail" => Some(Fault::Fail),
        _ => None,
    };
    Some((target, fault?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_goes_wrong() {
        let regions = |text| match parse(text) {
            Some((Target::Regions, fault)) => Some(fault),
            _ => None,
        };
        assert_eq!(regions("stall 2.5\n"), Some(Fault::Stall(Duration::from_millis(2500))));
        assert_eq!(regions("panic"), Some(Fault::Panic));
        assert_eq!(regions(" fail "), Some(Fault::Fail));
        assert_eq!(parse("text fail"), Some((Target::Text, Fault::Fail)));
        let bad = ["", "stall", "stall -1", "other", "text", "text text fail"];
        assert!(bad.into_iter().all(|text| parse(text).is_none()));
    }
}
