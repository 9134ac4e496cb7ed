//! Logs, metrics and traces, each declared once.

mod engines;
mod gpu;
mod histogram;
mod labels;
mod logging;
mod metrics;
mod process;
mod rooms;
mod runtime;
mod service;
mod text;
pub mod trace;
mod usage;

pub use engines::OnEngine;
pub use gpu::{Gpu, GpuCollector, Gpus, NoGpu};
pub use histogram::Histogram;
pub use labels::{
    Breaker, Direction, Fate, Notice, Outcome, Processor, Reason, Refused, Step, StreamState,
};
pub use logging::init;
pub use metrics::{Global, Metrics, OTHER, ROOMS_MAX, RoomMetrics};
pub use process::Process;
pub(crate) use process::cpu_seconds;
pub use service::Live;
pub use text::{OPEN_METRICS, PLAIN, render};
pub use usage::{Cpu, Usage};
