//! Text beside regions, with scripted models: whatever happens to one, the other does not notice.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::detect::tests::{Act, Actor, PATIENCE, Script, ask, config, hold, result};
use crate::detect::{Config, Detector, Error, Health, Model, Models, Opened, Service};
use crate::media::clock;

impl Model<Find> for Script {
    fn name(&self) -> &str {
        Model::<crate::detect::Regions>::name(self)
    }

    fn bucket(&self, area: &Area) -> u32 {
        area.rect.w as u32
    }

    fn open(&self) -> Result<Opened<Find>, Error> {
        Ok(self.opened())
    }
}

impl Detector<Find> for Actor {
    fn detect(&mut self, areas: &[Area]) -> Result<Vec<Vec<Line>>, Error> {
        self.act(areas.len())?;
        let line = |area: &Area| vec![Line { quad: Quad::from(area.rect), score: 0.9 }];
        Ok(areas.iter().map(line).collect())
    }
}

impl Model<Read> for Script {
    fn name(&self) -> &str {
        Model::<crate::detect::Regions>::name(self)
    }

    fn bucket(&self, crop: &Crop) -> u32 {
        crop.quad.size().0 as u32
    }

    fn open(&self) -> Result<Opened<Read>, Error> {
        Ok(self.opened())
    }
}

impl Detector<Read> for Actor {
    fn detect(&mut self, crops: &[Crop]) -> Result<Vec<Reading>, Error> {
        self.act(crops.len())?;
        let glyph = Glyph { character: 'x', score: 0.8, start: 0.0, end: 1.0 };
        Ok(crops.iter().map(|_| Reading { glyphs: vec![glyph], score: 0.8 }).collect())
    }
}

/// A service that finds and reads as the scripts say, and regions as they come.
fn start(
    config: &Config,
    find: impl IntoIterator<Item = Act>,
    read: impl IntoIterator<Item = Act>,
) -> Service {
    let text = (Script::new("lines", find), Script::new("glyphs", read));
    let regions: Arc<dyn Model> = Script::new("faces", []);
    let models = Models { regions: vec![regions], text: Some((text.0, text.1)) };
    Service::start_models(&Config { text_workers: 1, ..config.clone() }, models, |_| {}).unwrap()
}

fn find_in(service: &Service, area: Rect, scale: f32) -> Receiver<Result<Vec<Line>, Failure>> {
    let (answers, answered) = channel();
    service.reader().unwrap().find(FindRequest {
        stream: 1,
        picture: Arc::new(Picture::filled(64, 32, [16, 128, 128])),
        area,
        scale,
        deadline: clock::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered
}

fn find(service: &Service) -> Receiver<Result<Vec<Line>, Failure>> {
    find_in(service, Rect::new(0.0, 0.0, 64.0, 32.0), 1.0)
}

fn read_at(service: &Service, quad: Quad) -> Result<Reading, Failure> {
    let (answers, answered) = channel();
    service.reader().unwrap().read(ReadRequest {
        stream: 1,
        picture: Arc::new(Picture::filled(64, 32, [16, 128, 128])),
        quad,
        deadline: clock::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered.recv_timeout(PATIENCE).unwrap()
}

fn read(service: &Service) -> Result<Reading, Failure> {
    read_at(service, Quad::from(Rect::new(4.0, 4.0, 40.0, 12.0)))
}

fn answer<T>(answered: &Receiver<T>) -> T {
    answered.recv_timeout(PATIENCE).expect("an answer")
}

fn health(service: &Service) -> Vec<(String, Role, Health)> {
    service.status().into_iter().map(|status| (status.name, status.role, status.health)).collect()
}

#[test]
fn lines_are_found_and_read_and_the_status_names_both_models() {
    let service = start(&config(), [], []);
    let lines = answer(&find(&service)).unwrap();
    assert_eq!(lines[0].quad, Quad::from(Rect::new(0.0, 0.0, 64.0, 32.0)));
    assert_eq!(read_at(&service, lines[0].quad).unwrap().text(), "x");
    let names = health(&service);
    let expected = [
        ("faces".to_owned(), Role::Regions, Health::Up),
        ("lines".to_owned(), Role::Lines, Health::Up),
        ("glyphs".to_owned(), Role::Glyphs, Health::Up),
    ];
    assert_eq!(names, expected);
    assert_eq!(service.classes(), ["faces".into()], "text has no classes");
    assert!(service.stop(clock::now() + PATIENCE).is_empty());
    assert_eq!(answer(&find(&service)), Err(Failure::Closed));
}

#[test]
fn without_text_models_there_is_no_reader() {
    let regions: Arc<dyn Model> = Script::new("faces", []);
    let service = Service::start_with(&config(), vec![regions], |_| {}).unwrap();
    assert!(service.reader().is_none());
}

#[test]
fn failing_text_opens_its_own_breaker_and_regions_go_on() {
    let acts = [Act::Fail, Act::Panic, Act::Fail, Act::Panic, Act::Fail];
    let service = start(&config(), acts, []);
    for _ in 0..3 {
        assert!(matches!(answer(&find(&service)), Err(Failure::Failed(_))));
    }
    assert_eq!(answer(&find(&service)), Err(Failure::BreakerOpen));
    assert!(read(&service).is_ok(), "the reader has a breaker of its own");
    assert!(result(&ask(&service)).is_ok());
    let states: Vec<Health> = health(&service).into_iter().map(|(_, _, health)| health).collect();
    assert_eq!(states, [Health::Up, Health::Open, Health::Up]);
    assert_eq!(service.answer_time().samples, 1, "text's answers are no frames' answers");
}

#[test]
fn stuck_text_is_given_up_while_regions_are_answered() {
    let (held, running, go) = hold();
    let limit = Duration::from_millis(40);
    let service = start(&Config { limit, ..config() }, [held], []);
    let stuck = find(&service);
    answer(&running);
    assert!(result(&ask(&service)).is_ok() && read(&service).is_ok());
    assert_eq!(answer(&stuck), Err(Failure::TimedOut));
    assert!(answer(&find(&service)).is_ok(), "by a fresh worker");
    let abandoned: Vec<usize> = service.status().iter().map(|status| status.abandoned).collect();
    assert_eq!(abandoned, [0, 1, 0]);
    go.send(()).unwrap();
}

#[test]
fn text_that_overflows_its_queue_sheds_its_own() {
    let (held, running, go) = hold();
    let service = start(&Config { queue: 4, ..config() }, [held], []);
    let first = find(&service);
    answer(&running);
    let waiting: Vec<_> = (0..9).map(|_| find(&service)).collect();
    for _ in 0..9 {
        assert!(result(&ask(&service)).is_ok());
    }
    go.send(()).unwrap();
    assert!(answer(&first).is_ok());
    let answers: Vec<_> = waiting.iter().map(answer).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(Failure::Shed)).count(), 5);
    let starved: Vec<u64> = service.status().iter().map(|status| status.counts.starved).collect();
    assert_eq!(starved, [0, 5, 0]);
}

#[test]
fn what_cannot_be_asked_is_answered_at_once() {
    let service = start(&config(), [], []);
    let nowhere = Rect::new(64.0, 0.0, 10.0, 10.0);
    assert_eq!(answer(&find_in(&service, nowhere, 1.0)), Ok(Vec::new()), "no pixel to look at");
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let failed = answer(&find_in(&service, Rect::new(0.0, 0.0, 64.0, 32.0), scale));
        assert!(matches!(failed, Err(Failure::Failed(text)) if text.contains("scale")), "{scale}");
    }
    let flat = Quad::from(Rect::new(4.0, 4.0, 40.0, 0.0));
    assert!(matches!(read_at(&service, flat), Err(Failure::Failed(_))));
    assert_eq!(service.status()[1].counts.runs + service.status()[2].counts.runs, 0);
}
