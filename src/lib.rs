//! Scrim: live video, made safe before anyone sees it.
//!
//! ```text
//! raw room ──► livekit::subscribe ──► pipeline ──► livekit::publish ──► processed room
//!               encoded frames         decode → gate → detect → guard → censor → encode
//! ```
//!
//! Stages schedule, engines compute, edges do I/O. Dependencies point from the pipeline to the
//! engines (`detect`, `track`, `censor`) and edges (`livekit`, `media`), never back.

/// Control in: HTTP routes, webhooks, health, metrics.
pub mod api;
/// The whole, assembled in one visible order.
pub mod app;
/// What the rules cover, and how it is covered.
pub mod censor;
/// The command line.
pub mod cli;
/// What an operator may say.
pub mod config;
/// Models behind a queue that all streams share.
pub mod detect;
/// Rooms: subscribe to a broadcaster, publish to viewers.
pub mod livekit;
/// Pictures, encoded frames, clocks and the codecs around them.
pub mod media;
/// The way of a frame.
pub mod pipeline;
/// Named tasks and threads, stop signals, deadlines.
pub mod runtime;
/// What should be running: one session a stream.
pub mod session;
/// Logs and metrics, each declared once.
pub mod telemetry;
/// Findings in, moving regions out; pure.
pub mod track;
