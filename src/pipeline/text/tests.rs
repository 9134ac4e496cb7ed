//! The lane before made-up pictures, with a reader that knows what is in them.

mod parts;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::geometry;
use super::stage::{Answer, Lane, Look, Reply, Rules, Stage};
use super::verdict::{Found, Hit};
use crate::detect::text::{self, FindRequest, Glyph, Point, Quad, ReadRequest, Reader, Reading};
use crate::detect::{Failure, Need};
use crate::media::{Picture, Rect, clock};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

/// A line of text in a picture.
#[derive(Clone, Debug, PartialEq)]
struct Words {
    text: &'static str,
    x: f32,
    y: f32,
    /// Height of the letters in pixels, a multiple of 8.
    size: f32,
    /// Hardly brighter than its plate, which is as dark as the ground: found only once it is plain.
    faint: bool,
}

impl Words {
    fn rect(&self) -> Rect {
        let letters = self.text.chars().count() as f32;
        Rect::new(self.x, self.y, letters * self.size * 0.75, self.size)
    }
}

/// What a picture shows: lines before a texture that lies this far to the left and the top.
#[derive(Clone, Debug, Default)]
struct World {
    lines: Vec<Words>,
    pan: (i32, i32),
    noise: u8,
    /// No texture.
    flat: bool,
    /// In place of it, dots of three pixels: everything could be text.
    dots: bool,
    /// What is read of a line is what of it lies in the picture.
    visible: bool,
}

/// Whether a dot of a letter is set: six columns with a gap, eight rows. Made up, but the same for
/// the same letter.
fn dot(letter: char, column: usize, row: usize) -> bool {
    let mut random = fastrand::Rng::with_seed(u64::from(u32::from(letter)) * 77);
    let rows: [u8; 8] = std::array::from_fn(|_| random.u8(..) | random.u8(..) & 0x2a);
    letter != ' ' && column < 5 && row > 0 && rows[row] >> column & 1 == 1
}

/// The brightness of a dot in a picture of dots.
fn grain(x: i32, y: i32) -> i8 {
    let seed = x.div_euclid(3).wrapping_mul(7_919).wrapping_add(y.div_euclid(3));
    fastrand::Rng::with_seed(u64::from(seed.unsigned_abs())).i8(-60..60)
}

impl World {
    fn draw(&self, seed: u64) -> Arc<Picture> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut picture = Picture::new(WIDTH, HEIGHT);
        let [luma, ..] = &mut picture.planes_mut();
        for y in 0..luma.height {
            for (x, sample) in luma.row_mut(y).iter_mut().enumerate() {
                let (u, v) = (x as i32 + self.pan.0, y as i32 + self.pan.1);
                let wave = |length: f32, at: i32| (at as f32 / length).sin();
                let texture =
                    14.0 * wave(9.0, u + v) + 18.0 * wave(23.0, u - v / 2) * wave(17.0, v);
                let noise = random.i32(-i32::from(self.noise)..=i32::from(self.noise));
                let text = self.lines.iter().find_map(|line| {
                    let (set, plate) = if line.faint { (130.0, 100.0) } else { (230.0, 40.0) };
                    let dot = line.at(x as f32, y as f32)?;
                    Some(if dot { set } else { plate })
                });
                let texture = match (self.flat, self.dots) {
                    (true, _) => 0.0,
                    (false, true) => f32::from(grain(u, v)),
                    (false, false) => texture,
                };
                let value = text.unwrap_or(100.0 + texture);
                *sample = (value as i32 + noise).clamp(0, 255) as u8;
            }
        }
        Arc::new(picture)
    }
}

impl Words {
    /// Whether a dot is set here; `None` outside of the line's plate.
    fn at(&self, x: f32, y: f32) -> Option<bool> {
        let rect = self.rect();
        let inside = (rect.x - 4.0..rect.right() + 4.0).contains(&x)
            && (rect.y - 4.0..rect.bottom() + 4.0).contains(&y);
        let (u, v) = ((x - self.x) / self.size, (y - self.y) / self.size);
        let letter = (u / 0.75).floor();
        let column = ((u - letter * 0.75) * 8.0) as usize;
        let set = u >= 0.0
            && (0.0..1.0).contains(&v)
            && self
                .text
                .chars()
                .nth(letter as usize)
                .is_some_and(|letter| dot(letter, column, (v * 8.0) as usize));
        inside.then_some(set)
    }
}

/// What the reader does with a question.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    Fails,
    Stalls,
}

/// Knows the world; counts what it is asked.
struct Scripted {
    world: Mutex<World>,
    finds: Mutex<(Mood, Vec<(Rect, Need)>)>,
    reads: Mutex<(Mood, Vec<String>)>,
    /// Replies that never come, kept so that nobody hears of them.
    stalled: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
}

impl Scripted {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::default(),
            finds: Mutex::new((Mood::Answers, Vec::new())),
            reads: Mutex::new((Mood::Answers, Vec::new())),
            stalled: Mutex::default(),
        })
    }
}

impl Reader for Scripted {
    fn find(&self, request: FindRequest) {
        let mut finds = self.finds.lock().unwrap();
        finds.1.push((request.area, request.need));
        match finds.0 {
            Mood::Fails => (request.reply)(Err(Failure::BreakerOpen)),
            Mood::Stalls => self.stalled.lock().unwrap().push(Box::new(request.reply)),
            Mood::Answers => {
                let world = self.world.lock().unwrap();
                let plain = request.picture.width() < WIDTH;
                let origin = if plain { origin(&world, &request.picture) } else { (0.0, 0.0) };
                let lines = world.lines.iter().filter(|line| plain == line.faint);
                let seen = lines
                    .map(|line| line.rect().shift(-origin.0, -origin.1).intersect(&request.area));
                let seen = seen.filter(|rect| rect.w >= 8.0 && rect.h >= 8.0);
                let lines = seen.map(|rect| text::Line { quad: quad(&rect), score: 0.9 }).collect();
                (request.reply)(Ok(lines));
            }
        }
    }

    fn read(&self, request: ReadRequest) {
        let rect = geometry::bounds(&request.quad);
        let world = self.world.lock().unwrap();
        let line = world.lines.iter().max_by(|a, b| {
            let common = |line: &Words| line.rect().intersect(&rect).area();
            common(a).total_cmp(&common(b))
        });
        let text = line.map(|line| line.text).unwrap_or_default();
        let seen = line.map_or(0, |line| ((WIDTH as f32 - line.x) / line.size / 0.75) as usize);
        let text = if world.visible { &text[..seen.min(text.len())] } else { text };
        let mut reads = self.reads.lock().unwrap();
        reads.1.push(text.to_owned());
        match reads.0 {
            Mood::Fails => (request.reply)(Err(Failure::Failed("no".into()))),
            Mood::Stalls => self.stalled.lock().unwrap().push(Box::new(request.reply)),
            Mood::Answers => (request.reply)(Ok(reading(text))),
        }
    }
}

/// Where in the world a part of it begins that was made plainer: by where its dots begin.
fn origin(world: &World, part: &Picture) -> (f32, f32) {
    let begin = |set: &dyn Fn(u32, u32) -> bool, (width, height): (u32, u32)| {
        let dots = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let dots = dots.filter(|(x, y)| set(*x, *y));
        dots.fold((f32::MAX, f32::MAX), |(a, b), (x, y)| (a.min(x as f32), b.min(y as f32)))
    };
    let [luma, ..] = part.planes();
    let plain = |x: u32, y: u32| luma.row(y as usize)[x as usize] > 180;
    let (x, y) = begin(&plain, (part.width(), part.height()));
    let dot = |x: u32, y: u32| world.lines.iter().any(|l| l.at(x as f32, y as f32) == Some(true));
    let (u, v) = begin(&dot, (WIDTH, HEIGHT));
    (u - x, v - y)
}

fn quad(rect: &Rect) -> Quad {
    let (x, y) = (rect.right(), rect.bottom());
    Quad([(rect.x, rect.y), (x, rect.y), (x, y), (rect.x, y)].map(|(x, y)| Point { x, y }))
}

fn reading(text: &str) -> Reading {
    let count = text.chars().count() as f32;
    let glyph = |(i, character)| {
        let i = i as f32;
        Glyph { character, score: 0.9, start: i / count, end: (i + 1.0) / count }
    };
    Reading { glyphs: text.chars().enumerate().map(glyph).collect(), score: 0.9 }
}

/// Forbids the word "crap" wherever it stands, also across lines.
fn rules(cover_unread: bool) -> Arc<Rules> {
    let judge = |lines: &[&str]| {
        let hit = |(line, text): (usize, &&str)| {
            let at = text.find("crap")?;
            Some(Hit { line, range: at..at + 4, rule: "crap".into() })
        };
        lines.iter().enumerate().filter_map(hit).collect()
    };
    let cut_word = |line: &str, end: bool| {
        let part = |part: &&str| if end { line.ends_with(*part) } else { line.starts_with(*part) };
        let parts = if end { ["cra", "cr"] } else { ["rap", "ap"] };
        let letters = parts.iter().find(|text| part(text))?.len();
        Some(if end { line.len() - letters..line.len() } else { 0..letters })
    };
    let (judge, cut_word) = (Arc::new(judge), Arc::new(cut_word));
    Arc::new(Rules { judge, cut_word, whole_line: false, cover_unread })
}

/// A stage before a world that goes on at six looks a second.
struct Show {
    stage: Stage,
    reader: Arc<Scripted>,
    rules: Arc<Rules>,
    looks: u32,
}

impl Show {
    fn new(cover_unread: bool) -> Self {
        let reader = Scripted::new();
        let stage = Stage::new(0, reader.clone());
        Self { stage, reader, rules: rules(cover_unread), looks: 0 }
    }

    fn look(&mut self, world: &World) -> Vec<Found> {
        self.look_within(world, Duration::from_secs(60)).expect("an answer")
    }

    fn look_within(&mut self, world: &World, time: Duration) -> Answer {
        *self.reader.world.lock().unwrap() = world.clone();
        let (reply, answer): (_, Receiver<Answer>) = sync_channel(1);
        self.looks += 1;
        self.stage.take(Look {
            picture: world.draw(u64::from(self.looks)),
            time: f64::from(self.looks) / 6.0,
            deadline: clock::now() + time,
            rules: self.rules.clone(),
            reply: Reply::new(move |answer| reply.send(answer).expect("one answer")),
        });
        answer.try_recv().expect("every look is answered")
    }

    fn finds(&self, need: Need) -> usize {
        self.reader.finds.lock().unwrap().1.iter().filter(|(_, n)| *n == need).count()
    }

    fn reads(&self) -> Vec<String> {
        self.reader.reads.lock().unwrap().1.clone()
    }

    fn mood(&self, finds: Mood, reads: Mood) {
        self.reader.finds.lock().unwrap().0 = finds;
        self.reader.reads.lock().unwrap().0 = reads;
    }
}

fn words(text: &'static str, x: f32, y: f32) -> Words {
    Words { text, x, y, size: 32.0, faint: false }
}

fn world(lines: &[Words]) -> World {
    World { lines: lines.to_vec(), noise: 2, ..World::default() }
}

/// Whether all of `rect` that is in the picture is covered.
fn covers(found: &[Found], rect: &Rect) -> bool {
    let rect = rect.clip(WIDTH, HEIGHT);
    found.iter().any(|f| f.rect.intersect(&rect).area() >= 0.96 * rect.area())
}

#[test]
fn a_forbidden_word_is_covered_and_its_neighbours_are_not() {
    let mut show = Show::new(true);
    let found = show.look(&world(&[words("oh crap no", 100.0, 100.0)]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule.as_deref(), Some("crap"));
    assert!(covers(&found, &words("crap", 100.0 + 3.0 * 24.0, 100.0).rect()));
    assert!(found[0].rect.w < 7.0 * 24.0, "{found:?}");
}

#[test]
fn a_line_that_stays_is_found_and_read_once() {
    let mut show = Show::new(true);
    for n in 0..10 {
        let mut world = world(&[words("oh crap no", 100.0, 100.0), words("hello", 300.0, 250.0)]);
        world.pan = (4 * n, n);
        let found = show.look(&world);
        assert_eq!(found.len(), 1, "{n}: {found:?}");
    }
    assert_eq!(show.reads().len(), 2, "{:?}", show.reads());
}

#[test]
fn a_line_that_moves_stays_one_line() {
    let mut show = Show::new(true);
    for n in 0..12_u8 {
        let line = words("oh crap no", 20.0 + 23.0 * f32::from(n), 100.0 + 3.0 * f32::from(n));
        let found = show.look(&world(std::slice::from_ref(&line)));
        let word = Words { text: "crap", x: line.x + 72.0, ..line };
        assert!(covers(&found, &word.rect()), "{n}: {found:?} {word:?}");
        assert_eq!(found.len(), 1, "{n}: {found:?}");
    }
    assert!(show.reads().len() <= 2, "{:?}", show.reads());
}

#[test]
fn a_line_that_changes_is_read_again() {
    let mut show = Show::new(true);
    assert!(show.look(&world(&[words("oh crab no", 100.0, 100.0)])).is_empty());
    let found = show.look(&world(&[words("oh crap no", 100.0, 100.0)]));
    assert!(covers(&found, &words("crap", 172.0, 100.0).rect()), "{found:?}");
    assert!(show.look(&world(&[words("oh crab no", 100.0, 100.0)])).is_empty());
    assert_eq!(show.reads(), ["oh crab no", "oh crap no", "oh crab no"]);
}

#[test]
fn a_line_that_grows_is_read_again() {
    let mut show = Show::new(true);
    assert!(show.look(&world(&[words("oh", 100.0, 100.0)])).is_empty());
    let found = show.look(&world(&[words("oh crap", 100.0, 100.0)]));
    assert!(covers(&found, &words("crap", 172.0, 100.0).rect()), "{found:?}");
}

#[test]
fn a_line_that_goes_is_forgotten() {
    let mut show = Show::new(true);
    assert_eq!(show.look(&world(&[words("crap", 100.0, 100.0)])).len(), 1);
    assert!(show.look(&world(&[])).is_empty());
}

#[test]
fn a_new_picture_is_searched_whole_and_nothing_stays_of_the_old() {
    let mut show = Show::new(true);
    show.look(&world(&[words("crap", 100.0, 100.0)]));
    let other = World { pan: (7_919, 104_729), ..world(&[words("hello", 300.0, 200.0)]) };
    assert!(show.look(&other).is_empty());
}

#[test]
fn what_was_not_searched_in_time_is_covered_until_it_is() {
    for mood in [Mood::Fails, Mood::Stalls] {
        let mut show = Show::new(true);
        show.look(&world(&[]));
        show.mood(mood, Mood::Answers);
        let line = words("hello", 100.0, 100.0);
        for _ in 0..3 {
            let world = world(std::slice::from_ref(&line));
            let found = show.look_within(&world, Duration::from_millis(60)).unwrap();
            assert!(covers(&found, &line.rect()), "{mood:?} {found:?}");
            assert!(found.iter().all(|f| f.rule.is_none() && f.rect.area() < 40_000.0));
        }
        show.mood(Mood::Answers, Mood::Answers);
        assert!(show.look(&world(std::slice::from_ref(&line))).is_empty());
    }
}

#[test]
fn what_was_not_read_in_time_is_covered_until_it_is() {
    for mood in [Mood::Fails, Mood::Stalls] {
        let mut show = Show::new(true);
        show.mood(Mood::Answers, mood);
        let line = words("hello", 100.0, 100.0);
        let scene = world(std::slice::from_ref(&line));
        let found = show.look_within(&scene, Duration::from_millis(60)).unwrap();
        assert!(covers(&found, &line.rect()), "{mood:?} {found:?}");
        show.mood(Mood::Answers, Mood::Answers);
        assert!(show.look(&scene).is_empty());
    }
}

#[test]
fn a_word_that_comes_in_is_covered_before_it_is_whole() {
    let mut show = Show::new(true);
    for letters in [2_u8, 3, 7] {
        let left = 640.0 - (3.0 + f32::from(letters)) * 24.0;
        let line = words("oh crap no", left, 100.0);
        let found = show.look(&World { visible: true, ..world(std::slice::from_ref(&line)) });
        let word = Words { text: "crap", x: line.x + 72.0, ..line };
        assert!(covers(&found, &word.rect()), "{letters}: {found:?}");
        let oh = words("oh", left, 100.0);
        assert!(found.iter().all(|f| f.rect.intersect(&oh.rect()).area() < 0.3 * oh.rect().area()));
    }
    // What begins no such word is shown.
    let mut show = Show::new(true);
    let line = words("oh crumble", 640.0 - 6.0 * 24.0, 100.0);
    assert!(show.look(&World { visible: true, ..world(&[line]) }).is_empty());
}

#[test]
fn a_word_that_comes_in_slowly_over_any_edge_is_covered_once_it_can_be_read() {
    for (from, step) in [
        ((640.0, 100.0), (-2.0, 0.0)),
        ((-96.0, 100.0), (2.0, 0.0)),
        ((200.0, 360.0), (0.0, -2.0)),
        ((200.0, -32.0), (0.0, 2.0)),
    ] {
        let mut show = Show::new(true);
        for look in 0..48_u8 {
            let at = f32::from(look);
            let line = words("crap", from.0 + step.0 * at, from.1 + step.1 * at);
            // The picture moves as a whole.
            let pan = ((-step.0 * at) as i32, (-step.1 * at) as i32);
            let scene = World { pan, visible: true, ..world(std::slice::from_ref(&line)) };
            let found = show.look(&scene);
            // Covered as it was found, up to three looks ago; six pixels have come in since.
            let visible = line.rect().clip(WIDTH, HEIGHT);
            let covered = found.iter().map(|f| f.rect.intersect(&visible).area());
            let covered = covered.fold(0.0, f32::max) >= 0.75 * visible.area();
            let is_word = visible.area() >= 0.7 * line.rect().area();
            assert!(covered || !is_word, "{from:?} {look}: {found:?}");
        }
    }
}

#[test]
fn what_nobody_waits_for_is_searched_within_a_budget() {
    let mut show = Show::new(true);
    for look in 0..60 {
        show.look(&World { pan: (look, look), dots: true, ..World::default() });
    }
    let finds = &show.reader.finds.lock().unwrap().1;
    let besides: Vec<f32> =
        finds.iter().filter(|(_, need)| *need == Need::Optional).map(|(r, _)| r.area()).collect();
    let (sum, largest) = (besides.iter().sum::<f32>(), besides.iter().copied().fold(0.0, f32::max));
    // The picture as the model sees it is as large as it is.
    assert!(sum >= 230_400.0, "{sum} pixels in ten seconds: every part of it once");
    assert!(sum <= 6e5 + largest, "{sum} pixels in ten seconds");
}

#[test]
fn a_faint_line_is_made_plain_and_found_by_the_next_look() {
    let line = Words { faint: true, ..words("oh crap no", 100.0, 100.0) };
    let scene = World { flat: true, ..world(std::slice::from_ref(&line)) };
    let mut show = Show::new(true);
    assert!(show.look(&scene).is_empty(), "the model misses it");
    let word = Words { text: "crap", x: line.x + 72.0, ..line };
    for look in 0..20 {
        let found = show.look(&scene);
        assert!(covers(&found, &word.rect()), "{look}: {found:?}");
    }
    assert_eq!(show.reads().len(), 1, "{:?}", show.reads());
    let gone = World { flat: true, ..world(&[]) };
    show.look(&gone);
    assert!(show.look(&gone).iter().all(|found| found.rule.is_none()));
}

#[test]
fn where_nothing_could_be_text_nothing_is_searched_again() {
    let flat = World { flat: true, ..world(&[words("hello", 100.0, 100.0)]) };
    let mut show = Show::new(true);
    for _ in 0..40 {
        assert!(show.look(&flat).is_empty());
    }
    assert_eq!((show.reads().len(), show.finds(Need::Optional)), (1, 0));
}

#[test]
fn unread_text_is_shown_where_the_rules_say_so() {
    let mut show = Show::new(false);
    show.mood(Mood::Fails, Mood::Fails);
    assert!(show.look(&world(&[words("crap", 100.0, 100.0)])).is_empty());
}

#[test]
fn a_look_that_comes_too_late_has_no_answer() {
    let mut show = Show::new(true);
    assert_eq!(show.look_within(&world(&[]), Duration::ZERO), Err(Failure::Late));
}

#[test]
fn a_still_picture_is_searched_again_now_and_then() {
    let mut show = Show::new(true);
    for _ in 0..30 {
        show.look(&world(&[words("hello", 100.0, 100.0)]));
    }
    assert!(show.finds(Need::Required) <= 2, "{}", show.finds(Need::Required));
    assert!((2..=24).contains(&show.finds(Need::Optional)), "{}", show.finds(Need::Optional));
    assert_eq!(show.reads(), ["hello"]);
}

#[test]
fn more_lines_than_are_followed_are_one_covered_area() {
    let mut show = Show::new(true);
    let mut lines = Vec::new();
    for n in 0..80_u8 {
        let (x, y) = (f32::from(n % 4) * 160.0, f32::from(n / 4) * 18.0);
        lines.push(Words { text: "hello", x: x + 4.0, y: y + 4.0, size: 8.0, faint: false });
    }
    let found = show.look(&world(&lines));
    assert!(!found.is_empty());
    let unread = found.iter().filter(|found| found.rule.is_none()).count();
    assert!(unread > 0 && show.reads().len() <= 64);
}

#[test]
fn a_lane_that_is_gone_answers() {
    let lane = Lane::start(1, Scripted::new()).unwrap();
    let (reply, answer) = sync_channel(1);
    lane.look(Look {
        picture: world(&[]).draw(1),
        time: 0.0,
        deadline: clock::now() + Duration::from_secs(60),
        rules: rules(true),
        reply: Reply::new(move |answer| reply.send(answer).expect("one answer")),
    });
    drop(lane);
    assert_eq!(answer.recv().unwrap(), Ok(Vec::new()));
}

fn line() -> impl Strategy<Value = Words> {
    let texts = prop::sample::select(vec!["oh crap", "hello", "crap", "so it is"]);
    (texts, 0.0_f32..600.0, 0.0_f32..330.0, prop::sample::select(vec![16.0_f32, 24.0, 32.0]))
        .prop_map(|(text, x, y, size)| Words {
            text,
            x: x.round(),
            y: y.round(),
            size,
            faint: false,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes, goes and moves, and whatever the reader does: a forbidden word that could be
    /// read is covered at every look, and so is one that could not.
    #[test]
    fn no_forbidden_word_is_shown(
        looks in prop::collection::vec(
            (line(), -20_i32..20, prop::sample::select(vec![Mood::Answers, Mood::Answers, Mood::Fails])),
            1..6,
        ),
    ) {
        let mut show = Show::new(true);
        for (line, pan, mood) in looks {
            show.mood(mood, mood);
            let rect = line.rect();
            let scene = World { pan: (pan, pan), ..world(std::slice::from_ref(&line)) };
            let found = show.look(&scene);
            let visible = rect.clip(WIDTH, HEIGHT);
            if visible.area() < 0.9 * rect.area() {
                continue;
            }
            if let Some(at) = line.text.find("crap") {
                let x = line.x + at as f32 * 0.75 * line.size;
                let word = Words { text: "crap", x, ..line };
                prop_assert!(covers(&found, &word.rect()), "{:?} {:?}", found, word);
            }
        }
    }
}
