//! `Idempotency-Key`: the same call made twice does its work once.
//!
//! After the IETF draft "The Idempotency-Key HTTP Header Field". Only what succeeded is remembered:
//! a client that was refused tries again with the same key, and must not get the same refusal for a
//! day. Answers hold tokens, so they are kept in memory and nowhere else; a restart forgets them.

use std::collections::{HashMap, VecDeque};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::State;
use super::access::identify;
use super::error::Problem;
use super::extract::raw;
use crate::media::clock;

/// Names a call that may be made twice.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is given again.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Calls that are remembered; past it the oldest answer is forgotten before its time.
const CALLS_MAX: usize = 1_024;

/// Longest key, in bytes.
const KEY_MAX: usize = 128;

/// Largest answer that is remembered, in bytes; all that may be repeated are far smaller.
const ANSWER_MAX: usize = 65_536;

/// Who made which call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    caller: String,
    key: String,
}

type Print = [u8; 32];

#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Debug)]
enum Progress {
    Running,
    Done(Answer),
}

/// Calls with their keys.
#[derive(Debug, Default)]
pub(super) struct Calls {
    known: HashMap<Name, (Print, Progress)>,
    /// Finished ones, oldest first.
    finished: VecDeque<(Instant, Name)>,
}

/// What to do with a call.
#[derive(Debug)]
enum Begin {
    /// Its work; it is remembered as running.
    Work,
    /// Nothing: this was the answer.
    Again(Answer),
    /// Refuse: it is running.
    Running,
    /// Refuse: the key was used for another call.
    Other,
    /// Refuse: too many are running.
    Full,
}

impl Calls {
    fn begin(&mut self, name: &Name, print: Print, now: Instant) -> Begin {
        self.forget_old(now);
        match self.known.get(name) {
            Some((known, _)) if *known != print => return Begin::Other,
            Some((_, Progress::Running)) => return Begin::Running,
            Some((_, Progress::Done(answer))) => return Begin::Again(answer.clone()),
            None => {}
        }
        if self.known.len() >= CALLS_MAX {
            let Some((_, oldest)) = self.finished.pop_front() else { return Begin::Full };
            self.known.remove(&oldest);
        }
        self.known.insert(name.clone(), (print, Progress::Running));
        Begin::Work
    }

    /// The call is over; `None` when it is to be made again.
    fn end(&mut self, name: &Name, answer: Option<Answer>, now: Instant) {
        match (answer, self.known.get_mut(name)) {
            (Some(answer), Some((_, progress))) => {
                *progress = Progress::Done(answer);
                self.finished.push_back((now, name.clone()));
            }
            _ => drop(self.known.remove(name)),
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, _)) = self.finished.front() {
            if now.saturating_duration_since(*at) < KEPT_FOR {
                return;
            }
            if let Some((_, name)) = self.finished.pop_front() {
                self.known.remove(&name);
            }
        }
    }
}

/// Around a route that may be called again.
pub(super) async fn once(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = request.headers().get(KEY) else { return Ok(next.run(request).await) };
    let key = checked(key)?;
    let name = Name { caller: identify(&state, request.headers())?.sub, key };
    let (parts, body) = request.into_parts();
    let bytes = raw(Request::from_parts(parts.clone(), body), &state).await?;
    let print = Sha256::digest(&bytes).into();
    let begin = calls(&state).begin(&name, print, clock::now());
    match begin {
        Begin::Work => {}
        Begin::Again(answer) => return Ok(answer.again()),
        Begin::Running => {
            let detail = "a call with this idempotency key is being served; ask again soon";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency-in-progress", detail)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Begin::Other => {
            let error = "Idempotency-Key was used with another body; choose a new one";
            return Err(Problem::invalid(&[error.to_owned()]));
        }
        Begin::Full => {
            return Err(Problem::unavailable("too many calls with idempotency keys are running"));
        }
    }
    let mut running = Running { state: &state, name, answer: None };
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_MAX).await.map_err(|_| Problem::internal())?;
    let answer = Answer { status: parts.status, headers: parts.headers, body };
    running.answer = Some(answer.clone());
    Ok(answer.into_response())
}

/// A call that runs. Dropped, however that comes about, it has ended.
struct Running<'a> {
    state: &'a State,
    name: Name,
    answer: Option<Answer>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        calls(self.state).end(&self.name, self.answer.take(), clock::now());
    }
}

fn calls(state: &State) -> MutexGuard<'_, Calls> {
    state.calls().lock().unwrap_or_else(PoisonError::into_inner)
}

fn checked(key: &HeaderValue) -> Result<String, Problem> {
    let text = key.to_str().ok().filter(|text| {
        (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    });
    text.map(ToOwned::to_owned).ok_or_else(|| {
        let error = format!(
            "Idempotency-Key must be 1 to {KEY_MAX} printable ASCII characters without spaces"
        );
        Problem::invalid(&[error])
    })
}

impl Answer {
    fn again(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Name {
        Name { caller: "olga".into(), key: key.into() }
    }

    fn answer(body: &'static str) -> Answer {
        let body = Bytes::from_static(body.as_bytes());
        Answer { status: StatusCode::CREATED, headers: HeaderMap::new(), body }
    }

    #[test]
    fn the_same_call_gets_the_same_answer_for_a_day() {
        let (mut calls, start) = (Calls::default(), clock::now());
        assert!(matches!(calls.begin(&name("a"), [1; 32], start), Begin::Work));
        assert!(matches!(calls.begin(&name("a"), [1; 32], start), Begin::Running));
        assert!(matches!(calls.begin(&name("a"), [2; 32], start), Begin::Other));
        calls.end(&name("a"), Some(answer("done")), start);
        let late = start + KEPT_FOR - Duration::from_nanos(1);
        let Begin::Again(again) = calls.begin(&name("a"), [1; 32], late) else { panic!() };
        assert_eq!(again.body, "done");
        assert!(matches!(calls.begin(&name("a"), [2; 32], late), Begin::Other));
        let other = Name { caller: "otto".into(), ..name("a") };
        assert!(matches!(calls.begin(&other, [1; 32], late), Begin::Work), "another caller's key");
        assert!(matches!(calls.begin(&name("a"), [2; 32], start + KEPT_FOR), Begin::Work));
    }

    #[test]
    fn what_failed_may_be_tried_again() {
        let (mut calls, now) = (Calls::default(), clock::now());
        for _ in 0..3 {
            assert!(matches!(calls.begin(&name("a"), [1; 32], now), Begin::Work));
            calls.end(&name("a"), None, now);
        }
        assert!(calls.known.is_empty() && calls.finished.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_runs_is_never_forgotten() {
        let (mut calls, now) = (Calls::default(), clock::now());
        calls.begin(&name("running"), [0; 32], now);
        for n in 0..2 * CALLS_MAX {
            let name = name(&n.to_string());
            assert!(matches!(calls.begin(&name, [0; 32], now), Begin::Work), "{n}");
            calls.end(&name, Some(answer("")), now);
            assert!(calls.known.len() <= CALLS_MAX && calls.finished.len() < CALLS_MAX);
        }
        assert!(matches!(calls.begin(&name("running"), [0; 32], now), Begin::Running));
        assert!(matches!(calls.begin(&name("0"), [0; 32], now), Begin::Work), "the oldest is gone");
        let (mut calls, now) = (Calls::default(), clock::now());
        for n in 0..CALLS_MAX {
            calls.begin(&name(&n.to_string()), [0; 32], now);
        }
        assert!(matches!(calls.begin(&name("more"), [0; 32], now), Begin::Full));
    }
}
