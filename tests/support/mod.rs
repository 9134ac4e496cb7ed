//! A real livekit-server on ports of its own, and frames that can be told apart.

pub mod frames;
pub mod proxy;
pub mod server;
pub mod stage;
