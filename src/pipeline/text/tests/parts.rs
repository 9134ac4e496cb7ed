//! The parts of the lane on their own.

use proptest::prelude::*;

use super::super::areas::{Near, areas, fitted, patches, whole};
use super::super::cells::Cells;
use super::super::geometry::{bounds, part, shifted};
use super::super::motion::Field;
use super::super::print::Print;
use super::super::sheet::Sheet;
use super::super::template::slide;
use super::{HEIGHT, WIDTH, Words, World, quad, words, world};
use crate::media::{Plane, Rect};

fn sheet(world: &World, seed: u64) -> Sheet {
    Sheet::of(world.draw(seed).planes()[0])
}

fn flat(value: u8) -> Sheet {
    let data = vec![value; 640 * 360];
    Sheet::of(Plane { data: &data, stride: 640, width: 640, height: 360 })
}

#[test]
fn a_pan_is_explained_but_for_what_comes_in() {
    let before = sheet(&World { noise: 2, ..World::default() }, 1);
    for pan in [(3, 0), (-7, 2), (40, -13), (70, 20)] {
        let now = sheet(&World { pan, noise: 2, ..World::default() }, 2);
        let field = Field::between(&now, &before, None);
        assert_eq!(field.common, pan);
        let (left, right) = ((-pan.0).max(0) as usize, (pan.0).max(0) as usize);
        let (top, bottom) = ((-pan.1).max(0) as usize, (pan.1).max(0) as usize);
        for (i, new) in field.new.iter().enumerate() {
            let (x, y) = (i % field.columns * 8, i / field.columns * 8);
            let inner = x >= left
                && x + 8 <= WIDTH as usize - right
                && y >= top
                && y + 8 <= HEIGHT as usize - bottom;
            assert!(!(inner && *new), "{pan:?}: cell at {x}, {y}");
        }
    }
}

#[test]
fn what_appears_is_new_and_only_that() {
    let before = sheet(&world(&[]), 1);
    let line = words("hello", 200.0, 100.0);
    let now = sheet(&world(std::slice::from_ref(&line)), 2);
    let field = Field::between(&now, &before, None);
    let plate = line.rect().grow(12.0, 12.0);
    for (i, new) in field.new.iter().enumerate() {
        let cell = now.cell(i % field.columns, i / field.columns);
        let inside = cell.intersect(&line.rect()).area() >= 0.9 * cell.area();
        assert!(*new || !inside, "{cell:?} is new");
        assert!(!new || cell.intersect(&plate).area() > 0.0, "{cell:?} is not");
    }
}

#[test]
fn sheets_of_two_sizes_have_nothing_in_common() {
    let small = vec![100; 320 * 180];
    let small = Sheet::of(Plane { data: &small, stride: 320, width: 320, height: 180 });
    assert!(Field::between(&flat(100), &small, None).new.iter().all(|new| *new));
}

#[test]
fn a_template_is_found_where_it_went() {
    let line = words("so it is", 100.0, 100.0);
    let before = sheet(&world(std::slice::from_ref(&line)), 1);
    for (dx, dy) in [(0.0, 0.0), (5.0, -3.0), (52.0, 11.0)] {
        let moved = Words { x: line.x + dx, y: line.y + dy, ..line.clone() };
        let now = sheet(&world(&[moved]), 2);
        let slide = slide(&now, &before, &line.rect(), &[(0.0, 0.0)], true);
        assert!(slide.sure, "{slide:?}");
        assert!((slide.by.0 - dx).abs() < 0.6 && (slide.by.1 - dy).abs() < 0.6, "{slide:?}");
    }
}

#[test]
fn flat_and_striped_pictures_hold_no_text() {
    assert!(patches(&Cells::unknown(&flat(90), 0.0), &flat(90)).is_empty());
    let stripes: Vec<u8> =
        (0..640 * 360).map(|i| if i % 640 / 10 % 2 == 0 { 30 } else { 220 }).collect();
    let stripes = Sheet::of(Plane { data: &stripes, stride: 640, width: 640, height: 360 });
    assert!(patches(&Cells::unknown(&stripes, 0.0), &stripes).is_empty());
}

#[test]
fn what_comes_in_is_searched_once_some_of_it_may_be_a_word_and_the_whole_side_with_it() {
    let dots = |pan| sheet(&World { pan, dots: true, ..World::default() }, 0);
    for (dx, dy) in [(1, 0), (-3, 0), (0, 2), (0, -1), (2, 1)] {
        let mut before = dots((0, 0));
        let mut cells = Cells::unknown(&before, 0.0);
        cells.search(&before, &whole(&before), 0.0);
        // Looks until what came in is 8 samples wide, or 4 high.
        let soonest = |by: i32, least: u32| (by != 0).then(|| least.div_ceil(by.unsigned_abs()));
        let soonest = soonest(dx, 8).into_iter().chain(soonest(dy, 4)).min().unwrap();
        let (mut waited, mut searches) = (0, 0);
        for look in 1..=24 {
            let now = dots((look * dx, look * dy));
            let field = Field::between(&now, &before, None);
            cells.follow(&now, &field, f64::from(look));
            waited += 1;
            if !patches(&cells, &now).is_empty() {
                searches += 1;
                assert!(waited >= soonest, "{waited} looks at {dx}, {dy}: that is no word");
                cells.search(&now, &whole(&now), f64::from(look));
                waited = 0;
            }
            assert!(waited < 2 * soonest, "{waited} looks at {dx}, {dy} and no search");
            before = now;
        }
        assert!(searches >= 24 / (2 * soonest), "{searches} at {dx}, {dy}");
    }
}

#[test]
fn a_line_that_may_go_on_is_searched_whole_and_one_beside_what_is_new_is_not() {
    let sheet = sheet(&World { noise: 60, ..World::default() }, 1);
    let line = Rect::new(200.0, 100.0, 300.0, 24.0);
    let held = |open: Rect, known| {
        let mut cells = Cells::unknown(&sheet, 0.0);
        cells.close(&sheet, &whole(&sheet), 0.0);
        cells.open(&sheet, &open);
        let areas = areas(&cells, &sheet, &[Near { rect: line, known }], 1.0);
        areas.iter().any(|area| area.rect.intersect(&line).area() >= line.area())
    };
    let (end, column) = (Rect::new(504.0, 96.0, 40.0, 32.0), Rect::new(504.0, 0.0, 16.0, 360.0));
    let below = Rect::new(240.0, 136.0, 160.0, 16.0);
    assert!(held(end, true) && held(end, false));
    assert!(!held(column, true) && held(column, false));
    assert!(!held(below, true) && held(below, false));
}

#[test]
fn a_print_knows_its_text_again_and_no_other() {
    let line = |text, x: f32| words(text, x, 100.0);
    let print = |world: &World, seed, rect: &Rect| {
        Print::of(world.draw(seed).planes()[0], &quad(rect)).expect("within the picture")
    };
    let scene = |words: Words| World { noise: 4, ..world(&[words]) };
    let rect = line("oh crab no", 100.0).rect();
    let taken = print(&scene(line("oh crab no", 100.0)), 1, &rect);
    let same = |words: Words, seed| {
        let picture = scene(words).draw(seed);
        taken.compare(picture.planes()[0], &quad(&rect)).expect("within the picture").is_same()
    };
    assert!(same(line("oh crab no", 100.0), 2));
    assert!(same(line("oh crab no", 101.0), 3), "half a cell beside");
    assert!(!same(line("oh crap no", 100.0), 4), "a letter changed");
    assert!(!same(line("so it is o", 100.0), 5));
    let outside = taken.compare(world(&[]).draw(6).planes()[0], &quad(&rect.shift(2e3, 0.0)));
    assert_eq!(outside, None);
}

#[test]
fn parts_and_shifts_follow_the_line() {
    let line = quad(&Rect::new(10.0, 20.0, 100.0, 10.0));
    assert_eq!(bounds(&part(&line, 0.25, 0.5)), Rect::new(35.0, 20.0, 25.0, 10.0));
    assert_eq!(bounds(&shifted(&line, 3.0, -2.0)), Rect::new(13.0, 18.0, 100.0, 10.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However many cells are open and wherever lines are: few areas, within the picture, that
    /// together hold every patch that is large enough to be a word.
    #[test]
    fn areas_hold_all_that_is_open(
        boxes in prop::collection::vec((0.0_f32..640.0, 0.0_f32..360.0, 4.0_f32..200.0, 4.0_f32..80.0), 0..12),
        lines in prop::collection::vec((0.0_f32..640.0, 0.0_f32..360.0, 20.0_f32..300.0, 8.0_f32..40.0), 0..8),
        known in any::<bool>(),
    ) {
        let rects = |all: Vec<(f32, f32, f32, f32)>| -> Vec<Rect> {
            all.into_iter().map(|(x, y, w, h)| Rect::new(x, y, w, h)).collect()
        };
        // Everything could be text; what is closed again is the rest.
        let sheet = sheet(&World { noise: 60, ..World::default() }, 1);
        let mut cells = Cells::unknown(&sheet, 0.0);
        cells.close(&sheet, &whole(&sheet), 0.0);
        for open in rects(boxes) {
            cells.open(&sheet, &open);
        }
        let lines: Vec<Near> = rects(lines).into_iter().map(|rect| Near { rect, known }).collect();
        let found = areas(&cells, &sheet, &lines, 1.0);
        prop_assert!(found.len() <= 4);
        for area in &found {
            prop_assert!(area.rect.x >= 0.0 && area.rect.y >= 0.0);
            prop_assert!(area.rect.right() <= 640.01 && area.rect.bottom() <= 360.01);
        }
        for patch in patches(&cells, &sheet) {
            let held = found.iter().any(|a| a.rect.intersect(&patch).area() >= 0.999 * patch.area());
            prop_assert!(held, "{patch:?} in {found:?}");
        }
    }

    /// What the model is handed holds what was asked for, and no more than the picture.
    #[test]
    fn a_fitted_area_holds_the_wanted_one(
        x in 0.0_f32..1280.0, y in 0.0_f32..720.0, w in 1.0_f32..1280.0, h in 1.0_f32..720.0,
    ) {
        let picture = Rect::new(0.0, 0.0, 1280.0, 720.0);
        let wanted = Rect::new(x, y, w, h).intersect(&picture);
        let fitted = fitted(&wanted, &picture, 0.5);
        prop_assert!(fitted.intersect(&wanted).area() >= 0.999 * wanted.area());
        prop_assert!(fitted.intersect(&picture).area() >= 0.999 * fitted.area());
    }
}
