//! Who is told about a request, and that it happens exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Answer, Failure, Finding, Task};

/// As a [`super::Request`] carries it.
pub(super) type Callback<R = Vec<Finding>> = Box<dyn FnOnce(Answer<R>) + Send>;

/// Whom to tell about a request. Answers `Closed` by itself if it is dropped.
pub(super) struct Reply<R>(Option<Callback<R>>);

impl<R> Reply<R> {
    pub(super) fn new(reply: Callback<R>) -> Self {
        Self(Some(reply))
    }

    fn call(&mut self, answer: Answer<R>) {
        let Some(reply) = self.0.take() else { return };
        if catch_unwind(AssertUnwindSafe(|| reply(answer))).is_err() {
            tracing::error!("a detection reply panicked");
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        self.call(nothing(Failure::Closed));
    }
}

/// A request as it waits.
pub(super) struct Job<T: Task> {
    pub input: T::Input,
    pub reply: Reply<T::Output>,
    /// It finds out whether an open breaker may close.
    pub probe: bool,
    /// It failed once and is on its second try.
    pub retried: bool,
}

/// A job and its answer, to be delivered outside the lock.
pub(super) struct Delivery<T: Task>(pub Job<T>, pub Answer<T::Output>);

impl<T: Task> Delivery<T> {
    pub(super) fn send(mut self) {
        self.0.reply.call(self.1);
    }
}

/// Makes one answer about regions out of `count`: all findings, or the first failure; the longest times.
pub(super) fn join(count: usize, reply: Callback) -> Vec<Callback> {
    if count == 1 {
        return vec![reply];
    }
    let answer = Answer { result: Ok(Vec::new()), ..nothing(Failure::Closed) };
    let joined = Arc::new(Mutex::new(Joined { missing: count, answer, reply: Some(reply) }));
    let part = |_| {
        let joined = joined.clone();
        Box::new(move |part| {
            let complete = joined.lock().expect("no panic under this lock").add(part);
            if let Some((reply, answer)) = complete {
                reply(answer);
            }
        }) as Callback
    };
    (0..count).map(part).collect()
}

struct Joined {
    missing: usize,
    answer: Answer,
    reply: Option<Callback>,
}

impl Joined {
    /// Adds one detector's answer; with the last of them, what is to be called with what.
    fn add(&mut self, part: Answer) -> Option<(Callback, Answer)> {
        self.missing -= 1;
        self.answer.queued = self.answer.queued.max(part.queued);
        self.answer.ran = self.answer.ran.max(part.ran);
        match (self.answer.result.as_mut(), part.result) {
            (Ok(all), Ok(part)) => merge(all, part),
            (Ok(_), Err(failure)) => self.answer.result = Err(failure),
            (Err(_), _) => {}
        }
        if self.missing > 0 {
            return None;
        }
        let answer = std::mem::replace(&mut self.answer, nothing(Failure::Closed));
        self.reply.take().map(|reply| (reply, answer))
    }
}

fn merge(all: &mut Vec<Finding>, part: Vec<Finding>) {
    all.extend(part);
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// An answer of a request that never ran.
fn nothing<R>(failure: Failure) -> Answer<R> {
    Answer { result: Err(failure), queued: Duration::ZERO, ran: Duration::ZERO }
}
