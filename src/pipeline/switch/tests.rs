use proptest::prelude::*;

use super::*;
use crate::media::clock;

/// One turn of the source's camera, and what happens to its frame on the way.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Since the frame before, in milliseconds.
    step: u64,
    /// A keyframe that nobody asked for: a new size, a group's end.
    key: bool,
    /// Lost on the network.
    lost: bool,
    /// The decoder refuses it.
    refused: bool,
    /// Parameter sets alone come before it.
    headers: bool,
    /// It holds more than a picture.
    odd: bool,
    covered: bool,
    wish: bool,
    /// The publisher's queue is full.
    full: bool,
}

const CALM: Turn = Turn {
    step: 33,
    key: false,
    lost: false,
    refused: false,
    headers: false,
    odd: false,
    covered: false,
    wish: false,
    full: false,
};

fn turn() -> impl Strategy<Value = Turn> {
    let rare = || prop::bool::weighted(0.03);
    (
        (1_u64..120, prop::bool::weighted(0.05), prop::bool::weighted(0.15)),
        (rare(), rare(), rare(), rare(), rare(), rare()),
    )
        .prop_map(|((step, key, covered), (lost, refused, headers, odd, wish, full))| Turn {
            step,
            key,
            lost,
            refused,
            headers,
            odd,
            covered,
            wish,
            full,
        })
}

/// Covered stretches of random length among random trouble.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let stretch = (any::<bool>(), prop::collection::vec(turn(), 1..25));
    prop::collection::vec(stretch, 1..25).prop_map(|stretches| {
        let cover = |(covered, turns): (bool, Vec<Turn>)| {
            turns.into_iter().map(move |turn| Turn { covered: turn.covered && covered, ..turn })
        };
        stretches.into_iter().flat_map(cover).collect()
    })
}

/// A picture as a decoder at the other end may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    /// What the source's own bytes of this frame gave.
    Source(usize),
    /// What the encoder's frame of this number gave.
    Encoded(usize),
}

/// A source, a decoder in front of the switch and a viewer behind it, all of them modelled by what
/// each frame refers to.
struct World {
    switch: Switch,
    now: Instant,
    linger: Duration,
    /// After how many frames a request is answered; `None`: never.
    answer: Option<usize>,
    key_at: Option<usize>,
    /// The last frame whose picture the decoder in front holds; `None` after a loss.
    decoded: Option<usize>,
    /// The last released frame; `None` when something was withheld since.
    released: Option<usize>,
    count: usize,
    encoded: usize,
    viewer: Held,
    forwarding: bool,
    wish: bool,
    keyframe: Option<Instant>,
    /// Requests, with what happened since: a keyframe, something covered.
    asked: Option<(Instant, bool, bool)>,
    asks: usize,
    forwarded: usize,
}

impl World {
    fn new(linger: Duration, answer: Option<usize>) -> Self {
        Self {
            switch: Switch::new(Config { linger }),
            now: clock::now(),
            linger,
            answer,
            key_at: Some(0),
            decoded: None,
            released: None,
            count: 0,
            encoded: 0,
            viewer: Held::Nothing,
            forwarding: false,
            wish: false,
            keyframe: None,
            asked: None,
            asks: 0,
            forwarded: 0,
        }
    }

    fn ask_source(&mut self) {
        if let Some(frames) = self.answer {
            let at = self.count + frames - 1;
            self.key_at = Some(self.key_at.map_or(at, |already| already.min(at)));
        }
    }

    /// The source's next frame, through to the viewer.
    fn turn(&mut self, turn: Turn) {
        self.now += Duration::from_millis(turn.step);
        let index = self.count;
        self.count += 1;
        let answers = self.key_at.is_some_and(|at| at <= index);
        if answers {
            self.key_at = None;
        }
        let key = turn.key || answers;
        if turn.wish {
            self.switch.wish();
            self.wish = true;
        }
        if turn.lost {
            (self.decoded, self.released) = (None, None);
            return;
        }
        if turn.headers {
            self.released = None;
        }
        let decodable = key || (index > 0 && self.decoded == Some(index - 1));
        if !decodable || turn.refused {
            (self.decoded, self.released) = (None, None);
            self.ask_source();
            return;
        }
        let linked = index > 0 && self.released == Some(index - 1);
        (self.decoded, self.released) = (Some(index), Some(index));
        let link = Link { linked, key, forwardable: !turn.odd };
        self.release(index, Frame { link, untouched: !turn.covered }, turn.full);
    }

    fn release(&mut self, index: usize, frame: Frame, full: bool) {
        let Step { way, ask } = self.switch.next(frame, self.now);
        if let Some((_, answered, covered)) = &mut self.asked {
            *answered |= frame.link.key;
            *covered |= !frame.untouched;
        }
        if ask {
            self.check_ask();
            self.ask_source();
        }
        let (refers_to, gives, is_key) = match way {
            Way::Forward => {
                assert!(frame.untouched, "a covered frame was forwarded");
                assert!(frame.link.forwardable);
                assert!(self.switch.is_forwarding());
                self.asked = None;
                self.forwarded += 1;
                let before = index.checked_sub(1).map_or(Held::Nothing, Held::Source);
                (before, Held::Source(index), frame.link.key)
            }
            Way::Encode { keyframe } => {
                assert!(keyframe || !self.forwarding, "encoding began without a keyframe");
                let before = Held::Encoded(self.encoded);
                self.encoded += 1;
                (before, Held::Encoded(self.encoded), keyframe)
            }
        };
        self.forwarding = way == Way::Forward;
        let spaced = self.keyframe.is_none_or(|at| self.now - at >= WISH_GAP);
        assert!(is_key || !(self.wish && spaced), "a viewer's wish was not met");
        if is_key {
            (self.wish, self.keyframe) = (false, Some(self.now));
        }
        if full {
            self.switch.lost();
            return;
        }
        assert!(is_key || self.viewer == refers_to, "{:?} is not {refers_to:?}", self.viewer);
        self.viewer = gives;
    }

    /// One request a splice: another only when the first stayed unanswered for long, or its answer
    /// came too late because something was covered again.
    fn check_ask(&mut self) {
        self.asks += 1;
        if let Some((at, answered, covered)) = self.asked {
            assert!(self.now - at >= PATIENCE || (answered && covered), "asked again too soon");
        }
        self.asked = Some((self.now, false, false));
    }
}

fn lingers() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 100, 2000]).prop_map(Duration::from_millis)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_viewer_can_decode_all_and_sees_no_covered_frame(
        turns in turns(), linger in lingers(), answer in prop::option::of(1_usize..12),
    ) {
        let mut world = World::new(linger, answer);
        for turn in turns {
            world.turn(turn);
        }
    }

    #[test]
    fn with_a_source_that_answers_forwarding_begins_again_when_trouble_is_over(
        turns in turns(), linger in lingers(), answer in 1_usize..12,
    ) {
        let mut world = World::new(linger, Some(answer));
        for turn in turns {
            world.turn(turn);
        }
        // The first frame may meet a decoder that lacks a keyframe and have to ask for one; an
        // unanswered request from before may have to time out; a wish that came too soon after a
        // keyframe may end the forwarding once more.
        let patience = world.asked.map_or(Duration::ZERO, |_| PATIENCE_MAX);
        let end = world.now + world.linger + patience + WISH_GAP + CALM_STEP * (2 * answer as u32 + 4);
        while world.now < end {
            world.turn(CALM);
        }
        prop_assert!(world.forwarding);
    }
}

const CALM_STEP: Duration = Duration::from_millis(CALM.step);

fn calm(world: &mut World, frames: usize) {
    for _ in 0..frames {
        world.turn(CALM);
    }
}

#[test]
fn a_clean_stream_is_forwarded_from_its_first_frame_and_asks_for_nothing() {
    let mut world = World::new(LINGER, None);
    calm(&mut world, 300);
    assert_eq!((world.forwarded, world.asks), (300, 0));
}

#[test]
fn after_a_cover_the_source_is_asked_once_and_forwarded_at_its_keyframe() {
    let mut world = World::new(LINGER, Some(3));
    calm(&mut world, 10);
    world.turn(Turn { covered: true, ..CALM });
    let lingering = LINGER.as_millis() as usize / CALM.step as usize;
    calm(&mut world, lingering);
    assert_eq!((world.forwarded, world.asks), (10, 0), "nothing is asked before it is of use");
    calm(&mut world, 1);
    assert_eq!(world.asks, 1);
    calm(&mut world, 3);
    assert!(world.forwarding);
    assert_eq!((world.asks, world.viewer), (1, Held::Source(world.count - 1)));
}

#[test]
fn a_viewers_wish_is_met_at_once_and_costs_no_linger() {
    let mut world = World::new(LINGER, Some(3));
    calm(&mut world, 30);
    world.turn(Turn { wish: true, ..CALM });
    assert_eq!((world.forwarding, world.asks, world.encoded), (false, 1, 1));
    calm(&mut world, 3);
    assert!(world.forwarding);
    // A keyframe of the source that comes just then is as good.
    calm(&mut world, 30);
    world.turn(Turn { wish: true, key: true, ..CALM });
    assert!(world.forwarding);
}

#[test]
fn a_silent_source_is_asked_ever_more_rarely() {
    let mut world = World::new(Duration::ZERO, None);
    calm(&mut world, 10);
    world.turn(Turn { covered: true, ..CALM });
    assert_eq!(world.asks, 1);
    let mut asked = Vec::new();
    let start = world.now;
    while world.now - start < Duration::from_secs(300) {
        let asks = world.asks;
        world.turn(CALM);
        if world.asks > asks {
            asked.push((world.now - start).as_secs());
        }
    }
    assert_eq!(asked, [5, 15, 35, 75, 135, 195, 255]);
    assert!(!world.forwarding);
}

#[test]
fn a_source_that_cannot_be_forwarded_is_never_asked() {
    let mut world = World::new(Duration::ZERO, None);
    for _ in 0..600 {
        world.turn(Turn { odd: true, ..CALM });
    }
    assert_eq!((world.asks, world.forwarded), (0, 0));
}
