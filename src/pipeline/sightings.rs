//! What is told of findings that the rules cover: one detection when a class appears, and one a
//! second as long as it is there, with the best finding of that second. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::detect::Finding;
use crate::media::Rect;

/// How often a class is told of while it is there.
const EVERY: Duration = Duration::from_secs(1);

/// Findings of one class, since it was told of last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sighting {
    /// The class.
    pub class: Arc<str>,
    /// The best score.
    pub score: f32,
    /// Where that was.
    pub rect: Rect,
    /// In which frame.
    pub frame: u64,
    /// How many findings.
    pub findings: u64,
    /// What in the rules forbids it, for text.
    pub rule: Option<Arc<str>>,
}

/// A class that was told of.
#[derive(Debug)]
struct Known {
    told: Instant,
    since: Option<Sighting>,
}

/// The classes of one track. Bounded by the classes that the rules name.
#[derive(Debug, Default)]
pub(super) struct Sightings(HashMap<Arc<str>, Known>);

impl Sightings {
    /// Takes a finding; what is to be told because of it.
    pub(super) fn see(
        &mut self,
        finding: &Finding,
        frame: u64,
        rule: Option<&Arc<str>>,
        now: Instant,
    ) -> Option<Sighting> {
        let seen = Sighting {
            class: finding.class.clone(),
            score: finding.score,
            rect: finding.rect,
            frame,
            findings: 1,
            rule: rule.cloned(),
        };
        let Some(known) = self.0.get_mut(&finding.class) else {
            self.0.insert(seen.class.clone(), Known { told: now, since: None });
            return Some(seen);
        };
        let all = match known.since.take() {
            Some(best) => {
                let findings = best.findings + 1;
                Sighting { findings, ..if seen.score > best.score { seen } else { best } }
            }
            None => seen,
        };
        if now.saturating_duration_since(known.told) >= EVERY {
            known.told = now;
            return Some(all);
        }
        known.since = Some(all);
        None
    }

    /// What was seen last of classes that have gone since; called now and then.
    pub(super) fn rest(&mut self, now: Instant) -> Vec<Sighting> {
        let due = |known: &&mut Known| now.saturating_duration_since(known.told) >= EVERY;
        let rest = self.0.values_mut().filter(due).filter_map(|known| {
            let last = known.since.take()?;
            known.told = now;
            Some(last)
        });
        rest.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    fn finding(class: &str, score: f32) -> Finding {
        Finding { class: class.into(), score, rect: Rect { x: 1.0, y: 2.0, w: 3.0, h: 4.0 } }
    }

    proptest! {
        /// A class is told of at once; no class twice within a second; and no finding is left out.
        #[test]
        fn each_finding_counts_once_and_no_class_is_told_of_twice_a_second(
            looks in prop::collection::vec((0u64..400, prop::option::of((0usize..3, 0.0f32..1.0))), 1..200)
        ) {
            let (start, mut ms) = (clock::now(), 0);
            let (mut sightings, mut told, mut seen) = (Sightings::default(), Vec::new(), [0u64; 3]);
            for (frame, (gap, look)) in looks.into_iter().enumerate() {
                ms += gap;
                let now = start + Duration::from_millis(ms);
                if let Some((class, score)) = look {
                    let name = ["A", "B", "C"][class];
                    let news = sightings.see(&finding(name, score), frame as u64, None, now);
                    prop_assert!(news.is_some() || seen[class] > 0, "news at once");
                    told.extend(news.map(|one| (ms, one)));
                    seen[class] += 1;
                }
                told.extend(sightings.rest(now).into_iter().map(|one| (ms, one)));
            }
            ms += 2_000;
            let end = start + Duration::from_millis(ms);
            told.extend(sightings.rest(end).into_iter().map(|one| (ms, one)));
            for (class, count) in ["A", "B", "C"].iter().zip(seen) {
                let of = || told.iter().filter(|(_, one)| &*one.class == *class);
                prop_assert_eq!(of().map(|(_, one)| one.findings).sum::<u64>(), count);
                let times: Vec<u64> = of().map(|(ms, _)| *ms).collect();
                prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1_000));
            }
        }
    }

    #[test]
    fn the_best_of_a_second_stands_for_it() {
        let (mut sightings, now) = (Sightings::default(), clock::now());
        assert!(sightings.see(&finding("A", 0.5), 1, None, now).is_some());
        for (frame, score) in [(2, 0.6), (3, 0.9), (4, 0.7)] {
            assert_eq!(sightings.see(&finding("A", score), frame, None, now), None);
        }
        assert!(sightings.rest(now).is_empty(), "within the second");
        let rest = sightings.rest(now + EVERY);
        assert_eq!((rest[0].frame, rest[0].score, rest[0].findings), (3, 0.9, 3));
        assert!(sightings.rest(now + 2 * EVERY).is_empty(), "told once");
    }
}
