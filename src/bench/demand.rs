//! Detection alone, asked by many streams at once.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::report::Demand;
use crate::detect::{Need, Request, Service};
use crate::load::Latencies;
use crate::media::{Picture, clock};

/// Streams that take turns to ask.
const STREAMS: u64 = 50;
/// How long an answer is worth something.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of the requests.
#[derive(Default)]
struct Tally {
    answered: u64,
    failed: u64,
    took: Latencies,
}

/// Asks for `rate` pictures a second for `span`; 0: a new one with every answer, `under_way` at a
/// time. Blocks.
pub(super) fn measure(
    detect: &Service,
    pictures: &[Arc<Picture>],
    (rate, under_way): (u32, usize),
    span: Duration,
) -> Demand {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (free, places) = sync_channel::<()>(under_way);
    let mut asked = 0_u64;
    let began = clock::now();
    while began.elapsed() < span {
        if rate > 0 {
            let due = began + Duration::from_secs_f64(asked as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_duration_since(clock::now()));
        } else if asked >= under_way as u64 && places.recv_timeout(PATIENCE).is_err() {
            break;
        }
        let (tally, free) = (tally.clone(), free.clone());
        let submitted = clock::now();
        detect.submit(Request {
            stream: asked % STREAMS,
            picture: pictures[asked as usize % pictures.len()].clone(),
            deadline: submitted + PATIENCE,
            need: Need::Required,
            reply: Box::new(move |answer| {
                let mut tally = tally.lock().unwrap_or_else(|e| e.into_inner());
                match answer.result {
                    Ok(_) => tally.answered += 1,
                    Err(_) => tally.failed += 1,
                }
                tally.took.record(submitted.elapsed());
                // With a rate nobody waits for places.
                let _ = free.try_send(());
            }),
        });
        asked += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    std::thread::sleep(PATIENCE);
    let tally = tally.lock().unwrap_or_else(|e| e.into_inner());
    Demand {
        asked_per_second: rate,
        asked,
        failed: tally.failed,
        answered_per_second: tally.answered as f64 / seconds,
        answer_ms: tally.took.percentiles(),
    }
}
