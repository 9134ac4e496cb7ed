//! What this machine is doing, sampled once a second and told as rates over [`WINDOW`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::detect::{DetectorStatus, Role, Service};
use crate::media::clock;
use crate::runtime::Exit;
use crate::telemetry::{Cpu, Metrics, Reason, Usage};

/// The time that figures are taken over: long enough for the clock ticks of `/proc`, short enough
/// to see a stream that has just started.
pub(super) const WINDOW: Duration = Duration::from_secs(5);
/// How often figures are read.
const EVERY: Duration = Duration::from_secs(1);
/// Samples closer together than this say nothing about rates: a clock tick is 10 ms.
const LEAST: f64 = 0.5;
/// Looks that make a mean: what they take is known in clock ticks of 10 ms only.
const ENOUGH: u64 = 10;

/// Rates over the last five seconds, or over what there is of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Cores that are busy, with anything; of the machine or of the cgroup, whichever has less
    /// left.
    pub busy: f64,
    /// Cores there are. Zero: not known.
    pub cores: f64,
    /// Cores that this process keeps busy.
    pub own: f64,
    /// Of those, detection.
    pub detection: f64,
    /// Pictures a second without whose verdict frames are covered.
    pub required: f64,
    /// Core seconds that one picture takes; of the last second in which one was looked at.
    pub look_cpu: f64,
    /// Share of a second of all of detection's workers that one picture takes, by the clock.
    pub look_share: f64,
    /// Share of the time that the busiest model's workers spend in runs, 0 to 1.
    pub detection_busy: f64,
    /// Looks that should have been taken in time and were not.
    pub starved: u64,
    /// Frames covered because their verdict was late.
    pub late: u64,
    /// Bytes that can still be had, when the system tells.
    pub memory_available: Option<u64>,
}

/// One model's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Model {
    busy: Duration,
    workers: usize,
    pictures: u64,
    required: u64,
    starved: u64,
    /// Time of one picture in the model, by the clock.
    look: Duration,
}

impl Model {
    /// Share of a second of all workers that one picture takes.
    fn share(&self) -> f64 {
        self.look.as_secs_f64() / self.workers.max(1) as f64
    }
}

impl From<&DetectorStatus> for Model {
    fn from(status: &DetectorStatus) -> Self {
        let counts = &status.counts;
        let batch = counts.pictures.checked_div(counts.runs).unwrap_or(1).max(1);
        Self {
            busy: status.busy,
            workers: status.workers,
            pictures: counts.pictures,
            required: counts.required,
            starved: counts.starved,
            look: status.run_p50 / u32::try_from(batch).unwrap_or(u32::MAX),
        }
    }
}

/// Totals at one time.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    usage: Usage,
    models: Vec<Model>,
    late: u64,
}

/// Makes rates of samples.
#[derive(Debug, Default)]
struct Meter {
    samples: VecDeque<Sample>,
    look_cpu: f64,
}

impl Meter {
    /// The load up to `sample`, which is the newest.
    fn add(&mut self, sample: Sample) -> Load {
        let old = |one: &Sample| sample.at.saturating_duration_since(one.at) >= WINDOW;
        // The last that is older than the window stays: it is where the window begins.
        while self.samples.len() > 1 && old(&self.samples[1]) {
            self.samples.pop_front();
        }
        let load = self.samples.front().map_or_else(
            || between(&sample, &sample, self.look_cpu),
            |from| between(from, &sample, self.look_cpu),
        );
        self.look_cpu = load.look_cpu;
        self.samples.push_back(sample);
        load
    }
}

/// The rates between two samples; none when they are one.
fn between(from: &Sample, to: &Sample, look_cpu: f64) -> Load {
    let seconds = to.at.saturating_duration_since(from.at).as_secs_f64();
    let long = seconds >= LEAST;
    let rate = |from: f64, to: f64| if long { (to - from).max(0.0) / seconds } else { 0.0 };
    let cpu = |from: Cpu, to: Cpu| (rate(from.used, to.used).min(to.cores), to.cores);
    let machine = cpu(from.usage.machine, to.usage.machine);
    let group = from.usage.group.zip(to.usage.group).map(|(from, to)| cpu(from, to));
    let left = |(busy, cores): &(f64, f64)| cores - busy;
    let tighter = group.filter(|group| left(group) < left(&machine));
    let (busy, cores) = tighter.unwrap_or(machine);
    let detection = rate(from.usage.detection, to.usage.detection);
    let models = || from.models.iter().zip(&to.models);
    let most = |count: fn(&Model) -> u64| {
        models().map(|(from, to)| count(to).saturating_sub(count(from))).max().unwrap_or(0)
    };
    let looks = most(|model| model.pictures);
    let measured = detection * seconds / looks as f64;
    Load {
        busy,
        cores,
        own: rate(from.usage.own, to.usage.own),
        detection,
        required: rate(0.0, most(|model| model.required) as f64),
        look_cpu: if long && (looks >= ENOUGH || looks > 0 && look_cpu == 0.0) {
            measured
        } else {
            look_cpu
        },
        look_share: models().map(|(_, to)| to.share()).fold(0.0, f64::max),
        detection_busy: models()
            .map(|(from, to)| {
                rate(from.busy.as_secs_f64(), to.busy.as_secs_f64()) / to.workers.max(1) as f64
            })
            .fold(0.0, f64::max),
        starved: most(|model| model.starved),
        late: to.late.saturating_sub(from.late),
        memory_available: to.usage.memory_available,
    }
}

/// Samples this process and its machine. The gauges show what it finds.
#[derive(Debug)]
pub struct Sampler {
    detect: Service,
    metrics: Metrics,
    meter: Meter,
    load: watch::Sender<Load>,
}

impl Sampler {
    /// The load as it will be known, with the first figures in it, and the actor.
    pub fn new(detect: Service, metrics: Metrics) -> (watch::Receiver<Load>, Self) {
        let (load, reader) = watch::channel(Load::default());
        let mut sampler = Self { detect, metrics, meter: Meter::default(), load };
        sampler.take(Usage::read());
        (reader, sampler)
    }

    /// Samples until told to stop.
    pub async fn run(mut self, stop: CancellationToken) -> Exit {
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        // A late tick makes a longer sample; two short ones would tell less.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Exit::Cancelled,
                _ = tick.tick() => {}
            }
            match tokio::task::spawn_blocking(Usage::read).await {
                Ok(usage) => self.take(usage),
                Err(error) => tracing::error!(%error, "the load cannot be read"),
            }
        }
    }

    fn take(&mut self, usage: Usage) {
        // Text's looks are no frames' looks; what they cost is in detection's processor time.
        let status = self.detect.status();
        let sample = Sample {
            at: clock::now(),
            usage,
            models: status
                .iter()
                .filter(|one| one.role == Role::Regions)
                .map(Model::from)
                .collect(),
            late: self.metrics.global().covered_frames(Reason::VerdictLate).get(),
        };
        let load = self.meter.add(sample);
        let cpu = if load.cores > 0.0 { load.busy / load.cores } else { 0.0 };
        self.metrics.set_busy(cpu, load.detection_busy);
        self.metrics.set_memory_available(load.memory_available.unwrap_or_default());
        self.load.send_replace(load);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: Instant, second: u64) -> Sample {
        let s = second as f64;
        let model = Model {
            busy: Duration::from_millis(400 * second),
            workers: 2,
            pictures: 20 * second,
            required: 5 * second,
            starved: 0,
            look: Duration::from_millis(20),
        };
        Sample {
            at: start + Duration::from_secs(second),
            usage: Usage {
                machine: Cpu { used: 100.0 + 1.2 * s, cores: 2.0 },
                group: None,
                own: 0.8 * s,
                detection: 0.3 * s,
                memory_available: Some(1 << 30),
            },
            models: vec![model],
            late: 3 * second,
        }
    }

    fn near(load: f64, expected: f64) {
        assert!((load - expected).abs() < 1e-9, "{load} {expected}");
    }

    #[test]
    fn the_first_sample_tells_what_there_is_and_no_rates() {
        let load = Meter::default().add(sample(clock::now(), 0));
        assert_eq!((load.cores, load.busy, load.memory_available), (2.0, 0.0, Some(1 << 30)));
        assert_eq!((load.look_cpu, load.late), (0.0, 0));
    }

    #[test]
    fn rates_are_over_the_window() {
        let (start, mut meter) = (clock::now(), Meter::default());
        let mut load = Load::default();
        for second in 0..=20 {
            load = meter.add(sample(start, second));
        }
        near(load.busy, 1.2);
        near(load.own, 0.8);
        near(load.detection, 0.3);
        near(load.required, 5.0);
        near(load.look_cpu, 0.015);
        near(load.look_share, 0.01);
        near(load.detection_busy, 0.2);
        assert_eq!(load.late, 3 * WINDOW.as_secs());
        assert_eq!(meter.samples.len() as u64, WINDOW.as_secs() + 1);
    }

    #[test]
    fn the_cost_of_a_look_is_remembered_while_nothing_is_looked_at() {
        let (start, mut meter) = (clock::now(), Meter::default());
        meter.add(sample(start, 0));
        near(meter.add(sample(start, 1)).look_cpu, 0.015);
        let mut still = sample(start, 60);
        (still.models[0].pictures, still.usage.detection) = (20, 0.3);
        meter.samples.drain(..1);
        near(meter.add(still).look_cpu, 0.015);
    }

    #[test]
    fn a_quota_counts_when_less_of_it_is_left() {
        let (start, mut meter) = (clock::now(), Meter::default());
        let grouped = |second: u64, cores: f64| {
            let mut sample = sample(start, second);
            sample.usage.group = Some(Cpu { used: 0.9 * second as f64, cores });
            sample
        };
        meter.add(grouped(0, 1.0));
        let load = meter.add(grouped(1, 1.0));
        near(load.busy, 0.9);
        near(load.cores, 1.0);
        let mut meter = Meter::default();
        meter.add(grouped(0, 1.9));
        near(meter.add(grouped(1, 1.9)).cores, 2.0);
    }
}
