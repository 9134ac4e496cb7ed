//! The promises of the guard under random schedules: answers late, lost, failed or out of order,
//! bursts, gaps, cuts, time standing still.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::censor::{Action, Document};
use crate::media::clock;

const CONFIG: Config = Config {
    max_gap: Duration::from_millis(200),
    lead: Duration::from_millis(20),
    track: track::Config { coast: 30, decay: 0.85, predict: true },
};
const DELAY: Duration = Duration::from_millis(200);
const SIZE: (u32, u32) = (1280, 720);

fn policy(rules: &str) -> Arc<Policy> {
    Arc::new(serde_json::from_str::<Document>(rules).unwrap().resolve())
}

fn faces() -> Arc<Policy> {
    policy(
        r#"{"classes": {"FACE": {"threshold": 0.3, "action": "solid"}}, "padding": 0.1, "delayMs": 200}"#,
    )
}

fn grid(value: u8, moving: bool) -> Arc<Grid> {
    let mut grid = gate::tests::flat(value);
    grid.change.fill(if moving { 5 } else { 0 });
    Arc::new(grid)
}

fn face(x: f32) -> Finding {
    Finding { class: "FACE".into(), score: 0.8, rect: Rect::new(x, 200.0, 120.0, 150.0) }
}

/// What happens to the answer of one analysis.
#[derive(Clone, Debug)]
enum Fate {
    After(u64),
    Never,
    Fails(u64),
    Shed(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (1u64..60).prop_map(Fate::After),
        2 => (60u64..400).prop_map(Fate::After),
        1 => Just(Fate::Never),
        1 => (1u64..100).prop_map(Fate::Fails),
        1 => (1u64..100).prop_map(Fate::Shed),
    ]
}

#[derive(Clone, Debug)]
struct Shown {
    /// Milliseconds since the frame before arrived; 0 is a burst.
    after: u64,
    /// Milliseconds of RTP time since the frame before.
    step: u64,
    cut: bool,
    moving: bool,
    face: Option<u16>,
    fate: Fate,
    /// How the operator's button stands from here on.
    covering: bool,
}

fn shown() -> impl Strategy<Value = Shown> {
    let arrival = prop_oneof![8 => 25u64..42, 2 => Just(0u64), 1 => 200u64..900];
    let step = prop_oneof![9 => Just(33u64), 1 => 100u64..700];
    (
        (arrival, step, prop::bool::weighted(0.05), prop::bool::weighted(0.7)),
        (prop::option::weighted(0.4, 0u16..1100), fate(), prop::bool::weighted(0.03)),
    )
        .prop_map(|((after, step, cut, moving), (face, fate, covering))| Shown {
            after,
            step,
            cut,
            moving,
            face,
            fate,
            covering,
        })
}

/// One released frame as the outside saw it.
struct Released {
    index: u64,
    at: u64,
    verdict: Verdict,
    covering: bool,
}

/// Plays a schedule, millisecond by millisecond, and records what was asked, answered in time
/// and released.
struct Play {
    start: Instant,
    guard: Guard,
    frames: Vec<(Frame, Shown)>,
    /// Frames answered well, with the time of the answer.
    seen: BTreeMap<u64, u64>,
    pending: Vec<(u64, u64, Result<Vec<Finding>, Failure>)>,
    released: Vec<Released>,
    covering: bool,
}

impl Play {
    fn run(schedule: &[Shown], tick: u64) -> Self {
        Self::run_under(faces(), DELAY, schedule, tick)
    }

    fn run_under(policy: Arc<Policy>, delay: Duration, schedule: &[Shown], tick: u64) -> Self {
        let start = clock::now();
        let mut play = Self {
            start,
            guard: Guard::new(CONFIG, policy),
            frames: Vec::new(),
            seen: BTreeMap::new(),
            pending: Vec::new(),
            released: Vec::new(),
            covering: false,
        };
        let (mut now, mut rtp) = (0, 0);
        for (index, shown) in (0..).zip(schedule) {
            play.advance(&mut now, shown.after, tick);
            rtp += shown.step;
            let cut = shown.cut || index == 0;
            let frame = Frame {
                index,
                time: rtp as f64 / 1000.0,
                due: start + Duration::from_millis(now) + delay,
                hold: delay,
                size: SIZE,
                grid: grid(100, shown.moving),
                cut,
                moving: shown.moving,
                promising: true,
            };
            play.covering = shown.covering;
            play.guard.set_covering(shown.covering);
            play.frames.push((frame.clone(), Shown { cut, ..shown.clone() }));
            play.guard.push(frame);
            play.settle(now);
        }
        play.advance(&mut now, 2_000, 1);
        play
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn advance(&mut self, now: &mut u64, by: u64, tick: u64) {
        let end = *now + by;
        while *now < end {
            *now = (*now + tick).min(end);
            let due: Vec<_> = self.pending.extract_if(.., |p| p.0 <= *now).collect();
            for (_, index, result) in due {
                // In verified mode only an answer before its frame has left counts as one.
                let left = self.released.iter().any(|r| r.index == index);
                if result.is_ok() && (!left || self.guard.policy.mode == Mode::Instant) {
                    self.seen.insert(index, *now);
                }
                self.guard.answer(index, result, self.at(*now));
            }
            self.settle(*now);
        }
    }

    fn settle(&mut self, now: u64) {
        loop {
            match self.guard.poll(self.at(now)) {
                Step::Analyse { index, deadline, .. } => self.analyse(index, deadline, now),
                Step::Release { index, verdict } => self.released.push(Released {
                    index,
                    at: now,
                    verdict,
                    covering: self.covering,
                }),
                Step::Wait(_) => return,
            }
        }
    }

    fn analyse(&mut self, index: u64, deadline: Instant, now: u64) {
        assert!(deadline > self.at(now), "asked for frame {index} after its time");
        let shown = &self.frames[usize::try_from(index).unwrap()].1;
        let findings = shown.face.map(|x| face(f32::from(x))).into_iter().collect();
        match shown.fate {
            Fate::After(ms) => self.pending.push((now + ms, index, Ok(findings))),
            Fate::Fails(ms) => {
                self.pending.push((now + ms, index, Err(Failure::Failed("test".into()))));
            }
            Fate::Shed(ms) => self.pending.push((now + ms, index, Err(Failure::Shed))),
            Fate::Never => {}
        }
    }

    /// The analysed frame at or next to `index` in its shot, in one direction, whose answer was
    /// there at `at`.
    fn witness(&self, index: u64, at: u64, forward: bool) -> Option<u64> {
        let known = |i: &u64| self.seen.get(i).is_some_and(|t| *t <= at);
        if forward {
            (index..self.frames.len() as u64)
                .take_while(|i| *i == index || !self.frames[*i as usize].1.cut)
                .find(known)
        } else {
            let shot = (0..=index).rev().find(|i| self.frames[*i as usize].1.cut).unwrap_or(0);
            (shot..=index).rev().find(known)
        }
    }
}

fn contains(outer: &Rect, inner: &Rect) -> bool {
    let inner = inner.clip(SIZE.0, SIZE.1);
    (outer.intersect(&inner).area() - inner.area()).abs() < 1.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_leaves_once_in_order_and_by_its_time(
        schedule in prop::collection::vec(shown(), 1..120),
        tick in 1u64..8,
    ) {
        let play = Play::run(&schedule, tick);
        prop_assert_eq!(play.released.len(), schedule.len());
        for (expected, released) in (0..).zip(&play.released) {
            prop_assert_eq!(released.index, expected);
            let due = play.frames[expected as usize].0.due - CONFIG.lead;
            let at = play.at(released.at);
            prop_assert!(at >= due, "frame {} left before its time", expected);
            prop_assert!(at <= due + Duration::from_millis(tick + 1), "frame {} left late", expected);
        }
    }

    #[test]
    fn nothing_is_shown_that_was_neither_analysed_nor_bracketed(
        schedule in prop::collection::vec(shown(), 1..120),
        tick in 1u64..8,
    ) {
        let play = Play::run(&schedule, tick);
        for r in &play.released {
            if !matches!(r.verdict, Verdict::Clean | Verdict::Regions(_)) {
                continue;
            }
            let a = play.witness(r.index, r.at, false);
            prop_assert!(a.is_some(), "frame {} shown, nothing seen before it", r.index);
            // The picture of the frame before stands until something moves.
            let moves = |i: &u64| play.frames[*i as usize].1.moving;
            let until = (a.unwrap() + 1..=r.index).find(moves).map(|moved| moved - 1);
            let Some(until) = until else { continue };
            let b = play.witness(r.index, r.at, true);
            prop_assert!(b.is_some(), "frame {} shown, nothing seen after it", r.index);
            let time = |i: u64| play.frames[i as usize].0.time;
            prop_assert!(
                time(b.unwrap()) - time(until) <= CONFIG.max_gap.as_secs_f64() * judge::GAP_SLACK + 1e-9,
                "frame {} shown between frames {:?} and {:?}, too far apart", r.index, a, b
            );
        }
    }

    #[test]
    fn what_was_found_is_covered_on_its_frame_and_carried_to_the_frames_beside(
        schedule in prop::collection::vec(shown(), 1..120),
    ) {
        let play = Play::run(&schedule, 1);
        for r in &play.released {
            let beside = [play.witness(r.index, r.at, false), play.witness(r.index, r.at, true)];
            let faces = beside.iter().flatten().filter_map(|i| play.frames[*i as usize].1.face);
            for x in faces {
                match &r.verdict {
                    Verdict::Clean => prop_assert!(false, "frame {} is clean", r.index),
                    Verdict::Regions(regions) if beside == [Some(r.index); 2] => prop_assert!(
                        regions.iter().any(|g| contains(&g.rect, &face(f32::from(x)).rect)),
                        "the face of frame {} is not covered by {:?}", r.index, regions
                    ),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn instant_mode_holds_nothing_and_shows_no_shot_that_nobody_has_seen(
        schedule in prop::collection::vec(shown(), 1..120),
        tick in 1u64..8,
    ) {
        let rules = r#"{"classes": {"FACE": {"threshold": 0.3}}, "mode": "instant"}"#;
        let play = Play::run_under(policy(rules), Duration::ZERO, &schedule, tick);
        prop_assert_eq!(play.released.len(), schedule.len());
        for (expected, r) in (0..).zip(&play.released) {
            prop_assert_eq!(r.index, expected);
            prop_assert_eq!(play.at(r.at), play.frames[expected as usize].0.due);
            let seen = play.witness(r.index, r.at, false);
            if matches!(r.verdict, Verdict::Clean | Verdict::Regions(_)) {
                prop_assert!(seen.is_some(), "frame {} shown, nothing of its shot seen", r.index);
            }
            // What was there at the last look is still covered.
            let found = seen.and_then(|i| play.frames[i as usize].1.face);
            prop_assert!(found.is_none() || r.verdict != Verdict::Clean, "frame {}", r.index);
        }
    }

    #[test]
    fn the_dump_button_covers_every_frame_that_has_not_left(
        schedule in prop::collection::vec(shown(), 1..120),
    ) {
        let play = Play::run(&schedule, 1);
        for r in play.released.iter().filter(|r| r.covering) {
            prop_assert_eq!(&r.verdict, &Verdict::Covered(Reason::Operator));
        }
    }
}

/// Frame `index` of a moving picture at 30 frames a second, the first of which came at `start`.
fn nth(index: u64, start: Instant, grid: Arc<Grid>) -> Frame {
    Frame {
        index,
        time: index as f64 / 30.0,
        due: start + DELAY + Duration::from_millis(index * 33),
        hold: DELAY,
        size: SIZE,
        grid,
        cut: index == 0,
        moving: true,
        promising: true,
    }
}

/// A guard fed at 30 frames a second; `answer` says what detection finds on each frame, at once.
fn steady(
    guard: &mut Guard,
    count: u64,
    moving: bool,
    mut answer: impl FnMut(u64) -> Option<Result<Vec<Finding>, Failure>>,
) -> (Vec<Verdict>, Vec<u64>) {
    let start = clock::now();
    let (mut verdicts, mut asked) = (Vec::new(), Vec::new());
    for ms in 0..count * 33 + 400 {
        let now = start + Duration::from_millis(ms);
        if ms % 33 == 0 && ms / 33 < count {
            let index = ms / 33;
            guard.push(Frame {
                index,
                time: ms as f64 / 1000.0,
                due: now + DELAY,
                hold: DELAY,
                size: SIZE,
                grid: grid(if index == 5 { 140 } else { 100 }, moving),
                cut: index == 0,
                moving,
                promising: true,
            });
        }
        loop {
            match guard.poll(now) {
                Step::Analyse { index, .. } => {
                    asked.push(index);
                    if let Some(result) = answer(index) {
                        guard.answer(index, result, now + Duration::from_millis(15));
                    }
                }
                Step::Release { verdict, .. } => verdicts.push(verdict),
                Step::Wait(_) => break,
            }
        }
    }
    assert_eq!(verdicts.len() as u64, count);
    (verdicts, asked)
}

#[test]
fn a_clean_stream_is_clean_from_its_first_frame_to_its_last() {
    let mut guard = Guard::new(CONFIG, faces());
    let (verdicts, asked) = steady(&mut guard, 90, true, |_| Some(Ok(Vec::new())));
    assert!(verdicts.iter().all(|v| *v == Verdict::Clean), "{verdicts:?}");
    assert!((18..=30).contains(&asked.len()), "every fifth frame, or so: {asked:?}");
}

#[test]
fn a_still_picture_is_looked_at_no_more_often_than_it_must_be_and_a_flash_in_it_is_seen() {
    let mut guard = Guard::new(CONFIG, faces());
    let (verdicts, asked) = steady(&mut guard, 90, false, |_| Some(Ok(Vec::new())));
    assert!(verdicts.iter().all(|v| *v == Verdict::Clean), "{verdicts:?}");
    assert!(asked.len() <= 8, "more than once a second and around the flash: {asked:?}");
    assert!(asked.contains(&5), "the flash of one frame is not analysed: {asked:?}");
}

#[test]
fn a_frame_without_promise_is_looked_at_no_more_often_than_it_must_be() {
    let asked = |promising: bool, found: &[Finding]| {
        let mut guard = Guard::new(CONFIG, faces());
        let start = clock::now();
        let mut asked = 0;
        for index in 0..90 {
            guard.push(Frame { promising, ..nth(index, start, grid(100, true)) });
            let now = start + Duration::from_millis(index * 33);
            loop {
                match guard.poll(now) {
                    Step::Analyse { index, .. } => {
                        asked += 1;
                        guard.answer(index, Ok(found.to_vec()), now);
                    }
                    Step::Release { verdict, .. } => {
                        assert!(!matches!(verdict, Verdict::Covered(_)), "{verdict:?}");
                    }
                    Step::Wait(_) => break,
                }
            }
        }
        asked
    };
    let (most, least) = (asked(true, &[]), asked(false, &[]));
    assert!(least < most, "{least} of {most}");
    assert!(least >= 90 / 7, "CONFIG's gap is 200 ms: {least}");
    assert_eq!(asked(false, &[face(400.0)]), 90, "what was found is followed all the same");
}

#[test]
fn a_dead_detector_covers_everything_and_says_why() {
    let mut guard = Guard::new(CONFIG, faces());
    let failed = |_| Some(Err(Failure::Failed("out of order".into())));
    let (verdicts, _) = steady(&mut guard, 30, true, failed);
    assert!(verdicts.iter().all(|v| *v == Verdict::Covered(Reason::Failed)), "{verdicts:?}");

    let mut guard = Guard::new(CONFIG, faces());
    let (verdicts, _) = steady(&mut guard, 30, true, |_| None);
    assert!(verdicts.iter().all(|v| *v == Verdict::Covered(Reason::Late)), "{verdicts:?}");
}

#[test]
fn where_something_is_found_every_frame_is_looked_at() {
    let mut guard = Guard::new(CONFIG, faces());
    let (_, asked) = steady(&mut guard, 90, true, |_| Some(Ok(vec![face(400.0)])));
    assert_eq!(asked.len(), 90);
}

#[test]
fn a_weak_finding_counts_where_the_picture_was_just_replaced() {
    for (change, expected) in [(40, true), (5, false)] {
        let mut guard = Guard::new(CONFIG, faces());
        let now = clock::now();
        for index in 0..9 {
            let mut seen = gate::tests::flat(100);
            seen.change.fill(if index == 6 { change } else { 5 });
            guard.push(nth(index, now, Arc::new(seen)));
            while let Step::Analyse { index, .. } = guard.poll(now) {
                let weak = Finding { score: 0.25, ..face(300.0) };
                guard.answer(index, Ok(if index >= 6 { vec![weak] } else { Vec::new() }), now);
            }
        }
        let mut verdicts = (0..9).map(|i| {
            let Step::Release { verdict, .. } =
                guard.poll(now + DELAY + Duration::from_millis(i * 33))
            else {
                panic!("no release")
            };
            verdict
        });
        assert_eq!(verdicts.any(|verdict| matches!(verdict, Verdict::Regions(_))), expected);
    }
}

#[test]
fn an_object_found_late_is_covered_since_the_frame_before() {
    let mut guard = Guard::new(CONFIG, faces());
    let (verdicts, asked) = steady(&mut guard, 60, true, |i| {
        Some(Ok(if i >= 30 { vec![face(400.0)] } else { Vec::new() }))
    });
    let last_clean = *asked.iter().rfind(|i| **i < 30).unwrap();
    let first_found = *asked.iter().find(|i| **i >= 30).unwrap();
    for index in last_clean + 1..=first_found {
        assert!(matches!(verdicts[index as usize], Verdict::Regions(_)), "frame {index} is shown");
    }
}

#[test]
fn in_instant_mode_what_appears_is_covered_until_somebody_has_looked() {
    let rules = r#"{"classes": {"FACE": {"threshold": 0.3}}, "mode": "instant"}"#;
    let mut guard = Guard::new(CONFIG, policy(rules));
    let start = clock::now();
    let mut shown = |index: u64, pops: bool, answered: &[u64]| {
        let now = start + Duration::from_millis(index * 33);
        let mut grid = gate::tests::flat(100);
        grid.change.fill(5);
        if pops {
            for y in 5..9 {
                grid.change[y * 40 + 10..y * 40 + 14].fill(60);
            }
        }
        for index in answered {
            guard.answer(*index, Ok(Vec::new()), now);
        }
        let (time, cut, hold) = (index as f64 / 30.0, index == 0, Duration::ZERO);
        let grid = Arc::new(grid);
        guard.push(Frame {
            index,
            time,
            due: now,
            hold,
            size: SIZE,
            grid,
            cut,
            moving: true,
            promising: true,
        });
        loop {
            match guard.poll(now) {
                Step::Release { verdict, .. } => return verdict,
                Step::Analyse { .. } => {}
                Step::Wait(_) => panic!("frame {index} is held"),
            }
        }
    };
    assert_eq!(shown(0, false, &[]), Verdict::Covered(Reason::Unseen));
    assert_eq!(shown(1, false, &[0]), Verdict::Clean);
    let Verdict::Regions(news) = shown(2, true, &[1]) else { panic!("shown unseen") };
    let appeared = Rect::new(320.0, 160.0, 128.0, 128.0);
    assert!(news.iter().any(|region| contains(&region.rect, &appeared)), "{news:?}");
    assert!(matches!(shown(3, false, &[]), Verdict::Regions(_)), "nobody has looked yet");
    assert_eq!(shown(4, false, &[2, 3]), Verdict::Clean);
}

#[test]
fn places_are_looked_up_in_their_own_frames_when_the_size_changes_behind_them() {
    let mut guard = Guard::new(CONFIG, faces());
    let now = clock::now();
    for index in 0..4 {
        let mut moved = gate::tests::flat(100);
        moved.change.fill(5);
        // Something is replaced where the face would be, were the picture half as large.
        for y in 12..23 {
            moved.change[y * 40 + 18..y * 40 + 27].fill(if index == 2 { 60 } else { 5 });
        }
        guard.push(nth(index, now, Arc::new(moved)));
    }
    guard.push(Frame { size: (640, 360), ..nth(4, now, grid(9, true)) });
    let mut asked = Vec::new();
    while let Step::Analyse { index, .. } = guard.poll(now) {
        asked.push(index);
        let found = if index == 0 { vec![face(300.0)] } else { Vec::new() };
        guard.answer(index, Ok(found), now);
    }
    for index in 0..4 {
        let at = now + DELAY + Duration::from_millis(index * 33);
        let Step::Release { verdict, .. } = guard.poll(at) else { panic!("no release") };
        assert!(matches!(verdict, Verdict::Regions(_)), "frame {index}: {verdict:?}, {asked:?}");
    }
}

#[test]
fn rules_take_effect_on_frames_already_held() {
    let mut guard = Guard::new(CONFIG, faces());
    let now = clock::now();
    for index in 0..3 {
        guard.push(nth(index, now, grid(9, true)));
        while let Step::Analyse { index, .. } = guard.poll(now) {
            guard.answer(index, Ok(vec![face(10.0)]), now);
        }
    }
    guard.set_policy(policy(r#"{"classes": {"FACE": {"action": "cover"}}}"#));
    let Step::Release { verdict, .. } = guard.poll(now + DELAY) else { panic!("no release") };
    assert_eq!(verdict, Verdict::Covered(Reason::Rule));
    guard.set_policy(policy(r#"{"classes": {"FACE": {"action": "allow"}}}"#));
    let Step::Release { verdict, .. } = guard.poll(now + DELAY * 2) else { panic!("no release") };
    assert_eq!(verdict, Verdict::Clean);
}

#[test]
fn the_rules_decide_what_stands_in_for_a_missing_verdict() {
    for (word, expected) in [
        ("freeze", Verdict::Frozen(Reason::Late)),
        ("pass", Verdict::Passed(Reason::Late)),
        ("cover", Verdict::Covered(Reason::Late)),
    ] {
        let rules = format!(r#"{{"classes": {{"FACE": {{}}}}, "onFailure": "{word}"}}"#);
        let mut guard = Guard::new(CONFIG, policy(&rules));
        let (verdicts, _) = steady(&mut guard, 5, true, |_| None);
        assert_eq!(verdicts, vec![expected; 5]);
    }
}

#[test]
fn no_rules_need_no_detector() {
    let mut guard = Guard::new(CONFIG, policy(r#"{"classes": {}}"#));
    let (verdicts, asked) = steady(&mut guard, 10, true, |_| panic!("nothing to ask"));
    assert!(asked.is_empty());
    assert!(verdicts.iter().all(|v| *v == Verdict::Clean));
}

#[test]
fn frames_that_nobody_looked_at_are_not_shown_once_the_rules_need_a_look() {
    let mut guard = Guard::new(CONFIG, policy(r#"{"classes": {}}"#));
    let now = clock::now();
    for index in 0..3 {
        guard.push(nth(index, now, grid(9, true)));
    }
    let Step::Release { verdict, .. } = guard.poll(now + DELAY) else { panic!("no release") };
    assert_eq!(verdict, Verdict::Clean);
    guard.set_policy(faces());
    let Step::Release { verdict, .. } = guard.poll(now + DELAY * 2) else { panic!("no release") };
    assert_eq!(verdict, Verdict::Covered(Reason::Late));
}

fn words(classes: &str) -> Arc<Policy> {
    policy(&format!(
        r#"{{"classes": {{{classes}}}, "delayMs": 200, "text": {{"enabled": true, "action": "solid"}}}}"#
    ))
}

fn word(class: &str) -> Finding {
    Finding { class: class.into(), score: 1.0, rect: Rect::new(200.0, 200.0, 400.0, 40.0) }
}

#[test]
fn rules_that_want_text_alone_have_frames_looked_at() {
    let mut guard = Guard::new(CONFIG, words(""));
    let (verdicts, asked) = steady(&mut guard, 90, true, |_| Some(Ok(Vec::new())));
    assert!(verdicts.iter().all(|v| *v == Verdict::Clean), "{verdicts:?}");
    assert!((18..=30).contains(&asked.len()), "{asked:?}");

    let mut guard = Guard::new(CONFIG, words(""));
    let (verdicts, _) = steady(&mut guard, 30, true, |_| None);
    assert!(verdicts.iter().all(|v| *v == Verdict::Covered(Reason::Late)), "{verdicts:?}");
}

#[test]
fn a_word_is_covered_with_a_margin_of_its_height_and_worth_no_more_looks() {
    let mut guard = Guard::new(CONFIG, words(""));
    let (verdicts, asked) = steady(&mut guard, 90, true, |_| Some(Ok(vec![word("TEXT")])));
    assert!((18..=30).contains(&asked.len()), "{asked:?}");
    for verdict in verdicts {
        let Verdict::Regions(regions) = verdict else { panic!("{verdict:?}") };
        let found = word("TEXT").rect;
        assert!(regions.iter().any(|r| contains(&r.rect, &found) && r.action == Action::Solid));
        assert!(regions.iter().all(|r| contains(&found.grow(10.0, 10.0), &r.rect)), "{regions:?}");
    }
}

#[test]
fn what_has_been_read_is_shown_at_once_and_a_word_misread_once_is_not() {
    for (class, covered) in [("TEXT_UNREAD", false), ("TEXT", true)] {
        let mut guard = Guard::new(CONFIG, words(""));
        let (mut seen, mut blink) = (0, None);
        let (verdicts, _) = steady(&mut guard, 90, true, |index| {
            seen += 1;
            if seen == 8 {
                blink = Some(index);
            }
            Some(Ok(if seen == 8 { Vec::new() } else { vec![word(class)] }))
        });
        let at = usize::try_from(blink.expect("eight looks")).expect("an index");
        assert_eq!(verdicts[at] != Verdict::Clean, covered, "{class}");
    }
}

#[test]
fn text_that_takes_its_time_does_not_slow_the_detectors_looks() {
    for learned in [true, false] {
        let mut guard = Guard::new(CONFIG, words(r#""FACE": {"threshold": 0.3}"#));
        let start = clock::now();
        let mut asked = Vec::new();
        for index in 0..5 {
            let now = start + Duration::from_millis(33 * index);
            guard.push(nth(index, start, grid(100, true)));
            while let Step::Analyse { index, .. } = guard.poll(now) {
                asked.push(index);
                if learned {
                    guard.detected(index, &Ok(Vec::new()), now + Duration::from_millis(15));
                }
            }
        }
        // A new stream is looked at closely, if nothing is outstanding; else as often as it must.
        assert_eq!(asked, if learned { vec![0, 1, 2] } else { vec![0, 4] });
    }
}

#[test]
fn a_new_rule_for_text_takes_back_what_was_seen_without_it() {
    let mut guard = Guard::new(CONFIG, faces());
    let now = clock::now();
    guard.push(nth(0, now, grid(100, true)));
    assert!(matches!(guard.poll(now), Step::Analyse { index: 0, .. }));
    guard.answer(0, Ok(Vec::new()), now);
    guard.set_policy(words(""));
    let step = guard.poll(now + DELAY);
    assert!(
        matches!(step, Step::Release { verdict: Verdict::Covered(Reason::Late), .. }),
        "{step:?}"
    );
}
