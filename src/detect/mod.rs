//! Models behind a queue that all streams share: earliest deadline first, bounded, watched.
//!
//! A [`Service`] owns one thread per session. Callers hand in pictures with a deadline and get
//! exactly one [`Answer`] each, from a detector thread: findings in frame coordinates, or why not.
//!
//! ```text
//! service::submit ─► batcher (a model's queue) ─► worker: pre ─► ONNX Runtime ─► post ─► reply
//!                     ▲ breaker: refuse?             ▲ watch: late? stuck? replace
//! ```
//!
//! Models answer one of three kinds of question ([`Task`]): which regions are in a picture, where
//! its lines of text are, and what a line says ([`text`]). Each model has its own queue, workers
//! and breaker, made of the same parts.
//!
//! A queue holds [`Config::queue`] requests. Full: optional ones are shed first,
//! then the last of the stream that waits with most. What is late, shed, failed, stuck or
//! refused is answered as a [`Failure`]; nothing is answered as clean that was not looked at.

mod answers;
mod batcher;
#[cfg(feature = "test-hooks")]
pub mod bench;
mod breaker;
mod config;
#[cfg(feature = "cuda")]
mod gpu;
mod health;
#[cfg(any(test, feature = "test-hooks"))]
pub mod hooks;
pub mod manifest;
mod matrix;
mod model;
mod onnx;
mod openvino;
mod pool;
mod post;
mod pre;
mod reply;
mod resample;
mod service;
mod start;
#[cfg(test)]
mod tests;
pub mod text;
mod worker;
mod yolo;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::media::{Picture, Rect};

pub use answers::AnswerTime;
pub use breaker::Position;
pub use config::Config;
pub use health::{Counts, DetectorStatus, Event, Health};
pub use manifest::Manifest;
pub use model::{Detector, Error, Model, Opened, Regions, Role, Task};
pub use pre::Shape;
pub use service::Service;
pub use start::{Models, StartError, TextModels, open};

/// Something a detector found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The class name as the model's manifest gives it.
    pub class: Arc<str>,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Where, in pixels of the picture that was handed in, cut to its edges.
    pub rect: Rect,
}

/// Whether a picture may be dropped when the queue is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Dropped first: it only sharpens what is known.
    Optional,
    /// Without its answer frames are covered.
    Required,
}

/// One picture to look at.
pub struct Request {
    /// The stream it belongs to, for fairness between streams.
    pub stream: u64,
    /// The picture; shared, never copied.
    pub picture: Arc<Picture>,
    /// After this the answer is worth nothing: a request still waiting then fails as `Late`.
    pub deadline: Instant,
    /// What happens under overload.
    pub need: Need,
    /// Called exactly once, from a detector thread or from `submit`. Must not block.
    pub reply: Box<dyn FnOnce(Answer) + Send>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Answer<R = Vec<Finding>> {
    /// Every finding over the model's floor score, best first; or why there is no answer.
    pub result: Result<R, Failure>,
    /// Time from `submit` until a worker took it.
    pub queued: Duration,
    /// Time in the model, preparation and decoding of its output included.
    pub ran: Duration,
}

/// Why a picture has no findings. Always covers, never uncovers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its deadline passed while it waited.
    #[error("the deadline passed in the queue")]
    Late,
    /// The queue was full and others were needed more.
    #[error("dropped from a full queue")]
    Shed,
    /// The detector took longer than its limit.
    #[error("the detector took longer than its limit")]
    TimedOut,
    /// The breaker is open after repeated failures.
    #[error("the detector is switched off after repeated failures")]
    BreakerOpen,
    /// The model failed.
    #[error("the detector failed: {0}")]
    Failed(String),
    /// The service is shutting down.
    #[error("detection is shutting down")]
    Closed,
}
