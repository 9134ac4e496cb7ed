//! The service with scripted detectors: what callers are promised when a model misbehaves.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::media::clock;

mod cards;

/// Longer than anything here takes; a test that waits so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What a scripted detector does with one run.
pub(super) enum Act {
    /// Finds one thing, named after the model.
    Find,
    Fail,
    Panic,
    /// Says that it is running, then waits until it is let go.
    Hold(Sender<()>, Receiver<()>),
}

pub(super) struct Script {
    name: &'static str,
    batches: bool,
    acts: Arc<Mutex<VecDeque<Act>>>,
    /// How many pictures each run had; the end of the list is the last run.
    runs: Arc<Mutex<Vec<usize>>>,
    opened: Arc<Mutex<usize>>,
}

impl Script {
    pub(super) fn new(name: &'static str, acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self {
            name,
            batches: false,
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            runs: Arc::default(),
            opened: Arc::default(),
        })
    }
}

pub(super) struct Actor {
    class: Arc<str>,
    acts: Arc<Mutex<VecDeque<Act>>>,
    runs: Arc<Mutex<Vec<usize>>>,
}

impl Script {
    /// An instance, whatever it is asked for.
    pub(super) fn opened<T: Task>(&self) -> Opened<T>
    where
        Actor: Detector<T>,
    {
        *self.opened.lock().unwrap() += 1;
        let class: Arc<str> = self.name.into();
        let actor =
            Actor { class: class.clone(), acts: self.acts.clone(), runs: self.runs.clone() };
        Opened {
            detector: Box::new(actor),
            provider: "script".into(),
            fallback: None,
            batches: self.batches,
            classes: vec![class],
        }
    }
}

impl Actor {
    /// What the script says about a run of `count`.
    pub(super) fn act(&self, count: usize) -> Result<(), Error> {
        self.runs.lock().unwrap().push(count);
        let act = self.acts.lock().unwrap().pop_front();
        match act.unwrap_or(Act::Find) {
            Act::Find => {}
            Act::Fail => return Err(Error::new("as the script says")),
            Act::Panic => panic!("as the script says"),
            Act::Hold(running, go) => {
                running.send(()).unwrap();
                go.recv_timeout(PATIENCE).unwrap();
            }
        }
        Ok(())
    }
}

impl Model for Script {
    fn name(&self) -> &str {
        self.name
    }

    fn bucket(&self, picture: &Arc<Picture>) -> u32 {
        picture.width()
    }

    fn open(&self) -> Result<Opened, Error> {
        Ok(self.opened())
    }
}

impl Detector for Actor {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        self.act(pictures.len())?;
        let rect = Rect::new(1.0, 2.0, 3.0, 4.0);
        let finding = || Finding { class: self.class.clone(), score: 0.5, rect };
        Ok(pictures.iter().map(|_| vec![finding()]).collect())
    }
}

pub(super) fn config() -> Config {
    Config { workers: 1, limit: PATIENCE, ..Config::default() }
}

fn start(config: &Config, model: &Arc<Script>) -> (Service, Receiver<Event>) {
    let (events, seen) = channel();
    let models: Vec<Arc<dyn Model>> = vec![model.clone()];
    let service = Service::start_with(config, models, move |event| {
        let _ = events.send(event);
    });
    (service.unwrap(), seen)
}

pub(super) fn ask_within(service: &Service, time: Duration) -> Receiver<Answer> {
    let (answers, answered) = channel();
    service.submit(Request {
        stream: 1,
        picture: Arc::new(Picture::filled(32, 32, [16, 128, 128])),
        deadline: clock::now() + time,
        need: Need::Required,
        reply: Box::new(move |answer| answers.send(answer).unwrap()),
    });
    answered
}

pub(super) fn ask(service: &Service) -> Receiver<Answer> {
    ask_within(service, PATIENCE)
}

pub(super) fn result(answered: &Receiver<Answer>) -> Result<Vec<Finding>, Failure> {
    let result = answered.recv_timeout(PATIENCE).expect("an answer").result;
    assert!(answered.try_recv().is_err(), "one answer only");
    result
}

pub(super) fn hold() -> (Act, Receiver<()>, Sender<()>) {
    let ((running, runs), (go, gone)) = (channel(), channel());
    (Act::Hold(running, gone), runs, go)
}

fn health(service: &Service) -> Health {
    service.status()[0].health
}

#[test]
fn findings_come_back_and_the_status_says_who_found_them() {
    let model = Script::new("faces", []);
    let (service, _events) = start(&Config { workers: 3, ..config() }, &model);
    assert_eq!(&*result(&ask(&service)).unwrap()[0].class, "faces");
    assert_eq!(service.classes(), ["faces".into()]);
    let status = service.status().remove(0);
    assert_eq!((status.provider.as_str(), status.workers), ("script", 3));
    assert_eq!((status.counts.answered, status.health), (1, Health::Up));
    assert_eq!(*model.opened.lock().unwrap(), 3);
    assert!(service.stop(clock::now() + PATIENCE).is_empty());
    assert_eq!(result(&ask(&service)), Err(Failure::Closed));
}

#[test]
fn a_stuck_run_is_answered_and_replaced() {
    let (held, running, go) = hold();
    let model = Script::new("faces", [held]);
    let (service, events) = start(&Config { limit: Duration::from_millis(40), ..config() }, &model);
    let stuck = ask(&service);
    running.recv_timeout(PATIENCE).unwrap();
    assert_eq!(result(&stuck), Err(Failure::TimedOut));
    let event = events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(event, Event::Degraded { health: Health::Degraded, .. }), "{event:?}");
    assert_eq!(service.status()[0].abandoned, 1);

    assert!(result(&ask(&service)).is_ok(), "a fresh worker answers");
    assert_eq!(
        events.recv_timeout(PATIENCE).unwrap(),
        Event::Recovered { detector: "faces".into() }
    );
    assert_eq!(*model.opened.lock().unwrap(), 2);
    go.send(()).unwrap();
    assert!(service.stop(clock::now() + PATIENCE).is_empty());
    assert_eq!(service.status()[0].abandoned, 0);
}

#[test]
fn a_panic_is_a_failure_and_the_instance_is_opened_anew() {
    let model = Script::new("faces", [Act::Panic, Act::Panic]);
    let (service, _events) = start(&config(), &model);
    let failure = result(&ask(&service)).unwrap_err();
    assert_eq!(failure, Failure::Failed("panic: as the script says".into()));
    assert!(result(&ask(&service)).is_ok());
    assert_eq!(*model.opened.lock().unwrap(), 3);
}

#[test]
fn a_failed_run_is_tried_once_more_when_there_is_time() {
    let model = Script::new("faces", [Act::Fail, Act::Find, Act::Fail]);
    let (service, _events) = start(&config(), &model);
    assert!(result(&ask(&service)).is_ok());
    assert_eq!(service.status()[0].counts.retried, 1);
    let soon = ask_within(&service, pool::RETRY_BACKOFF);
    assert_eq!(result(&soon), Err(Failure::Failed("as the script says".into())));
    assert_eq!(model.runs.lock().unwrap().len(), 3);
}

#[test]
fn five_failures_open_the_breaker_and_a_probe_closes_it() {
    let model = Script::new("faces", [Act::Fail, Act::Fail, Act::Fail, Act::Fail, Act::Fail]);
    let (service, events) = start(&config(), &model);
    for _ in 0..3 {
        assert!(matches!(result(&ask(&service)), Err(Failure::Failed(_))));
    }
    assert_eq!(model.runs.lock().unwrap().len(), 5, "two requests had a second try");
    assert_eq!(health(&service), Health::Open);
    assert_eq!(result(&ask(&service)), Err(Failure::BreakerOpen));
    assert_eq!(model.runs.lock().unwrap().len(), 5, "a refused request does not run");
    let seen: Vec<Event> = (0..2).map(|_| events.recv_timeout(PATIENCE).unwrap()).collect();
    let [Event::Degraded { .. }, Event::Degraded { health: Health::Open, reason, .. }] =
        seen.as_slice()
    else {
        panic!("{seen:?}")
    };
    assert_eq!(reason, "as the script says");

    let model = Script::new("faces", [Act::Fail]);
    let patient = Config { breaker_failures: 1, breaker_retry: Duration::ZERO, ..config() };
    let (service, events) = start(&patient, &model);
    assert!(matches!(result(&ask(&service)), Err(Failure::Failed(_))));
    assert!(result(&ask(&service)).is_ok(), "the probe");
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(Event::Degraded { .. })));
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(Event::Recovered { .. })));
}

#[test]
fn a_request_that_waits_past_its_deadline_is_late_while_every_worker_is_busy() {
    let (held, running, go) = hold();
    let model = Script::new("faces", [held]);
    let (service, _events) = start(&config(), &model);
    let first = ask(&service);
    running.recv_timeout(PATIENCE).unwrap();
    let late = ask_within(&service, Duration::from_millis(20));
    assert_eq!(result(&late), Err(Failure::Late));
    go.send(()).unwrap();
    assert!(result(&first).is_ok());
    assert_eq!(result(&ask_within(&service, Duration::ZERO)), Err(Failure::Late));
    assert_eq!(*model.runs.lock().unwrap(), [1]);
}

#[test]
fn what_waits_for_a_gpu_runs_together() {
    let (held, running, go) = hold();
    let mut model = Script::new("faces", [held]);
    Arc::get_mut(&mut model).unwrap().batches = true;
    let wait = Duration::from_millis(1);
    let (service, _events) = start(&Config { batch_max_wait: wait, ..config() }, &model);
    let first = ask(&service);
    running.recv_timeout(PATIENCE).unwrap();
    let rest: Vec<_> = (0..10).map(|_| ask(&service)).collect();
    go.send(()).unwrap();
    assert!(result(&first).is_ok() && rest.iter().all(|answered| result(answered).is_ok()));
    assert_eq!(*model.runs.lock().unwrap(), [1, 8, 2]);
    assert_eq!(service.status()[0].counts.pictures, 11);
}

#[test]
fn a_stop_answers_everything_and_names_who_does_not_end() {
    let (held, running, go) = hold();
    let model = Script::new("faces", [held]);
    let (service, _events) = start(&config(), &model);
    let runs = ask(&service);
    running.recv_timeout(PATIENCE).unwrap();
    let queued = ask(&service);
    assert_eq!(service.stop(clock::now() + Duration::from_millis(20)), ["detect-0"]);
    assert_eq!(result(&queued), Err(Failure::Closed));
    assert_eq!(result(&runs), Err(Failure::Closed));
    go.send(()).unwrap();
    assert!(service.stop(clock::now() + PATIENCE).is_empty());
}

/// Many callers, a model that fails and panics, a queue that overflows, a stop in the middle.
#[test]
fn everyone_is_answered_exactly_once_whatever_happens() {
    let act = |n| match n % 17 {
        0 if n % 170 == 0 => Act::Panic,
        3 | 11 => Act::Fail,
        _ => Act::Find,
    };
    let model = Script::new("faces", (0..4000).map(act));
    let config = Config { workers: 4, queue: 16, ..config() };
    let (service, _events) = start(&config, &model);
    let (answers, answered) = channel();
    let callers: Vec<_> = (0..4u64)
        .map(|stream| {
            let (service, answers) = (service.clone(), answers.clone());
            #[expect(clippy::disallowed_methods, reason = "a crowd of nameless callers")]
            std::thread::spawn(move || {
                for turn in 0..500u64 {
                    let answers = answers.clone();
                    let need = if turn % 3 == 0 { Need::Optional } else { Need::Required };
                    service.submit(Request {
                        stream,
                        picture: Arc::new(Picture::filled(32, 32, [16, 128, 128])),
                        deadline: clock::now() + Duration::from_millis(turn % 50),
                        need,
                        reply: Box::new(move |_| answers.send(stream * 500 + turn).unwrap()),
                    });
                    if stream == 0 && turn == 400 {
                        assert!(service.stop(clock::now() + PATIENCE).is_empty());
                    }
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    drop((service, answers));
    let mut seen: Vec<u64> = answered.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
}

#[test]
fn the_last_handle_ends_the_threads() {
    let model = Script::new("faces", []);
    let (service, events) = start(&config(), &model);
    let other = service.clone();
    drop(service);
    assert!(result(&ask(&other)).is_ok());
    drop(other);
    // Every thread holds the listener; the channel closes with the last of them.
    assert_eq!(events.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn two_detectors_give_one_answer_and_one_failure_fails_it() {
    let faces = Script::new("faces", [Act::Find]);
    let text = Script::new("text", [Act::Find, Act::Fail, Act::Fail]);
    let models: Vec<Arc<dyn Model>> = vec![faces, text];
    let service = Service::start_with(&config(), models, |_| {}).unwrap();
    let both = result(&ask(&service)).unwrap();
    let mut classes: Vec<&str> = both.iter().map(|finding| &*finding.class).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["faces", "text"]);
    assert!(matches!(result(&ask(&service)), Err(Failure::Failed(_))));
    assert_eq!(
        service.status().iter().map(|s| s.health).collect::<Vec<_>>(),
        [Health::Up, Health::Degraded]
    );
}

#[test]
fn a_start_says_what_is_wrong_with_it() {
    let problem = |config: &Config| {
        let entries = Manifest::builtin().unwrap().models;
        Service::start(config, &entries, |_| {}).unwrap_err().to_string()
    };
    let config = |name: &str| Config { providers: vec![name.into()], ..Config::default() };
    assert_eq!(
        problem(&config("gpu")),
        "unknown execution provider \"gpu\"; allowed: tensorrt, cuda, openvino, cpu"
    );
    let nowhere = Config { onnxruntime: "nowhere/lib.so".into(), ..config("cpu") };
    assert!(problem(&nowhere).starts_with("cannot load ONNX Runtime from nowhere/lib.so"));
    assert!(matches!(
        Service::start_with(&Config::default(), Vec::new(), |_| {}),
        Err(StartError::NoModel)
    ));
}
