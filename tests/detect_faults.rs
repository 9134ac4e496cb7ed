//! The real models behind the real service, made to stall, panic and fail.
//!
//! `SCRIM_ONNXRUNTIME` and `SCRIM_MODELS` say where the library and the model lie (default as
//! in the product). One test: the faults hit every detector of the process.

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]
#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use scrim::detect::hooks::{self, Fault, Target};
use scrim::detect::text::{FindRequest, Line};
use scrim::detect::{Answer, Config, Event, Failure, Health, Manifest, Need, Request, Service};
use scrim::media::{Picture, Rect};

const PATIENCE: Duration = Duration::from_secs(30);

fn ask(service: &Service) -> Receiver<Answer> {
    let (answers, answered) = channel();
    service.submit(Request {
        stream: 1,
        picture: Arc::new(Picture::filled(640, 360, [100, 128, 128])),
        deadline: Instant::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered
}

fn find(service: &Service) -> Receiver<Result<Vec<Line>, Failure>> {
    let (answers, answered) = channel();
    service.reader().unwrap().find(FindRequest {
        stream: 1,
        picture: Arc::new(Picture::filled(320, 192, [100, 128, 128])),
        area: Rect::new(0.0, 0.0, 320.0, 192.0),
        scale: 1.0,
        deadline: Instant::now() + PATIENCE,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered
}

#[test]
fn the_real_detector_survives_a_stall_a_panic_and_failures() {
    let mut config =
        Config { workers: 1, text_workers: 1, limit: Duration::from_secs(1), ..Config::default() };
    if let Some(path) = std::env::var_os("SCRIM_ONNXRUNTIME") {
        config.onnxruntime = path.into();
    }
    if let Some(path) = std::env::var_os("SCRIM_MODELS") {
        config.models_dir = path.into();
    }
    let (events, seen) = channel();
    let models = Manifest::builtin().unwrap().models;
    let service = Service::start(&config, &models, move |event| events.send(event).unwrap());
    let service = service.unwrap_or_else(|error| panic!("{error}"));
    let answer = || ask(&service).recv_timeout(PATIENCE).unwrap().result;
    assert_eq!(answer(), Ok(Vec::new()), "nothing is found on grey");
    assert_eq!(service.classes().len(), 18);
    assert_eq!(service.status()[0].provider, "cpu");

    hooks::inject_into(Target::Text, Fault::Stall(PATIENCE), 1);
    let stuck = find(&service);
    assert_eq!(answer(), Ok(Vec::new()), "while text is stuck");
    assert_eq!(stuck.recv_timeout(PATIENCE).unwrap(), Err(Failure::TimedOut));
    hooks::clear();
    assert_eq!(find(&service).recv_timeout(PATIENCE).unwrap(), Ok(Vec::new()), "no text on grey");
    assert_eq!((service.status()[0].abandoned, service.status()[0].health), (0, Health::Up));

    hooks::inject(Fault::Stall(PATIENCE), 1);
    assert_eq!(answer(), Err(Failure::TimedOut));
    assert_eq!(answer(), Ok(Vec::new()), "by a fresh worker");
    assert_eq!(service.status()[0].abandoned, 1);
    hooks::clear();

    hooks::inject(Fault::Panic, 2);
    assert!(matches!(answer(), Err(Failure::Failed(text)) if text.starts_with("panic")));
    assert_eq!(answer(), Ok(Vec::new()));

    hooks::inject(Fault::Fail, 1);
    assert_eq!(answer(), Ok(Vec::new()), "at the second try");

    hooks::inject(Fault::Fail, u32::MAX);
    while service.status()[0].health != Health::Open {
        assert!(answer().is_err());
    }
    hooks::clear();
    assert_eq!(answer(), Err(Failure::BreakerOpen));
    assert!(service.stop(Instant::now() + PATIENCE).is_empty());
    drop(service);
    let seen: Vec<Event> = seen.iter().collect();
    assert!(matches!(seen.last(), Some(Event::Degraded { health: Health::Open, .. })), "{seen:?}");
    assert!(seen.iter().any(|event| matches!(event, Event::Recovered { .. })), "{seen:?}");
}
