//! What should be running: one session a stream.
