//! Two made-up GPUs that fail as real ones do: lost, out of memory, and back again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::*;

/// What ONNX Runtime says, in short.
const LOST: &str = "CUDA failure 719: unspecified launch failure";
const NO_MEMORY: &str = "CUDA failure 2: out of memory";

#[derive(Default)]
struct Card {
    /// Runs fail, and no session opens.
    lost: AtomicBool,
    /// Runs that still fail for lack of memory.
    starved: AtomicUsize,
    runs: AtomicUsize,
}

/// A model whose sessions are on the cards in turn, as those of ONNX Runtime are.
struct OnCards {
    cards: [Arc<Card>; 2],
    opened: AtomicUsize,
}

struct Session(Arc<Card>);

impl Model for OnCards {
    fn name(&self) -> &str {
        "faces"
    }

    fn bucket(&self, _: &Arc<Picture>) -> u32 {
        0
    }

    fn open(&self) -> Result<Opened, Error> {
        let card = self.cards[self.opened.fetch_add(1, Relaxed) % 2].clone();
        if card.lost.load(Relaxed) {
            return Err(Error::new(LOST));
        }
        Ok(Opened {
            detector: Box::new(Session(card)),
            provider: "cuda".into(),
            fallback: None,
            batches: true,
            classes: vec!["FACE".into()],
        })
    }
}

impl Detector for Session {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        self.0.runs.fetch_add(1, Relaxed);
        if self.0.lost.load(Relaxed) {
            return Err(Error::new(LOST));
        }
        let starved = self.0.starved.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if starved.is_ok() {
            return Err(Error::new(NO_MEMORY));
        }
        Ok(vec![Vec::new(); pictures.len()])
    }
}

fn start() -> (Service, Receiver<Event>, [Arc<Card>; 2]) {
    let cards: [Arc<Card>; 2] = Default::default();
    let (events, seen) = channel();
    let model = OnCards { cards: cards.clone(), opened: AtomicUsize::new(0) };
    let config = Config {
        workers: 2,
        batch_max_wait: Duration::ZERO,
        breaker_retry: Duration::from_millis(1),
        ..config()
    };
    let service = Service::start_with(&config, vec![Arc::new(model)], move |event| {
        let _ = events.send(event);
    });
    (service.unwrap(), seen, cards)
}

/// Asks until both cards have run since the counts were these; each answer goes to `judge`.
fn until_both_ran(service: &Service, cards: &[Arc<Card>; 2], mut judge: impl FnMut(bool)) {
    let before = [0, 1].map(|n: usize| cards[n].runs.load(Relaxed));
    let until = clock::now() + PATIENCE;
    while (0..2).any(|n| cards[n].runs.load(Relaxed) == before[n]) {
        assert!(clock::now() < until, "both cards work");
        judge(result(&ask(service)).is_ok());
    }
}

#[test]
fn a_lost_gpu_costs_few_answers_while_another_works() {
    let (service, events, cards) = start();
    until_both_ran(&service, &cards, |answered| assert!(answered));
    cards[1].lost.store(true, Relaxed);
    // One fails only where the lost card takes both of its tries; then that card rests.
    let failed = (0..200).filter(|_| result(&ask(&service)).is_err()).count();
    assert!(failed <= 10, "{failed} of 200 requests");
    assert!(cards[0].runs.load(Relaxed) > cards[1].runs.load(Relaxed));
    let degraded = events.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(&degraded, Event::Degraded { health: Health::Degraded, reason, .. } if reason == LOST),
        "{degraded:?}"
    );
}

#[test]
fn out_of_memory_passes_and_is_told() {
    let (service, events, cards) = start();
    until_both_ran(&service, &cards, |answered| assert!(answered));
    cards.iter().for_each(|card| card.starved.store(1, Relaxed));
    until_both_ran(&service, &cards, |_| ());
    let degraded = events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(&degraded, Event::Degraded { reason, .. } if reason == NO_MEMORY));
    let until = clock::now() + PATIENCE;
    while !events.try_iter().any(|event| matches!(event, Event::Recovered { .. })) {
        assert!(clock::now() < until, "memory is there again");
        assert!(result(&ask(&service)).is_ok());
    }
}

#[test]
fn when_every_gpu_is_lost_requests_fail_and_recover_with_the_first_that_is_back() {
    let (service, events, cards) = start();
    until_both_ran(&service, &cards, |answered| assert!(answered));
    cards.iter().for_each(|card| card.lost.store(true, Relaxed));
    while health(&service) != Health::Open {
        assert!(result(&ask(&service)).is_err(), "nobody answers, so nothing is shown");
    }
    cards[0].lost.store(false, Relaxed);
    let until = clock::now() + PATIENCE;
    while result(&ask(&service)).is_err() {
        assert!(clock::now() < until, "one GPU is back");
    }
    let seen: Vec<Event> = events.try_iter().collect();
    assert!(
        seen.iter().any(|e| matches!(e, Event::Degraded { health: Health::Open, .. })),
        "{seen:?}"
    );
}
