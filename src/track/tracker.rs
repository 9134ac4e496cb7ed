//! Objects through the analysed frames of one shot.
//!
//! Strong findings start tracks and continue them, weak ones only continue. A track that is not
//! found coasts for a while and is then dropped. What the caller gets is a
//! [`Snapshot`] per analysed frame: plain data that [`super::bracket`] reads.

use std::sync::Arc;

use super::Moment;
use super::associate::{self, REACH, REACH_NEW};
use super::classes::{Classes, Grade, TEXT, TEXT_UNREAD, is_text, part};
use super::kalman::Kalman;
use crate::censor::Action;
use crate::detect::Finding;
use crate::media::Rect;

/// Most tracks that coast at once; beyond it those longest lost are dropped. What is found in a
/// frame is never limited.
const MAX_COASTING: usize = 64;

/// The same for a forbidden word: a single look at which it was misread.
const TEXT_COAST: u64 = 8;

/// Coordinates beyond this are not believed, in pixels.
const FARTHEST: f32 = 1e5;

/// How long a tracker believes in what it does not see.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Frames, analysed or not, that a lost object stays covered on. Measured on faces that a
    /// board passes in front of: the model is blind to them for 23 frames at a stretch.
    pub coast: u64,
    /// Factor on a lost object's confidence for every frame, analysed or not.
    pub decay: f32,
    /// Whether objects are expected where they are heading, or where they were.
    pub predict: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { coast: 30, decay: 0.85, predict: true }
    }
}

/// An object where a detector saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    /// The analysed frame.
    pub at: Moment,
    /// The finding's rectangle, not smoothed, in pixels.
    pub rect: Rect,
    /// Speed of the centre then, pixels a second, x and y; zero while unknown.
    pub speed: (f32, f32),
}

/// What is known of one object at an analysed frame.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Number of the track, unique within its tracker.
    pub id: u64,
    /// Class of the strongest finding that the rules cover.
    pub class: Arc<str>,
    /// The strictest action of any class it was found as.
    pub action: Action,
    /// The finding's score; decaying while it is not found. 0 to 1.
    pub confidence: f32,
    /// Where it was last seen; at this very frame unless it coasts.
    pub fix: Fix,
    /// Analysed frames, this one included, that have not shown it since.
    pub missed: u32,
    /// The frame it was first seen on.
    pub born: u64,
    /// For an object first seen here: one of its kind that was lost at the same time, and may be
    /// the same, moving faster than tracks are followed.
    pub kin: Option<Fix>,
}

/// What is known at one analysed frame.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The analysed frame.
    pub at: Moment,
    /// Number of the analysed frame before it in the same shot.
    pub previous: Option<u64>,
    /// Width and height of the shot's frames in pixels.
    pub size: (u32, u32),
    /// Objects seen here or coasting.
    pub sightings: Vec<Sighting>,
}

impl Snapshot {
    /// What is known of object `id`.
    pub fn sighting(&self, id: u64) -> Option<&Sighting> {
        self.sightings.iter().find(|s| s.id == id)
    }
}

#[derive(Clone, Debug)]
struct Track {
    sighting: Sighting,
    filter: Kalman,
    group: String,
    /// The last frame that showed it as a class that the rules cover.
    renewed: u64,
    seen_once: bool,
}

/// A finding that the rules have something to do with.
struct Candidate<'a> {
    finding: &'a Finding,
    rect: Rect,
    grade: Grade,
    group: String,
}

/// The objects of one shot.
#[derive(Clone, Debug)]
pub struct Tracker {
    config: Config,
    size: (u32, u32),
    tracks: Vec<Track>,
    next_id: u64,
    last: Option<Moment>,
}

impl Tracker {
    /// A tracker for one shot with frames of `size` (width and height in pixels).
    pub fn new(config: Config, size: (u32, u32)) -> Self {
        Self { config, size, tracks: Vec::new(), next_id: 0, last: None }
    }

    /// Takes the findings of the next analysed frame; `at` must be later than the one before.
    pub fn step(&mut self, at: Moment, findings: &[Finding], classes: &Classes) -> Snapshot {
        debug_assert!(self.last.is_none_or(|last| last.index < at.index));
        for track in &mut self.tracks {
            track.filter.predict(self.last.map_or(0.0, |last| at.since(last)));
            track.sighting.missed += 1;
            track.sighting.kin = None;
        }
        let (strong, weak): (Vec<_>, Vec<_>) = findings
            .iter()
            .filter_map(|finding| self.candidate(finding, classes))
            .partition(|candidate| matches!(candidate.grade, Grade::Strong(_)));
        let mut open: Vec<usize> = (0..self.tracks.len()).collect();
        let new = self.continue_tracks(at, &mut open, strong);
        self.continue_tracks(at, &mut open, weak);
        self.lose(at, &open);
        self.give_birth(at, &open, &new);
        self.drop_lost(at);
        let previous = self.last.replace(at).map(|last| last.index);
        let sightings = self.tracks.iter().map(|track| track.sighting.clone()).collect();
        Snapshot { at, previous, size: self.size, sightings }
    }

    fn candidate<'a>(&self, finding: &'a Finding, classes: &Classes) -> Option<Candidate<'a>> {
        let grade = classes.grade(finding)?;
        let Rect { x, y, w, h } = finding.rect;
        // A place that is no place could be anywhere.
        let rect = if [x, y, w, h].iter().all(|v| v.abs() <= FARTHEST) {
            Rect::new(x, y, w.max(1.0), h.max(1.0))
        } else {
            Rect::new(0.0, 0.0, self.size.0 as f32, self.size.1 as f32)
        };
        Some(Candidate { finding, rect, grade, group: part(&finding.class) })
    }

    /// Gives `candidates` to the tracks in `open`; takes those that got one out of `open` and
    /// returns the candidates that nobody wanted.
    fn continue_tracks<'a>(
        &mut self,
        at: Moment,
        open: &mut Vec<usize>,
        candidates: Vec<Candidate<'a>>,
    ) -> Vec<Candidate<'a>> {
        let predicted: Vec<_> = open.iter().map(|&t| self.expected(t)).collect();
        let matches = associate::assign(open.len(), candidates.len(), |row, column| {
            let (track, candidate) = (&self.tracks[open[row]], &candidates[column]);
            if track.group != candidate.group {
                return None;
            }
            let reach = if track.seen_once { REACH_NEW } else { REACH };
            associate::cost(&predicted[row], &candidate.rect, reach)
        });
        let mut taken = vec![false; candidates.len()];
        let mut still_open = Vec::new();
        for (&track, column) in open.iter().zip(matches) {
            if let Some(column) = column {
                taken[column] = true;
                self.tracks[track].see(at, &candidates[column], self.config.predict);
            } else {
                still_open.push(track);
            }
        }
        *open = still_open;
        candidates.into_iter().zip(taken).filter(|(_, taken)| !taken).map(|(c, _)| c).collect()
    }

    /// Where track `index` is expected at the frame of this step.
    fn expected(&self, index: usize) -> Rect {
        let track = &self.tracks[index];
        if self.config.predict { track.filter.rect() } else { track.sighting.fix.rect }
    }

    fn lose(&mut self, at: Moment, open: &[usize]) {
        let frames = self.last.map_or(1, |last| at.index.saturating_sub(last.index));
        let decay = self.config.decay.powf(frames as f32);
        for &track in open {
            self.tracks[track].sighting.confidence *= decay;
        }
    }

    fn give_birth(&mut self, at: Moment, open: &[usize], new: &[Candidate<'_>]) {
        let lost: Vec<_> = open.iter().filter(|&&t| self.tracks[t].sighting.missed == 1).collect();
        let kin = associate::assign(new.len(), lost.len(), |row, column| {
            let track = &self.tracks[*lost[column]];
            // Words are followed by what reads them: one that comes is not one that went.
            if is_text(&new[row].finding.class) {
                return None;
            }
            let distance = associate::distance(&self.expected(*lost[column]), &new[row].rect);
            (track.group == new[row].group).then_some(distance / (1.0 + distance))
        });
        let kin: Vec<_> =
            kin.iter().map(|k| k.map(|k| self.tracks[*lost[k]].sighting.fix)).collect();
        for (candidate, kin) in new.iter().zip(kin) {
            let Grade::Strong(action) = candidate.grade else { continue };
            let sighting = Sighting {
                id: self.next_id,
                class: Arc::clone(&candidate.finding.class),
                action,
                confidence: candidate.finding.score,
                fix: Fix { at, rect: candidate.rect, speed: (0.0, 0.0) },
                missed: 0,
                born: at.index,
                kin,
            };
            self.next_id += 1;
            self.tracks.push(Track {
                sighting,
                filter: Kalman::new(&candidate.rect),
                group: candidate.group.clone(),
                renewed: at.index,
                seen_once: true,
            });
        }
    }

    fn drop_lost(&mut self, at: Moment) {
        let lost_for = |track: &Track| at.index.saturating_sub(track.renewed);
        let coast = self.config.coast;
        self.tracks.retain(|track| lost_for(track) <= track.coast(coast));
        let coasting = self.tracks.iter().filter(|t| lost_for(t) > 0).count();
        if coasting > MAX_COASTING {
            self.tracks.sort_by_key(|track| (lost_for(track), track.sighting.id));
            self.tracks.truncate(self.tracks.len() - (coasting - MAX_COASTING));
        }
    }
}

impl Track {
    /// For how many frames it stays covered when it is not found: `coast` for what a model may be
    /// blind to.
    fn coast(&self, coast: u64) -> u64 {
        match &*self.sighting.class {
            TEXT => coast.min(TEXT_COAST),
            TEXT_UNREAD => 0,
            _ => coast,
        }
    }

    /// A weak finding shows where an object is, and often but a part of it: what looks out from
    /// behind a board.
    fn at_least_as_large(&self, found: &Rect) -> Rect {
        let known = self.sighting.fix.rect;
        let (w, h) = (known.w.max(found.w), known.h.max(found.h));
        let (x, y) = found.centre();
        Rect::new(x - w / 2.0, y - h / 2.0, w, h)
    }

    fn see(&mut self, at: Moment, candidate: &Candidate<'_>, predict: bool) {
        let rect = match candidate.grade {
            Grade::Strong(_) => candidate.rect,
            Grade::Weak(_) | Grade::Mate => self.at_least_as_large(&candidate.rect),
        };
        self.filter.update(&rect);
        self.seen_once = false;
        let speed = if predict { self.filter.speed() } else { (0.0, 0.0) };
        self.sighting.fix = Fix { at, rect, speed };
        self.sighting.missed = 0;
        if let Grade::Strong(action) | Grade::Weak(action) = candidate.grade {
            self.renewed = at.index;
            self.sighting.confidence = candidate.finding.score;
            self.sighting.class = Arc::clone(&candidate.finding.class);
            self.sighting.action = self.sighting.action.max(action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::censor::Document;
    use proptest::prelude::*;

    fn classes() -> Classes {
        let rules: Document = serde_json::from_str(
            r#"{"classes": {"FACE_FEMALE": {"threshold": 0.25}, "BELLY_EXPOSED": {}}}"#,
        )
        .unwrap();
        Classes::new(&rules.resolve())
    }

    fn face(x: f32, score: f32) -> Finding {
        let rect = Rect::new(x, 300.0, 150.0, 166.0);
        Finding { class: "FACE_FEMALE".into(), score, rect }
    }

    /// Feeds every third frame of a stream at 30 a second.
    fn feed(tracker: &mut Tracker, n: u64, findings: &[Finding]) -> Snapshot {
        tracker.step(Moment::new(3 * n, 3.0 * n as f64 / 30.0), findings, &classes())
    }

    fn tracker() -> Tracker {
        Tracker::new(Config::default(), (1280, 720))
    }

    #[test]
    fn a_fast_face_keeps_its_track() {
        let mut tracker = tracker();
        for n in 0..6 {
            let snapshot = feed(&mut tracker, n, &[face(171.0 * n as f32, 0.8)]);
            assert_eq!(snapshot.sightings.len(), 1, "at {n}");
            assert_eq!(snapshot.sightings[0].id, 0);
        }
    }

    #[test]
    fn weak_findings_continue_but_do_not_start() {
        let mut tracker = tracker();
        assert!(feed(&mut tracker, 0, &[face(100.0, 0.12)]).sightings.is_empty());
        feed(&mut tracker, 1, &[face(100.0, 0.5)]);
        let snapshot = feed(&mut tracker, 2, &[face(105.0, 0.12)]);
        assert_eq!(snapshot.sightings[0].fix.at.index, 6);
        assert_eq!(snapshot.sightings.len(), 1);
    }

    #[test]
    fn a_lost_object_coasts_then_goes() {
        let mut tracker = tracker();
        feed(&mut tracker, 0, &[face(100.0, 0.8)]);
        for n in 1..=10 {
            let snapshot = feed(&mut tracker, n, &[]);
            let expected = 0.8 * 0.85_f32.powi(3 * n as i32);
            assert!((snapshot.sightings[0].confidence - expected).abs() < 1e-4);
        }
        assert!(feed(&mut tracker, 11, &[]).sightings.is_empty());
    }

    #[test]
    fn an_allowed_class_of_the_same_part_moves_a_track_but_does_not_keep_it() {
        let mut tracker = tracker();
        feed(&mut tracker, 0, &[face(100.0, 0.8)]);
        let male = Finding { class: "FACE_MALE".into(), ..face(160.0, 0.9) };
        let snapshot = feed(&mut tracker, 1, std::slice::from_ref(&male));
        assert!((snapshot.sightings[0].fix.rect.x - 160.0).abs() < 1e-3);
        assert_eq!(&*snapshot.sightings[0].class, "FACE_FEMALE");
        for n in 2..=10 {
            feed(&mut tracker, n, std::slice::from_ref(&male));
        }
        assert!(feed(&mut tracker, 11, &[male]).sightings.is_empty());
    }

    #[test]
    fn another_part_starts_its_own_track() {
        let mut tracker = tracker();
        feed(&mut tracker, 0, &[face(100.0, 0.8)]);
        let belly = Finding { class: "BELLY_EXPOSED".into(), ..face(100.0, 0.9) };
        assert_eq!(feed(&mut tracker, 1, &[belly]).sightings.len(), 2);
    }

    #[test]
    fn a_place_that_is_no_number_is_the_whole_frame() {
        let rect = Rect::new(f32::NAN, 0.0, 10.0, 10.0);
        let snapshot = feed(&mut tracker(), 0, &[Finding { rect, ..face(0.0, 0.9) }]);
        assert_eq!(snapshot.sightings[0].fix.rect, Rect::new(0.0, 0.0, 1280.0, 720.0));
    }

    #[test]
    fn coasting_tracks_are_bounded_and_findings_are_not() {
        let mut tracker = tracker();
        let crowd: Vec<_> = (0..100_u8).map(|i| face(f32::from(i) * 500.0, 0.9)).collect();
        assert_eq!(feed(&mut tracker, 0, &crowd).sightings.len(), 100);
        assert_eq!(feed(&mut tracker, 1, &[]).sightings.len(), MAX_COASTING);
    }

    proptest! {
        #[test]
        fn ids_are_stable_under_jitter(
            jitter in prop::collection::vec((-7.0_f32..7.0, -7.0_f32..7.0), 3 * 12),
            speeds in prop::collection::vec(-30.0_f32..30.0, 3),
            order in any::<bool>(),
        ) {
            let mut tracker = tracker();
            for (n, jitter) in jitter.chunks_exact(3).enumerate() {
                let mut findings: Vec<_> = (0..3)
                    .map(|i| {
                        let x = 100.0 + 400.0 * i as f32 + speeds[i] * n as f32 * 0.3;
                        let mut finding = face(x, 0.9);
                        finding.rect = finding.rect.shift(jitter[i].0, jitter[i].1);
                        finding
                    })
                    .collect();
                if order && n % 2 == 1 {
                    findings.reverse();
                }
                let snapshot = feed(&mut tracker, n as u64, &findings);
                prop_assert_eq!(snapshot.sightings.len(), 3);
                if n == 0 {
                    continue;
                }
                for sighting in &snapshot.sightings {
                    let place = (sighting.fix.rect.x - 100.0) / 400.0;
                    let first = if sighting.id == 0 { 0 } else { sighting.id };
                    prop_assert_eq!(first, place.round() as u64);
                }
            }
        }
    }
}
