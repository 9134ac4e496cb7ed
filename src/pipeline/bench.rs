//! What the benches measure inside the pipeline: the parts that have no public face.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::{Config, Frame, Guard, Step};
use super::{decode, gate};
use crate::censor::Document;
use crate::detect::Finding;
use crate::media::thumb::Thumb;
use crate::media::{Picture, Rect};

/// A guard in the middle of a stream at 30 frames a second, 200 ms behind, every frame analysed.
pub struct Watched {
    guard: Guard,
    grid: Arc<gate::Grid>,
    findings: Vec<Finding>,
    start: Instant,
    next: u64,
}

impl Watched {
    /// With `objects` objects in every frame.
    ///
    /// # Panics
    ///
    /// Never: the rules are built in.
    pub fn new(picture: &Picture, objects: usize, start: Instant) -> Self {
        let rules = r#"{"classes": {"FACE_FEMALE": {}}, "delayMs": 200}"#;
        let rules: Document = serde_json::from_str(rules).expect("rules that parse");
        let config = Config {
            max_gap: Duration::from_millis(200),
            lead: Duration::from_millis(25),
            track: crate::track::Config::default(),
        };
        let finding = |i| Finding {
            class: "FACE_FEMALE".into(),
            score: 0.7,
            rect: Rect::new(110.0 * i as f32, 200.0, 100.0, 130.0),
        };
        let thumb = Thumb::of(picture);
        Self {
            guard: Guard::new(config, Arc::new(rules.resolve())),
            grid: Arc::new(decode::grid(&thumb, Some(&thumb))),
            findings: (0..objects).map(finding).collect(),
            start,
            next: 0,
        }
    }

    /// One frame in, its answer, one frame out. Returns how many frames were released.
    pub fn step(&mut self) -> usize {
        let index = self.next;
        self.next += 1;
        let now = self.start + Duration::from_micros(33_333) * u32::try_from(index).unwrap_or(0);
        self.guard.push(Frame {
            index,
            time: index as f64 / 30.0,
            due: now + Duration::from_millis(200),
            hold: Duration::from_millis(200),
            size: (1280, 720),
            grid: self.grid.clone(),
            cut: index == 0,
            moving: true,
            promising: true,
        });
        let mut released = 0;
        loop {
            match self.guard.poll(now) {
                Step::Analyse { index, .. } => {
                    self.guard.answer(index, Ok(self.findings.clone()), now);
                }
                Step::Release { .. } => released += 1,
                Step::Wait(_) => return released,
            }
        }
    }
}

/// The gate's work on one picture: thumbnail, block means and differences, cut or motion.
pub fn gate(picture: &Picture, before: &Thumb) -> (Thumb, bool) {
    let thumb = Thumb::of(picture);
    let grid = decode::grid(&thumb, Some(before));
    let change = gate::compare(&grid, Some(&grid));
    (thumb, change.cut)
}
