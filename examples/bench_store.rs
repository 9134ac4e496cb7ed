//! Fills a database with detections and says how long its lists and totals take, and why.
//!
//! `bench_store URL [DETECTIONS]`: an empty database; a million unless said otherwise.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use scrim::media::clock;
use scrim::session::{Origin, State, Statistics};
use scrim::store::{Detection, DetectionFilter, Kind, Range, Record, Store, StreamFilter, at};
use uuid::{NoContext, Uuid};

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;
/// The detections are of so many days.
const DAYS: i64 = 30;
const ROOMS: usize = 50;
const STREAMS: usize = 3_000;
/// Classes, from frequent to rare: each has a third of the one before.
const CLASSES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
/// Detections in one write, as the journal has it.
const BATCH: usize = 1_024;
/// Times that each query runs.
const RUNS: usize = 200;

struct Bench {
    store: Store,
    random: fastrand::Rng,
    begin: i64,
    streams: Vec<Record>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let url = words.next().context("bench_store URL [DETECTIONS]")?;
    let count: usize = words.next().map_or(Ok(1_000_000), |word| word.parse())?;
    let store = Store::open(&url, 8, "bench:0").await?;
    let begin = Timestamp::now().as_millisecond() - DAYS * DAY;
    let mut bench =
        Bench { store, random: fastrand::Rng::with_seed(1), begin, streams: Vec::new() };
    bench.fill(count).await?;
    bench.measure().await
}

impl Bench {
    fn id(&mut self, millis: i64) -> Uuid {
        let (seconds, rest) = (millis as u64 / 1_000, (millis % 1_000) as u32);
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, rest * 1_000_000))
    }

    async fn fill(&mut self, count: usize) -> anyhow::Result<()> {
        let began = clock::now();
        for n in 0..STREAMS {
            let started = self.begin + DAYS * DAY * n as i64 / STREAMS as i64;
            let id = self.id(started);
            let over = Timestamp::from_millisecond(started + DAY / 24)?;
            self.streams.push(Record {
                id,
                room: format!("room-{}", n % ROOMS),
                origin: Origin::Operator,
                state: State::Ended,
                started_at: at(id),
                heartbeat_at: over,
                ended_at: Some(over),
                viewers_peak: self.random.u32(0..500),
                viewers_total: self.random.u32(500..900),
                events: 0,
                statistics: Statistics::default(),
                problems: Vec::new(),
            });
        }
        self.store.write_history(self.streams.clone(), Vec::new(), 1).await?;
        let mut slowest = Duration::ZERO;
        for (number, first) in (0..count).step_by(BATCH).enumerate() {
            let batch = (first..count.min(first + BATCH)).map(|n| self.detection(n, count));
            let batch = batch.collect();
            let began = clock::now();
            self.store.write_history(Vec::new(), batch, number as i64 + 2).await?;
            slowest = slowest.max(began.elapsed());
        }
        let took = began.elapsed();
        println!(
            "{:?}: {count} detections in {took:.1?}, {:.0} a second; slowest batch {slowest:.1?}",
            self.store.backend(),
            count as f64 / took.as_secs_f64()
        );
        Ok(())
    }

    fn detection(&mut self, n: usize, count: usize) -> Detection {
        let millis = self.begin + DAYS * DAY * n as i64 / count as i64;
        let near = (n * STREAMS / count + self.random.usize(0..ROOMS)) % STREAMS;
        let (stream_id, room) = (self.streams[near].id, self.streams[near].room.clone());
        let class = CLASSES.iter().find(|_| self.random.u8(0..3) > 0).unwrap_or(&CLASSES[5]);
        let id = self.id(millis);
        Detection {
            id,
            at: at(id),
            stream_id,
            room,
            kind: Kind::Object,
            class: (*class).to_owned(),
            score: self.random.f64(),
            bbox: [100.0, 100.0, 50.0, 50.0],
            frame: n as u64,
            findings: 12,
            rule: None,
            has_thumbnail: false,
        }
    }

    fn room(&mut self) -> Option<String> {
        Some(format!("room-{}", self.random.usize(0..ROOMS)))
    }

    /// A range of up to `days`, somewhere in what there is.
    fn range(&mut self, days: i64) -> (Timestamp, Timestamp) {
        let long = self.random.i64(DAY / 24..days * DAY);
        let from = self.begin + self.random.i64(0..=DAYS * DAY - long);
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        (time(from), time(from + long))
    }

    fn filter(&mut self, kind: usize) -> DetectionFilter {
        let (from, to) = self.range(3);
        let stream = self.random.usize(0..STREAMS);
        let class = Some(CLASSES[self.random.usize(0..CLASSES.len())].to_owned());
        let all = DetectionFilter { limit: 201, ..DetectionFilter::default() };
        match kind {
            0 => all,
            1 => DetectionFilter { room: self.room(), ..all },
            2 => DetectionFilter { class, ..all },
            3 => DetectionFilter { room: self.room(), class, ..all },
            4 => DetectionFilter { room: self.room(), from: Some(from), to: Some(to), ..all },
            5 => DetectionFilter { class, from: Some(from), to: Some(to), ..all },
            6 => DetectionFilter { stream: Some(self.streams[stream].id), ..all },
            _ => {
                let millis = from.as_millisecond();
                DetectionFilter { room: self.room(), before: Some(self.id(millis)), ..all }
            }
        }
    }

    async fn measure(&mut self) -> anyhow::Result<()> {
        let names = [
            "newest",
            "room",
            "class",
            "room, class",
            "room, range",
            "class, range",
            "stream",
            "room, cursor",
        ];
        let mut plans = Vec::new();
        println!("| query | p50 ms | p95 ms | max ms |\n|---|---|---|---|");
        for (kind, name) in names.iter().enumerate() {
            let mut took = Vec::new();
            for _ in 0..RUNS {
                let filter = self.filter(kind);
                let began = clock::now();
                self.store.detections(&filter).await?;
                took.push(began.elapsed());
            }
            tell(&format!("events: {name}"), took);
            let filter = self.filter(kind);
            plans.push((format!("events: {name}"), self.store.plan_of_detections(&filter).await?));
        }
        for (name, in_room, days) in
            [("all", false, DAYS), ("room", true, DAYS), ("all, hours", false, 1)]
        {
            let mut took = Vec::new();
            for _ in 0..RUNS {
                let (from, to) = self.range(days);
                let room = if in_room { self.room() } else { None };
                let range = Range { from, to, room };
                let began = clock::now();
                self.store.figures(&range).await?;
                took.push(began.elapsed());
            }
            tell(&format!("analytics: {name}"), took);
            let (from, to) = self.range(days);
            let room = if in_room { self.room() } else { None };
            let found = self.store.plan_of_figures(&Range { from, to, room }).await?;
            plans.push((format!("analytics: {name}"), found.join("\n--\n")));
        }
        let mut took = Vec::new();
        for _ in 0..RUNS {
            let filter = StreamFilter { room: self.room(), limit: 51, ..StreamFilter::default() };
            let began = clock::now();
            self.store.streams(&filter).await?;
            took.push(began.elapsed());
        }
        tell("streams: room", took);
        let filter = StreamFilter { room: self.room(), limit: 51, ..StreamFilter::default() };
        plans.push(("streams: room".into(), self.store.plan_of_streams(&filter).await?));
        for (name, plan) in plans {
            println!("\n{name}\n```\n{plan}\n```");
        }
        Ok(())
    }
}

fn tell(name: &str, mut took: Vec<Duration>) {
    took.sort();
    let ms = |share: f64| {
        let at = ((took.len() as f64 * share).ceil() as usize).clamp(1, took.len());
        took[at - 1].as_secs_f64() * 1e3
    };
    println!("| {name} | {:.1} | {:.1} | {:.1} |", ms(0.5), ms(0.95), ms(1.0));
}
