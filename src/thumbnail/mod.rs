//! Small pictures of what was found, covered as viewers saw it, for whoever judges it afterwards.
//!
//! ```text
//! pipeline::album: which frame shows which detection
//!        │ orders (32)
//!        ▼
//! thumbnail thread: cover, cut out, make small, JPEG ──► session::Event ──► store, `GET /events`
//! ```
//!
//! One thread for all streams, which gives way to every other. The media path hands over a shared
//! picture and goes on. When the queue is full an order is dropped and counted, and its detection
//! has no picture.

mod draw;
mod service;

pub(crate) use draw::Scene;
pub use draw::{HEIGHT, WIDTH};
pub use service::Service;
pub(crate) use service::{Draft, Order};
