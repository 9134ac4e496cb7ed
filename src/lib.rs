//! Scrim: live video, made safe before anyone sees it.
//!
//! ```text
//! raw room ──► livekit::subscribe ──► pipeline ──► livekit::publish ──► processed room
//!               encoded frames         decode → gate → detect → guard → censor → encode
//! ```
//!
//! Stages schedule, engines compute, edges do I/O. Dependencies point from the pipeline to the
//! engines (`detect`, `track`, `censor`) and edges (`livekit`, `media`), never back.
//!
//! In the order of the flow:
//!
//! | module | answers |
//! |---|---|
//! | [`cli`], [`config`] | what an operator may say |
//! | [`app`] | how it is assembled, run and taken down |
//! | [`ask`] | `scrim health`: a health check without another client |
//! | [`api`] | control in: routes, webhooks, health, metrics |
//! | [`session`] | what should be running: one session a stream |
//! | [`livekit`] | rooms: subscribe to a broadcaster, publish to viewers |
//! | [`pipeline`] | the way of a frame, and the guard that decides |
//! | [`media`] | pictures, encoded frames, clocks, and the codecs around them |
//! | [`detect`] | models behind a queue that all streams share |
//! | [`text`] | which words of a text the rules forbid; pure |
//! | [`track`] | findings in, moving regions out; pure |
//! | [`censor`] | what the rules cover, and how it is covered |
//! | [`frames`] | sessions of frames that are sent to the API |
//! | [`inspect`] | single pictures and texts under the rules |
//! | [`thumbnail`] | small covered pictures of what was found |
//! | [`store`] | what outlives the process: streams, detections, rules, feedback |
//! | [`notify`] | tells the operator's own server what happens |
//! | [`bench`](mod@bench) | `scrim bench`: what this machine bears, without LiveKit |
//! | [`load`] | `scrim load`: broadcasters and viewers that measure a server |
//! | [`nvidia`] | `scrim check-gpu`: what this machine lacks for what is asked of its GPUs |
//! | [`telemetry`] | logs and metrics, each declared once |
//! | [`runtime`] | named tasks and threads, stop signals, deadlines |

pub mod api;
pub mod app;
pub mod ask;
pub mod bench;
pub mod censor;
pub mod cli;
pub mod config;
pub mod detect;
pub mod frames;
pub mod inspect;
pub mod livekit;
pub mod load;
pub mod media;
pub mod notify;
pub mod nvidia;
pub mod pipeline;
pub mod runtime;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod thumbnail;
pub mod track;
