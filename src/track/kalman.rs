//! Where an object is and how fast it moves, from noisy boxes: a Kalman filter of eight states
//! (centre x and y, aspect, height, and their speeds).
//!
//! The noises are independent, so the 8 × 8 filter falls apart into four of two states each: same
//! numbers, a sixteenth of the work. All noises scale with the object's height: a face three times
//! as large jitters three times as many pixels.

use crate::media::Rect;

/// The frame rate that the noise figures are given for, per second.
const NOMINAL_RATE: f32 = 30.0;

/// Standard deviation of a detector's box edges, as a share of the height.
const MEASURED: f32 = 1.0 / 20.0;

/// What a position gains in doubt per nominal frame, share of the height.
const DRIFT: f32 = 1.0 / 40.0;

/// What a speed gains in doubt per nominal frame, share of the height per frame.
///
/// Ten times what trackers of pedestrians use: hands, faces and cameras turn within a few frames.
const AGILITY: f32 = 1.0 / 16.0;

/// Doubt about the speed of a new object, share of the height per frame: high enough that the
/// second sighting decides the speed.
const UNKNOWN_SPEED: f32 = 0.5;

/// The aspect is a ratio, so its noises are absolute.
const ASPECT: f32 = 0.05;

/// One quantity and its speed.
#[derive(Clone, Copy, Debug)]
struct Axis {
    value: f32,
    /// Units a second.
    speed: f32,
    /// Variance of the value, covariance, variance of the speed.
    doubt: [f32; 3],
}

impl Axis {
    fn new(value: f32, measured: f32, unknown_speed: f32) -> Self {
        let speed = unknown_speed * NOMINAL_RATE;
        Self { value, speed: 0.0, doubt: [measured * measured, 0.0, speed * speed] }
    }

    /// Forward by `dt` seconds; `drift` and `agility` are deviations per nominal frame.
    fn predict(&mut self, dt: f32, drift: f32, agility: f32) {
        let frames = dt * NOMINAL_RATE;
        let agility = agility * NOMINAL_RATE;
        let [value, both, speed] = self.doubt;
        self.value += self.speed * dt;
        self.doubt = [
            value + 2.0 * dt * both + dt * dt * speed + drift * drift * frames,
            both + dt * speed,
            speed + agility * agility * frames,
        ];
    }

    fn update(&mut self, measurement: f32, measured: f32) {
        let [value, both, speed] = self.doubt;
        let total = value + measured * measured;
        let (gain, speed_gain) = (value / total, both / total);
        let surprise = measurement - self.value;
        self.value += gain * surprise;
        self.speed += speed_gain * surprise;
        self.doubt = [value * (1.0 - gain), both * (1.0 - gain), speed - speed_gain * both];
    }
}

/// The filter of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kalman {
    x: Axis,
    y: Axis,
    aspect: Axis,
    height: Axis,
}

impl Kalman {
    /// An object first seen at `rect` (pixels, finite, not empty), speed unknown.
    pub(super) fn new(rect: &Rect) -> Self {
        let (cx, cy) = rect.centre();
        let height = rect.h.max(1.0);
        let position = |value| Axis::new(value, MEASURED * height, UNKNOWN_SPEED * height);
        Self {
            x: position(cx),
            y: position(cy),
            aspect: Axis::new(rect.w / height, ASPECT, ASPECT),
            height: Axis::new(height, MEASURED * height, MEASURED * height),
        }
    }

    /// Forward by `dt` seconds.
    pub(super) fn predict(&mut self, dt: f32) {
        let height = self.height.value.max(1.0);
        self.x.predict(dt, DRIFT * height, AGILITY * height);
        self.y.predict(dt, DRIFT * height, AGILITY * height);
        self.aspect.predict(dt, ASPECT / 4.0, ASPECT / 16.0);
        self.height.predict(dt, DRIFT * height, AGILITY * height / 4.0);
    }

    /// Takes in a sighting at `rect` (pixels, finite, not empty).
    pub(super) fn update(&mut self, rect: &Rect) {
        let (cx, cy) = rect.centre();
        let height = rect.h.max(1.0);
        self.x.update(cx, MEASURED * height);
        self.y.update(cy, MEASURED * height);
        self.aspect.update(rect.w / height, ASPECT);
        self.height.update(height, MEASURED * height);
    }

    /// Where the object should be now.
    pub(super) fn rect(&self) -> Rect {
        let height = self.height.value.max(1.0);
        let width = (self.aspect.value * height).max(1.0);
        Rect::new(self.x.value - width / 2.0, self.y.value - height / 2.0, width, height)
    }

    /// Speed of the centre in pixels a second, x and y.
    pub(super) fn speed(&self) -> (f32, f32) {
        (self.x.speed, self.y.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32) -> Rect {
        Rect::new(x, 100.0, 150.0, 160.0)
    }

    #[test]
    fn the_second_sighting_decides_the_speed() {
        let mut filter = Kalman::new(&at(0.0));
        filter.predict(0.1);
        filter.update(&at(170.0));
        assert!((filter.speed().0 - 1700.0).abs() < 100.0, "{:?}", filter.speed());
        filter.predict(0.1);
        assert!((filter.rect().x - 340.0).abs() < 20.0, "{:?}", filter.rect());
    }

    #[test]
    fn a_still_object_with_jitter_stays_slow() {
        let mut filter = Kalman::new(&at(300.0));
        for i in 0..100_u8 {
            filter.predict(1.0 / 30.0);
            filter.update(&at(300.0 + if i % 2 == 0 { 3.0 } else { -3.0 }));
        }
        assert!(filter.speed().0.abs() < 60.0, "{:?}", filter.speed());
        assert!((filter.rect().x - 300.0).abs() < 5.0, "{:?}", filter.rect());
    }

    #[test]
    fn a_shrinking_object_never_turns_inside_out() {
        let mut filter = Kalman::new(&at(0.0));
        filter.predict(0.1);
        filter.update(&Rect::new(70.0, 170.0, 15.0, 16.0));
        filter.predict(10.0);
        let rect = filter.rect();
        assert!(rect.w >= 1.0 && rect.h >= 1.0 && rect.w.is_finite(), "{rect:?}");
    }
}
