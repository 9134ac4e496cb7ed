//! What is filmed: a picture that says by itself whether it shows what must not be seen.

use std::sync::Arc;

use scrim::detect::{self, Finding};
use scrim::media::{Picture, Rect};
use scrim::pipeline::soak::source;
use tokio::sync::watch;

/// Width and height of every picture.
pub(crate) const SIZE: (u32, u32) = (320, 192);
/// Standard deviation of brightness below which nothing of the pattern can be made out; it has
/// about 100 in the clear, what lies under it 20.
pub(crate) const INVISIBLE: f64 = 35.0;

/// Where the pattern lies: x, y, width, height.
const SECRET: [usize; 4] = [112, 80, 96, 72];
/// Side of its squares, in pixels.
const SQUARE: usize = 8;
/// Lit when the pattern is there, and lit when it is not. Far from the pattern, so never covered
/// with it; too small for the gate to take their changes for an object's.
const MARKS: [[usize; 4]; 2] = [[16, 16, 16, 8], [288, 16, 16, 8]];
/// What of a mark or of the pattern is looked at: not its edge, which coding blurs.
const EDGE: usize = 2;

/// Frames of the source between two stretches with the pattern: two looks of the guard.
const APART: u64 = 12;
/// One in so many frames that may begin a stretch does.
const ODDS: u32 = 4;
/// The longest stretch, in frames.
const LONGEST: u64 = 10;

/// What the streams are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is to be covered.
    Quiet,
    /// The pattern is shown and nobody detects it: the page must see it.
    Bare,
    /// The pattern comes and goes, and is detected.
    Soak,
    /// Nobody films any more.
    Cut,
}

/// Frame `n`.
pub(crate) fn picture(n: u64, secret: bool) -> Picture {
    let mut picture = source::scene(SIZE, n, None);
    let [mut luma, ..] = picture.planes_mut();
    for (mark, lit) in MARKS.into_iter().zip([secret, !secret]) {
        let [x, y, width, height] = mark;
        for y in y..y + height {
            luma.row_mut(y)[x..x + width].fill(if lit { 235 } else { 16 });
        }
    }
    if secret {
        let [left, top, width, height] = SECRET;
        for y in top..top + height {
            for (x, sample) in luma.row_mut(y)[left..left + width].iter_mut().enumerate() {
                let even = ((x + 3 * n as usize) / SQUARE + y / SQUARE).is_multiple_of(2);
                *sample = if even { 20 } else { 230 };
            }
        }
    }
    picture
}

/// What the page needs to know of it.
pub(crate) fn geometry() -> serde_json::Value {
    let inside = |[x, y, w, h]: [usize; 4]| [x + EDGE, y + EDGE, w - 2 * EDGE, h - 2 * EDGE];
    serde_json::json!({
        "width": SIZE.0,
        "height": SIZE.1,
        "secret": inside(SECRET),
        "marks": MARKS.map(inside),
        "invisible": INVISIBLE,
    })
}

/// When the pattern is there.
pub(crate) struct Director {
    random: fastrand::Rng,
    /// The stretch ends here.
    until: u64,
}

impl Director {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), until: 0 }
    }

    /// Whether frame `n` shows it. A stretch begins only while the viewer gets the source's own
    /// frames, so that each of them is two splices.
    pub(crate) fn secret(&mut self, n: u64, phase: Phase, forwarding: bool) -> bool {
        if n < self.until || phase == Phase::Bare {
            return true;
        }
        let may = phase == Phase::Soak && forwarding && n >= self.until + APART;
        if may && self.random.u32(..ODDS) == 0 {
            self.until = n + self.random.u64(1..=LONGEST);
            return true;
        }
        false
    }
}

/// A detector that never errs: it reads the mark. Sees nothing before the soak.
pub(crate) struct Reader(pub(crate) watch::Receiver<Phase>);

impl Reader {
    fn look(&self, picture: &Picture) -> Vec<Finding> {
        let [x, y, width, height] = MARKS[0];
        let luma = picture.planes()[0];
        let lit = luma.row(y + height / 2)[x + width / 2] > 126;
        if !lit || *self.0.borrow() != Phase::Soak {
            return Vec::new();
        }
        let [x, y, w, h] = SECRET.map(|side| side as f32);
        vec![Finding { class: "SECRET".into(), score: 0.9, rect: Rect::new(x, y, w, h) }]
    }
}

impl detect::Model for Reader {
    fn name(&self) -> &str {
        "script"
    }

    fn bucket(&self, _: &Arc<Picture>) -> u32 {
        0
    }

    fn open(&self) -> Result<detect::Opened, detect::Error> {
        Ok(detect::Opened {
            detector: Box::new(Self(self.0.clone())),
            provider: "script".into(),
            fallback: None,
            batches: false,
            classes: vec!["SECRET".into()],
        })
    }
}

impl detect::Detector for Reader {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, detect::Error> {
        Ok(pictures.iter().map(|picture| self.look(picture)).collect())
    }
}
