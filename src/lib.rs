//! Scrim: live video, made safe before anyone sees it.
//!
//! ```text
//! raw room ──► livekit::subscribe ──► pipeline ──► livekit::publish ──► processed room
//!               encoded frames         decode → gate → detect → guard → censor → encode
//! ```
//!
//! Stages schedule, engines compute, edges do I/O. Dependencies point from the pipeline to the
//! engines (`detect`, `track`, `censor`) and edges (`livekit`, `media`), never back.

/// Pictures, encoded frames, clocks and the codecs around them.
pub mod media;
/// Rooms: subscribe to a broadcaster, publish to viewers.
pub mod livekit;
/// Models behind a queue that all streams share.
pub mod detect;
/// Findings in, moving regions out; pure.
pub mod track;
/// What the rules cover, and how it is covered.
pub mod censor;
/// The way of a frame.
pub mod pipeline;
/// What should be running: one session a stream.
pub mod session;
/// Control in: HTTP routes, webhooks, health, metrics.
pub mod api;
/// What an operator may say.
pub mod config;
/// Logs and metrics, each declared once.
pub mod telemetry;
/// Named tasks and threads, stop signals, deadlines.
pub mod runtime;
